-- alert.sql: a token whose metric crosses a threshold.
--
-- What happened is written to alert_event and nothing else is kept: whether an alert stands
-- for a token is what its last event there says.  Ids are given under one lock, so that they
-- are committed in their order, and a consumer reads on from the last one that it has seen.

-- A view, which is no member as it stands on a table that is none.
CREATE FUNCTION defidata.setup_alert_view() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE %s VIEW defidata.alerts AS'
                   ' SELECT e.id, e.alert, e.token, e.hour, e.value, e.at'
                   '   FROM (SELECT DISTINCT ON (e.alert, e.token) e.* FROM defidata.alert_event e'
                   '          ORDER BY e.alert, e.token, e.id DESC) e'
                   '  WHERE e.event = ''raised''', 'OR REPLACE');
    COMMENT ON VIEW defidata.alerts IS 'the alerts that stand';
    COMMENT ON COLUMN defidata.alerts.id IS 'of the event that raised it';
    COMMENT ON COLUMN defidata.alerts.alert IS 'the alert''s name';
    COMMENT ON COLUMN defidata.alerts.token IS 'the token';
    COMMENT ON COLUMN defidata.alerts.hour IS 'the hour that it was raised for';
    COMMENT ON COLUMN defidata.alerts.value IS 'the metric in that hour';
    COMMENT ON COLUMN defidata.alerts.at IS 'when it was raised';
END
$$;
COMMENT ON FUNCTION defidata.setup_alert_view() IS 'makes or replaces the view alerts';

CREATE FUNCTION defidata.check_alert(metric text, enter float8, leave float8, direction text,
        rearm interval, min_mentions float8, tokens text[]) RETURNS float8
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    near constant float8 := COALESCE(leave,
        CASE WHEN (enter / 2 < enter) = (direction = 'above') THEN enter / 2 ELSE enter END);
