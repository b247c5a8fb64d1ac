-- fold.sql: from streams to raw rows, under the lock of the base's writer.
--
-- From there on nothing tells a stream from another source: raw rows are cleaned,
-- judged, summed and published as ever.

-- The raw rows of a sum: their mentions, each multiplied by its sentiment in billionths,
-- add up to the sum exactly, as those of its events would.
--
--     sentiment = low * weight + rest     0 <= rest < weight
--
-- so (weight - rest) mentions have the sentiment low, and rest of them low + 1.  A row
-- has at most a billion mentions.
CREATE FUNCTION defidata.rows_of_sum(mentions numeric, weight numeric, sentiment numeric)
    RETURNS TABLE (part bigint, mentions float8, sentiment float8)
    IMMUTABLE ROWS 2 LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.kind + 3 * c.chunk, least(p.mentions - 1e9 * c.chunk, 1e9)::float8,
           p.billionths::float8 / 1e9
      FROM (SELECT div($3, $2) - CASE WHEN mod($3, $2) < 0 THEN 1 ELSE 0 END AS low,
                   mod($3, $2) + CASE WHEN mod($3, $2) < 0 THEN $2 ELSE 0 END AS rest
             WHERE $2 > 0
            UNION ALL
            SELECT NULL, NULL WHERE $2 = 0) q,
           LATERAL (VALUES (0, $1 - $2, NULL), (1, $2 - q.rest, q.low), (2, q.rest, q.low + 1))
                   p (kind, mentions, billionths),
           LATERAL generate_series(0, CASE WHEN p.mentions > 0 THEN div(p.mentions - 1, 1e9)::bigint
                                           ELSE 0 END) c (chunk)
     WHERE p.mentions > 0 OR p.kind = 0 AND $1 = 0
$$;
COMMENT ON FUNCTION defidata.rows_of_sum(numeric, numeric, numeric) IS
'the raw rows that are as much as a sum of mentions, of which weight have a sentiment, whose sum
in billionths is sentiment; part tells them apart';

