-- series.sql: the type defidata.series, the aggregates that build one, and the functions that
-- draw figures from one.

CREATE TYPE defidata.series;

CREATE FUNCTION defidata.series_in(written cstring) RETURNS defidata.series
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_in';
COMMENT ON FUNCTION defidata.series_in(cstring) IS 'input function of defidata.series';

CREATE FUNCTION defidata.series_out(series defidata.series) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_out';
COMMENT ON FUNCTION defidata.series_out(defidata.series) IS 'output function of defidata.series';

CREATE FUNCTION defidata.series_recv(message internal) RETURNS defidata.series
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_recv';
COMMENT ON FUNCTION defidata.series_recv(internal) IS 'binary input function of defidata.series';

CREATE FUNCTION defidata.series_send(series defidata.series) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_send';
COMMENT ON FUNCTION defidata.series_send(defidata.series) IS
    'binary output function of defidata.series';

-- a series is compact already: compression would cost time and gain little
CREATE TYPE defidata.series (
    INPUT = defidata.series_in,
    OUTPUT = defidata.series_out,
    RECEIVE = defidata.series_recv,
    SEND = defidata.series_send,
    INTERNALLENGTH = VARIABLE,
    STORAGE = external
);
COMMENT ON TYPE defidata.series IS
    'mentions and sentiment of one token by hour: {hour:mentions[:sentiment sum in'
    ' billionths:sentiment weight] ...}';

--
-- Aggregates
--
-- rolling_finish sorts its state, but what the state stands for stays the same, and rows can be
-- added to it as before: to the server that is READ_ONLY, and windows need it so.
--

