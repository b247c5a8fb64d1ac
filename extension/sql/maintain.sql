-- maintain.sql: cleaning the copy again, deleting what is old, checksums.

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
COMMENT ON FUNCTION defidata.reclean_prices() IS
    'cleans the symbols of all quotes again; returns how many changed';

CREATE FUNCTION defidata.reclean() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sources constant text[] := ARRAY(SELECT defidata.copied_sources());
    week    timestamptz;
    changed bigint := 0;
BEGIN
    PERFORM defidata.lock('writer');
    FOR week IN SELECT DISTINCT defidata.week_of(h.hour) FROM defidata.hours h LOOP
        changed := changed + COALESCE(defidata.judge_rows(
            sources, week, week + interval '168 hours', false, 'infinity'), 0);
    END LOOP;
    PERFORM defidata.tell_expired('-infinity', 'infinity');
    RETURN changed + defidata.reclean_prices();
END
$$;
COMMENT ON FUNCTION defidata.reclean() IS
    'cleans the raw copy again after the list or a rule has changed; returns how many rows changed.'
    ' The next compute takes the changed hours up';

-- Hours newer than this feed a window of what is published.
CREATE FUNCTION defidata.expiry(retention text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    span constant interval := defidata.setting_value(retention);
BEGIN
    RETURN CASE WHEN span > '0' THEN
        -- whole days, so that no day is ever summed from a part of its hours
        defidata.day_of(least(now() - span, (SELECT max(h.hour) FROM defidata.hours h
                                              WHERE h.settled) - interval '336 hours')) END;
END
$$;
COMMENT ON FUNCTION defidata.expiry(text) IS
    'the time before which a retention setting deletes; NULL where it keeps everything';

-- Facts outlive their raw rows: none is left to be summed when these go.
CREATE FUNCTION defidata.mark_expired(before timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM defidata.hours h WHERE NOT h.summed AND h.hour < before) THEN
        PERFORM defidata.compute(NULL);
    END IF;
    UPDATE defidata.hours h SET expired = true WHERE h.hour < before AND NOT h.expired;
    DELETE FROM defidata.surveyed k WHERE k.hour < before AND isfinite(k.hour);
END
$$;
COMMENT ON FUNCTION defidata.mark_expired(timestamptz) IS
    'marks the hours whose raw rows are about to be deleted, once their facts are summed';

CREATE FUNCTION defidata.expire(OUT relation text, OUT deleted bigint) RETURNS SETOF record
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    raw_end     timestamptz;
    facts_end   timestamptz;
    history_end timestamptz;
    due         record;
    stage       bigint;
    sources     constant text[] := ARRAY(SELECT defidata.copied_sources());
BEGIN
    PERFORM defidata.lock('writer');
    stage := defidata.start_stage(NULL, 'expire', 'expire');
    -- whatever the settings; nobody need hear of none
    DELETE FROM defidata.superseded s WHERE s.superseded_at < now() - interval '14 days';
    GET DIAGNOSTICS deleted = ROW_COUNT;
    IF deleted > 0 THEN
        relation := 'superseded';
        RETURN NEXT;
        PERFORM defidata.note_counts(stage, jsonb_build_object(relation, deleted));
    END IF;
    raw_end := defidata.expiry('raw_retention');
    -- whole weeks, as they are stored, and none that metrics inside the retention reach back to;
    -- so never the open day
    facts_end := defidata.week_of(defidata.expiry('metrics_retention') - interval '336 hours');
    history_end := now() - NULLIF(defidata.setting_value('history_retention')::interval, '0');
    PERFORM defidata.mark_expired(raw_end);
    FOR due IN
        SELECT * FROM (VALUES
            ('raw_mentions', 'source = ANY ($2) AND hour < $1', raw_end),
            ('prices', 'at < $1', raw_end),
            ('quote_series', 'day < $1', raw_end),
            ('uncopied', 'hour < $1 AND isfinite(hour)', raw_end),
            ('hours', 'hour < $1', facts_end),
            ('week_series', 'start < $1', facts_end),
            ('fact_revision', 'hour < $1', facts_end),
            ('hour_revision', 'hour < $1', facts_end),
            ('board_history', 'generation < (SELECT max(p.generation)'
                              ' FROM defidata.publication_history p WHERE p.published_at < $1)',
             history_end),
            ('alert_event', 'at < $1 AND id <> ALL (ARRAY(SELECT max(e.id)'
                            ' FROM defidata.alert_event e GROUP BY e.alert, e.token))',
             history_end),
            ('publication_history', 'generation < (SELECT max(p.generation)'
                                    ' FROM defidata.publication_history p'
                                    ' WHERE p.published_at < $1)', history_end),
            ('runs', 'started_at < $1 AND status <> ''running''', history_end)
        ) v (name, condition, until)
         WHERE until IS NOT NULL
    LOOP
        EXECUTE format('DELETE FROM defidata.%I WHERE %s', due.name, due.condition)
          USING due.until, sources;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        relation := due.name;
        RETURN NEXT;
        PERFORM defidata.note_counts(stage, jsonb_build_object(relation, deleted));
    END LOOP;
    PERFORM defidata.finish_stage(stage);
END
$$;
COMMENT ON FUNCTION defidata.expire() IS
    'deletes rows older than raw_retention, metrics_retention and history_retention, never hours'
    ' that feed a window of what is published; returns the rows deleted by table';

-- Rows of an hour that has expired are gone already, and its facts stay.
CREATE FUNCTION defidata.drop_rows(source text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    UPDATE defidata.hours h SET summed = false
     WHERE NOT h.expired
       AND h.hour IN (SELECT r.hour FROM defidata.raw_mentions r
                       WHERE r.source = drop_rows.source GROUP BY r.hour);
    DELETE FROM defidata.raw_mentions r WHERE r.source = drop_rows.source;
    DELETE FROM defidata.superseded u WHERE u.source = drop_rows.source;
    DELETE FROM defidata.surveyed k WHERE k.source = drop_rows.source;
    DELETE FROM defidata.uncopied u WHERE u.source = drop_rows.source;
    DELETE FROM defidata.document_source d WHERE d.name = drop_rows.source;
    DELETE FROM defidata.prices p WHERE p.source = drop_rows.source;
    DELETE FROM defidata.quote_series q WHERE q.source = drop_rows.source;
    DELETE FROM defidata.token_asset a WHERE a.source = drop_rows.source;
    PERFORM defidata.compute(NULL), defidata.publish();
END
$$;
COMMENT ON FUNCTION defidata.drop_rows(text) IS
    'deletes what the copy has of a source, and sums and publishes anew, but for expired hours';

CREATE FUNCTION defidata.detach(name text, drop_rows boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF drop_rows IS NULL THEN
        RAISE EXCEPTION 'drop_rows must be true or false'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM defidata.source s WHERE s.name = detach.name;
    IF NOT FOUND AND NOT (drop_rows AND EXISTS (
            SELECT FROM defidata.document_source d WHERE d.name = detach.name)) THEN
        RAISE EXCEPTION 'source % is not attached', quote_nullable(left(name, 80))
            USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.source lists the sources.';
    END IF;
    IF drop_rows THEN
        PERFORM defidata.drop_rows(name);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.detach(text, boolean) IS
    'the source is no longer read; see defidata_detach';
