-- Publishing: which hour is settled, what the boards show, generations and
-- history.  What listeners are told is with the isolation tests.
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
                       ('WAVE', 30 + 29 * (i % 2), -0.2), ('NOON', CASE WHEN i >= 372 THEN 0 ELSE 50 END, 0)) r (s, c, m);
CREATE TABLE clock (i integer);
INSERT INTO clock VALUES (383);
CREATE VIEW feed AS SELECT remote.* FROM remote, clock WHERE remote.i <= clock.i;

SAVEPOINT start;
SELECT * FROM defidata.publication;
SELECT defidata_publish();
SELECT defidata_attach('publish test', 'mentions', 'feed');
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour, published > 0 AS published FROM defidata_refresh();
SELECT generation, latest_hour AT TIME ZONE 'UTC' AS latest_hour, published_at <= clock_timestamp() AS published FROM defidata.publication;

-- the boards against their definition; decreasing looks at the larger of now and before
CREATE VIEW definition AS
SELECT b.name AS board, row_number() OVER (PARTITION BY b.name ORDER BY CASE direction WHEN 'asc' THEN v ELSE -v END, 24 * t.sma_24h DESC, t.token COLLATE "C")::integer AS rank, t.token, v AS value
  FROM defidata.board b, defidata.token_stats t, LATERAL (SELECT (to_jsonb(t) ->> b.metric)::float8 AS v) x,
       LATERAL (SELECT 24 * (SELECT avg(c) FROM (SELECT sum(count) AS c FROM remote WHERE symbol = t.token AND i BETWEEN 48 AND 359 GROUP BY i) y) AS e) z
 WHERE v IS NOT NULL AND CASE b.name WHEN 'decreasing' THEN greatest(24 * t.sma_24h, e) ELSE 24 * t.sma_24h END >= b.min_mentions;
CREATE VIEW shown AS
SELECT 'trending' AS board, rank, token, value FROM defidata.trending UNION ALL SELECT 'decreasing', rank, token, value FROM defidata.decreasing
UNION ALL SELECT 'volatile', rank, token, value FROM defidata.volatile UNION ALL SELECT 'surging', rank, token, value FROM defidata.surging
UNION ALL SELECT 'most_mentioned', rank, token, value FROM defidata.most_mentioned
UNION ALL SELECT 'most_positive', rank, token, value FROM defidata.most_positive UNION ALL SELECT 'most_negative', rank, token, value FROM defidata.most_negative;
SELECT count(*) FROM shown;
(TABLE shown EXCEPT ALL TABLE definition) UNION ALL (TABLE definition EXCEPT ALL TABLE shown);
SELECT board, string_agg(token, ' ' ORDER BY rank) AS tokens FROM shown GROUP BY board ORDER BY board;
SELECT rank, token, round(value::numeric, 4) AS value, hour AT TIME ZONE 'UTC' AS hour, mentions FROM defidata.trending ORDER BY rank;
-- every other column of a board is that of token_stats
SELECT count(*) FROM (SELECT (to_jsonb(b) - 'rank' - 'value') FROM defidata.volatile b EXCEPT ALL
    SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(t)) WHERE to_jsonb(b) ? key) FROM defidata.token_stats t, (SELECT * FROM defidata.volatile LIMIT 1) b) x;
SELECT day, mentions, tokens, observed_hours FROM defidata.daily_mentions WHERE day > '2025-06-14' ORDER BY day;

-- nothing has changed: no new generation
SELECT defidata_publish();
SELECT status, published FROM defidata_refresh();
SELECT generation FROM defidata.publication;

