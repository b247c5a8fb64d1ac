-- status.sql: the streams' part of defidata.status.

CREATE FUNCTION defidata.stream_status(OUT name text, OUT state text, OUT value text, OUT hint text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stale_after constant interval := defidata.setting_value('stale_after');
    src         record;
    since       timestamptz;
    wanted      boolean;
BEGIN
    IF to_regclass('defidata.follower') IS NULL THEN
        RETURN;
    END IF;
    FOR src IN
        SELECT s.*, (SELECT count(*) FROM defidata.stream_loss l
                      WHERE l.stream = s.name
                        AND l.until_hour > now() - interval '14 days') AS losses
          FROM defidata.stream s ORDER BY s.name
    LOOP
        name := 'stream ' || src.name;
        since := COALESCE(src.drained_at, src.attached_at);
        state := CASE WHEN since < now() - 2 * stale_after THEN 'fail'
                      WHEN src.failed_at IS NOT NULL OR src.missing OR src.losses > 0
                           OR since < now() - stale_after THEN 'warn'
                      ELSE 'ok' END;
        value := format('%s entries read, %s rejected; lag %s entries, %s s', src.entries,
                        src.rejected, COALESCE(src.lag::text, 'unknown'),
                        COALESCE(round(EXTRACT(epoch FROM now() - src.drained_at))::text,
                                 'unknown'));
        hint := CASE WHEN src.failed_at IS NOT NULL THEN src.error
                     WHEN src.missing THEN 'Redis has no such stream.'
                     WHEN src.losses > 0 THEN
                         'Entries may be missing in the hours that stand in defidata.stream_loss.'
                     WHEN state <> 'ok' THEN
                         'SELECT * FROM defidata_drain(); tells what is wrong, or mends it.' END;
        RETURN NEXT;
    END LOOP;
    wanted := EXISTS (SELECT FROM defidata.follower);
    name := 'follower';
    state := CASE WHEN wanted AND NOT defidata.is_followed() THEN 'warn' ELSE 'ok' END;
    value := CASE WHEN NOT wanted THEN 'not wanted'
                  WHEN state = 'ok' THEN 'running' ELSE 'not running' END;
    hint := CASE WHEN state <> 'ok' THEN
                'SELECT defidata_follow(); starts it, as the next cycle does.' END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION defidata.stream_status() IS 'the part of status that tells of streams';
