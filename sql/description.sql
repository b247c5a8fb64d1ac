-- The description of the documents: every path that is answered, boards of the user's too, with
-- the columns and comments of the catalogs.
-- All in one transaction that is rolled back, so that no other test meets it.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION pg_temp.description() RETURNS jsonb LANGUAGE sql
    RETURN (SELECT body::jsonb FROM defidata_document('/OpenAPI.json'));
CREATE FUNCTION pg_temp.schema_of(path text) RETURNS jsonb LANGUAGE sql
    RETURN pg_temp.description() #> ARRAY['paths', path, 'get', 'responses', '200', 'content', 'application/json', 'schema'];

SELECT status, body ->> 'openapi' AS openapi, body -> 'info' ->> 'version' AS version FROM defidata_document('/openapi.json');
SELECT p.key AS path, p.value -> 'get' ->> 'operationId' AS operation, p.value -> 'get' ->> 'summary' AS summary, pg_temp.schema_of(p.key) ->> 'type' AS type
  FROM jsonb_each(pg_temp.description() -> 'paths') p ORDER BY p.key COLLATE "C";
SELECT key, value #>> '{properties,value,description}' AS value, jsonb_array_length(value -> 'required') > 3 AS columns
  FROM jsonb_each(pg_temp.description() #> '{components,schemas}') ORDER BY key COLLATE "C";
SELECT c.key, c.value FROM jsonb_each(pg_temp.description() #> '{components,schemas,day,properties}') c ORDER BY c.key;
SELECT c.key, c.value FROM jsonb_each(pg_temp.description() #> '{components,schemas,hour,properties}') c ORDER BY c.key;
SELECT c.value -> 'type' AS type, count(*) FROM jsonb_each(pg_temp.description() #> '{components,schemas,board_trending,properties}') c GROUP BY 1 ORDER BY 1;

-- columns that are added, and comments that are changed, show
ALTER TABLE defidata.daily_mentions ADD COLUMN note text;
COMMENT ON COLUMN defidata.daily_mentions.tokens IS 'a "quoted" \ comment';
SELECT pg_temp.description() #> '{components,schemas,day,properties,note}' AS note, pg_temp.description() #> '{components,schemas,day,properties,tokens}' AS tokens;

-- boards come and go with their path; one named like a fixed path has none, one named like
-- what is made on request has its own
SELECT d.etag AS former FROM defidata_document('/openapi.json') d \gset
SELECT status, body FROM defidata_document('/openapi.json', :'former');
SELECT defidata_add_board(n, 'sma_24h', size => 3) FROM unnest('{mine,tokens,live,history,openapi}'::text[]) n;
SELECT p.key, p.value -> 'get' ->> 'operationId' AS operation, p.value -> 'get' ->> 'summary' AS summary, pg_temp.schema_of(p.key) -> 'items' AS items
  FROM jsonb_each(pg_temp.description() -> 'paths') p WHERE p.key ~ 'mine|tokens$|live|history|openapi' ORDER BY 1;
SELECT count(*) = count(DISTINCT p.value -> 'get' ->> 'operationId') AS operations_differ FROM jsonb_each(pg_temp.description() -> 'paths') p;
SELECT status, etag <> :'former' AS changed FROM defidata_document('/openapi.json', :'former');
SELECT defidata_drop_board(n) FROM unnest('{mine,tokens,live,history,openapi,trending}'::text[]) n;
SELECT pg_temp.schema_of('/mine') AS mine, pg_temp.schema_of('/topstats') -> 'properties' -> 'trending' AS trending;

-- every reference has its target
SELECT DISTINCT r.name FROM regexp_matches(pg_temp.description()::text, '"#/([^"]*)"', 'g') r (name)
 WHERE pg_temp.description() #> string_to_array(r.name[1], '/') IS NULL;
ROLLBACK;