-- a small feed's hour is published however few its rows are: sql/observed_hours.sql has the rule
UPDATE clock SET i = 390;
INSERT INTO remote SELECT i, s || i, 1748736000 + 3600 * i, s, 30, 0 FROM generate_series(384, 390) i, unnest(ARRAY['TIEA', 'TIEB', 'WAVE', 'GROW']) s;
DELETE FROM remote WHERE i = 390 AND symbol = 'GROW';
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata_refresh();
SELECT hour AT TIME ZONE 'UTC' AS hour, rows, settled, published FROM defidata.hours ORDER BY defidata.hours.hour DESC LIMIT 3;
SELECT max(hour) AT TIME ZONE 'UTC' AS metrics_until FROM defidata.metrics;
SELECT name, state, left(value, 20) AS value FROM defidata.status WHERE name = 'latest hour';
-- rows that come late
INSERT INTO remote SELECT 390, 'late' || s, 1748736000 + 3600 * 390, s, 30, 0 FROM unnest(ARRAY['GROW', 'FADE', 'HALF']) s;
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata_refresh();
-- settle_after holds hours back by their age
SELECT defidata_set('settle_after', '99 years');
INSERT INTO remote SELECT 391, s || 391, 1748736000 + 3600 * 391, s, 30, 0 FROM unnest(ARRAY['TIEA', 'TIEB', 'WAVE', 'GROW']) s;
UPDATE clock SET i = 391;
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata_refresh();
SELECT defidata_set('settle_after', '0');
SELECT defidata_publish() > 0 AS published;

-- history: what readers saw, and when
SELECT generation, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata.publication_history ORDER BY generation;
SELECT board, rank, token, value, generation, latest_hour AT TIME ZONE 'UTC' AS latest_hour
  FROM defidata.publication_history h, unnest(ARRAY['trending', 'most_mentioned']) board,
       LATERAL (SELECT rank, token, round(value::numeric, 4) AS value FROM defidata_board_as_of(board, h.published_at)) b WHERE rank < 3 ORDER BY 1, 5, 2;
SELECT count(*) FROM defidata_board_as_of('trending', (SELECT min(published_at) - interval '1 microsecond' FROM defidata.publication_history));
SELECT count(*) FROM defidata_board_as_of('trending', '-infinity');
-- a later correction changes the board, not its past
UPDATE remote SET count = 500 WHERE symbol = 'TIEB' AND i = 391;
SELECT status FROM defidata_refresh();
SELECT h.generation, b.generation, token, round(value::numeric, 4) AS value
  FROM defidata.publication_history h, LATERAL defidata_board_as_of('most_mentioned', h.published_at) b WHERE token = 'TIEB' ORDER BY 1;
(SELECT rank, token, value FROM defidata.most_mentioned EXCEPT SELECT rank, token, value FROM defidata_board_as_of('most_mentioned', 'infinity'));

