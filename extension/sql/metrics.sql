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
CREATE FUNCTION defidata.metrics_query(columns text[], from_hour text, until_hour text,
                                       condition text) RETURNS text
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN format($sql$
        SELECT f.token, %s
          FROM (SELECT w.start, array_agg(h.hour) AS hours
                  FROM (SELECT DISTINCT date_bin('7 days', d.hour, '2001-01-01 00:00:00+00') AS start
                          FROM defidata.hours d) w
                  JOIN defidata.hours h ON h.hour >= w.start - interval '336 hours'
                                       AND h.hour < w.start + interval '168 hours' AND h.observed
                 GROUP BY w.start) observed
          JOIN defidata.week_series f ON f.start = observed.start
          LEFT JOIN defidata.day_series d
                 ON d.token = f.token
                AND date_bin('7 days', d.start, '2001-01-01 00:00:00+00') = f.start
          LEFT JOIN defidata.week_series p
                 ON p.token = f.token AND p.start = f.start - interval '168 hours'
          LEFT JOIN defidata.week_series pp
                 ON pp.token = f.token AND pp.start = f.start - interval '336 hours'
         CROSS JOIN LATERAL defidata.metrics_over(
                   ARRAY[pp.series, p.series, f.series, d.series], observed.hours, %s, %s,
                   (SELECT c.value::float8 FROM defidata.setting c WHERE c.name = 'min_coverage')) m
         WHERE %s
        $sql$, (SELECT string_agg(format('m.%I', c), ', ' ORDER BY i)
                  FROM unnest(columns) WITH ORDINALITY u (c, i)), from_hour, until_hour, condition);
COMMENT ON FUNCTION defidata.metrics_query(text[], text, text, text) IS
'the query that computes metrics: their columns, after the token; and SQL: limits of the hours of a
week that begins at f.start, and which weeks';

CREATE FUNCTION defidata.metrics_between_query(columns text[], from_hour timestamptz,
                                               until_hour timestamptz, token text) RETURNS text
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN defidata.metrics_query(columns, format('greatest(%L, f.start)', from_hour),
        format('least(%L, f.start + interval ''168 hours'')', until_hour),
        format('observed.start > %1$L::timestamptz - interval ''168 hours'' AND observed.start < %2$L'
               ' AND f.start > %1$L::timestamptz - interval ''168 hours'' AND f.start < %2$L%3$s',
               from_hour, until_hour,
               CASE WHEN token IS NOT NULL THEN format(' AND f.token = %L', token) ELSE '' END));
COMMENT ON FUNCTION
    defidata.metrics_between_query(text[], timestamptz, timestamptz, text) IS
'the query that computes the metrics of the hours from from_hour until until_hour, of one token or
(NULL) of all';

-- The columns of the view: those of 1.0 first, as a view's columns can only be added to.
CREATE FUNCTION defidata.view_columns() RETURNS text[]
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN (SELECT ARRAY['hour'] || array_agg(m.name) FROM defidata.metric_list() m
             WHERE 'view' = ANY (m.places));
COMMENT ON FUNCTION defidata.view_columns() IS
    'the columns of defidata.metrics after the token, in their order';

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
'the facts: mentions and sentiment by token and hour, a week to a row, and the open day in a row of its own';
    COMMENT ON COLUMN defidata.mention_series.token IS 'the clean symbol';
    COMMENT ON COLUMN defidata.mention_series.start IS
        'start of the week, a Monday in UTC, or of the open day';
    COMMENT ON COLUMN defidata.mention_series.series IS 'the hours from there on';
    EXECUTE format('CREATE %s VIEW defidata.metrics AS %s', 'OR REPLACE',
                   defidata.metrics_query(defidata.view_columns(), 'f.start',
                                          'f.start + interval ''168 hours''', 'true'));
    COMMENT ON VIEW defidata.metrics IS
'the metrics of each token and hour with an accepted row, computed from the facts. Conditions on the token are cheap; for some hours of all tokens call defidata_metrics';
    COMMENT ON COLUMN defidata.metrics.token IS 'the clean symbol';
    COMMENT ON COLUMN defidata.metrics.hour IS 'start of the hour';
    FOR metric IN SELECT m.name, m.meaning FROM defidata.metric_list() m
                   WHERE 'view' = ANY (m.places) LOOP
        EXECUTE format('COMMENT ON COLUMN defidata.metrics.%I IS %L', metric.name, metric.meaning);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.setup_views() IS 'makes or replaces the views mention_series and metrics';
