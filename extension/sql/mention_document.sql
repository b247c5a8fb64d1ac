-- mention_document.sql: mentions that come as JSON -> the copy.
--
-- A source of documents is attached to nothing.  A document replaces the rows that it names and
-- no others, so no hour follows it.

CREATE FUNCTION defidata.document_rows(document jsonb, OUT hour timestamptz, OUT id text,
                                       OUT symbol text, OUT mentions float8, OUT sentiment float8)
    RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT COALESCE(defidata.hour_of(
               CASE WHEN f.at ~ '^-?[0-9]{1,18}$' THEN defidata.instant_of(f.at::bigint)
                    ELSE defidata.parse_instant(f.at, NULL) END), '-infinity'),
           COALESCE(f.id, f.symbol), f.symbol,
           defidata.parse_number(f.mentions), defidata.parse_number(f.sentiment)
      FROM (SELECT COALESCE(e ->> 'hour', e ->> 'timestamp') AS at, e ->> 'id' AS id,
                   e ->> 'symbol' AS symbol, COALESCE(e ->> 'mentions', e ->> 'count') AS mentions,
                   e ->> 'sentiment' AS sentiment
              FROM jsonb_array_elements(document) e) f
$$;
COMMENT ON FUNCTION defidata.document_rows(jsonb) IS
    'the rows of a document of mentions; figures and times as text or number, times as Unix'
    ' seconds too';

CREATE FUNCTION defidata.check_mention_document(source text, document jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF source IS NULL OR source = '' OR octet_length(source) > 127 THEN
        RAISE EXCEPTION 'a source needs a name of 1 to 127 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF EXISTS (SELECT FROM defidata.source s WHERE s.name = check_mention_document.source)
          OR source = 'legacy' OR defidata.is_stream(source) THEN
        RAISE EXCEPTION 'source "%" is not one of documents', source
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Its rows are read from a relation or a stream; choose another name.';
    ELSIF document IS NULL OR jsonb_typeof(document) <> 'array'
          OR EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(document) WHEN 'array'
                                                      THEN document ELSE '[]' END) e
                      WHERE jsonb_typeof(e) <> 'object') THEN
        RAISE EXCEPTION 'the document is not an array of objects'
            USING ERRCODE = 'invalid_parameter_value',
            DETAIL = COALESCE('It begins with: ' || left(document::text, 80), 'It is NULL.'),
            HINT = 'Expected is [{"symbol": ..., "hour": ..., "mentions": ...}, ...], with id and'
                   ' sentiment where there are any; timestamp and count are hour and mentions.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_mention_document(text, jsonb) IS
    'raises 22023 where a document cannot be loaded, or not under that name';

