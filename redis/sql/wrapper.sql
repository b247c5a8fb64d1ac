-- wrapper.sql: the wrapper, whose servers and user mappings say where Redis is, and
-- the functions in C.
\echo Use "CREATE EXTENSION defidata_redis CASCADE" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- The base's cycle runs functions of this extension with its owner's rights.
DO $$
BEGIN
    IF (SELECT e.extowner FROM pg_extension e WHERE e.extname = 'defidata')
       <> (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'extension defidata has another owner'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Create both as the same role.';
    END IF;
END
$$;

CREATE FUNCTION defidata.redis_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'defidata_redis_validator';
COMMENT ON FUNCTION defidata.redis_validator(text[], oid) IS
'checks the options of a server (host, port, dbnum, connect_timeout, read_timeout) or user mapping
(username, password); HV00D for another one, 22023 for an unfit value';

CREATE FOREIGN DATA WRAPPER defidata_redis NO HANDLER VALIDATOR defidata.redis_validator;
COMMENT ON FOREIGN DATA WRAPPER defidata_redis IS
    'Redis servers whose streams defidata reads; they have no foreign tables';

CREATE FUNCTION defidata.drain_stream(name text, most bigint, OUT read bigint, OUT rejected bigint,
                                      OUT lag bigint, OUT more boolean)
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'defidata_drain_stream';
COMMENT ON FUNCTION defidata.drain_stream(text, bigint) IS
'reads a stream on from its position, about as many entries as said. read: entries; rejected: of
them; lag: entries still to be read, NULL where an old server does not tell; more: whether there
are. All NULL where another transaction drains the stream. 08xxx where Redis does not answer';

CREATE FUNCTION defidata.probe_stream(name text, server text, key text) RETURNS text
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'defidata_probe_stream';
COMMENT ON FUNCTION defidata.probe_stream(text, text, text) IS
'the newest id that a stream ever had, NULL where there is no such stream; 08xxx where Redis does
not answer, 42809 where the key holds something else';

CREATE FUNCTION defidata.start_follower() RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'defidata_start_follower';
COMMENT ON FUNCTION defidata.start_follower() IS
'starts this database''s follower as soon as the transaction is over; one beside it ends at once.
53000 where max_worker_processes leaves no room';
