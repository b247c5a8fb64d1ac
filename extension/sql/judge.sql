-- judge.sql: why rows are rejected.

CREATE FUNCTION defidata.clean(raw text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_clean';
COMMENT ON FUNCTION defidata.clean(text) IS
    'defidata_clean under a name that the stages can rely on';

CREATE FUNCTION defidata.price_reject_reason(at timestamptz, symbol text, price float8,
    as_of timestamptz)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE(defidata.reject_reason(defidata.hour_of(at), symbol, 0, NULL, as_of),
                    CASE WHEN price > 0 AND price < 'infinity' THEN NULL ELSE 'price' END);
COMMENT ON FUNCTION defidata.price_reject_reason(timestamptz, text, float8, timestamptz) IS
    'why a quote is rejected: hour, symbol, disabled or price; NULL where it is fine';
