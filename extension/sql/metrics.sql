-- metrics.sql: facts → metrics, computed when they are read.
--
-- The metrics of a token and hour follow from its facts of the 336 hours behind
-- it.  In C that takes half a microsecond a row: some four times what reading a
-- stored one from memory does, but nothing has to be written for it, the facts
-- take a twenty-fifth of the room, nothing can be out of date, and what is
-- incremental and what is rebuilt cannot differ.

-- The query behind defidata.metrics, for weeks f of facts that meet a condition and
-- their hours between two limits: d is the open day of the week, p and pp are the
-- two weeks before.  Plain joins by token and week, so that a condition on the
-- token reaches the index, parallel workers share the weeks (what LATERAL
-- aggregates could not), and each shard of a distributed table answers for its
-- own tokens.
CREATE FUNCTION defidata.metrics_query(from_hour text, until_hour text, condition text) RETURNS text
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN format($sql$
        SELECT f.token, m.hour, %s
          FROM (SELECT w.start, array_agg(h.hour) AS hours
                  FROM (SELECT DISTINCT date_bin('7 days', d.hour, '2001-01-01 00:00:00+00') AS start FROM defidata.hours d) w
                  JOIN defidata.hours h ON h.hour > w.start - interval '336 hours' AND h.hour < w.start + interval '168 hours' AND h.rows > 0
                 GROUP BY w.start) observed
          JOIN defidata.week_series f ON f.start = observed.start
          LEFT JOIN defidata.day_series d ON d.token = f.token AND date_bin('7 days', d.start, '2001-01-01 00:00:00+00') = f.start
          LEFT JOIN defidata.week_series p ON p.token = f.token AND p.start = f.start - interval '168 hours'
          LEFT JOIN defidata.week_series pp ON pp.token = f.token AND pp.start = f.start - interval '336 hours'
         CROSS JOIN LATERAL defidata.metrics_over(ARRAY[pp.series, p.series, f.series, d.series], observed.hours, %s, %s,
                                (SELECT c.value::float8 FROM defidata.setting c WHERE c.name = 'min_coverage')) m
         WHERE %s
        $sql$, (SELECT string_agg('m.' || quote_ident(l.name), ', ' ORDER BY l.ordinality)
                  FROM defidata.metric_list() WITH ORDINALITY l WHERE 'view' = ANY (l.places)),
               from_hour, until_hour, condition);
COMMENT ON FUNCTION defidata.metrics_query(text, text, text) IS 'the query that computes metrics; its arguments are SQL: limits of the hours of a week that begins at f.start, and which weeks';

-- The views stand where the hours are: Citus is not to take them to the workers.
CREATE FUNCTION defidata.setup_views() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET citus.enable_ddl_propagation = off
AS $$
DECLARE
    pair text[];
BEGIN
    IF to_regclass('defidata.mention_series') IS NULL THEN
        CREATE VIEW defidata.mention_series AS
        SELECT w.token, w.start, w.series FROM defidata.week_series w UNION ALL SELECT d.token, d.start, d.series FROM defidata.day_series d;
    END IF;
    COMMENT ON VIEW defidata.mention_series IS 'the facts: mentions and sentiment by token and hour, a week to a row, and the open day in a row of its own';
    COMMENT ON COLUMN defidata.mention_series.token IS 'the clean symbol';
    COMMENT ON COLUMN defidata.mention_series.start IS 'start of the week, a Monday in UTC, or of the open day';
    COMMENT ON COLUMN defidata.mention_series.series IS 'the hours from there on';
    IF to_regclass('defidata.metrics') IS NULL THEN
        EXECUTE 'CREATE VIEW defidata.metrics AS ' || defidata.metrics_query('f.start', 'f.start + interval ''168 hours''', 'true');
    END IF;
    COMMENT ON VIEW defidata.metrics IS 'the metrics of each token and hour with an accepted row, computed from the facts. Conditions on the token are cheap; for some hours of all tokens call defidata_metrics';
    FOREACH pair SLICE 1 IN ARRAY ARRAY[
            ['token', 'the clean symbol'], ['hour', 'start of the hour'],
            ['mentions', 'tweets that name the token in the hour'],
            ['sentiment', 'mention-weighted mean over the hour''s rows with a sentiment']] || defidata.metric_columns() LOOP
        EXECUTE format('COMMENT ON COLUMN defidata.metrics.%I IS %L', split_part(pair[1], ' ', 1), pair[2]);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.setup_views() IS 'makes the views mention_series and metrics';

CREATE FUNCTION @extschema@.defidata_metrics(from_hour timestamptz, until_hour timestamptz, for_token text DEFAULT NULL)
    RETURNS TABLE (token text, hour timestamptz, mentions bigint, sentiment float8, sma_24h float8, sma_7d float8, sma_14d float8,
                   sma_24h_prev float8, sma_7d_prev float8, change_24h float8, change_7d float8, trend_24h float8, surge_14d float8,
                   deviation_14d float8, rsd_24h float8, rsd_7d float8, rsd_14d float8, zscore_14d float8, sentiment_24h float8,
                   sentiment_7d float8, coverage_14d float8)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    PERFORM defidata.setup();
    IF from_hour IS NULL OR until_hour IS NULL THEN
        RAISE EXCEPTION 'from_hour and until_hour must not be null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE defidata.metrics_query('greatest($1, f.start)', 'least($2, f.start + interval ''168 hours'')',
        'observed.start > $1 - interval ''168 hours'' AND observed.start < $2 AND f.start > $1 - interval ''168 hours'' AND f.start < $2'
        || CASE WHEN for_token IS NULL THEN '' ELSE ' AND f.token = $3' END)
      USING from_hour, until_hour, for_token;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_metrics(timestamptz, timestamptz, text) IS 'the rows of defidata.metrics from from_hour until until_hour, of one token or (NULL) of all; computes these hours only, where a condition on the view''s hour is met after all have been computed. 22023 where a limit is NULL';

CREATE FUNCTION defidata.observed_hours(from_hour timestamptz, until_hour timestamptz) RETURNS timestamptz[]
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT h.hour FROM defidata.hours h
                  WHERE h.hour > from_hour - interval '337 hours' AND h.hour < until_hour AND h.rows > 0 ORDER BY h.hour);
END
$$;
COMMENT ON FUNCTION defidata.observed_hours(timestamptz, timestamptz) IS 'the observed hours that the windows of a range of hours can touch, in ascending order';

REVOKE ALL ON FUNCTION defidata.metrics_query(text, text, text), defidata.setup_views(), defidata.observed_hours(timestamptz, timestamptz),
    @extschema@.defidata_metrics(timestamptz, timestamptz, text) FROM PUBLIC;
