-- drain.sql: attaching, draining and resetting streams.

CREATE FUNCTION defidata.entry_id(id text) RETURNS numeric[]
    IMMUTABLE STRICT LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF id !~ '^[0-9]{1,20}(-[0-9]{1,20})?$'
       OR split_part(id, '-', 1)::numeric > 18446744073709551615
       OR ('0' || split_part(id, '-', 2))::numeric > 18446744073709551615 THEN
        RAISE EXCEPTION 'invalid id of an entry: "%"', left(id, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Ids are of the form 1700000000000-0; $ stands for the newest.';
    END IF;
    RETURN ARRAY[split_part(id, '-', 1), '0' || split_part(id, '-', 2)]::numeric[];
END
$$;
COMMENT ON FUNCTION defidata.entry_id(text) IS
    'the two numbers of an entry''s id, which compare as ids do; 22023 where it is none';

CREATE FUNCTION defidata.id_before(id numeric[]) RETURNS text
    IMMUTABLE STRICT LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN id[2] > 0 THEN concat(id[1], '-', id[2] - 1)
                WHEN id[1] > 0 THEN concat(id[1] - 1, '-18446744073709551615')
                ELSE '0-0' END;
COMMENT ON FUNCTION defidata.id_before(numeric[]) IS 'the id right before an id';

CREATE FUNCTION defidata.check_fields(mode text, fields jsonb) RETURNS void
    IMMUTABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known   constant text[] := CASE mode WHEN 'events' THEN '{symbol,at,count,sentiment}'::text[]
                                         ELSE '{id,hour,symbol,count,sentiment}' END;
    mapping record;
    how     text[];
BEGIN
    IF fields IS NULL OR jsonb_typeof(fields) <> 'object' THEN
        RAISE EXCEPTION 'fields must be a JSON object that maps logical to actual field names'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR mapping IN
        SELECT f.key, f.value, jsonb_typeof(f.value) AS type FROM jsonb_each(fields) f
    LOOP
        IF mapping.key <> ALL (known) THEN
            RAISE EXCEPTION 'an entry has no field "%"', left(mapping.key, 80)
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('The fields of mode %s are %s.', mode,
                                    array_to_string(known, ', '));
        END IF;
        how := CASE WHEN mapping.key IN ('at', 'hour') THEN '{column,unit}'::text[]
                    WHEN mapping.key = 'sentiment' THEN '{column,values,from,to}'
                    ELSE '{column}' END;
        IF mapping.type NOT IN ('string', 'object')
           OR mapping.type = 'object' AND (
               (mapping.value - how) <> '{}'
               OR jsonb_typeof(COALESCE(mapping.value -> 'column', '""')) <> 'string'
               OR COALESCE(mapping.value ->> 'unit', 'seconds')
                  NOT IN ('seconds', 'milliseconds', 'microseconds')
               OR (mapping.value ? 'from') <> (mapping.value ? 'to')
               OR mapping.value ? 'from' AND mapping.value ? 'values') THEN
            RAISE EXCEPTION 'the mapping of field "%" cannot be read', mapping.key
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('It is the name of a field, or an object with %s.',
                                    array_to_string(how, ', '));
        END IF;
        IF mapping.type = 'object' THEN
            PERFORM defidata.check_scale(mapping.value);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.check_fields(text, jsonb) IS
    'raises 22023 unless fields says how the entries of a stream are to be read';

CREATE FUNCTION defidata.check_scale(mapping jsonb) RETURNS void
    IMMUTABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    side text;
BEGIN
    IF mapping ? 'values' AND (jsonb_typeof(mapping -> 'values') <> 'object' OR EXISTS (
            SELECT FROM jsonb_each(mapping -> 'values') v
             WHERE jsonb_typeof(v.value) <> 'number')) THEN
        RAISE EXCEPTION 'values must be a JSON object that maps words to numbers'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH side IN ARRAY ARRAY['from', 'to'] LOOP
        IF mapping ? side AND (jsonb_typeof(mapping -> side) <> 'array'
               OR jsonb_array_length(mapping -> side) <> 2
               OR EXISTS (SELECT FROM jsonb_array_elements(mapping -> side) v
                           WHERE jsonb_typeof(v) <> 'number')) THEN
            RAISE EXCEPTION '% must be a JSON array of two numbers', side
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    IF mapping -> 'from' -> 0 = mapping -> 'from' -> 1 THEN
        RAISE EXCEPTION 'the two numbers of from must differ'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_scale(jsonb) IS
    'raises 22023 unless the object says how words or a range become a sentiment';

CREATE FUNCTION defidata.check_stream_server(server name) RETURNS void
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrapper text;
BEGIN
    SELECT w.fdwname INTO wrapper FROM pg_foreign_server s
      JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = server;
    IF wrapper IS NULL THEN
        RAISE EXCEPTION 'server % does not exist', quote_nullable(server::text)
            USING ERRCODE = 'undefined_object',
                  HINT = 'Make it with CREATE SERVER … FOREIGN DATA WRAPPER defidata_redis'
                         ' OPTIONS (host ''…'').';
    ELSIF wrapper <> 'defidata_redis' THEN
        RAISE EXCEPTION 'server "%" is not of defidata_redis but of %', server, wrapper
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_stream_server(name) IS
    'raises 42704 where there is no such server, 22023 where it is of another wrapper';

CREATE FUNCTION defidata.attach_stream(server name, key text, mode text, fields jsonb,
                                       "trim" boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted constant text := format('%s_%s', server, key);
    former constant text := (SELECT s.mode FROM defidata.stream s WHERE s.name = wanted);
BEGIN
    IF mode IS NULL OR mode NOT IN ('events', 'rows') THEN
        RAISE EXCEPTION 'mode must be events or rows, not %', quote_nullable(left(mode, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF COALESCE(key, '') = '' OR octet_length(wanted) > 127 THEN
        RAISE EXCEPTION 'the name of server and stream must have 1 to 126 bytes together'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF former <> mode THEN
        RAISE EXCEPTION 'stream "%" is attached in mode %', wanted, former
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('SELECT defidata_detach_stream(%L, drop_rows => true); first.',
                                wanted);
    ELSIF former IS NULL
          AND (EXISTS (SELECT FROM defidata.source s WHERE s.name = wanted)
               OR EXISTS (SELECT FROM defidata.document_source d WHERE d.name = wanted)
               OR EXISTS (SELECT FROM defidata.raw_mentions r WHERE r.source = wanted)) THEN
        RAISE EXCEPTION 'there is another source "%"', wanted
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Detach it with its rows, or choose another name for the server.';
    END IF;
    PERFORM defidata.check_stream_server(server), defidata.check_fields(mode, fields),
            defidata.probe_stream(wanted, server, key);
    INSERT INTO defidata.stream AS s (name, server, key, mode, fields, "trim")
    VALUES (wanted, server, key, mode, fields, COALESCE("trim", false))
    ON CONFLICT ON CONSTRAINT stream_pkey DO UPDATE
       SET fields = excluded.fields, "trim" = excluded."trim";
    PERFORM defidata.ensure_follower();
END
$$;
COMMENT ON FUNCTION defidata.attach_stream(name, text, text, jsonb, boolean) IS
    'registers a stream as a source; see defidata_attach_stream';

CREATE FUNCTION defidata.require_stream(wanted text) RETURNS void
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM defidata.stream s WHERE s.name = wanted) THEN
        RAISE EXCEPTION 'stream % is not attached', quote_nullable(left(wanted, 80))
            USING ERRCODE = 'undefined_object',
                  HINT = 'SELECT name FROM defidata.stream lists the streams.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_stream(text) IS
    'raises 42704 where no such stream is attached';

CREATE FUNCTION defidata.detach_stream(wanted text, drop_rows boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.require_stream(wanted);
    -- waits for whoever drains it
    DELETE FROM defidata.stream s WHERE s.name = wanted;
    DELETE FROM defidata.stream_sum s WHERE s.stream = wanted;
    DELETE FROM defidata.stream_due d WHERE d.stream = wanted;
    DELETE FROM defidata.stream_row r WHERE r.stream = wanted;
    DELETE FROM defidata.stream_reject r WHERE r.stream = wanted;
    DELETE FROM defidata.stream_loss l WHERE l.stream = wanted;
    IF drop_rows THEN
        PERFORM defidata.drop_stream_rows(wanted);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.detach_stream(text, boolean) IS 'see defidata_detach_stream';

CREATE FUNCTION defidata.drain_all()
    RETURNS TABLE (stream text, read bigint, rejected bigint, lag bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    FOR stream IN SELECT s.name FROM defidata.stream s ORDER BY s.name LOOP
        SELECT d.* INTO found FROM defidata.drain_stream(stream, 9223372036854775807) d;
        IF found.read IS NULL THEN
            RAISE NOTICE 'stream "%" is being drained by somebody else', stream;
        END IF;
        read := found.read;
        rejected := found.rejected;
        lag := found.lag;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.drain_all() IS 'drains every stream; see defidata_drain';

-- Sums from a minute on go, and the entries from there on are read again.  Entries that
-- were read before, of minutes whose sums stay, are then passed by.
CREATE FUNCTION defidata.step_back(wanted text, id numeric[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src    record;
    minute timestamptz := date_bin('1 minute', defidata.time_of_id(id[1]),
                                   '2001-01-01 00:00:00+00');
BEGIN
    SELECT * INTO src FROM defidata.stream s WHERE s.name = wanted;
    IF minute < src.minutes_from THEN
        minute := defidata.hour_of(minute);
    END IF;
    IF defidata.entry_id(src.position) < defidata.entry_id(src.recount_until) THEN
        minute := least(minute, src.recount_from);
    END IF;
    INSERT INTO defidata.stream_due (stream, hour)
    SELECT wanted, h.hour
      FROM (SELECT defidata.hour_of(s.at) AS hour FROM defidata.stream_sum s
             WHERE s.stream = wanted AND s.at >= minute GROUP BY 1) h;
    DELETE FROM defidata.stream_sum s WHERE s.stream = wanted AND s.at >= minute;
    DELETE FROM defidata.stream_loss l
     WHERE l.stream = wanted AND l.until_hour >= defidata.hour_of(minute);
    UPDATE defidata.stream s
       SET "position" = defidata.id_before(
               ARRAY[(EXTRACT(epoch FROM minute) * 1000)::bigint, 0]::numeric[]),
           recount_until = CASE WHEN defidata.entry_id(src.recount_until)
                                     > defidata.entry_id(src.position)
                                THEN src.recount_until ELSE src.position END,
           recount_from = minute
     WHERE s.name = wanted;
END
$$;
COMMENT ON FUNCTION defidata.step_back(text, numeric[]) IS
    'drops the sums of a stream of events from the minute of an id on, and goes back to there';

CREATE FUNCTION defidata.reset_stream(wanted text, from_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src record;
    id  numeric[];
BEGIN
    PERFORM defidata.require_stream(wanted);
    SELECT * INTO src FROM defidata.stream s WHERE s.name = wanted FOR UPDATE;
    id := defidata.entry_id(
        CASE WHEN from_id = '$'
             THEN COALESCE(defidata.probe_stream(src.name, src.server, src.key), '0-0')
             ELSE from_id END);
    IF id IS NULL THEN
        RAISE EXCEPTION 'from_id must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF src.mode = 'events' AND id <= defidata.entry_id(src.position) THEN
        PERFORM defidata.step_back(wanted, id);
    ELSE
        UPDATE defidata.stream s SET "position" = defidata.id_before(id) WHERE s.name = wanted;
    END IF;
    -- what is passed over is missing, and of the hour where a stream is begun its first part
    INSERT INTO defidata.stream_loss (stream, from_hour, until_hour, cause, noted_at)
    SELECT wanted, defidata.hour_of(defidata.time_of_id(p.ms)),
           defidata.hour_of(defidata.time_of_id(id[1])),
           'passed over by defidata_reset_stream', now()
      FROM (SELECT CASE WHEN src.position = '0-0' THEN id[1]
                        ELSE (defidata.entry_id(src.position))[1] END AS ms) p
     WHERE id > defidata.entry_id(src.position) AND id[1] > 0;
    UPDATE defidata.stream s
       SET held = false, ordinal = NULL, failed_at = NULL, sqlstate = NULL, error = NULL
     WHERE s.name = wanted;
END
$$;
COMMENT ON FUNCTION defidata.reset_stream(text, text) IS 'see defidata_reset_stream';