CREATE FUNCTION defidata.fold_events(of_stream text, hours timestamptz[], at timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    folded bigint;
BEGIN
    DELETE FROM defidata.raw_mentions r WHERE r.source = of_stream AND r.hour = ANY (hours);
    INSERT INTO defidata.raw_mentions
           (source, id, hour, symbol, mentions, sentiment, token, reason, fetched_at)
    SELECT of_stream, j.id, j.hour, j.symbol, j.mentions, j.sentiment,
           CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END, j.reason, at
      FROM (SELECT concat(r.part, ' ', s.symbol) AS id,
                   s.hour, s.symbol, r.mentions, r.sentiment,
                   defidata.reject_reason(s.hour, s.symbol, r.mentions, NULL, at) AS reason
              FROM (SELECT h.hour, s.symbol, sum(s.mentions) AS mentions, sum(s.weight) AS weight,
                           sum(s.sentiment) AS sentiment
                      FROM unnest(hours) h (hour)
                      JOIN defidata.stream_sum s
                        ON s.stream = of_stream AND s.at >= h.hour
                       AND s.at < h.hour + interval '1 hour'
                     GROUP BY 1, 2) s,
                   LATERAL defidata.rows_of_sum(s.mentions, s.weight, s.sentiment) r
            OFFSET 0) j;
    GET DIAGNOSTICS folded = ROW_COUNT;
    RETURN folded;
END
$$;
COMMENT ON FUNCTION defidata.fold_events(text, timestamptz[], timestamptz) IS
    'makes the raw rows of hours what a stream''s sums say, and returns their number';

CREATE FUNCTION defidata.fold_rows(of_stream text, at timestamptz, OUT folded bigint,
                                   OUT hours timestamptz[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    newest record;
BEGIN
    -- the last one wins; facts of an hour whose raw rows are gone stay as they are
    WITH taken AS (
        DELETE FROM defidata.stream_row r WHERE r.stream = of_stream AND r.hour <= at
        RETURNING r.*)
    SELECT array_agg(n.hour) AS hours, array_agg(n.id) AS ids, array_agg(n.symbol) AS symbols,
           array_agg(n.mentions) AS counts, array_agg(n.sentiment) AS sentiments
      INTO newest
      FROM (SELECT DISTINCT ON (t.hour, t.id) t.*
              FROM taken t
             WHERE NOT EXISTS (SELECT FROM defidata.hours h WHERE h.hour = t.hour AND h.expired)
             ORDER BY t.hour, t.id, t.ordinal DESC) n;
    INSERT INTO defidata.raw_mentions AS r
           (source, id, hour, symbol, mentions, sentiment, token, reason, fetched_at)
    SELECT of_stream, j.id, j.hour, j.symbol, j.mentions, j.sentiment,
           CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END, j.reason, at
      FROM (SELECT n.*, defidata.reject_reason(n.hour, n.symbol, n.mentions, NULL,
                                               at) AS reason
              FROM unnest(newest.hours, newest.ids, newest.symbols, newest.counts,
                          newest.sentiments) n (hour, id, symbol, mentions, sentiment)
            OFFSET 0) j
    ON CONFLICT (source, hour, id) DO UPDATE
       SET symbol = excluded.symbol, mentions = excluded.mentions, sentiment = excluded.sentiment,
           token = excluded.token, reason = excluded.reason, fetched_at = excluded.fetched_at
     WHERE (r.symbol, r.mentions, r.sentiment)
           IS DISTINCT FROM (excluded.symbol, excluded.mentions, excluded.sentiment);
    GET DIAGNOSTICS folded = ROW_COUNT;
    hours := newest.hours;
END
$$;
COMMENT ON FUNCTION defidata.fold_rows(text, timestamptz) IS
'takes hourly rows whose hour has begun from the queue to the raw rows; folded: how many were new
or changed; hours: theirs';

CREATE FUNCTION defidata.mark_due(due timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO defidata.hours AS h (hour) SELECT DISTINCT d FROM unnest(due) d ORDER BY 1
    ON CONFLICT (hour) DO UPDATE SET summed = false WHERE NOT h.expired;
    UPDATE defidata.hours h SET incomplete = NOT h.incomplete
     WHERE h.incomplete <> EXISTS (SELECT FROM defidata.stream_loss l
                                    WHERE h.hour BETWEEN l.from_hour AND l.until_hour);
    UPDATE defidata.hours h SET summed = false
     WHERE h.summed AND NOT h.expired AND h.observed <> (h.mentions IS NOT NULL);
END
$$;
COMMENT ON FUNCTION defidata.mark_due(timestamptz[]) IS
    'makes the facts of hours due, and hours of which entries may be missing incomplete';

CREATE FUNCTION defidata.drop_stream_rows(of_stream text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    PERFORM defidata.mark_due(ARRAY(SELECT DISTINCT r.hour FROM defidata.raw_mentions r
                                     WHERE r.source = of_stream));
    DELETE FROM defidata.raw_mentions r WHERE r.source = of_stream;
END
$$;
COMMENT ON FUNCTION defidata.drop_stream_rows(text) IS
    'deletes the raw rows of a stream; the facts of their hours are due';

CREATE FUNCTION defidata.fold_streams() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at     constant timestamptz := clock_timestamp();
    total  bigint := 0;
    src    record;
    moved  record;
    ended  timestamptz[];
    due    timestamptz[] := '{}';
BEGIN
    FOR src IN SELECT s.name, s.mode FROM defidata.stream s ORDER BY s.name LOOP
        IF src.mode = 'events' THEN
            WITH taken AS (
                DELETE FROM defidata.stream_due d
                 WHERE d.stream = src.name AND d.hour < defidata.hour_of(at) RETURNING d.hour)
            -- facts of an hour whose raw rows are gone stay as they are
            SELECT array_agg(DISTINCT t.hour) INTO ended FROM taken t
             WHERE NOT EXISTS (SELECT FROM defidata.hours h WHERE h.hour = t.hour AND h.expired);
            CONTINUE WHEN ended IS NULL;
            total := total + defidata.fold_events(src.name, ended, at);
            due := due || ended;
        ELSE
            moved := defidata.fold_rows(src.name, at);
            total := total + moved.folded;
            due := due || moved.hours;
        END IF;
    END LOOP;
    PERFORM defidata.mark_due(due);
    RETURN total;
END
$$;
COMMENT ON FUNCTION defidata.fold_streams() IS
'brings the raw rows up to what the streams say of hours that are over, and returns the number of
rows written; under the lock of the writer';

-- What a cycle does first.  A stream that fails does not hold up the other sources.  Where a
-- worker drains the streams, it is left to it: it would have to wait for the cycle's end.
CREATE FUNCTION defidata.take_streams() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src  record;
    what record;
BEGIN
    PERFORM defidata.setup_streams();
    FOR src IN SELECT s.name FROM defidata.stream s
                WHERE NOT defidata.is_followed() ORDER BY s.name LOOP
        BEGIN
            PERFORM defidata.drain_stream(src.name, 9223372036854775807);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'stream "%" could not be drained: %', src.name, SQLERRM;
            PERFORM defidata.note_stream_error(src.name, SQLSTATE, SQLERRM);
        END;
    END LOOP;
    PERFORM defidata.ensure_follower(), defidata.lock('writer');
    RETURN defidata.fold_streams();
END
$$;
COMMENT ON FUNCTION defidata.take_streams() IS
'drains every stream and brings the raw rows up to it; what fails becomes a warning, and stands in
defidata.status. Takes the lock of the writer when it has drained';