CREATE FUNCTION defidata.rolling_add(state internal, hour timestamptz, mentions bigint,
    sentiment double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_add';
COMMENT ON FUNCTION defidata.rolling_add(internal, timestamptz, bigint, double precision) IS
    'transition function of defidata_rolling';

CREATE FUNCTION defidata.rolling_add(state internal, hour timestamptz, mentions bigint,
    sentiment double precision, sentiment_weight bigint)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_add';
COMMENT ON FUNCTION defidata.rolling_add(internal, timestamptz, bigint, double precision, bigint) IS
    'transition function of defidata_rolling';

CREATE FUNCTION defidata.merge_add(state internal, series defidata.series) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_merge_add';
COMMENT ON FUNCTION defidata.merge_add(internal, defidata.series) IS
    'transition function of defidata.merge';

CREATE FUNCTION defidata.rolling_combine(state internal, other internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_combine';
COMMENT ON FUNCTION defidata.rolling_combine(internal, internal) IS
    'combine function of defidata_rolling and defidata.merge';

CREATE FUNCTION defidata.rolling_serialize(state internal) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_serialize';
COMMENT ON FUNCTION defidata.rolling_serialize(internal) IS
    'serialization function of defidata_rolling and defidata.merge';

CREATE FUNCTION defidata.rolling_deserialize(bytes bytea, unused internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_deserialize';
COMMENT ON FUNCTION defidata.rolling_deserialize(bytea, internal) IS
    'deserialization function of defidata_rolling and defidata.merge';

CREATE FUNCTION defidata.rolling_finish(state internal) RETURNS defidata.series
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_rolling_finish';
COMMENT ON FUNCTION defidata.rolling_finish(internal) IS
    'final function of defidata_rolling and defidata.merge';

CREATE AGGREGATE @extschema@.defidata_rolling(hour timestamptz, mentions bigint,
    sentiment double precision) (
    SFUNC = defidata.rolling_add,
    STYPE = internal,
    SSPACE = 2048,
    FINALFUNC = defidata.rolling_finish,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = defidata.rolling_combine,
    SERIALFUNC = defidata.rolling_serialize,
    DESERIALFUNC = defidata.rolling_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.defidata_rolling(timestamptz, bigint, double precision) IS
    'series of one token by hour in UTC; rows of one hour add up, rows without hour or mentions'
    ' are ignored';

CREATE AGGREGATE @extschema@.defidata_rolling(hour timestamptz, mentions bigint,
    sentiment double precision, sentiment_weight bigint) (
    SFUNC = defidata.rolling_add,
    STYPE = internal,
    SSPACE = 2048,
    FINALFUNC = defidata.rolling_finish,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = defidata.rolling_combine,
    SERIALFUNC = defidata.rolling_serialize,
    DESERIALFUNC = defidata.rolling_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.defidata_rolling(timestamptz, bigint, double precision, bigint) IS
    'series of one token by hour in UTC, each sentiment weighted by sentiment_weight, or by'
    ' mentions where that is NULL';

CREATE AGGREGATE defidata.merge(series defidata.series) (
    SFUNC = defidata.merge_add,
    STYPE = internal,
    SSPACE = 8192,
    FINALFUNC = defidata.rolling_finish,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = defidata.rolling_combine,
    SERIALFUNC = defidata.rolling_serialize,
    DESERIALFUNC = defidata.rolling_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE defidata.merge(defidata.series) IS
    'one series of several; hours in common add up';

--
-- Functions of a series
--

CREATE FUNCTION defidata.replace_hours(stored defidata.series, fresh defidata.series,
    hours timestamptz[])
    RETURNS defidata.series
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_replace_hours';
COMMENT ON FUNCTION defidata.replace_hours(defidata.series, defidata.series, timestamptz[]) IS
    'stored with the given hours as they are in fresh, without those that fresh lacks; a NULL'
    ' series is an empty one';

CREATE FUNCTION defidata.entries(series defidata.series, OUT hour timestamptz, OUT mentions bigint,
    OUT sentiment double precision, OUT sentiment_weight bigint)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 168
    AS 'MODULE_PATHNAME', 'defidata_entries';
COMMENT ON FUNCTION defidata.entries(defidata.series) IS 'the hours of a series as rows';

CREATE FUNCTION @extschema@.defidata_unroll(series defidata.series,
    window_width interval DEFAULT '24 hours', observed timestamptz[] DEFAULT NULL)
    RETURNS TABLE (hour timestamptz, mentions bigint, sentiment double precision,
        sma double precision, sma_prev double precision, change double precision,
        stddev double precision, rsd double precision, zscore double precision,
        ema double precision, sentiment_avg double precision)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 336 COST 100
    AS 'MODULE_PATHNAME', 'defidata_unroll';
COMMENT ON FUNCTION @extschema@.defidata_unroll(defidata.series, interval, timestamptz[]) IS
    'figures of a moving window at each observed hour (NULL: each clock hour from first to last);'
    ' NULL where under 75 % of a window was observed';

CREATE FUNCTION defidata.metrics_over_support(request internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_metrics_over_support';
COMMENT ON FUNCTION defidata.metrics_over_support(internal) IS
    'planner support function of metrics_over: carries conditions on the hour to its arguments'
    ' and to the table that they come from';
REVOKE ALL ON FUNCTION defidata.metrics_over_support(internal) FROM PUBLIC;

CREATE FUNCTION defidata.metrics_over(parts defidata.series[], observed timestamptz[],
    from_hour timestamptz, until_hour timestamptz, min_coverage float8)
    RETURNS SETOF defidata.metrics_row
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 168 COST 100
    SUPPORT defidata.metrics_over_support
    AS 'MODULE_PATHNAME', 'defidata_metrics_over';
COMMENT ON FUNCTION defidata.metrics_over(defidata.series[], timestamptz[], timestamptz,
    timestamptz, float8) IS
    'the metrics at each hour of a series from from_hour to before until_hour; observed holds all'
    ' observed hours from 14 days before';

CREATE FUNCTION defidata.metrics_each(parts defidata.series[], observed timestamptz[],
    from_hour timestamptz, until_hour timestamptz, min_coverage float8)
    RETURNS SETOF defidata.metrics_row
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 336 COST 100
    AS 'MODULE_PATHNAME', 'defidata_metrics_each';
COMMENT ON FUNCTION defidata.metrics_each(defidata.series[], timestamptz[], timestamptz,
    timestamptz, float8) IS
    'the metrics at each observed hour from from_hour to before until_hour at which the series'
    ' has a mention in the 336 hours up to it; observed holds all observed hours from 14 days'
    ' before';

CREATE FUNCTION defidata.metrics_at_add(state internal, part defidata.series,
    observed timestamptz[], at timestamptz, min_coverage double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_metrics_at_add';
COMMENT ON FUNCTION defidata.metrics_at_add(internal, defidata.series, timestamptz[], timestamptz,
    double precision) IS
    'transition function of defidata.metrics_at';

CREATE FUNCTION defidata.metrics_at_finish(state internal) RETURNS defidata.metrics_row
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_metrics_at_finish_1_1';
COMMENT ON FUNCTION defidata.metrics_at_finish(internal) IS 'final function of defidata.metrics_at';

CREATE AGGREGATE defidata.metrics_at(part defidata.series, observed timestamptz[],
    at timestamptz, min_coverage double precision) (
    SFUNC = defidata.metrics_at_add,
    STYPE = internal,
    SSPACE = 512,
    FINALFUNC = defidata.metrics_at_finish,
    FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE defidata.metrics_at(defidata.series, timestamptz[], timestamptz,
    double precision) IS
    'the metrics at one hour, also where the series is silent, of a series in parts that are cut'
    ' anywhere; hours in common add up, a NULL part has none. observed holds all observed hours'
    ' from 14 days before; it, hour and min_coverage are those of the first part';
