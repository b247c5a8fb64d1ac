-- maintain.sql: cleaning the copy again, and deleting what is old.

-- Rows are judged here, where the list is, and then changed by key.
CREATE FUNCTION defidata.reclean_mentions(from_at timestamptz, until_at timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    judged record;
BEGIN
    SELECT array_agg(n.source) AS sources, array_agg(n.id) AS ids, array_agg(n.token) AS tokens, array_agg(n.reason) AS reasons,
           array_agg(DISTINCT n.hour) AS hours, count(*) AS rows
      INTO judged
      FROM (SELECT j.source, j.id, j.hour, j.token AS former_token, j.former_reason, j.reason,
                   CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END AS token
              FROM (SELECT r.source, r.id, r.hour, r.symbol, r.token, r.reason AS former_reason,
                           defidata.reject_reason(r.hour, r.symbol, r.mentions, r.sentiment, 'infinity') AS reason
                      FROM (SELECT * FROM defidata.raw_mentions w
                             WHERE w.hour >= from_at AND w.hour < until_at AND w.reason IS DISTINCT FROM 'hour' OFFSET 0) r) j OFFSET 0) n
     WHERE (n.token, n.reason) IS DISTINCT FROM (n.former_token, n.former_reason);
    IF judged.rows > 0 THEN
        UPDATE defidata.raw_mentions r SET token = j.token, reason = j.reason
          FROM unnest(judged.sources, judged.ids, judged.tokens, judged.reasons) j (source, id, token, reason)
         WHERE r.source = j.source AND r.id = j.id;
        UPDATE defidata.hours h SET summed = false WHERE h.hour = ANY (judged.hours);
    END IF;
    RETURN judged.rows;
END
$$;
COMMENT ON FUNCTION defidata.reclean_mentions(timestamptz, timestamptz) IS 'cleans the raw rows of the hours from from_at until until_at again; returns how many changed';

CREATE FUNCTION defidata.reclean_prices() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    judged record;
BEGIN
    SELECT array_agg(n.source) AS sources, array_agg(n.id) AS ids, array_agg(n.token) AS tokens, array_agg(n.reason) AS reasons, count(*) AS rows
      INTO judged
      FROM (SELECT j.source, j.id, j.token AS former_token, j.former_reason, j.reason,
                   CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END AS token
              FROM (SELECT p.source, p.id, p.symbol, p.token, p.reason AS former_reason,
                           defidata.price_reject_reason(p.at, p.symbol, p.price, 'infinity') AS reason
                      FROM (SELECT * FROM defidata.prices w WHERE w.reason IS DISTINCT FROM 'hour' OFFSET 0) p) j OFFSET 0) n
     WHERE (n.token, n.reason) IS DISTINCT FROM (n.former_token, n.former_reason);
    UPDATE defidata.prices p SET token = j.token, reason = j.reason
      FROM unnest(judged.sources, judged.ids, judged.tokens, judged.reasons) j (source, id, token, reason)
     WHERE p.source = j.source AND p.id = j.id;
    RETURN judged.rows;
END
$$;
COMMENT ON FUNCTION defidata.reclean_prices() IS 'cleans the symbols of all quotes again; returns how many changed';

CREATE FUNCTION @extschema@.defidata_reclean() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    week    timestamptz;
    changed bigint := 0;
BEGIN
    PERFORM defidata.setup();
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    FOR week IN SELECT DISTINCT defidata.week_of(h.hour) FROM defidata.hours h LOOP
        changed := changed + defidata.reclean_mentions(week, week + interval '168 hours');
    END LOOP;
    RETURN changed + defidata.reclean_prices();
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_reclean() IS 'cleans the raw copy again after the list or a rule has changed; returns how many rows changed. The next compute takes the changed hours up';

-- Hours newer than this feed a window of what is published.
CREATE FUNCTION defidata.expiry(retention text) RETURNS timestamptz
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    span constant interval := defidata.setting_value(retention);
BEGIN
    RETURN CASE WHEN span > '0' THEN
        -- whole days, so that no day is ever summed from a part of its hours
        date_bin('1 day', least(now() - span, (SELECT max(h.hour) FROM defidata.hours h WHERE h.settled) - interval '336 hours'),
                 '2001-01-01 00:00:00+00') END;
END
$$;
COMMENT ON FUNCTION defidata.expiry(text) IS 'the time before which a retention setting deletes; NULL where it keeps everything';

CREATE FUNCTION @extschema@.defidata_expire(OUT relation text, OUT deleted bigint) RETURNS SETOF record
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    raw_end     timestamptz;
    facts_end   timestamptz;
    history_end timestamptz;
    due         record;
    stage       bigint;
BEGIN
    PERFORM defidata.setup();
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    stage := defidata.start_stage(NULL, 'expire', 'expire');
    raw_end := defidata.expiry('raw_retention');
    -- whole weeks, as they are stored, and none that metrics inside the retention reach back to; so never the open day
    facts_end := defidata.week_of(defidata.expiry('metrics_retention') - interval '336 hours');
    history_end := now() - NULLIF(defidata.setting_value('history_retention')::interval, '0');
    FOR due IN SELECT * FROM (VALUES
            ('raw_mentions', 'hour < $1', raw_end), ('prices', 'at < $1', raw_end), ('uncopied', 'hour < $1 AND isfinite(hour)', raw_end),
            ('hours', 'hour < $1', facts_end), ('week_series', 'start < $1', facts_end),
            ('board_history', 'generation < (SELECT max(p.generation) FROM defidata.publication_history p WHERE p.published_at < $1)', history_end),
            ('publication_history', 'generation < (SELECT max(p.generation) FROM defidata.publication_history p WHERE p.published_at < $1)', history_end),
            ('runs', 'started_at < $1 AND status <> ''running''', history_end)) v (name, condition, until) WHERE until IS NOT NULL LOOP
        EXECUTE format('DELETE FROM defidata.%I WHERE %s', due.name, due.condition) USING due.until;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        relation := due.name;
        RETURN NEXT;
        PERFORM defidata.note_counts(stage, jsonb_build_object(relation, deleted));
    END LOOP;
    PERFORM defidata.finish_stage(stage);
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_expire() IS 'deletes rows older than raw_retention, metrics_retention and history_retention, never hours that feed a window of what is published; returns the rows deleted by table';

CREATE FUNCTION @extschema@.defidata_checksum(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
    SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    names    text;
    checksum text;
BEGIN
    SELECT string_agg(format(CASE a.atttypid WHEN 'timestamptz'::regtype THEN '%I AT TIME ZONE ''UTC''' ELSE '%I' END, a.attname),
                      ', ' ORDER BY a.attname COLLATE "C") INTO names
      FROM pg_attribute a
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
       AND a.attname <> ALL ('{fetched_at,former_hour,summed,measured,published,started_at,finished_at,published_at,attached_at,chosen_at,seen_at,generation,run,pid}');
    IF names IS NULL THEN
        RAISE EXCEPTION 'there is no relation with columns to sum' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('SELECT count(*) || '':'' || COALESCE(sum(hashtextextended(ROW(%s)::text, 0)), 0) FROM %s', names, relation) INTO checksum;
    RETURN checksum;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_checksum(regclass) IS 'count and sum of row hashes, independent of order and time zone; leaves out record times, marks of work and surrogate ids. Needs SELECT on the relation';

-- As delivered ("btc") or as listed.
CREATE FUNCTION defidata.known_token(symbol text) RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT t.token FROM defidata.token_stats t WHERE t.token = symbol), defidata.clean(symbol), symbol);
END
$$;
COMMENT ON FUNCTION defidata.known_token(text) IS 'the token that a symbol typed by a user stands for; the symbol itself where it is none';

