-- openmetrics.sql: the health of the pipeline for a monitoring system, in the OpenMetrics text
-- format 1.0 with the names and base units that Prometheus recommends.
--
-- All are gauges: what is counted is counted by run.

CREATE FUNCTION defidata.metric_families()
    RETURNS TABLE (place bigint, family text, unit text, help text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT row_number() OVER (), f.family, f.unit, f.help
      FROM (VALUES
        ('build_info', '', 'Always 1; its label tells the version of the extension.'),
        ('status_state', '', 'Each row of defidata.status: 0 is ok, 1 is warn, 2 is fail.'),
        ('stale_after_seconds', 'seconds',
         'The setting stale_after: status warns at this age and fails at twice that.'),
        ('last_success_timestamp_seconds', 'seconds',
         'Unix time at which the last publish that succeeded ended.'),
        ('latest_hour_timestamp_seconds', 'seconds',
         'Unix time at which the latest settled hour began.'),
        ('latest_hour_age_seconds', 'seconds',
         'Time since the latest settled hour began, by the clock of the database.'),
        ('generation', '', 'The published generation; grows whenever something published changed.'),
        ('stage_success', '',
         'Whether the last attempt at each stage of a run that is over succeeded.'),
        ('stage_duration_seconds', 'seconds',
         'How long the last attempt at each stage of a run that is over took.'),
        ('stage_rows', '', 'Rows of that attempt by what became of them.'),
        ('rejected_ratio', 'ratio', 'Share of the rows of the last 24 hours that was rejected.'),
        ('coverage_ratio', 'ratio', 'Share of the last 14 days that was observed.'),
        ('source_lag_seconds', 'seconds',
         'Age of the newest hour or quote that was copied from each source.'),
        ('stream_lag_seconds', 'seconds', 'Time since each stream was last read.'),
        ('stream_lag_entries', 'entries', 'Entries that the last reading left in each stream.'),
        ('standing_alerts', '', 'Tokens for which each alert stands.')
      ) AS f (family, unit, help);
END;
COMMENT ON FUNCTION defidata.metric_families() IS
    'the metrics of defidata_openmetrics, without the prefix defidata_, in their order';

CREATE FUNCTION defidata.metric_label(name text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN name || '="' || replace(replace(replace(value, '\', '\\'), '"', '\"'), E'\n', '\n')
           || '"';
COMMENT ON FUNCTION defidata.metric_label(text, text) IS
    'a label with its value escaped as the format wants it';

CREATE FUNCTION defidata.run_samples() RETURNS TABLE (family text, labels text, value float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH latest AS (
        SELECT defidata.metric_label('stage', s.stage) AS stage, r.status, r.counts,
               r.finished_at - r.started_at AS took
          FROM unnest('{import,compute,publish,backfill,reconcile,expire}'::text[]) s (stage)
         CROSS JOIN LATERAL (SELECT * FROM defidata.runs r
                              WHERE r.stage = s.stage AND r.finished_at IS NOT NULL
                                AND r.status <> 'skipped'
                              ORDER BY r.id DESC LIMIT 1) r)
    SELECT 'stage_success', l.stage, (l.status = 'ok')::integer::float8 FROM latest l
    UNION ALL
    SELECT 'stage_duration_seconds', l.stage, EXTRACT(epoch FROM l.took)::float8 FROM latest l
    UNION ALL
    SELECT 'stage_rows', concat_ws(',', l.stage, defidata.metric_label('outcome', c.key)),
           c.value::float8
      FROM latest l CROSS JOIN jsonb_each_text(l.counts) c
     WHERE c.key IN ('fetched', 'inserted', 'updated', 'rejected', 'computed', 'published')
    UNION ALL
    SELECT 'last_success_timestamp_seconds', NULL, EXTRACT(epoch FROM max(r.finished_at))::float8
      FROM defidata.runs r WHERE r.stage = 'publish' AND r.status = 'ok';
END
$$;
COMMENT ON FUNCTION defidata.run_samples() IS 'the samples that tell of runs';

CREATE FUNCTION defidata.data_samples() RETURNS TABLE (family text, labels text, value float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    latest constant timestamptz := (SELECT max(h.hour) FROM defidata.hours h WHERE h.settled);
BEGIN
    RETURN QUERY
    SELECT 'latest_hour_timestamp_seconds', NULL, EXTRACT(epoch FROM latest)::float8
    UNION ALL
    SELECT 'latest_hour_age_seconds', NULL, EXTRACT(epoch FROM now() - latest)::float8
    UNION ALL
    SELECT 'generation', NULL, p.generation::float8 FROM defidata.publication p
    UNION ALL
    SELECT 'rejected_ratio', defidata.metric_label('kind', k.kind), k.share::float8
      FROM defidata.rejected_shares() s
     CROSS JOIN LATERAL (VALUES ('mentions', s.rows), ('prices', s.quotes)) k (kind, share)
    UNION ALL
    SELECT 'coverage_ratio', NULL, defidata.coverage_share()
    UNION ALL
    SELECT 'source_lag_seconds', concat_ws(',', defidata.metric_label('source', s.name),
                                           defidata.metric_label('kind', s.kind)),
           CASE WHEN isfinite(s.watermark)
                THEN EXTRACT(epoch FROM now() - s.watermark)::float8 END
      FROM defidata.source s
    UNION ALL
    SELECT 'standing_alerts', defidata.metric_label('alert', a.name), count(s.alert)::float8
      FROM defidata.alert a LEFT JOIN defidata.alerts s ON s.alert = a.name
     GROUP BY a.name;
END
$$;
COMMENT ON FUNCTION defidata.data_samples() IS 'the samples that tell of hours, sources and alerts';

CREATE FUNCTION defidata.stream_samples() RETURNS TABLE (family text, labels text, value float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.has_streams() THEN
        RETURN QUERY EXECUTE
            'SELECT l.family, defidata.metric_label(''stream'', s.name), l.value'
            '  FROM defidata.stream s'
            ' CROSS JOIN LATERAL (VALUES'
            '       (''stream_lag_seconds'', EXTRACT(epoch FROM now() - s.drained_at)::float8),'
            '       (''stream_lag_entries'', s.lag::float8)) l (family, value)';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.stream_samples() IS 'the samples that tell of streams';

CREATE FUNCTION defidata.metric_samples() RETURNS TABLE (family text, labels text, value float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'build_info', defidata.metric_label('version', e.extversion), 1::float8
      FROM pg_extension e WHERE e.extname = 'defidata'
    UNION ALL
    SELECT 'stale_after_seconds', NULL,
           EXTRACT(epoch FROM defidata.setting_value('stale_after')::interval)::float8
    UNION ALL
    SELECT 'status_state', defidata.metric_label('check', s.name),
           max(array_position('{ok,warn,fail}'::text[], s.state) - 1)::float8
      FROM defidata.status() s GROUP BY s.name
    UNION ALL
    SELECT * FROM defidata.run_samples()
    UNION ALL
    SELECT * FROM defidata.data_samples()
    UNION ALL
    SELECT * FROM defidata.stream_samples();
END
$$;
COMMENT ON FUNCTION defidata.metric_samples() IS
    'every sample of defidata_openmetrics: family, labels (NULL where it has none), and value (NULL'
    ' where it is unknown)';

CREATE FUNCTION defidata.openmetrics() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
BEGIN ATOMIC
    SELECT COALESCE(string_agg(f.text, '' ORDER BY f.place), '') || E'# EOF\n'
      FROM (SELECT f.place,
                   format(E'# TYPE defidata_%s gauge\n', f.family)
                   || CASE WHEN f.unit <> ''
                           THEN format(E'# UNIT defidata_%s %s\n', f.family, f.unit) ELSE '' END
                   || format(E'# HELP defidata_%s %s\n', f.family, f.help)
                   || string_agg(format(E'defidata_%s%s %s\n', f.family, '{' || s.labels || '}',
                                        s.value),
                                 '' ORDER BY s.labels COLLATE "C") AS text
              FROM defidata.metric_families() f
              JOIN defidata.metric_samples() s ON s.family = f.family
             WHERE s.value IS NOT NULL
             GROUP BY f.place, f.family, f.unit, f.help) f;
END;
COMMENT ON FUNCTION defidata.openmetrics() IS 'see defidata_openmetrics';
