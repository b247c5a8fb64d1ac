-- Boards by hand: changed, added to, dropped, made again; documents and word to
-- listeners that have to be left out.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'ISO';

-- 16 days of eight tokens: GROW and FADE change on the last day, TIEA and TIEB
-- are equal but for one hour, SMALL is under 240 a day, HALF over it only before
CREATE TABLE remote AS
SELECT i, s || i AS id, 1748736000 + 3600 * i AS "timestamp", s AS symbol, c::float8 AS count, m AS sentiment
  FROM generate_series(0, 383) i,
       LATERAL (VALUES ('GROW', CASE WHEN i >= 360 THEN 100 ELSE 20 END, 0.5::float8), ('FADE', CASE WHEN i >= 360 THEN 4 ELSE 60 END, -0.75),
                       ('TIEA', 30, 0.1), ('TIEB', 30, 0.1), ('SMAL', 9, 0.9), ('HALF', CASE WHEN i >= 360 THEN 5 ELSE 12 END, NULL),
                       ('WAVE', 30 + 29 * (i % 2), -0.2), ('REST', CASE WHEN i >= 372 THEN 0 ELSE 50 END, 0)) r (s, c, m);
CREATE TABLE clock (i integer);
INSERT INTO clock VALUES (383);
CREATE VIEW feed AS SELECT remote.* FROM remote, clock WHERE remote.i <= clock.i;

-- a board by hand: changed, dropped, made again
SELECT defidata_attach('boards test', 'mentions', 'feed');
SELECT status FROM defidata_refresh();
-- read plainly it comes in the order of rank, also where the rows were written in another
UPDATE clock SET i = 384;
INSERT INTO remote SELECT 384, s || 384, 1748736000 + 3600 * 384, s, c, 0 FROM (VALUES ('FADE', 9000), ('TIEA', 4000), ('WAVE', 2000)) r (s, c);
SELECT status FROM defidata_refresh();
SELECT string_agg(rank::text, ' ') AS plainly FROM defidata.most_mentioned;
SELECT defidata_set_board('most_mentioned', size => 2), defidata_set_board('surging', min_mentions => 0);
SELECT rank, token FROM defidata.most_mentioned;
SELECT * FROM defidata.board WHERE name IN ('most_mentioned', 'surging') ORDER BY name;
SELECT obj_description('defidata.most_mentioned'::regclass);
SELECT defidata_set_board('most_mentioned', 'mentions', 'asc', 0, 3);
SELECT rank, token, value = mentions AS by_mentions FROM defidata.most_mentioned;
SELECT col_description('defidata.most_mentioned'::regclass, 3);
\a
SELECT call, regexp_replace(error_of('SELECT defidata_' || call, true), 'are mentions, .*', 'are ...') FROM (VALUES
    ($$set_board('nothing')$$), ($$set_board(NULL)$$), ($$set_board('trending', 'nothing')$$), ($$set_board('trending', direction => 'up')$$),
    ($$set_board('trending', min_mentions => 'NaN')$$), ($$set_board('trending', size => 0)$$)) v (call);
