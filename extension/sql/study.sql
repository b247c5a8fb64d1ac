-- study.sql: what came after events, against what comes at other times.
--
-- Figures are read once for each token of the events, its arrays are one argument of
-- the aggregate defidata.study, and C does the rest: a thousand placebo sets are a
-- thousand sums, not a thousand queries.

CREATE TYPE defidata.study_row AS (
    outcome text,
    horizon interval,
    events bigint,
    left_out bigint,
    mean float8,
    median float8,
    share_above float8,
    placebos integer,
    placebo_mean float8,
    difference float8,
    difference_low float8,
    difference_high float8,
    p float8,
    p_adjusted float8
);
COMMENT ON TYPE defidata.study_row IS 'what defidata_event_study says of an outcome and horizon';
COMMENT ON COLUMN defidata.study_row.outcome IS 'price, or a column of defidata.metrics';
COMMENT ON COLUMN defidata.study_row.horizon IS 'from the first figure to the second';
COMMENT ON COLUMN defidata.study_row.events IS 'events that both figures are known for';
COMMENT ON COLUMN defidata.study_row.left_out IS 'the other events';
COMMENT ON COLUMN defidata.study_row.mean IS
    'mean change: log return of the price, difference of a metric';
COMMENT ON COLUMN defidata.study_row.median IS 'median change';
COMMENT ON COLUMN defidata.study_row.share_above IS 'share of changes above 0';
COMMENT ON COLUMN defidata.study_row.placebos IS 'placebo sets in which a change is known';
COMMENT ON COLUMN defidata.study_row.placebo_mean IS 'mean of their means';
COMMENT ON COLUMN defidata.study_row.difference IS 'mean - placebo_mean';
COMMENT ON COLUMN defidata.study_row.difference_low IS
    'lower end of the 95 % interval of the difference; NULL under 39 sets';
COMMENT ON COLUMN defidata.study_row.difference_high IS
    'upper end of the 95 % interval of the difference; NULL under 39 sets';
COMMENT ON COLUMN defidata.study_row.p IS
    'share of the sets, the truth among them, that are as far from placebo_mean; NULL under 39';
COMMENT ON COLUMN defidata.study_row.p_adjusted IS
    'p for as many questions as the call asks (Benjamini and Hochberg 1995)';

CREATE TYPE defidata.study_figures AS (
    events bigint,
    placebos integer,
    mean float8,
    median float8,
    share_above float8,
    placebo_mean float8,
    difference float8,
    difference_low float8,
    difference_high float8,
    p float8
);
COMMENT ON TYPE defidata.study_figures IS 'what the aggregate defidata.study says';
COMMENT ON COLUMN defidata.study_figures.events IS 'events that both figures are known for';
COMMENT ON COLUMN defidata.study_figures.placebos IS 'placebo sets in which a change is known';
COMMENT ON COLUMN defidata.study_figures.mean IS 'mean change';
COMMENT ON COLUMN defidata.study_figures.median IS 'median change';
COMMENT ON COLUMN defidata.study_figures.share_above IS 'share of changes above 0';
COMMENT ON COLUMN defidata.study_figures.placebo_mean IS 'mean of the sets'' means';
COMMENT ON COLUMN defidata.study_figures.difference IS 'mean - placebo_mean';
COMMENT ON COLUMN defidata.study_figures.difference_low IS
    'lower end of its 95 % interval; NULL under 39 sets';
COMMENT ON COLUMN defidata.study_figures.difference_high IS
    'upper end of its 95 % interval; NULL under 39 sets';
COMMENT ON COLUMN defidata.study_figures.p IS 'see defidata.study_row';

CREATE FUNCTION defidata.study_add(state internal, times timestamptz[], figures float8[],
        events timestamptz[], from_end timestamptz, until_end timestamptz, horizon interval,
        max_age interval, placebo integer, seed bigint) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'defidata_study_add';
COMMENT ON FUNCTION defidata.study_add(internal, timestamptz[], float8[], timestamptz[],
    timestamptz, timestamptz, interval, interval, integer, bigint) IS
    'transition function of defidata.study';

CREATE FUNCTION defidata.study_finish(state internal) RETURNS defidata.study_figures
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'defidata_study_finish';
COMMENT ON FUNCTION defidata.study_finish(internal) IS 'final function of defidata.study';

