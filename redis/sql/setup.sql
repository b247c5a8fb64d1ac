-- setup.sql: makes the tables of streams, as the base makes its own.

CREATE FUNCTION defidata.setup_streams() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup();
    IF to_regclass('defidata.follower') IS NULL THEN
        PERFORM defidata.create_stream_tables(), defidata.comment_stream_tables(),
                defidata.renew_grants();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.setup_streams() IS
    'makes the tables of streams where they are missing, and the base''s';
