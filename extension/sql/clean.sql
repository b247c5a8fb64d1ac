-- clean.sql: the validator, from raw symbols to tokens.

CREATE FUNCTION defidata.reject_reason(hour timestamptz, symbol text, mentions float8,
    sentiment float8, as_of timestamptz)
    RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_reject_reason';
COMMENT ON FUNCTION defidata.reject_reason(timestamptz, text, float8, float8, timestamptz) IS
    'Why a row of mentions is rejected: the first of hour, symbol or disabled, mentions,'
    ' sentiment; NULL where it is acceptable. A NULL sentiment is fine, any other NULL value is'
    ' not; with as_of NULL no hour is too late. Raises what defidata_clean raises.';

CREATE FUNCTION defidata.check_pattern(pattern text) RETURNS void
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_check_pattern';
COMMENT ON FUNCTION defidata.check_pattern(text) IS
    'Returns if the text can serve as symbol_pattern. Raises 22023 if it is NULL, longer than 200'
    ' bytes or has a back-reference, 2201B if it does not compile or would take long to: more than'
    ' 200 bytes or 16 operators once its bounds are written out.';

CREATE FUNCTION defidata.forget_rules() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'defidata_forget_rules';
COMMENT ON FUNCTION defidata.forget_rules() IS
    'Trigger of the tables that cleaning depends on: after a change every session reads them'
    ' anew. Raises 39P01 if called otherwise.';
