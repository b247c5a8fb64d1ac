-- metrics.sql: facts -> metrics, computed when they are read.
--
-- The metrics of a token and hour follow from its facts of the 336 hours behind
-- it.  In C that takes half a microsecond a row: some four times what reading a
-- stored one from memory does, but nothing has to be written for it, the facts
-- take a twenty-fifth of the room, nothing can be out of date, and what is
-- incremental and what is rebuilt cannot differ.

-- The columns of the view: those of 1.0 first, as a view's columns can only be added to.
CREATE FUNCTION defidata.view_columns() RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT ARRAY['hour'] || array_agg(m.name) FROM defidata.metric_list() m
             WHERE 'view' = ANY (m.places));
COMMENT ON FUNCTION defidata.view_columns() IS
    'the columns of defidata.metrics after the token, in their order';

-- For each week f of a token, d is the open day of the week, p and pp are the two
-- weeks before.  Plain joins by token and week, so that a condition on the token
-- reaches the index, parallel workers share the weeks (what LATERAL aggregates
-- could not), and each shard of a distributed table answers for its own tokens.
-- That f begins after all beginnings keeps the planner from remembering p and pp
-- in case that the same week of f comes again, as it never does.
--
-- A condition on the hour reaches the weeks, and the hours observed, by the support
-- function of metrics_over (narrow.c), which knows what stands here by its shape:
-- f.start and f.start + interval for the limits, array_agg for the hours.
--
-- The views stand where the hours are: Citus is not to take them to the workers.
CREATE FUNCTION defidata.setup_views() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET citus.enable_ddl_propagation = off
AS $$
DECLARE
    metric record;
BEGIN
    -- replaced where it is there, so that views over it and grants stay
    EXECUTE format('CREATE %s VIEW defidata.mention_series AS'
                   ' SELECT w.token, w.start, w.series FROM defidata.week_series w UNION ALL'
                   ' SELECT d.token, d.start, d.series FROM defidata.day_series d', 'OR REPLACE');
    COMMENT ON VIEW defidata.mention_series IS
        'the facts: mentions and sentiment by token and hour, a week to a row, and the open day in'
        ' a row of its own';
    COMMENT ON COLUMN defidata.mention_series.token IS 'the clean symbol';
    COMMENT ON COLUMN defidata.mention_series.start IS
        'start of the week, a Monday in UTC, or of the open day';
    COMMENT ON COLUMN defidata.mention_series.series IS 'the hours from there on';
    EXECUTE format($sql$
        CREATE %s VIEW defidata.metrics AS
        SELECT f.token, %s
          FROM defidata.week_series f
          LEFT JOIN defidata.day_series d
                 ON d.token = f.token
                AND date_bin('7 days', d.start, '2001-01-01 00:00:00+00') = f.start
          LEFT JOIN defidata.week_series p
                 ON p.token = f.token AND p.start = f.start - interval '168 hours'
                AND f.start > '-infinity'
          LEFT JOIN defidata.week_series pp
                 ON pp.token = f.token AND pp.start = f.start - interval '336 hours'
                AND f.start > '-infinity'
         CROSS JOIN LATERAL defidata.metrics_over(
                   ARRAY[pp.series, p.series, f.series, d.series],
                   (SELECT array_agg(h.hour) FROM defidata.hours h WHERE h.observed),
                   f.start, f.start + interval '168 hours',
                   (SELECT c.value::float8 FROM defidata.setting c
                     WHERE c.name = 'min_coverage')) m
        $sql$, 'OR REPLACE', (SELECT string_agg(format('m.%I', c), ', ' ORDER BY i)
                                FROM unnest(defidata.view_columns()) WITH ORDINALITY u (c, i)));
    COMMENT ON VIEW defidata.metrics IS
        'the metrics of each token and hour with an accepted row, computed from the facts when'
        ' they are read; conditions on token and hour cost what the rows that they leave cost';
    COMMENT ON COLUMN defidata.metrics.token IS 'the clean symbol';
    COMMENT ON COLUMN defidata.metrics.hour IS 'start of the hour';
    FOR metric IN SELECT m.name, m.meaning FROM defidata.metric_list() m
                   WHERE 'view' = ANY (m.places) LOOP
        EXECUTE format('COMMENT ON COLUMN defidata.metrics.%I IS %L', metric.name, metric.meaning);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.setup_views() IS
    'makes or replaces the views mention_series and metrics';

-- A function of its own, so that the aggregate is a question to the shards where
-- the facts are distributed, whatever is done with its answer.
CREATE FUNCTION defidata.metrics_of(at timestamptz)
    RETURNS TABLE (token text, metrics defidata.metrics_row)
    LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    coverage constant float8 := defidata.setting_value('min_coverage')::float8;
    observed constant timestamptz[] := defidata.observed_hours(at, at + interval '1 hour');
BEGIN
    RETURN QUERY
    SELECT f.token, defidata.metrics_at(f.series, observed, at, coverage)
      FROM defidata.mention_series f
     WHERE f.start >= defidata.week_of(at - interval '336 hours') AND f.start <= at
     GROUP BY f.token;
END
$$;
COMMENT ON FUNCTION defidata.metrics_of(timestamptz) IS
    'the metrics at an hour of every token with facts in the weeks that its windows touch';
