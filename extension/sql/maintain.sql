-- maintain.sql: cleaning the copy again, deleting what is old, checksums.

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
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off
AS $$
DECLARE
    judged record;
BEGIN
    SELECT array_agg(n.source) AS sources, array_agg(n.at) AS ats, array_agg(n.id) AS ids,
           array_agg(n.token) AS tokens, array_agg(n.reason) AS reasons, count(*) AS rows
      INTO judged
      FROM (SELECT j.source, j.at, j.id, j.token AS former_token, j.former_reason, j.reason,
                   CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END AS token
              FROM (SELECT p.source, p.at, p.id, p.symbol, p.token, p.reason AS former_reason,
                           defidata.price_reject_reason(p.at, p.symbol, p.price,
                                                        'infinity') AS reason
                      FROM (SELECT * FROM defidata.prices w
                             WHERE w.reason IS DISTINCT FROM 'hour' OFFSET 0) p) j OFFSET 0) n
     WHERE (n.token, n.reason) IS DISTINCT FROM (n.former_token, n.former_reason);
    IF judged.rows > 0 THEN
        UPDATE defidata.prices p SET token = j.token, reason = j.reason
          FROM unnest(judged.sources, judged.ats, judged.ids, judged.tokens, judged.reasons)
               j (source, at, id, token, reason)
         WHERE p.source = j.source AND p.at = j.at AND p.id = j.id;
        PERFORM defidata.rebuild_quote_series();
    END IF;
    RETURN judged.rows;
END
$$;
COMMENT ON FUNCTION defidata.reclean_prices() IS 'cleans the symbols of all quotes again; returns how many changed';

CREATE FUNCTION defidata.reclean() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    week    timestamptz;
    changed bigint := 0;
BEGIN
    PERFORM defidata.lock('writer');
    FOR week IN SELECT DISTINCT defidata.week_of(h.hour) FROM defidata.hours h LOOP
        changed := changed + defidata.reclean_mentions(week, week + interval '168 hours');
    END LOOP;
    RETURN changed + defidata.reclean_prices();
END
$$;
COMMENT ON FUNCTION defidata.reclean() IS 'cleans the raw copy again after the list or a rule has changed; returns how many rows changed. The next compute takes the changed hours up';

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

CREATE FUNCTION defidata.expire(OUT relation text, OUT deleted bigint) RETURNS SETOF record
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    raw_end     timestamptz;
    facts_end   timestamptz;
    history_end timestamptz;
    due         record;
    stage       bigint;
BEGIN
    PERFORM defidata.lock('writer');
    stage := defidata.start_stage(NULL, 'expire', 'expire');
    raw_end := defidata.expiry('raw_retention');
    -- whole weeks, as they are stored, and none that metrics inside the retention reach back to; so never the open day
    facts_end := defidata.week_of(defidata.expiry('metrics_retention') - interval '336 hours');
    history_end := now() - NULLIF(defidata.setting_value('history_retention')::interval, '0');
    FOR due IN SELECT * FROM (VALUES
            ('raw_mentions', 'hour < $1', raw_end), ('prices', 'at < $1', raw_end), ('quote_series', 'day < $1', raw_end), ('uncopied', 'hour < $1 AND isfinite(hour)', raw_end),
            ('hours', 'hour < $1', facts_end), ('week_series', 'start < $1', facts_end),
            ('fact_revision', 'hour < $1', facts_end), ('hour_revision', 'hour < $1', facts_end),
            ('board_history', 'generation < (SELECT max(p.generation) FROM defidata.publication_history p WHERE p.published_at < $1)', history_end),
            ('alert_event', 'at < $1 AND id <> ALL (ARRAY(SELECT max(e.id) FROM defidata.alert_event e GROUP BY e.alert, e.token))', history_end),
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
COMMENT ON FUNCTION defidata.expire() IS 'deletes rows older than raw_retention, metrics_retention and history_retention, never hours that feed a window of what is published; returns the rows deleted by table';