CREATE FUNCTION defidata.load_mentions(source text, document jsonb, OUT stored bigint,
                                       OUT rejected bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    loaded_at constant timestamptz := clock_timestamp();
    keys      record;
    expired   bigint;
    written   timestamptz[];
BEGIN
    PERFORM defidata.check_mention_document(source, document), defidata.lock('writer');
    INSERT INTO defidata.document_source (name) VALUES (source) ON CONFLICT DO NOTHING;
    -- of rows with one hour and id the last one counts
    INSERT INTO defidata.delivered (hour, id, symbol, mentions, sentiment)
    SELECT DISTINCT ON (d.hour, d.id) d.hour, d.id, d.symbol, d.mentions, d.sentiment
      FROM (SELECT row_number() OVER () AS n, d.* FROM defidata.document_rows(document) d) d
     WHERE octet_length(d.id) <= 512
     ORDER BY d.hour, d.id, d.n DESC;
    DELETE FROM defidata.delivered d
     WHERE d.hour IN (SELECT h.hour FROM defidata.hours h WHERE h.expired);
    GET DIAGNOSTICS expired = ROW_COUNT;
    IF expired > 0 THEN
        RAISE NOTICE '% rows are left out: the raw rows of their hours have expired', expired;
    END IF;
    PERFORM defidata.write_delivered(source, loaded_at, loaded_at);
    SELECT array_agg(d.hour) AS hours, array_agg(d.id) AS ids INTO keys FROM defidata.delivered d;
    PERFORM defidata.clear_delivered();
    SELECT COALESCE(sum(r.rows) FILTER (WHERE r.reason IS NULL), 0),
           COALESCE(sum(r.rows) FILTER (WHERE r.reason IS NOT NULL), 0),
           array_agg(r.hour) FILTER (WHERE r.written) INTO stored, rejected, written
      FROM (SELECT r.hour, r.reason, r.fetched_at = loaded_at AS written, count(*) AS rows
              FROM defidata.raw_mentions r
              JOIN unnest(keys.hours, keys.ids) k (hour, id) ON k.hour = r.hour AND k.id = r.id
             WHERE r.source = load_mentions.source
             GROUP BY 1, 2, 3) r;
    PERFORM defidata.mark_hours_due(written, loaded_at);
    -- what has no id, or too long a one
    SELECT rejected + count(*) INTO rejected FROM defidata.document_rows(document) d
     WHERE octet_length(d.id) > 512 OR d.id IS NULL;
    PERFORM defidata.count_uncopied(source, u.hour, u.cause, u.rows)
       FROM (SELECT d.hour, CASE WHEN d.id IS NULL THEN 'null id' ELSE 'long id' END AS cause,
                    count(*) AS rows
               FROM defidata.document_rows(document) d
              WHERE octet_length(d.id) > 512 OR d.id IS NULL
              GROUP BY 1, 2) u;
END
$$;
COMMENT ON FUNCTION defidata.load_mentions(text, jsonb) IS
    'the rows of a document into the copy; see defidata_load_mentions';

-- Rows are judged here, where the list is, and then changed by key.
CREATE FUNCTION defidata.judge_rows(sources text[], from_at timestamptz, until_at timestamptz,
                                    waiting boolean, as_of timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    judged record;
BEGIN
    SELECT array_agg(n.source) AS sources, array_agg(n.hour) AS row_hours,
           array_agg(n.id) AS ids, array_agg(n.token) AS tokens, array_agg(n.reason) AS reasons,
           array_agg(DISTINCT n.hour) AS hours, count(*) AS rows
      INTO judged
      FROM (SELECT j.*, CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END AS token
              FROM (SELECT r.source, r.hour, r.id, r.symbol, r.token AS former_token,
                           r.reason AS former_reason,
                           defidata.reject_reason(r.hour, r.symbol, r.mentions, NULL, as_of)
                               AS reason
                      FROM (SELECT * FROM defidata.raw_mentions w
                             WHERE w.source = ANY (judge_rows.sources)
                               AND w.hour >= from_at AND w.hour < until_at
                               AND CASE WHEN waiting THEN w.reason = 'hour'
                                        ELSE w.reason IS DISTINCT FROM 'hour' END
                            OFFSET 0) r) j
            OFFSET 0) n
     WHERE (n.token, n.reason) IS DISTINCT FROM (n.former_token, n.former_reason);
    IF judged.rows > 0 THEN
        UPDATE defidata.raw_mentions r SET token = j.token, reason = j.reason
          FROM unnest(judged.sources, judged.row_hours, judged.ids, judged.tokens, judged.reasons)
               j (source, hour, id, token, reason)
         WHERE r.source = j.source AND r.hour = j.hour AND r.id = j.id;
        PERFORM defidata.mark_hours_due(judged.hours, as_of);
    END IF;
    RETURN judged.rows;
END
$$;
COMMENT ON FUNCTION defidata.judge_rows(text[], timestamptz, timestamptz, boolean, timestamptz) IS
    'judges and cleans raw rows of hours from from_at until until_at again: those that wait for'
    ' their hour, or (not waiting) all others; returns how many changed';

-- What is attached is read again when its hour has come.
CREATE FUNCTION defidata.judge_waiting(as_of timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sources constant text[] := ARRAY(SELECT d.name FROM defidata.document_source d);
BEGIN
    IF sources <> '{}' THEN
        PERFORM defidata.judge_rows(sources, '2006-01-01 00:00:00+00',
                                    as_of + interval '1 microsecond', true, as_of);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.judge_waiting(timestamptz) IS
    'judges the rows of documents again whose hour has come by as_of';
