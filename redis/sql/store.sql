-- store.sql: how a drain reads and writes what is kept of a stream.  Called from C,
-- with the stream's row locked.

-- A logical field's mapping is the name of the field, or an object with that name as
-- "column" and how to read it.
CREATE FUNCTION defidata.field_map(mode text, fields jsonb, OUT names text[], OUT units float8,
                                   OUT words text[], OUT word_values float8[], OUT scale float8[])
    IMMUTABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT array_agg(COALESCE(m.mapping ->> 'column', m.mapping #>> '{}', l.usual) ORDER BY l.n),
           max(CASE m.mapping ->> 'unit' WHEN 'milliseconds' THEN 1e3
                                         WHEN 'microseconds' THEN 1e6 ELSE 1 END),
           (SELECT array_agg(w.key ORDER BY w.key)
              FROM jsonb_each(fields -> 'sentiment' -> 'values') w),
           (SELECT array_agg(w.value::float8 ORDER BY w.key)
              FROM jsonb_each(fields -> 'sentiment' -> 'values') w),
           CASE WHEN fields -> 'sentiment' ? 'from' THEN
               ARRAY(SELECT v::float8 FROM jsonb_array_elements(
                         (fields -> 'sentiment' -> 'from')
                         || (fields -> 'sentiment' -> 'to')) v) END
      FROM (VALUES (1, 'symbol', 'symbol'),
                   (2, CASE mode WHEN 'events' THEN 'at' ELSE 'hour' END,
                       CASE mode WHEN 'events' THEN 'at' ELSE 'hour' END),
                   (3, 'count', 'count'), (4, 'sentiment', 'sentiment'),
                   (5, 'id', CASE mode WHEN 'rows' THEN 'id' END)) l (n, logical, usual),
           LATERAL (SELECT CASE WHEN fields ? l.logical THEN fields -> l.logical END) m (mapping);
END;
COMMENT ON FUNCTION defidata.field_map(text, jsonb) IS
'how the entries of a stream are read: the actual names of symbol, time, count, sentiment and id
(NULL: none), units of time a second, and for sentiment its words and their values, or
{from, from, to, to} of a scale';

CREATE FUNCTION defidata.lock_stream(wanted text)
    RETURNS TABLE (server text, key text, mode text, "trim" boolean, "position" text, held boolean,
                   ordinal bigint, recount_until text, recount_from bigint, writer xid,
                   names text[], units float8, words text[], word_values float8[], scale float8[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.server, s.key, s.mode, s.trim, s.position, s.held, s.ordinal, s.recount_until,
           (EXTRACT(epoch FROM s.recount_from) / 60)::bigint, s.xmin, m.*
      FROM defidata.stream s, defidata.field_map(s.mode, s.fields) m
     WHERE s.name = wanted
       FOR UPDATE OF s SKIP LOCKED;
END
$$;
COMMENT ON FUNCTION defidata.lock_stream(text) IS
    'locks the row of a stream and returns it; nothing where another transaction has locked it';

CREATE FUNCTION defidata.store_sums(of_stream text, minutes timestamptz[], symbols text[],
                                    counts bigint[], weights bigint[], sentiments numeric[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    by_minute_from constant timestamptz := (SELECT s.minutes_from FROM defidata.stream s
                                             WHERE s.name = of_stream);
BEGIN
    INSERT INTO defidata.stream_sum AS s (stream, at, symbol, mentions, weight, sentiment)
    SELECT of_stream, CASE WHEN u.at < by_minute_from THEN defidata.hour_of(u.at) ELSE u.at END,
           u.symbol, sum(u.mentions), sum(u.weight), sum(u.sentiment)
      FROM unnest(minutes, symbols, counts, weights, sentiments)
           u (at, symbol, mentions, weight, sentiment)
     GROUP BY 2, 3
     ORDER BY 2, 3
    ON CONFLICT ON CONSTRAINT stream_sum_pkey DO UPDATE
       SET mentions = s.mentions + excluded.mentions, weight = s.weight + excluded.weight,
           sentiment = s.sentiment + excluded.sentiment;
    INSERT INTO defidata.stream_due (stream, hour)
    SELECT DISTINCT of_stream, defidata.hour_of(m) FROM unnest(minutes) m;
END
$$;
COMMENT ON FUNCTION defidata.store_sums(text, timestamptz[], text[], bigint[], bigint[],
                                        numeric[]) IS
    'adds sums of minutes and raw symbols to a stream''s, and marks their hours as due';

CREATE FUNCTION defidata.store_rows(of_stream text, hours timestamptz[], ids text[],
                                    symbols text[], counts float8[], sentiments float8[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO defidata.stream_row (stream, hour, id, symbol, mentions, sentiment)
    SELECT of_stream, u.* FROM unnest(hours, ids, symbols, counts, sentiments) u;
END
$$;
COMMENT ON FUNCTION defidata.store_rows(text, timestamptz[], text[], text[], float8[], float8[]) IS
    'puts hourly rows into the queue';

CREATE FUNCTION defidata.store_rejects(of_stream text, entries text[], reasons text[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO defidata.stream_reject (stream, entry, reason, seen_at)
    SELECT of_stream, u.entry, u.reason, now() FROM unnest(entries, reasons) u (entry, reason);
END
$$;
COMMENT ON FUNCTION defidata.store_rejects(text, text[], text[]) IS
    'keeps entries that cannot be used, with the reason';

CREATE FUNCTION defidata.time_of_id(ms numeric) RETURNS timestamptz
    IMMUTABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN to_timestamp((least(greatest(ms, 1136073600000), 253402300799000) / 1000)::float8);
COMMENT ON FUNCTION defidata.time_of_id(numeric) IS
    'the time of an entry''s id, which begins with milliseconds since 1970; 2006 to 9999';

-- Minutes of which a day later nobody asks any more become hours.
CREATE FUNCTION defidata.join_minutes(of_stream text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    since constant timestamptz := (SELECT s.minutes_from FROM defidata.stream s
                                    WHERE s.name = of_stream);
    until constant timestamptz := defidata.hour_of(now()) - interval '48 hours';
BEGIN
    IF since >= until THEN
        RETURN;
    END IF;
    WITH minutes AS (
        DELETE FROM defidata.stream_sum s
         WHERE s.stream = of_stream AND s.at >= since AND s.at < until
           AND s.at <> defidata.hour_of(s.at)
        RETURNING s.*)
    INSERT INTO defidata.stream_sum AS s (stream, at, symbol, mentions, weight, sentiment)
    SELECT of_stream, defidata.hour_of(m.at), m.symbol, sum(m.mentions), sum(m.weight),
           sum(m.sentiment)
      FROM minutes m GROUP BY 2, 3
    ON CONFLICT ON CONSTRAINT stream_sum_pkey DO UPDATE
       SET mentions = s.mentions + excluded.mentions, weight = s.weight + excluded.weight,
           sentiment = s.sentiment + excluded.sentiment;
    UPDATE defidata.stream s SET minutes_from = until WHERE s.name = of_stream;
    DELETE FROM defidata.stream_reject r
     WHERE r.stream = of_stream AND r.seen_at < now() - interval '14 days';
END
$$;
COMMENT ON FUNCTION defidata.join_minutes(text) IS
    'joins a stream''s sums of minutes older than 48 hours to hours, once an hour';

CREATE FUNCTION defidata.unlock_stream(of_stream text, new_position text, new_held boolean,
                                       new_ordinal bigint, read bigint, refused bigint,
                                       new_lag bigint, new_missing boolean,
                                       lost_after bigint, lost_before bigint, lost_cause text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- an idle stream is written once a minute
    UPDATE defidata.stream s
       SET "position" = new_position, held = new_held, ordinal = new_ordinal,
           entries = s.entries + read, rejected = s.rejected + refused, lag = new_lag,
           missing = new_missing, drained_at = clock_timestamp(),
           failed_at = NULL, sqlstate = NULL, error = NULL
     WHERE s.name = of_stream
       AND ((s.position, s.held, s.ordinal, s.lag, s.missing)
            IS DISTINCT FROM (new_position, new_held, new_ordinal, new_lag, new_missing)
            OR s.failed_at IS NOT NULL OR s.drained_at IS NULL
            OR s.drained_at < clock_timestamp() - interval '1 minute');
    IF lost_cause IS NOT NULL THEN
        INSERT INTO defidata.stream_loss (stream, from_hour, until_hour, cause, noted_at)
        VALUES (of_stream, defidata.hour_of(defidata.time_of_id(lost_after)),
                defidata.hour_of(defidata.time_of_id(greatest(lost_after, lost_before))),
                lost_cause, now());
        RAISE WARNING 'entries of stream "%" may be missing from % to %: %', of_stream,
            defidata.hour_of(defidata.time_of_id(lost_after)),
            defidata.hour_of(defidata.time_of_id(greatest(lost_after, lost_before))), lost_cause;
    END IF;
    PERFORM defidata.join_minutes(of_stream);
END
$$;
COMMENT ON FUNCTION defidata.unlock_stream(text, text, boolean, bigint, bigint, bigint, bigint,
                                           boolean, bigint, bigint, text) IS
    'writes back how far a stream was read, and what of it may be missing';

CREATE FUNCTION defidata.note_stream_error(of_stream text, code text, message text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- who holds the row's lock is just reading the stream, and knows better
    UPDATE defidata.stream s
       SET failed_at = COALESCE(s.failed_at, now()), sqlstate = code, error = message
     WHERE s.name = (SELECT f.name FROM defidata.stream f
                      WHERE f.name = of_stream FOR UPDATE SKIP LOCKED)
       AND (s.sqlstate, s.error) IS DISTINCT FROM (code, message);
END
$$;
COMMENT ON FUNCTION defidata.note_stream_error(text, text, text) IS
    'keeps the error for which a stream cannot be read, until it is read again';