BEGIN
    IF metric IS NULL OR metric IN ('token', 'hour') OR NOT EXISTS (
            SELECT FROM pg_attribute a
             WHERE a.attrelid = 'defidata.metrics'::regclass AND a.attname = metric
               AND a.attnum > 0) THEN
        RAISE EXCEPTION '% is not a metric of defidata.metrics', quote_nullable(left(metric, 80))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = (SELECT 'The metrics are ' || string_agg(c, ', ') || '.'
                            FROM unnest(defidata.view_columns()) c WHERE c <> 'hour');
    ELSIF direction IS NULL OR direction NOT IN ('above', 'below') THEN
        RAISE EXCEPTION 'direction must be above or below, not %',
            quote_nullable(left(direction, 80)) USING ERRCODE = 'invalid_parameter_value';
    ELSIF enter IS NULL OR NOT (enter > '-infinity' AND enter < 'infinity')
       OR NOT (near > '-infinity' AND near < 'infinity') THEN
        RAISE EXCEPTION 'enter and leave must be numbers' USING ERRCODE = 'invalid_parameter_value';
    ELSIF near <> enter AND (near < enter) <> (direction = 'above') THEN
        RAISE EXCEPTION 'leave must be on the near side of enter, %', enter
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'At most enter for direction above, at least enter for below.';
    ELSIF rearm IS NULL OR rearm < '0' OR rearm > '100 years' THEN
        RAISE EXCEPTION 'rearm must be between 0 and 100 years'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF min_mentions IS NULL OR NOT (min_mentions >= 0 AND min_mentions < 'infinity') THEN
        RAISE EXCEPTION 'min_mentions must be a number of at least 0'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF cardinality(tokens) = 0 OR array_position(tokens, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'tokens must not be empty nor hold a null; NULL stands for all'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN near;
END
$$;
COMMENT ON FUNCTION
    defidata.check_alert(text, float8, float8, text, interval, float8, text[]) IS
'raises 22023 for an unfit argument of an alert; returns the value at which it ends';

CREATE FUNCTION defidata.add_alert(name text, metric text, enter float8, leave float8,
        direction text, rearm interval, min_mentions float8, tokens text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- of the running hour, where there are streams, and judged by them minute by minute
    live constant boolean := metric = 'zscore_60m' AND defidata.has_streams();
    near constant float8 :=
        defidata.check_alert(CASE WHEN live THEN 'zscore_14d' ELSE metric END, enter, leave,
                             direction, rearm, min_mentions, tokens);
BEGIN
    -- cut first, as a regex does not take a text of any length
    IF name IS NULL OR left(name, 49) !~ '^[a-z][a-z0-9_]{0,47}$' THEN
        RAISE EXCEPTION 'invalid alert name %', quote_nullable(left(name, 80))
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A name is 1 to 48 lower-case letters, digits and underscores and begins'
                   ' with a letter.';
    END IF;
    PERFORM defidata.lock('writer');
    INSERT INTO defidata.alert AS a (name, metric, direction, enter, leave, rearm, min_mentions,
                                     tokens, judged_hour, added_at)
    SELECT add_alert.name, add_alert.metric, add_alert.direction, add_alert.enter, near,
           add_alert.rearm, add_alert.min_mentions, add_alert.tokens,
           CASE WHEN live THEN date_trunc('minute', now()) ELSE p.latest_hour END,
           clock_timestamp()
      FROM defidata.publication p
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % exists already', name USING ERRCODE = 'duplicate_object',
            HINT = 'Choose another name, or drop the alert of this name with defidata_drop_alert.';
    END IF;
END
$$;
COMMENT ON FUNCTION
    defidata.add_alert(text, text, float8, float8, text, interval, float8, text[]) IS
    'see defidata_add_alert';

CREATE FUNCTION defidata.drop_alert(name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    DELETE FROM defidata.alert a WHERE a.name = drop_alert.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', quote_nullable(left(name, 80))
            USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.alert lists the alerts.';
    END IF;
    -- whoever was told that it stands is told that it does not
    PERFORM defidata.lock('alert');
    INSERT INTO defidata.alert_event (alert, token, hour, value, event, at)
    SELECT s.alert, s.token, COALESCE(p.latest_hour, s.hour), NULL, 'ended', clock_timestamp()
      FROM defidata.alerts s, defidata.publication p
     WHERE s.alert = drop_alert.name
     ORDER BY s.token;
    IF FOUND THEN
        PERFORM defidata.notify('defidata_alert', json_build_object('id', max(e.id)))
           FROM defidata.alert_event e;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.drop_alert(text) IS 'see defidata_drop_alert';

-- figures is SQL: token, the columns of metrics, mentions_24h and baseline_24h of the hour $2,
-- a row for each token that token_stats has or had then.
CREATE FUNCTION defidata.judge_hour(alert text, hour timestamptz, figures text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    metric text;
    events bigint;
BEGIN
    SELECT a.metric INTO metric FROM defidata.alert a WHERE a.name = judge_hour.alert;
    EXECUTE format($sql$
        WITH rule AS (
            SELECT a.*, CASE a.direction WHEN 'above' THEN 1 ELSE -1 END AS sign,
                   a.metric = 'trend_24h' AND a.direction = 'below' AS shrinks
              FROM defidata.alert a WHERE a.name = $1),
        figure AS MATERIALIZED (
            SELECT f.token, f.%I::float8 AS value, f.mentions_24h, f.baseline_24h FROM (%s) f),
        former AS MATERIALIZED (
            SELECT e.token, max(e.hour) FILTER (WHERE e.event = 'raised') AS raised_hour,
                   (array_agg(e.event ORDER BY e.id DESC))[1] = 'raised' AS stands
              FROM defidata.alert_event e JOIN rule ON e.at >= rule.added_at
             WHERE e.alert = $1 GROUP BY e.token)
        INSERT INTO defidata.alert_event (alert, token, hour, value, event, at)
        SELECT $1, q.token, $2, q.value, q.event, clock_timestamp()
          FROM (SELECT s.token, f.value, 'ended' AS event
                  FROM rule CROSS JOIN former s LEFT JOIN figure f ON f.token = s.token
                 WHERE s.stands
                   AND (f.token IS NULL OR rule.sign * f.value < rule.sign * rule.leave)
                UNION ALL
                SELECT f.token, f.value, 'raised'
                  FROM rule CROSS JOIN figure f LEFT JOIN former s ON s.token = f.token
                 WHERE rule.sign * f.value >= rule.sign * rule.enter
                   AND CASE WHEN rule.shrinks THEN greatest(f.mentions_24h, f.baseline_24h)
                            ELSE f.mentions_24h END >= rule.min_mentions
                   AND (rule.tokens IS NULL OR f.token = ANY (rule.tokens))
                   AND s.stands IS NOT TRUE
                   AND (s.raised_hour IS NULL OR $2 >= s.raised_hour + rule.rearm)) q
         ORDER BY q.event, q.token
        $sql$, metric, figures) USING alert, hour;
    GET DIAGNOSTICS events = ROW_COUNT;
    RETURN events;
END
$$;
COMMENT ON FUNCTION defidata.judge_hour(text, timestamptz, text) IS
    'writes what an alert raises and ends at an hour; returns how many events that are';

CREATE FUNCTION defidata.judge_alerts(latest timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    due    record;
    events bigint := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM defidata.alert) THEN
        RETURN 0;
    END IF;
    PERFORM defidata.lock('alert');
    FOR due IN SELECT h.hour, a.name
                 FROM defidata.alert a JOIN defidata.hours h ON h.hour > a.judged_hour
                WHERE h.settled AND h.summed AND h.hour <= latest AND a.metric <> 'zscore_60m'
                ORDER BY h.hour, a.name LOOP
        events := events + defidata.judge_hour(due.name, due.hour, CASE WHEN due.hour = latest
            THEN 'SELECT * FROM defidata.token_stats'
            ELSE 'SELECT m.token, (m.metrics).* FROM defidata.metrics_of($2) m'
                 ' WHERE (m.metrics).total_14d > 0' END);
    END LOOP;
    UPDATE defidata.alert a SET judged_hour = latest
     WHERE (a.judged_hour IS NULL OR a.judged_hour < latest) AND a.metric <> 'zscore_60m';
    IF events > 0 THEN
        PERFORM defidata.notify('defidata_alert', json_build_object('id', max(e.id)))
           FROM defidata.alert_event e;
    END IF;
    RETURN events;
END
$$;
COMMENT ON FUNCTION defidata.judge_alerts(timestamptz) IS
'judges by every alert each hour that settled after the latest judged one, in order, up to the one
that token_stats stands on; returns the number of events';

-- A token's hours one after the other, without those that turned out to be outages.  It leaves
-- token_stats at the first hour at which it has no row.
CREATE FUNCTION defidata.try_alert(from_hour timestamptz, until_hour timestamptz, metric text,
        enter float8, leave float8, direction text, rearm interval, min_mentions float8,
        tokens text[])
    RETURNS TABLE (token text, hour timestamptz, value float8, ended_at timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    near    constant float8 :=
        defidata.check_alert(metric, enter, leave, direction, rearm, min_mentions, tokens);
    sign    constant integer := CASE direction WHEN 'above' THEN 1 ELSE -1 END;
    figure  record;
    stands  boolean := false;
BEGIN
    FOR figure IN EXECUTE format($sql$
            SELECT m.token, m.hour, m.%I::float8 AS value, %s >= $4 AS eligible,
                   lead(m.hour) OVER (PARTITION BY m.token ORDER BY m.hour) AS next_hour,
                   (SELECT min(h.hour) FROM defidata.hours h
                     WHERE h.hour > m.hour AND h.observed AND h.hour < $2) AS next_observed
              FROM defidata.metrics_as_published($1, $2, $3, true) m
              JOIN defidata.hours o ON o.hour = m.hour AND o.observed
             ORDER BY m.token, m.hour
            $sql$, metric, CASE WHEN metric = 'trend_24h' AND direction = 'below'
                THEN 'greatest(24 * m.sma_24h, (24 * m.sma_24h + 24) / (m.trend_24h + 1) - 24)'
                ELSE '24 * m.sma_24h' END)
          USING from_hour, until_hour, tokens, min_mentions LOOP
        IF figure.token IS DISTINCT FROM try_alert.token THEN
            try_alert.token := figure.token;
            try_alert.hour := NULL;
            stands := false;
        END IF;
        IF stands AND sign * figure.value < sign * near THEN
            ended_at := figure.hour;
            stands := false;
            RETURN NEXT;
        END IF;
        IF NOT stands AND sign * figure.value >= sign * enter AND figure.eligible
           AND (try_alert.hour IS NULL OR figure.hour >= try_alert.hour + rearm) THEN
            try_alert.hour := figure.hour;
            try_alert.value := figure.value;
            ended_at := NULL;
            stands := true;
        END IF;
        IF stands AND (figure.next_observed < figure.next_hour
                       OR figure.next_hour IS NULL AND figure.next_observed IS NOT NULL) THEN
            ended_at := figure.next_observed;
            stands := false;
            RETURN NEXT;
        ELSIF stands AND figure.next_hour IS NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.try_alert(timestamptz, timestamptz, text, float8, float8, text,
    interval, float8, text[]) IS 'see defidata_try_alert';
