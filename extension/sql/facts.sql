-- facts.sql: sums by token and hour, as they are stored.

-- defidata_rolling under a name that the stages can rely on.
CREATE AGGREGATE defidata.rolling(hour timestamptz, mentions bigint, sentiment double precision) (
    STYPE = internal,
    SFUNC = defidata.rolling_add,
    FINALFUNC = defidata.rolling_finish,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = defidata.rolling_combine,
    SERIALFUNC = defidata.rolling_serialize,
    DESERIALFUNC = defidata.rolling_deserialize,
    SSPACE = 512,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE defidata.rolling(timestamptz, bigint, double precision) IS
    'defidata_rolling under a name that the stages can rely on';

CREATE FUNCTION defidata.mentions_between(series defidata.series, from_hour timestamptz,
    until_hour timestamptz)
    RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_mentions_between';
COMMENT ON FUNCTION defidata.mentions_between(defidata.series, timestamptz, timestamptz) IS
    'sum of the mentions of the hours from from_hour until until_hour; 0 where there are none';

CREATE FUNCTION defidata.mentions_by_hour(parts defidata.series[], from_hour timestamptz,
    until_hour timestamptz)
    RETURNS TABLE (hour timestamptz, mentions bigint, tokens bigint)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 168
    AS 'MODULE_PATHNAME', 'defidata_mentions_by_hour';
COMMENT ON FUNCTION defidata.mentions_by_hour(defidata.series[], timestamptz, timestamptz) IS
    'the mentions of each hour from from_hour until until_hour, summed over series of as many'
    ' tokens, and how many of these have the hour; hours that none has are left out. 22023 for'
    ' more than 87672 hours, 22003 where a sum is more than a bigint';

-- The two readers of raw rows are functions of their own, since RETURN QUERY can
-- have a parallel plan where other statements of plpgsql cannot.  By a bitmap
-- each page of the hours is read once, in the order of the table; sources are
-- named, since the key begins with them.  Facts go on in the order of
-- tokens: where each week lies so, windows that go through three of them meet a
-- token while its state is still at hand.
CREATE FUNCTION defidata.facts_of(hours timestamptz[])
    RETURNS TABLE (token text, series defidata.series)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    sources constant text[] := ARRAY(SELECT defidata.copied_sources());
BEGIN
    RETURN QUERY
    SELECT m.token, defidata.rolling(m.hour, m.mentions::bigint, m.sentiment)
      FROM defidata.raw_mentions m
     WHERE m.source = ANY (sources) AND m.hour = ANY (hours) AND m.reason IS NULL
     GROUP BY m.token
     ORDER BY m.token;
END
$$;
COMMENT ON FUNCTION defidata.facts_of(timestamptz[]) IS
    'the facts of hours by token, from the raw rows, in the order of tokens';

CREATE FUNCTION defidata.rows_of(hours timestamptz[]) RETURNS TABLE (hour timestamptz, rows bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    sources constant text[] := ARRAY(SELECT defidata.copied_sources());
BEGIN
    RETURN QUERY
    SELECT m.hour, count(*)
      FROM defidata.raw_mentions m
     WHERE m.source = ANY (sources) AND m.hour = ANY (hours)
       AND m.reason IS DISTINCT FROM 'hour'
     GROUP BY m.hour;
END
$$;
COMMENT ON FUNCTION defidata.rows_of(timestamptz[]) IS
    'the number of raw rows of hours, rejected ones included';

-- The tokens that a part knows already are updated and only the others inserted:
-- to let ON CONFLICT find out would cost a lock and a probe more for each of
-- them, and nearly all are known.  Mostly all are, as the count of the UPDATE tells.
CREATE FUNCTION defidata.replace_facts(target regclass, start timestamptz, hours timestamptz[],
    again boolean, tokens text[], series defidata.series[])
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    week    constant timestamptz := defidata.week_of(start);
    known   text[];
    updated bigint;
BEGIN
    IF again THEN
        -- what the hours no longer have comes last, where unnest gives no series
        EXECUTE format('SELECT ARRAY(SELECT s.token FROM %s s'
                       '             WHERE s.start = $1 AND s.token <> ALL ($2))', target)
           INTO known USING start, tokens;
        tokens := tokens || known;
    END IF;
    EXECUTE format($sql$
        UPDATE %s s SET series = defidata.replace_hours(s.series, f.series, $2)
          FROM unnest($3, $4) f (token, series)
         WHERE s.start = $1 AND s.token = f.token
           AND (NOT $5
                OR defidata.replace_hours(s.series, f.series, $2) OPERATOR(defidata.<>) s.series)
        $sql$, target) USING start, hours, tokens, series, again;
    GET DIAGNOSTICS updated = ROW_COUNT;
    IF updated < cardinality(tokens) THEN
        -- a variable: as a constant of the plan the array is hashed
        EXECUTE format('SELECT ARRAY(SELECT s.token FROM %s s WHERE s.start = $1)', target)
           INTO known USING start;
        EXECUTE format($sql$
            INSERT INTO %s (token, start, series)
            SELECT f.token, $1, f.series
              FROM unnest($2, $3) f (token, series)
             WHERE f.token <> ALL ($4)
            $sql$, target) USING start, tokens, series, known;
        IF target = 'defidata.day_series'::regclass THEN
            known := ARRAY(SELECT s.token FROM defidata.week_series s WHERE s.start = week);
            INSERT INTO defidata.week_series (token, start, series)
            SELECT t, week, '{}' FROM unnest(tokens) t WHERE t <> ALL (known);
        END IF;
    END IF;
    IF again THEN
        -- a token whose last row of the part has gone leaves nothing behind
        DELETE FROM defidata.day_series d
         WHERE d.start = replace_facts.start AND d.series OPERATOR(defidata.=) '{}';
        IF FOUND OR target = 'defidata.week_series'::regclass THEN
            DELETE FROM defidata.week_series s
             WHERE s.start = week AND s.series OPERATOR(defidata.=) '{}'
               AND NOT EXISTS (SELECT 1 FROM defidata.day_series d
                                WHERE d.token = s.token AND defidata.week_of(d.start) = s.start);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.replace_facts(regclass, timestamptz, timestamptz[], boolean, text[],
    defidata.series[]) IS
    'replaces hours of a week in week_series or of the open day in day_series by the facts of'
    ' tokens; again: whether one of the hours was summed before, so that other tokens may have'
    ' left it';
