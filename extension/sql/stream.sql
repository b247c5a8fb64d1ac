-- stream.sql: what the extension defidata_redis adds, where it is installed.
--
-- The base needs nothing of it: its functions are looked for by name each time.

CREATE FUNCTION defidata.has_streams() RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean := false;
BEGIN
    IF to_regprocedure('defidata.take_streams()') IS NOT NULL
       AND to_regclass('defidata.stream') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM defidata.stream)' INTO found;
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION defidata.has_streams() IS
    'whether there are streams that deliver mentions';

CREATE FUNCTION defidata.is_stream(name text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean := false;
BEGIN
    IF defidata.has_streams() THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM defidata.stream s WHERE s.name = $1)' INTO found
          USING name;
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION defidata.is_stream(text) IS 'whether a stream delivers under this name';

CREATE FUNCTION defidata.read_streams() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.has_streams() THEN
        EXECUTE 'SELECT defidata.take_streams()';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.read_streams() IS
    'brings the raw rows up to what streams have delivered, where there are any';

CREATE FUNCTION defidata.compare_streams() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.has_streams() THEN
        EXECUTE 'SELECT defidata.keep_baselines()';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.compare_streams() IS
    'keeps what the running hour is compared with, where there are streams';

CREATE FUNCTION defidata.live_body(OUT body json, OUT as_of timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET extra_float_digits = 1
AS $$
BEGIN
    IF defidata.has_streams() THEN
        -- the time is no part of the body: it would change with each request
        EXECUTE 'SELECT COALESCE(json_agg(to_jsonb(l) - ''as_of'' ORDER BY l.rank), ''[]''),'
                '       COALESCE(max(l.as_of), defidata.live_time()) FROM defidata.live(10, 10) l'
           INTO body, as_of;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.live_body() IS
'the body of /live, the board of the running hour, and its time; NULL where there are no streams';

CREATE FUNCTION defidata.streams_status(OUT name text, OUT state text, OUT value text,
    OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regprocedure('defidata.stream_status()') IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT s.name, s.state, s.value, s.hint'
                             '  FROM defidata.stream_status() s';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.streams_status() IS 'the part of status that tells of streams';
