-- Documents: what publish stores, what a request gets, ETags, and who may ask.
-- All in one transaction that is rolled back, so that no other test meets it.
BEGIN;
SET LOCAL timezone = 'America/New_York';

-- before any data every path has an empty document
SELECT path, body FROM defidata.document WHERE path <> '/topstats' ORDER BY path;
SELECT status, body ->> 'latest_hour' AS latest_hour, body -> 'trending' AS trending FROM defidata_document('/topStats');
SELECT status, body FROM defidata_document('/tokenstats/btc');

-- 16 days of three tokens, one of which grows, in the days before 2025-06-17
CREATE TABLE scanned AS
SELECT i || s.symbol AS id, 1748736000 + 3600 * i AS "timestamp", s.symbol, s.count + CASE WHEN i >= 360 THEN s.growth ELSE 0 END AS count, s.sentiment
  FROM generate_series(0, 383) i, (VALUES ('BTC', 100, 0, 0.5), ('$eth', 40, 80, -0.25), ('SOL', 20, 0, NULL)) s (symbol, count, growth, sentiment);
SELECT defidata_attach('document_test', 'mentions', 'scanned');
SELECT status, latest_hour FROM defidata_refresh();
SELECT path, json_typeof(body), CASE json_typeof(body) WHEN 'array' THEN json_array_length(body) END AS length,
       etag = '"' || md5(body::text) || '"' AS etag_fits,
       d.generation = p.generation AND d.published_at = p.published_at AS is_current
  FROM defidata.document d, defidata.publication p ORDER BY path;

-- times are in UTC whatever the session's time zone
SELECT body -> 0 AS trending FROM defidata_document('/trending');
SELECT body FROM defidata_document('/tokens');
SELECT body -> 15 AS last_day FROM defidata_document('/alltweets');
SELECT e.key, json_typeof(e.value) FROM defidata_document('/topstats') d, json_each(d.body) e;

-- one token, as typed; paths without regard to case
SELECT status, body ->> 'token' AS token, body ->> 'mentions' AS mentions, body ->> 'hour' AS hour FROM defidata_document('/TokenStats/$Eth/');
SELECT status, json_array_length(body) AS hours, body -> 167 AS last FROM defidata_document('/History/sol');

-- what is not there
SELECT path, d.* FROM unnest(ARRAY['', '/', NULL, '/nothing', 'trending', '/history', '/history/', '/history/NOPE', '/tokenstats/NOPE',
                                   '/tokenstats/''; DROP TABLE x', '/trending/BTC']) path, defidata_document(path) d;

-- an ETag that matches, alone or in a list, saves the body
SELECT d.etag AS matching FROM defidata_document('/volatile') d \gset
SELECT case_, d.status, d.body IS NULL AS no_body, d.etag = :'matching' AS same
  FROM (VALUES ('none', NULL), ('equal', :'matching'), ('weak', 'W/' || :'matching'), ('listed', '"x", ' || :'matching'),
               ('any', '*'), ('other', '"x"'), ('cut', trim(:'matching', '"') || 'x')) v (case_, header),
       defidata_document('/Volatile', header) d;
-- what proxies make of it, and what is none of its forms
SELECT header, status
  FROM (SELECT trim(:'matching', '"')) e (hash),
       unnest(ARRAY['"%s-gzip"', 'W/"%s-br"', '"%s--gzip"', '"x-gzip",W/"%s-gzip"', ' "x" ,, "%s" ', ' * ', E'"a,\t",\t"%s"',
                    '"%s-"', '"%s-gzip', '%s', '"x%s"', '"%sx"', '"%s-gzip,"', '"x"%s"', '"x""%s"', 'w/"%s"', 'W/ "%s"', '*, "x"',
                    '"x, "%s", y"', '', '"', ',', repeat('"x",', 100000) || '"%s"']) WITH ORDINALITY h (header, n),
       LATERAL (SELECT d.status FROM defidata_document('/volatile', replace(header, '%s', hash)) d) d
 WHERE length(header) < 100 OR status <> 304 ORDER BY n;
SELECT d.status, d.body FROM defidata_document('/history/sol') f, defidata_document('/history/sol', f.etag) d;

-- the ETag changes if and only if the body does: SOL grows in one hour
CREATE TABLE former AS SELECT * FROM defidata.document;
SELECT status FROM defidata_refresh();
SELECT path FROM former f JOIN defidata.document d USING (path) WHERE f.* ::text <> d.* ::text;
UPDATE scanned SET count = 30 WHERE id = '383SOL';
SELECT status FROM defidata_refresh();
SELECT path, f.etag <> d.etag AS etag_changed, f.body::text <> d.body::text AS body_changed, d.generation - f.generation AS generations
  FROM former f JOIN defidata.document d USING (path) ORDER BY path;

-- boards of a user's come and go with their document; a fixed path stays what it is
SELECT defidata_add_board('by_sentiment', 'sentiment_7d', 'asc', 0, 2);
SELECT status, body -> 0 ->> 'token' AS first FROM defidata_document('/by_sentiment');
SELECT defidata_add_board('tokens', 'mentions');
SELECT body -> 0 AS first FROM defidata_document('/tokens');
SELECT defidata_drop_board('by_sentiment'), defidata_drop_board('trending');
SELECT status FROM defidata_document('/by_sentiment');
SELECT d.body ->> 'trending' AS trending FROM defidata_document('/topstats') d;

-- a reader may ask and look; others may not
CREATE ROLE document_reader;
SELECT defidata_grant('document_reader', 'reader');
SET LOCAL ROLE document_reader;
SELECT status FROM defidata_document('/history/btc');
SELECT count(*) FROM defidata.document WHERE path = '/volatile';
RESET ROLE;
CREATE ROLE document_stranger;
SET LOCAL ROLE document_stranger;
\set VERBOSITY sqlstate
SELECT defidata_document('/trending');
ROLLBACK;
