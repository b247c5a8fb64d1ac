-- api_reader.sql: the entry points of those who read: what everybody may call, what readers may,
-- and what only analysts may.

--
-- Everybody
--

CREATE FUNCTION @extschema@.defidata_clean(raw text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.defidata_clean(text) IS
'The token that a raw symbol stands for, by the token lists and then the pattern; NULL where it is
rejected or NULL. An edit of the lists or settings counts from the next call on. Raises 22023 or
2201B while a setting is invalid.';

CREATE FUNCTION @extschema@.defidata_explain(raw text, OUT token text, OUT rule text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.defidata_explain(text) IS
'The token of a raw symbol and the rule behind it: list or pattern; or with a NULL token empty
(NULL also), too long, disabled, no value or no match. Raises what defidata_clean raises.';

--
-- Readers
--

CREATE FUNCTION @extschema@.defidata_board_as_of(board text, at timestamptz)
    RETURNS TABLE (rank integer, token text, value float8, generation bigint,
                   latest_hour timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM defidata.board_as_of(board, at);
END;
COMMENT ON FUNCTION @extschema@.defidata_board_as_of(text, timestamptz) IS
'a board as its readers saw it at a moment; no rows where nothing was published by then. 42704 for
an unknown board';

CREATE FUNCTION @extschema@.defidata_document(path text, if_none_match text DEFAULT NULL,
        OUT status integer, OUT body json, OUT etag text, OUT generation bigint,
        OUT published_at timestamptz)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.document(path, if_none_match);
END;
COMMENT ON FUNCTION @extschema@.defidata_document(text, text) IS
'the document of a path without regard to case, percent-decoded: the paths of defidata.document,
/tokenstats/SYMBOL, /history/SYMBOL, /openapi.json, which describes them all, and, where there are
streams, /live. status is 200; 304 with body NULL where if_none_match, as the HTTP header has it,
names the etag; or 404 with all else NULL. generation and published_at tell when the body last
changed; for one token, what is published; for /live, up to when the streams were read';

CREATE FUNCTION @extschema@.defidata_report() RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT defidata.report();
END;
COMMENT ON FUNCTION @extschema@.defidata_report() IS
'a self-contained HTML page: every board with sparklines, mentions per day, coverage with its
outages, and, for a session user who may read defidata.status, status and last run. psql -XAtc
''SELECT defidata_report()'' writes it. 0A000 where the server was built without libxml';

CREATE FUNCTION @extschema@.defidata_report(token text) RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT defidata.report(token);
END;
COMMENT ON FUNCTION @extschema@.defidata_report(text) IS
'a self-contained HTML page on one token: its figures, and mentions, moving averages, sentiment and
price of the last 14 days. 22023 for NULL; 0A000 where the server was built without libxml';

--
-- Analysts
--

CREATE FUNCTION @extschema@.defidata_openmetrics() RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT defidata.openmetrics();
END;
COMMENT ON FUNCTION @extschema@.defidata_openmetrics() IS
'what a monitoring system reads, to be served as /metrics: the health of the pipeline in the
OpenMetrics text format, of the type application/openmetrics-text; version=1.0.0; charset=utf-8.
What is unknown is left out';

CREATE FUNCTION @extschema@.defidata_history(token text, span interval DEFAULT '7 days')
    RETURNS TABLE (hour timestamptz, mentions bigint, sentiment float8, price float8)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.history(token, span);
END;
COMMENT ON FUNCTION @extschema@.defidata_history(text, interval) IS
'one row for each clock hour up to the published one: mentions (0 where observed without one, NULL
in an outage), mean sentiment, and the newest quote at the hour''s end';

-- Its columns stay those of 1.0, for the sake of views over it; newer metrics are in the view.
CREATE FUNCTION @extschema@.defidata_metrics(from_hour timestamptz, until_hour timestamptz,
        for_token text DEFAULT NULL)
    RETURNS TABLE (token text, hour timestamptz, mentions bigint, sentiment float8,
                   sma_24h float8, sma_7d float8, sma_14d float8,
                   sma_24h_prev float8, sma_7d_prev float8, change_24h float8, change_7d float8,
                   trend_24h float8, surge_14d float8, deviation_14d float8,
                   rsd_24h float8, rsd_7d float8, rsd_14d float8, zscore_14d float8,
                   sentiment_24h float8, sentiment_7d float8, coverage_14d float8)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM defidata.setup_reader();
    IF from_hour IS NULL OR until_hour IS NULL THEN
        RAISE EXCEPTION 'from_hour and until_hour must not be null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    SELECT m.token, m.hour, m.mentions, m.sentiment, m.sma_24h, m.sma_7d, m.sma_14d,
           m.sma_24h_prev, m.sma_7d_prev, m.change_24h, m.change_7d, m.trend_24h, m.surge_14d,
           m.deviation_14d, m.rsd_24h, m.rsd_7d, m.rsd_14d, m.zscore_14d,
           m.sentiment_24h, m.sentiment_7d, m.coverage_14d
      FROM defidata.metrics m
     WHERE m.hour >= from_hour AND m.hour < until_hour
       AND (for_token IS NULL OR m.token = for_token);
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_metrics(timestamptz, timestamptz, text) IS
'the rows of defidata.metrics from from_hour until until_hour, of one token or (NULL) of all.
22023 where a limit is NULL';

CREATE FUNCTION @extschema@.defidata_metrics_as_of(at timestamptz, from_hour timestamptz,
        until_hour timestamptz, for_token text DEFAULT NULL) RETURNS SETOF defidata.token_metrics
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.metrics_as_of(at, from_hour, until_hour,
                  CASE WHEN for_token IS NOT NULL THEN ARRAY[for_token] END);
END;
COMMENT ON FUNCTION @extschema@.defidata_metrics_as_of(timestamptz, timestamptz, timestamptz,
    text) IS
    'the rows of defidata.metrics from from_hour until until_hour as they stood at a time, of one'
    ' token or (NULL) of all: from the facts and observed hours of then, under today''s settings.'
    ' What 1.0 summed stands for every earlier time as the update found it; a change of an hour'
    ' that was not over is not kept. 22023 where a time is NULL';

CREATE FUNCTION @extschema@.defidata_metrics_as_published(from_hour timestamptz,
        until_hour timestamptz, for_token text DEFAULT NULL) RETURNS SETOF defidata.token_metrics
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.metrics_as_published(from_hour, until_hour,
                  CASE WHEN for_token IS NOT NULL THEN ARRAY[for_token] END, false);
END;
COMMENT ON FUNCTION
    @extschema@.defidata_metrics_as_published(timestamptz, timestamptz, text) IS
'the rows of defidata.metrics from from_hour until until_hour, of one token or (NULL) of all, each
hour as it stood when it first was the latest hour of a publication, or, where it never was
(backfilled, caught up), when it was first summed: what a study of the past may use without looking
ahead. 22023 where a limit is NULL';

CREATE FUNCTION @extschema@.defidata_try_alert(from_hour timestamptz, until_hour timestamptz,
        metric text, enter double precision, leave double precision DEFAULT NULL,
        direction text DEFAULT 'above', rearm interval DEFAULT '24 hours',
        min_mentions double precision DEFAULT 240, tokens text[] DEFAULT NULL)
    RETURNS TABLE (token text, hour timestamptz, value double precision, ended_at timestamptz)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.try_alert(from_hour, until_hour, metric, enter, leave, direction, rearm,
                                     min_mentions, tokens);
END;
COMMENT ON FUNCTION @extschema@.defidata_try_alert(timestamptz, timestamptz, text, double precision,
    double precision, text, interval, double precision, text[]) IS
'what an alert with these arguments (see defidata_add_alert) would have raised in the hours from
from_hour until until_hour, by the metrics as published, and the hour at which it ended; NULL where
it stood at the end. 22023 for a bad argument';

-- With the rights of who calls: events are what he may read.
CREATE FUNCTION @extschema@.defidata_event_study(events regclass, outcomes text[] DEFAULT '{price}',
    horizons interval[] DEFAULT '{1 hour,24 hours,7 days}', placebo integer DEFAULT 1000,
    seed bigint DEFAULT 1)
    RETURNS SETOF defidata.study_row
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    tokens   text[];
    instants timestamptz[];
BEGIN
    PERFORM defidata.check_events(events);
    PERFORM defidata.check_study(outcomes, horizons, placebo, seed);
    EXECUTE format('SELECT array_agg(e.token::text), array_agg(e.at::timestamptz) FROM %s e',
                   events) INTO tokens, instants;
    RETURN QUERY
    SELECT q.outcome, q.horizon, q.events, COALESCE(cardinality(tokens), 0) - q.events,
           q.mean, q.median, q.share_above, q.placebos, q.placebo_mean,
           q.difference, q.difference_low, q.difference_high, q.p,
           CASE WHEN q.p IS NOT NULL THEN
               least(1, min(q.p * q.tests / q.rank) OVER (ORDER BY q.rank DESC))
           END
      FROM (SELECT o.outcome, o.place, s.horizon, COALESCE((s.figures).events, 0) AS events,
                   COALESCE((s.figures).placebos, 0) AS placebos, (s.figures).mean,
                   (s.figures).median, (s.figures).share_above, (s.figures).placebo_mean,
                   (s.figures).difference, (s.figures).difference_low,
                   (s.figures).difference_high, (s.figures).p,
                   count((s.figures).p) OVER () AS tests,
                   row_number() OVER (ORDER BY (s.figures).p, o.place, s.horizon) AS rank
              FROM (SELECT u.outcome, min(u.place) AS place
                      FROM unnest(outcomes) WITH ORDINALITY u (outcome, place)
                     GROUP BY u.outcome) o
             CROSS JOIN LATERAL defidata.study_outcome(o.outcome, tokens, instants,
                   ARRAY(SELECT DISTINCT h FROM unnest(horizons) h), placebo, seed) s) q
     ORDER BY q.place, q.horizon;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_event_study(regclass, text[], interval[], integer,
    bigint) IS
    'What came after events, and whether it comes at other times as well: one row for each'
    ' outcome and horizon. events is any relation with token and at that the caller may read. The'
    ' outcome price is the log return of one asset between the quotes at the end of the first'
    ' whole hour after at and a horizon later, each the newest then, younger than the event and at'
    ' most 90 minutes old; a column of defidata.metrics is the difference between these two hours,'
    ' as published. A placebo set moves all events by one random number of whole hours, at least'
    ' the horizon, around the end of the span in which the outcome is known; sets are drawn'
    ' without replacement, all where there are no more. The 95 % interval is mean - m less the'
    ' 97.5 % and 2.5 % quantiles of the sets'' means - m, m their mean; p = (1 + sets as far from'
    ' m as the truth) / (1 + sets), two-sided; both NULL under 39 sets. p_adjusted is over the'
    ' rows of the call (Benjamini and Hochberg 1995). Events with a NULL or infinite instant, and'
    ' those without both figures, are left out and counted. The same bits for the same seed.'
    ' Changes are fractions for price, units of the metric else. 22023 for an unknown outcome, a'
    ' horizon that is not a positive whole number of hours, or placebo not in 1 to 100000; 42703'
    ' or 42804 for a relation that has no token, or no at of type timestamptz';

CREATE FUNCTION @extschema@.defidata_checksum(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    -- record times, marks of work and surrogate ids
    left_out constant text[] := '{fetched_at,superseded_at,summed,published,started_at,finished_at,'
        'published_at,attached_at,chosen_at,seen_at,generation,run,pid,until,'
        'first_summed_at,first_published_at}';
    names    text;
    checksum text;
BEGIN
    SELECT string_agg(format(CASE a.atttypid WHEN 'timestamptz'::regtype
                                  THEN '%I AT TIME ZONE ''UTC''' ELSE '%I' END, a.attname),
                      ', ' ORDER BY a.attname COLLATE "C") INTO names
      FROM pg_attribute a
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
       AND a.attname <> ALL (left_out);
    IF names IS NULL THEN
        RAISE EXCEPTION 'there is no relation with columns to sum'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('SELECT count(*) || '':'' ||'
                   ' COALESCE(sum(hashtextextended(ROW(%s)::text, 0)), 0) FROM %s',
                   names, relation) INTO checksum;
    RETURN checksum;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_checksum(regclass) IS
'count and sum of row hashes, independent of order and time zone; leaves out record times, marks of
work and surrogate ids. Needs SELECT on the relation';

CREATE FUNCTION defidata.reject_rows()
    RETURNS TABLE (symbol text, reason text, rows bigint, mentions float8,
                   first_seen timestamptz, last_seen timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM defidata.rejects();
END;
COMMENT ON FUNCTION defidata.reject_rows() IS 'the rows of defidata.rejects';

CREATE VIEW defidata.rejects AS SELECT * FROM defidata.reject_rows();
COMMENT ON VIEW defidata.rejects IS
    'rejected rows by raw symbol and reason, to find what to add to the list';
COMMENT ON COLUMN defidata.rejects.symbol IS
    'the raw symbol as delivered; of a quote without one, its asset';
COMMENT ON COLUMN defidata.rejects.reason IS
    'symbol, disabled, hour, mentions or price';
COMMENT ON COLUMN defidata.rejects.rows IS 'how many rows';
COMMENT ON COLUMN defidata.rejects.mentions IS
    'tweets that they count, where usable; NULL for quotes';
COMMENT ON COLUMN defidata.rejects.first_seen IS 'the oldest hour';
COMMENT ON COLUMN defidata.rejects.last_seen IS 'the newest hour';