\a
-- what somebody has added stops nothing: columns, indexes, a trigger
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
ALTER TABLE defidata._trending ADD COLUMN note text, ADD COLUMN "value of mine" integer DEFAULT 7;
ALTER TABLE defidata.token_stats ADD COLUMN rank integer, ADD COLUMN value text, ADD COLUMN note text;
CREATE UNIQUE INDEX ON defidata._trending (token);
CREATE INDEX ON defidata.token_stats (sma_24h);
CREATE TRIGGER look AFTER INSERT OR UPDATE OR DELETE ON defidata._trending FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER look AFTER INSERT OR UPDATE OR DELETE ON defidata.token_stats FOR EACH ROW EXECUTE FUNCTION look();
UPDATE remote SET count = count + 100 * (i % 7) WHERE i = 384 AND symbol IN ('FADE', 'TIEA', 'WAVE');
INSERT INTO remote SELECT 384, s || 384, 1748736000 + 3600 * 384, s, 3000, 0 FROM unnest(ARRAY['GROW', 'TIEB']) s;
SELECT status, published > 0 AS published FROM defidata_refresh();
SELECT count(*), count(*) FILTER (WHERE t.token = s.token) AS same FROM defidata.trending t JOIN defidata.token_stats s USING (token);
-- a board that is gone, its view or both, is made again by the next publish, with its readers
CREATE ROLE publish_reader;
SELECT defidata_grant('publish_reader', 'reader');
DROP VIEW defidata.surging;
DROP TABLE defidata._volatile CASCADE;
SELECT defidata_publish() > 0 AS published;
SELECT count(*) > 0 AS filled, has_table_privilege('publish_reader', 'defidata.surging', 'SELECT') AS readable FROM defidata.surging;
SELECT count(*) > 0 AS filled, has_table_privilege('publish_reader', 'defidata.volatile', 'SELECT') AS readable FROM defidata.volatile;
DROP VIEW defidata.surging;
SELECT defidata_set_board('surging');
SELECT count(*) > 0 AS filled FROM defidata.surging;
-- or can be dropped for good, and added
DROP TABLE defidata._decreasing CASCADE;
SELECT error_of($$SELECT defidata_add_board('decreasing', 'trend_24h', 'asc')$$, true);
SELECT defidata_drop_board('decreasing');
SELECT defidata_add_board('decreasing', 'trend_24h', 'asc');
SELECT count(*) > 0 AS filled FROM defidata.decreasing;
-- where something else has its name the others are published all the same
DROP VIEW defidata.surging;
CREATE TYPE defidata.surging AS ENUM ('a');
SELECT defidata_publish();
SELECT error_of($$SELECT defidata_set_board('surging')$$, true);
SELECT error_of($$SELECT defidata_add_board('surging', 'sma_24h')$$, true);
SELECT status, json_array_length(body) AS rows FROM defidata_document('/surging');
DROP TYPE defidata.surging;
CREATE TABLE defidata.surging (rank integer);
SELECT defidata_publish();
SELECT defidata_drop_board('surging');
SELECT to_regclass('defidata.surging') AS not_ours, to_regclass('defidata._surging') AS ours;
SELECT error_of($$SELECT defidata_add_board('surging', 'sma_24h')$$, true);
CREATE TYPE defidata.taken AS ENUM ('a');
SELECT error_of($$SELECT defidata_add_board('taken', 'sma_24h')$$, true);

-- a document that cannot be built is left out, the boards are published all the same
CREATE FUNCTION too_large() RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'out of memory' USING ERRCODE = 'program_limit_exceeded';
END $$;
CREATE OR REPLACE FUNCTION defidata.document_queries() RETURNS TABLE (path text, query text) STABLE LANGUAGE sql AS $$
    SELECT '/tokenstats', '(SELECT public.too_large())' UNION ALL SELECT '/trending', defidata.board_rows_query('trending') $$;
UPDATE remote SET count = 70 WHERE i = 384 AND symbol = 'GROW';
SELECT status, published > 0 AS published FROM defidata_refresh();
SELECT path, generation = (SELECT generation FROM defidata.publication) AS present FROM defidata.document;
-- and so is word to whoever listens, where its queue is nearly full
CREATE OR REPLACE FUNCTION defidata.queue_usage() RETURNS float8 LANGUAGE sql RETURN 0.51;
UPDATE remote SET count = 71 WHERE i = 384 AND symbol = 'GROW';
SELECT status, published > 0 AS published FROM defidata_refresh();

-- rows of the copy deleted by hand: recompute follows the copy, reconcile brings them back
CREATE FUNCTION state_of(wanted integer[]) RETURNS TABLE (hour integer, rows bigint, observed boolean, mentions numeric) LANGUAGE sql AS $$
    SELECT w, h.rows, h.observed, (SELECT sum(m.mentions) FROM defidata.metrics m WHERE m.hour = h.hour)
      FROM unnest(wanted) w JOIN defidata.hours h ON h.hour = to_timestamp(1748736000 + 3600 * w) $$;
SELECT * FROM state_of('{380,381,382}');
DELETE FROM defidata.raw_mentions WHERE hour = to_timestamp(1748736000 + 3600 * 380);
DELETE FROM defidata.raw_mentions WHERE hour = to_timestamp(1748736000 + 3600 * 381) AND symbol = 'GROW';
SELECT defidata_recompute() > 0 AS recomputed;
SELECT * FROM state_of('{380,381,382}');
SELECT action, count(*) FROM defidata_reconcile('10 years') GROUP BY action ORDER BY action;
SELECT * FROM state_of('{380,381,382}');
ROLLBACK;
