-- The validator: from raw symbols to tokens.

CREATE FUNCTION @extschema@.defidata_clean(raw text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.defidata_clean(text) IS
'The token that a raw symbol stands for, by the token lists and then the pattern; NULL where it is rejected or NULL. An edit of the lists or settings counts from the next call on. Raises 22023 or 2201B while a setting is invalid.';

CREATE FUNCTION @extschema@.defidata_explain(raw text, OUT token text, OUT rule text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.defidata_explain(text) IS
'The token of a raw symbol and the rule behind it: list or pattern; or with a NULL token empty (NULL also), too long, disabled or no match. Raises what defidata_clean raises.';

CREATE FUNCTION defidata.reject_reason(hour timestamptz, symbol text,
	mentions float8, sentiment float8, as_of timestamptz) RETURNS text
AS 'MODULE_PATHNAME', 'defidata_reject_reason'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION defidata.reject_reason(timestamptz, text, float8, float8, timestamptz) IS
'Why a row of mentions is rejected: the first of hour, symbol or disabled, mentions, sentiment; NULL where it is acceptable. A NULL sentiment is fine, any other NULL value is not; with as_of NULL no hour is too late. Raises what defidata_clean raises.';

CREATE FUNCTION defidata.check_pattern(pattern text) RETURNS void
AS 'MODULE_PATHNAME', 'defidata_check_pattern'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION defidata.check_pattern(text) IS
'Returns if the text can serve as symbol_pattern. Raises 22023 if it is NULL, longer than 200 bytes or has a back-reference, 2201B if it does not compile or would take long to: more than 200 bytes or 16 operators once its bounds are written out.';

CREATE FUNCTION defidata.forget_rules() RETURNS trigger
AS 'MODULE_PATHNAME', 'defidata_forget_rules' LANGUAGE C;

COMMENT ON FUNCTION defidata.forget_rules() IS
'Statement trigger of the tables that cleaning depends on: after a change every session reads them anew. Raises 39P01 if called otherwise.';

REVOKE ALL ON FUNCTION
	defidata.reject_reason(timestamptz, text, float8, float8, timestamptz),
	defidata.check_pattern(text),
	defidata.forget_rules()
FROM PUBLIC;

CREATE TRIGGER forget_rules
AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON defidata.builtin_token
FOR EACH STATEMENT EXECUTE FUNCTION defidata.forget_rules();