-- boards of a user's
SELECT defidata_add_board('quiet', 'sma_7d', 'asc', 0, 3);
SELECT * FROM defidata.board WHERE name = 'quiet';
SELECT rank, token, value, sma_7d = value AS same FROM defidata.quiet ORDER BY rank;
SELECT defidata_add_board('ties', 'coverage_14d', min_mentions => 500, size => 10000);
SELECT rank, t.token, b.value, round(24 * s.sma_24h) AS mentions_24h FROM defidata.ties b JOIN defidata.token_stats s USING (token), LATERAL (SELECT b.token) t (token) ORDER BY rank;
SELECT defidata_add_board('counts', 'mentions', 'desc', 1e6, 1);
SELECT count(*) FROM defidata.counts;
-- the history of a dropped board stays
SELECT defidata_drop_board('quiet');
SELECT count(*) > 0 AS kept FROM defidata_board_as_of('quiet', 'infinity');
SELECT to_regclass('defidata.quiet'), status FROM defidata_refresh();
-- a built-in board that is dropped stays dropped
DROP VIEW shown;
SELECT defidata_drop_board('most_positive'), defidata_setup();
SELECT to_regclass('defidata.most_positive');
-- and nobody needs one
SAVEPOINT boards;
SELECT count(*) FROM (SELECT defidata_drop_board(name) FROM defidata.board) d;
UPDATE remote SET count = 501 WHERE symbol = 'TIEB' AND i = 391;
SELECT status, published > 0 AS published FROM defidata_refresh();
ROLLBACK TO boards;
\a
SELECT call, regexp_replace(error_of('SELECT defidata_' || call, true), 'are mentions, .*', 'are …') FROM (VALUES
    ($$add_board('trending', 'sma_24h')$$), ($$add_board('token_stats', 'sma_24h')$$), ($$add_board('layout', 'sma_24h')$$), ($$add_board('a;b', 'sma_24h')$$),
    ($$add_board('', 'sma_24h')$$), ($$add_board('A', 'sma_24h')$$), ($$add_board('1a', 'sma_24h')$$), ($$add_board('_a', 'sma_24h')$$), ($$add_board(E'a\n', 'sma_24h')$$),
    ($$add_board(NULL, 'sma_24h')$$), (format('add_board(%L, ''sma_24h'')', repeat('a', 49))), (format('add_board(%L, ''sma_24h'')', repeat('a', 64))),
    ($$add_board('x', 'nothing')$$), ($$add_board('x', 'token')$$), ($$add_board('x', 'hour')$$), ($$add_board('x', 'ctid')$$), ($$add_board('x', 'sma_24h; --')$$), ($$add_board('x', NULL)$$),
    ($$add_board('x', 'sma_24h', 'up')$$), ($$add_board('x', 'sma_24h', 'DESC')$$), ($$add_board('x', 'sma_24h', NULL)$$),
    ($$add_board('x', 'sma_24h', 'asc', -1)$$), ($$add_board('x', 'sma_24h', 'asc', 'NaN')$$), ($$add_board('x', 'sma_24h', 'asc', 'Infinity')$$), ($$add_board('x', 'sma_24h', 'asc', NULL)$$),
    ($$add_board('x', 'sma_24h', 'asc', 1, 0)$$), ($$add_board('x', 'sma_24h', 'asc', 1, -1)$$), ($$add_board('x', 'sma_24h', 'asc', 1, 2147483647)$$), ($$add_board('x', 'sma_24h', 'asc', 1, NULL)$$),
    ($$drop_board('nothing')$$), ($$drop_board('token_stats')$$), ($$drop_board(NULL)$$), ($$board_as_of('nothing', now())$$), ($$board_as_of(NULL, now())$$), ($$board_as_of('trending', NULL)$$)) v (call);
\a
SELECT defidata_add_board(repeat('b', 48), 'sma_24h', 'desc', 0, 10000);

-- after 23 hours or fewer there is no count rule, and no figure has coverage
ROLLBACK TO start;
UPDATE clock SET i = 10;
DELETE FROM remote WHERE i = 10 AND symbol <> 'GROW';
SELECT defidata_attach('publish test', 'mentions', 'feed');
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata_refresh();
SELECT count(*), count(sma_24h) AS averages FROM defidata.token_stats;
SELECT count(*) FROM defidata.trending;


-- a token leaves token_stats after 14 days of silence, and at the same hour where its
-- only row turns out to be another's
ROLLBACK TO start;
INSERT INTO remote SELECT i, s, 1748736000 + 3600 * i, s, 5, 0 FROM (VALUES (10, 'GONE'), (346, 'MIST')) r (i, s);
SELECT defidata_attach('publish test', 'mentions', 'feed');
UPDATE clock SET i = 345;
SELECT status FROM defidata_refresh();
SELECT count(*), string_agg(token, ' ' ORDER BY token) FILTER (WHERE token IN ('GONE', 'MIST')) AS tokens FROM defidata.token_stats;
UPDATE clock SET i = 346;
SELECT status FROM defidata_refresh();
SELECT count(*), string_agg(token, ' ' ORDER BY token) FILTER (WHERE token IN ('GONE', 'MIST')) AS tokens FROM defidata.token_stats;
UPDATE remote SET symbol = 'FADE' WHERE id = 'MIST';
SELECT status FROM defidata_refresh();
SELECT count(*), string_agg(token, ' ' ORDER BY token) FILTER (WHERE token IN ('GONE', 'MIST')) AS tokens FROM defidata.token_stats;
ROLLBACK;
