-- Random histories of a source: rows late, corrected, moved, deleted; hours written bit by bit,
-- emptied, purged; the table reloaded under other ids, truncated, restored.  After each cycle the
-- copy has to be what a model of the contract, in plain SQL, says of it.
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = warning;
CREATE TABLE src (id text, "timestamp" integer, symbol text, count float8);
CREATE TABLE saved (LIKE src);
CREATE VIEW source_row AS
SELECT to_timestamp("timestamp" / 3600 * 3600) AS hour, id, symbol, count FROM src;
-- the model: rows, and of each hour what was last read and the most rows that were held
CREATE TABLE model_row (hour timestamptz, id text, symbol text, count float8, PRIMARY KEY (hour, id));
CREATE TABLE model_hour (hour timestamptz PRIMARY KEY, seen text, most bigint);
CREATE TABLE model (watermark timestamptz);
INSERT INTO model VALUES (NULL);
CREATE FUNCTION content(h timestamptz) RETURNS text LANGUAGE sql AS $$
SELECT md5(string_agg((s.id, s.symbol, s.count)::text, ',' ORDER BY s.id)) FROM source_row s WHERE s.hour = h $$;

CREATE FUNCTION model_cycle(since timestamptz, apply_deletes boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    h      timestamptz;
    n      bigint;
    held   bigint;
    most_  bigint;
    oldest constant timestamptz := (SELECT min(hour) FROM source_row);
    start  constant timestamptz := COALESCE(since, (SELECT watermark - interval '6 hours' FROM model), '-infinity');
BEGIN
    FOR h IN SELECT hour FROM source_row WHERE hour >= start UNION SELECT hour FROM model_hour WHERE hour >= start ORDER BY 1 LOOP
        n := (SELECT count(*) FROM source_row WHERE hour = h);
        held := (SELECT count(*) FROM model_row WHERE hour = h);
        CONTINUE WHEN since IS NOT NULL AND h > (SELECT watermark FROM model);
        -- what was read already and what the copy follows is not read again
        CONTINUE WHEN EXISTS (SELECT FROM model_hour k WHERE k.hour = h AND k.seen IS NOT DISTINCT FROM content(h))
                  AND NOT (apply_deletes AND n < held);
        most_ := greatest((SELECT most FROM model_hour WHERE hour = h), held);
        IF held = 0 OR apply_deletes AND h >= oldest
           OR n > 0 AND 2 * n >= most_ AND (h > oldest OR n >= held) THEN
            DELETE FROM model_row WHERE hour = h;
            INSERT INTO model_row SELECT * FROM source_row WHERE hour = h;
            most_ := CASE WHEN apply_deletes THEN n ELSE greatest(most_, n) END;
        END IF;
        INSERT INTO model_hour VALUES (h, content(h), most_) ON CONFLICT (hour) DO UPDATE SET seen = excluded.seen, most = excluded.most;
        UPDATE model SET watermark = greatest(watermark, h);
    END LOOP;
END
$$;
CREATE FUNCTION wrong() RETURNS bigint LANGUAGE sql AS $$
SELECT count(*) FROM (
    (SELECT hour, id, symbol, count FROM model_row EXCEPT ALL SELECT hour, id, symbol, mentions FROM defidata.raw_mentions)
    UNION ALL
    (SELECT hour, id, symbol, mentions FROM defidata.raw_mentions EXCEPT ALL SELECT hour, id, symbol, count FROM model_row)
    UNION ALL
    (SELECT m.hour, NULL, m.symbol, sum(m.count) FROM model_row m JOIN defidata.hours h ON h.hour = m.hour AND h.observed GROUP BY m.hour, m.symbol
     EXCEPT ALL SELECT hour, NULL, token, mentions FROM defidata.metrics)) w $$;

-- a number from 0 until n
CREATE FUNCTION dice(n integer) RETURNS integer VOLATILE LANGUAGE sql RETURN floor(random() * n)::integer;
CREATE SEQUENCE serial;
-- 3 to 14 rows, or a few, of the hour h
CREATE FUNCTION write_hour(h integer, rows integer) RETURNS void LANGUAGE sql AS $$
INSERT INTO src SELECT nextval('serial')::text, 1748736000 + 3600 * h + dice(3600), 'T' || chr(65 + n), 1 + dice(50) FROM generate_series(1, rows) n $$;
CREATE FUNCTION some_hour(newest integer) RETURNS integer VOLATILE LANGUAGE sql
RETURN 1748736000 / 3600 + greatest(newest - (dice(4) + CASE WHEN dice(3) = 0 THEN dice(40) ELSE 0 END), 0);

CREATE FUNCTION happen(newest INOUT integer, what OUT text) LANGUAGE plpgsql AS $$
DECLARE
    h constant integer := some_hour(newest);
    share constant float8 := random();
BEGIN
    CASE dice(14)
    WHEN 0, 1, 2, 3 THEN
        what := 'new hour';
        newest := newest + 1 + CASE WHEN dice(6) = 0 THEN dice(9) ELSE 0 END;
        PERFORM write_hour(newest, 3 + dice(12));
    WHEN 4 THEN
        what := 'hour begun';
        newest := newest + 1;
        PERFORM write_hour(newest, 1 + dice(3));
    WHEN 5 THEN
        what := 'late rows';
        PERFORM write_hour(h - 1748736000 / 3600, 1 + dice(4));
    WHEN 6 THEN
        what := 'corrected';
        UPDATE src SET count = count + 1 WHERE random() < 0.1;
    WHEN 7 THEN
        what := 'moved';
        UPDATE src SET "timestamp" = "timestamp" + 3600 * (dice(5) - 2) WHERE "timestamp" / 3600 = h AND random() < share
           AND "timestamp" + 7200 < 1748736000 + 3600 * newest;
    WHEN 8 THEN
        what := 'deleted';
        DELETE FROM src WHERE "timestamp" / 3600 = h AND random() < share;
    WHEN 9 THEN
        what := 'emptied';
        DELETE FROM src WHERE "timestamp" / 3600 = h;
    WHEN 10 THEN
        what := 'purged';
        DELETE FROM src WHERE "timestamp" / 3600 < h - 20 OR "timestamp" / 3600 = h - 20 AND random() < share;
    WHEN 11 THEN
        what := 'other ids';
        UPDATE src SET id = CASE WHEN share < 0.5 THEN md5(id) ELSE nextval('serial')::text END;
    WHEN 12 THEN
        what := 'ids begin anew';
        DELETE FROM src WHERE "timestamp" / 3600 < h - 10;
        UPDATE src SET id = n::text FROM (SELECT ctid AS row, row_number() OVER (ORDER BY "timestamp", ctid) AS n FROM src) s WHERE src.ctid = s.row;
    WHEN 13 THEN
        IF EXISTS (SELECT FROM saved) THEN
            what := 'restored';
            INSERT INTO src TABLE saved;
            TRUNCATE saved;
        ELSE
            what := 'lost';
            INSERT INTO saved TABLE src;
            TRUNCATE src;
        END IF;
    END CASE;
END
$$;

CREATE TABLE met (superseded bigint, kept text);
CREATE FUNCTION histories(seed float8, steps integer) RETURNS TABLE (step integer, what text, wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
    newest integer := 30;
BEGIN
    PERFORM setseed(seed);
    PERFORM write_hour(h, 3 + dice(12)) FROM generate_series(0, newest) h;
    PERFORM defidata_attach('src', 'mentions', 'src');
    FOR n IN 0 .. steps LOOP
        step := n;
        what := '';
        FOR i IN 1 .. CASE WHEN step = 0 THEN 0 ELSE 1 + dice(3) END LOOP
            what := what || ', ' || (SELECT h.what FROM (SELECT (happen(newest)).*) h);
            newest := greatest(newest, (SELECT max("timestamp") / 3600 - 1748736000 / 3600 FROM src));
        END LOOP;
        IF step % 10 = 9 THEN
            what := what || ': reconcile';
            PERFORM model_cycle('-infinity', step % 30 = 29);
            PERFORM count(*) FROM defidata_reconcile('100 years', step % 30 = 29);
        ELSE
            PERFORM model_cycle(NULL, false);
            PERFORM defidata_refresh();
        END IF;
        INSERT INTO met (kept) SELECT DISTINCT kept FROM defidata.surveyed;
        wrong := wrong();
        IF wrong > 0 THEN
            RETURN NEXT;
            RETURN;
        END IF;
    END LOOP;
    INSERT INTO met (superseded) SELECT count(*) FROM defidata.superseded;
    -- the source and its rows go, for the next one
    PERFORM defidata_detach('src', true);
    TRUNCATE src, saved, model_row, model_hour;
    UPDATE model SET watermark = NULL;
END
$$;
-- the first step of each history after which the copy was wrong
SELECT seed, h.* FROM generate_series(1, 3) seed, histories(seed / 10.0, 60) h;
SELECT sum(superseded) > 500 AS many_superseded, string_agg(DISTINCT kept, ' ' ORDER BY kept) AS kept FROM met;
ROLLBACK;
