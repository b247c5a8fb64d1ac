-- follow.sql: whether a worker follows the streams.

CREATE FUNCTION defidata.is_followed() RETURNS boolean
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT 1 FROM pg_stat_activity a
                    WHERE a.backend_type = 'defidata_redis follower'
                      AND a.datname = current_database());
END;
COMMENT ON FUNCTION defidata.is_followed() IS 'whether this database''s follower runs';

CREATE FUNCTION defidata.followed_streams() RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('defidata.follower') IS NOT NULL THEN
        RETURN QUERY SELECT s.name FROM defidata.stream s
                      WHERE EXISTS (SELECT FROM defidata.follower) ORDER BY s.name;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.followed_streams() IS
    'the streams that the follower follows; none where none is wanted';

CREATE FUNCTION defidata.ensure_follower() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM defidata.follower) AND NOT defidata.is_followed() THEN
        PERFORM defidata.start_follower();
    END IF;
EXCEPTION WHEN insufficient_resources THEN
    RAISE WARNING '%', SQLERRM;
END
$$;
COMMENT ON FUNCTION defidata.ensure_follower() IS
    'starts the follower where one is wanted and none runs';

CREATE FUNCTION defidata.begin_following() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM defidata.stream) THEN
        RAISE EXCEPTION 'no stream is attached'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Attach one with defidata_attach_stream.';
    END IF;
    IF 'defidata_redis' <> ALL (regexp_split_to_array(current_setting('shared_preload_libraries'),
                                                     '\s*,\s*')) THEN
        RAISE NOTICE 'after a restart of the server the streams are followed from the next cycle on'
            USING HINT = 'With defidata_redis in shared_preload_libraries, at once.';
    END IF;
    INSERT INTO defidata.follower (wanted_since)
    SELECT now() WHERE NOT EXISTS (SELECT FROM defidata.follower);
    IF NOT defidata.is_followed() THEN
        PERFORM defidata.start_follower();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.begin_following() IS 'see defidata_follow';
