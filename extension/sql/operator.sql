-- operator.sql: defidata.series compared, sorted and hashed.
--
-- A series has one encoding, so equality is that of bytes.  The order is theirs too: it serves
-- indexes, sorts and DISTINCT, and means nothing.  Where search_path is pinned an operator is
-- written OPERATOR(defidata.=).

CREATE FUNCTION defidata.series_eq(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_eq';
COMMENT ON FUNCTION defidata.series_eq(defidata.series, defidata.series) IS
    'implementation of the operator =';

CREATE FUNCTION defidata.series_ne(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_ne';
COMMENT ON FUNCTION defidata.series_ne(defidata.series, defidata.series) IS
    'implementation of the operator <>';

CREATE FUNCTION defidata.series_lt(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_lt';
COMMENT ON FUNCTION defidata.series_lt(defidata.series, defidata.series) IS
    'implementation of the operator <';

CREATE FUNCTION defidata.series_le(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_le';
COMMENT ON FUNCTION defidata.series_le(defidata.series, defidata.series) IS
    'implementation of the operator <=';

CREATE FUNCTION defidata.series_gt(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_gt';
COMMENT ON FUNCTION defidata.series_gt(defidata.series, defidata.series) IS
    'implementation of the operator >';

CREATE FUNCTION defidata.series_ge(series defidata.series, other defidata.series) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_ge';
COMMENT ON FUNCTION defidata.series_ge(defidata.series, defidata.series) IS
    'implementation of the operator >=';

CREATE FUNCTION defidata.series_cmp(series defidata.series, other defidata.series) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_cmp';
COMMENT ON FUNCTION defidata.series_cmp(defidata.series, defidata.series) IS
    'below, at or above zero as the first series is before, equal to or after the other';

CREATE FUNCTION defidata.series_hash(series defidata.series) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_hash';
COMMENT ON FUNCTION defidata.series_hash(defidata.series) IS 'hash of a series';

CREATE FUNCTION defidata.series_hash_extended(series defidata.series, seed bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_series_hash_extended';
COMMENT ON FUNCTION defidata.series_hash_extended(defidata.series, bigint) IS
    'hash of a series, of 64 bits and with a seed';

CREATE OPERATOR defidata.= (
    FUNCTION = defidata.series_eq,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.=),
    NEGATOR = OPERATOR(defidata.<>),
    RESTRICT = eqsel,
    JOIN = eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR defidata.= (defidata.series, defidata.series) IS
    'equal: the same hours with the same mentions and sentiment';

CREATE OPERATOR defidata.<> (
    FUNCTION = defidata.series_ne,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.<>),
    NEGATOR = OPERATOR(defidata.=),
    RESTRICT = neqsel,
    JOIN = neqjoinsel
);
COMMENT ON OPERATOR defidata.<> (defidata.series, defidata.series) IS
    'not equal';

CREATE OPERATOR defidata.< (
    FUNCTION = defidata.series_lt,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.>),
    NEGATOR = OPERATOR(defidata.>=),
    RESTRICT = scalarltsel,
    JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR defidata.< (defidata.series, defidata.series) IS
    'before';

CREATE OPERATOR defidata.<= (
    FUNCTION = defidata.series_le,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.>=),
    NEGATOR = OPERATOR(defidata.>),
    RESTRICT = scalarlesel,
    JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR defidata.<= (defidata.series, defidata.series) IS
    'before or equal';

CREATE OPERATOR defidata.> (
    FUNCTION = defidata.series_gt,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.<),
    NEGATOR = OPERATOR(defidata.<=),
    RESTRICT = scalargtsel,
    JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR defidata.> (defidata.series, defidata.series) IS
    'after';

CREATE OPERATOR defidata.>= (
    FUNCTION = defidata.series_ge,
    LEFTARG = defidata.series,
    RIGHTARG = defidata.series,
    COMMUTATOR = OPERATOR(defidata.<=),
    NEGATOR = OPERATOR(defidata.<),
    RESTRICT = scalargesel,
    JOIN = scalargejoinsel
);
COMMENT ON OPERATOR defidata.>= (defidata.series, defidata.series) IS
    'after or equal';

CREATE OPERATOR CLASS defidata.series_ops
    DEFAULT FOR TYPE defidata.series USING btree AS
    OPERATOR 1 defidata.<,
    OPERATOR 2 defidata.<=,
    OPERATOR 3 defidata.=,
    OPERATOR 4 defidata.>=,
    OPERATOR 5 defidata.>,
    FUNCTION 1 defidata.series_cmp(defidata.series, defidata.series),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS defidata.series_ops USING btree IS 'series in the order of their bytes';

CREATE OPERATOR CLASS defidata.series_ops
    DEFAULT FOR TYPE defidata.series USING hash AS
    OPERATOR 1 defidata.=,
    FUNCTION 1 defidata.series_hash(defidata.series),
    FUNCTION 2 defidata.series_hash_extended(defidata.series, bigint);
COMMENT ON OPERATOR CLASS defidata.series_ops USING hash IS 'equal series';