CREATE AGGREGATE defidata.study(times timestamptz[], figures float8[], events timestamptz[],
        from_end timestamptz, until_end timestamptz, horizon interval, max_age interval,
        placebo integer, seed bigint) (
    STYPE = internal,
    SFUNC = defidata.study_add,
    FINALFUNC = defidata.study_finish,
    FINALFUNC_MODIFY = READ_WRITE,
    SSPACE = 65536,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE defidata.study(timestamptz[], float8[], timestamptz[], timestamptz,
    timestamptz, interval, interval, integer, bigint) IS
'One outcome and horizon over tokens: times and figures are what is known of a token and since
when, in any order, events its events; events are moved within the hours that end from from_end to
until_end, and a figure counts for an hour''s end while it is not older than max_age. These and
what follows are those of the first row. A row without figures or events adds nothing; NULL where
there is no row. The order of rows decides about the last bits. 22023 for arrays of unequal length,
horizons that are no whole hours, placebo not in 1 to 100000; 22004 for a NULL in an array or in
what follows';

-- One asset for each token: the one that stands for it, or where none does any more, as for a
-- coin that is traded no longer, the one with the most quotes. Studies of survivors flatter.
CREATE FUNCTION defidata.study_prices(tokens text[])
    RETURNS TABLE (token text, times timestamptz[], figures float8[], first timestamptz,
                   last timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    in_currency constant text := defidata.currency_name(defidata.setting_value('currency'));
BEGIN
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT w.token, COALESCE(a.quoted, w.token) AS quoted, a.asset
          FROM unnest(tokens) w (token) LEFT JOIN defidata.token_asset a ON a.token = w.token),
    quote AS MATERIALIZED (
        SELECT p.token, p.asset, p.at, p.price
          FROM defidata.prices p
         WHERE p.token = ANY (ARRAY(SELECT w.quoted FROM wanted w)) AND p.reason IS NULL
           AND p.at <= now() AND COALESCE(p.currency, in_currency) = in_currency),
    chosen AS MATERIALIZED (
        SELECT DISTINCT ON (w.token) w.token, c.token AS quoted, c.asset
          FROM wanted w
          JOIN (SELECT q.token, q.asset, count(*) AS quotes FROM quote q
                 GROUP BY q.token, q.asset) c ON c.token = w.quoted
         ORDER BY w.token, c.asset IS DISTINCT FROM w.asset, c.quotes DESC, c.asset)
    SELECT c.token, array_agg(q.at), array_agg(ln(q.price)), min(q.at), max(q.at)
      FROM chosen c
      JOIN quote q ON q.token = c.quoted AND q.asset = c.asset
     GROUP BY c.token;
END
$$;
COMMENT ON FUNCTION defidata.study_prices(text[]) IS
    'the logarithm of each quote of tokens in the setting currency, of one asset each, and its'
    ' time';

-- What a reader could know; silent hours too, as what falls silent after an event has fallen.
CREATE FUNCTION defidata.study_metric(metric text, tokens text[])
    RETURNS TABLE (token text, times timestamptz[], figures float8[], first timestamptz,
                   last timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        SELECT m.token, array_agg(m.at), array_agg(m.figure), min(m.at), max(m.at)
          FROM (SELECT m.token, m.hour + interval '1 hour' AS at, m.%1$I::float8 AS figure
                  FROM defidata.metrics_as_published('-infinity', 'infinity', $1, true) m
                 WHERE m.%1$I IS NOT NULL) m
         GROUP BY m.token
        $sql$, metric) USING tokens;
END
$$;
COMMENT ON FUNCTION defidata.study_metric(text, text[]) IS
    'a metric of tokens as published, silent hours included, and the ends of its hours';

CREATE FUNCTION defidata.study_series(outcome text, tokens text[])
    RETURNS TABLE (token text, times timestamptz[], figures float8[], first timestamptz,
                   last timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF outcome = 'price' THEN
        RETURN QUERY SELECT * FROM defidata.study_prices(tokens);
    ELSIF EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = 'defidata.metrics'::regclass AND a.attname = outcome
                     AND a.attnum > 0 AND a.atttypid IN ('float8'::regtype, 'bigint'::regtype)) THEN
        RETURN QUERY SELECT * FROM defidata.study_metric(outcome, tokens);
    ELSE
        RAISE EXCEPTION 'outcome % is neither price nor a metric', quote_nullable(left(outcome, 80))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The metrics are the columns of defidata.metrics, such as sma_24h.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.study_series(text, text[]) IS
    'the figures of an outcome of tokens, and when they were known; 22023 for an unknown outcome';

-- A figure of a metric is that of its hour alone; a price stands for an hour and a half.
CREATE FUNCTION defidata.study_outcome(outcome text, tokens text[], instants timestamptz[],
        horizons interval[], placebo integer, seed bigint)
    RETURNS TABLE (horizon interval, figures defidata.study_figures)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    max_age constant interval := CASE outcome WHEN 'price' THEN '90 minutes' ELSE '0' END;
BEGIN
    RETURN QUERY
    WITH event AS MATERIALIZED (
        SELECT e.token, array_agg(e.at ORDER BY e.at) AS instants
          FROM unnest(tokens, instants) e (token, at)
         WHERE e.token IS NOT NULL AND isfinite(e.at)
         GROUP BY e.token),
    series AS MATERIALIZED (
        SELECT s.*, e.instants
          FROM defidata.study_series(outcome, ARRAY(SELECT t.token FROM event t)) s
          JOIN event e ON e.token = s.token),
    span AS MATERIALIZED (
        SELECT min(s.first) AS from_end, least(max(s.last) + max_age, now()) AS until_end
          FROM series s)
    SELECT h.horizon, f.figures
      FROM unnest(horizons) h (horizon)
     CROSS JOIN span
     CROSS JOIN LATERAL (
           SELECT defidata.study(s.times, s.figures, s.instants, span.from_end, span.until_end,
                                 h.horizon, max_age, placebo, seed ORDER BY s.token COLLATE "C")
             FROM series s) f (figures);
END
$$;
COMMENT ON FUNCTION defidata.study_outcome(text, text[], timestamptz[], interval[], integer, bigint)
    IS 'what came after events, by horizon; see defidata_event_study';

CREATE FUNCTION defidata.check_events(events regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
    found   regtype;
BEGIN
    SELECT string_agg(c.name, ' and ') INTO missing
      FROM unnest('{token,at}'::text[]) c (name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = events AND a.attname = c.name AND a.attnum > 0);
    IF events IS NULL THEN
        RAISE EXCEPTION 'events must not be null' USING ERRCODE = 'invalid_parameter_value';
    ELSIF missing IS NOT NULL THEN
        RAISE EXCEPTION 'relation % lacks %', events, missing
            USING ERRCODE = 'undefined_column',
                  HINT = 'Events are a relation with the columns token and at.';
    END IF;
    SELECT COALESCE(NULLIF(t.typbasetype, 0), t.oid) INTO found
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = events AND a.attname = 'at';
    IF found <> 'timestamptz'::regtype THEN
        RAISE EXCEPTION 'column at of % must be a timestamptz, not %', events, found
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'A view can say it: SELECT token, at AT TIME ZONE ''UTC'' AS at FROM ....';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_events(regclass) IS
    'raises 42703 or 42804 unless a relation has token and at timestamptz; 22023 for NULL';

CREATE FUNCTION defidata.check_study(outcomes text[], horizons interval[], placebo integer,
        seed bigint) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF COALESCE(cardinality(outcomes), 0) = 0 OR array_position(outcomes, NULL) IS NOT NULL
       OR COALESCE(cardinality(horizons), 0) = 0 OR array_position(horizons, NULL) IS NOT NULL
       OR placebo IS NULL OR seed IS NULL THEN
        RAISE EXCEPTION 'outcomes, horizons, placebo and seed must be given, and not be null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- who uses the others judges them, before any figure is read
    PERFORM defidata.study(NULL, NULL, NULL, now(), now(), h.horizon, '0', placebo, seed)
       FROM unnest(horizons) h (horizon)
      GROUP BY h.horizon;
END
$$;
COMMENT ON FUNCTION defidata.check_study(text[], interval[], integer, bigint) IS
    'raises 22023 where an argument of a study is missing or out of range';
