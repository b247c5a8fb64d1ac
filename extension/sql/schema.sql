-- schema.sql: the schema of everything internal, and the table of the built-in list.
\echo Use "CREATE EXTENSION defidata CASCADE" to load this file. \quit

-- Bodies are parsed here and now: nothing but the server's own objects may
-- answer to their names, whatever stands in the schema that the user chose.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Fails where the schema exists: one of that name that somebody else made
-- is not ours to fill with SECURITY DEFINER functions.
CREATE SCHEMA defidata;
COMMENT ON SCHEMA defidata IS 'defidata: tables, boards and internal functions';

CREATE TABLE defidata.builtin_token (
    symbol text COLLATE "C" PRIMARY KEY,
    name   text NOT NULL
);
COMMENT ON TABLE defidata.builtin_token IS 'well-known tokens that come with the extension; your own go into defidata.token, which wins';
COMMENT ON COLUMN defidata.builtin_token.symbol IS 'the spelling that a matching raw symbol becomes';
COMMENT ON COLUMN defidata.builtin_token.name IS 'the token''s name';

CREATE FUNCTION defidata.library_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_library_version';
COMMENT ON FUNCTION defidata.library_version() IS
    'the version of the library that this session has loaded; may differ from that of the extension, which may have been updated since';
REVOKE ALL ON FUNCTION defidata.library_version() FROM PUBLIC;

-- The advisory locks: 'cycle' is held by a refresh or run, 'writer' by
-- whichever transaction writes data, so that a backfill's chunk and a refresh
-- take turns.
CREATE FUNCTION defidata.lock_key(lock text) RETURNS bigint
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE sql
    RETURN pg_catalog.hashtextextended('defidata.' || lock, 0);
COMMENT ON FUNCTION defidata.lock_key(text) IS 'the advisory lock key of a named lock: cycle or writer';
REVOKE ALL ON FUNCTION defidata.lock_key(text) FROM PUBLIC;
