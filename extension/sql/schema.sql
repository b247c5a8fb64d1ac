-- schema.sql: the schemas of everything internal, and the table of the built-in list.
\echo Use "CREATE EXTENSION defidata CASCADE" to load this file. \quit

-- Bodies are parsed here and now: nothing but the server's own objects may
-- answer to their names, whatever stands in the schema that the user chose.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Fails where one exists: a schema of that name that somebody else made
-- is not ours to fill.
CREATE SCHEMA defidata;
COMMENT ON SCHEMA defidata IS 'defidata: tables, boards and internal functions';
CREATE SCHEMA defidata_remote;
COMMENT ON SCHEMA defidata_remote IS
    'defidata: foreign tables that defidata_attach_server makes, named SERVER_TABLE';

CREATE TABLE defidata.builtin_token (
    symbol text COLLATE "C" PRIMARY KEY,
    name   text NOT NULL
);
COMMENT ON TABLE defidata.builtin_token IS
    'well-known tokens that come with the extension; your own go into defidata.token, which wins';
COMMENT ON COLUMN defidata.builtin_token.symbol IS
    'the spelling that a matching raw symbol becomes';
COMMENT ON COLUMN defidata.builtin_token.name IS 'the token''s name';

CREATE FUNCTION defidata.library_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_library_version';
COMMENT ON FUNCTION defidata.library_version() IS
'the version of the library that this session has loaded; may differ from that of the extension,
which may have been updated since';