CREATE FUNCTION defidata.history(token text, span interval)
    RETURNS TABLE (hour timestamptz, mentions bigint, sentiment float8, price float8)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    latest  timestamptz;
    since   timestamptz;
    subject text;
    max_age interval;
BEGIN
    PERFORM defidata.setup();
    IF history.token IS NULL THEN
        RAISE EXCEPTION 'token must not be null' USING ERRCODE = 'invalid_parameter_value';
    ELSIF span IS NULL OR span < '1 hour' OR span > '100 years' THEN
        RAISE EXCEPTION 'span must be at least 1 hour and at most 100 years' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    max_age := defidata.setting_value('price_max_age');
    subject := defidata.known_token(history.token);
    SELECT p.latest_hour INTO latest FROM defidata.publication p;
    since := defidata.hour_of(latest - span) + interval '1 hour';
    RETURN QUERY
    -- an hour without a quote has the last one before it, unless that is too old
    WITH quote AS MATERIALIZED (
        SELECT DISTINCT ON (1) date_bin('1 hour', p.at - interval '1 microsecond', '2001-01-01 00:00:00+00') AS hour, p.at, p.price
          FROM defidata.token_asset a
          JOIN defidata.prices p ON p.token = a.token AND p.source = a.source AND p.asset = a.asset
         WHERE a.token = subject AND p.reason IS NULL AND p.at > since - max_age AND p.at <= latest + interval '1 hour'
         ORDER BY 1, p.at DESC, p.id DESC)
    SELECT c.hour, CASE WHEN h.rows > 0 THEN COALESCE(e.mentions, 0) END, e.sentiment,
           CASE WHEN c.at > c.hour + interval '1 hour' - max_age THEN c.price END
      FROM (SELECT d.hour, d.at, first_value(d.price) OVER (PARTITION BY d.at ORDER BY d.hour) AS price
              FROM (SELECT t.hour, q.price, max(q.at) OVER (ORDER BY t.hour) AS at
                      FROM (SELECT generate_series(since, latest, interval '1 hour') AS hour UNION SELECT b.hour FROM quote b) t
                      LEFT JOIN quote q ON q.hour = t.hour) d) c
      LEFT JOIN defidata.hours h ON h.hour = c.hour
      LEFT JOIN (SELECT e.* FROM defidata.mention_series s, LATERAL defidata.entries(s.series) e
                  WHERE s.token = subject AND s.start >= defidata.week_of(since) AND s.start <= latest) e ON e.hour = c.hour
     WHERE c.hour >= since
     ORDER BY c.hour;
END
$$;
COMMENT ON FUNCTION defidata.history(text, interval) IS 'the hours of a token; see defidata_history';

CREATE FUNCTION @extschema@.defidata_history(token text, span interval DEFAULT '7 days')
    RETURNS TABLE (hour timestamptz, mentions bigint, sentiment float8, price float8) LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM defidata.history(token, span);
END;
COMMENT ON FUNCTION @extschema@.defidata_history(text, interval) IS 'one row for each clock hour up to the published one: mentions (0 where observed without one, NULL in an outage), mean sentiment, and the newest quote at the hour''s end';

REVOKE ALL ON FUNCTION defidata.reclean_mentions(timestamptz, timestamptz), defidata.reclean_prices(), @extschema@.defidata_reclean(),
    defidata.expiry(text), @extschema@.defidata_expire(), @extschema@.defidata_checksum(regclass),
    defidata.known_token(text), defidata.history(text, interval), @extschema@.defidata_history(text, interval) FROM PUBLIC;
