-- The validator, against section 5 of the contract and a naive twin of it.
-- Needs a UTF8 database in which the test "setup" has run; leaves no trace.
CREATE FUNCTION pg_temp.set(name text, value text) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN PERFORM defidata_set(name, value); END $$;

BEGIN;

-- Every rule, by the default settings.
SELECT label, token, rule
FROM (VALUES
	(1, 'listed', 'BTC'),
	(2, 'odd built-in ones', '1inch'),
	(3, 'spelling of the list', 'STETH'),
	(4, 'longest symbol', 'usdc.e.'),
	(5, 'shorter symbol', 'USDC.x'),
	(6, 'full stop', 'BTC.'),
	(7, 'emoji', E'BTC\U0001F680'),
	(8, 'pair', 'BTC/USDT'),
	(9, 'letter behind', 'BTCX'),
	(10, 'digit behind', 'BTC2'),
	(11, 'line feed', E'BTC\n'),
	(12, 'all white space', E' \t\n\x0b\f\rBTC\r\f\x0b\n\t '),
	(13, 'dollar', E' $\tbtc '),
	(14, 'two dollars', '$$BTC'),
	(15, 'no-break space before', E'\u00A0BTC'),
	(16, 'no-break space behind', E'BTC\u00A0'),
	(17, 'pattern', 'qzx'),
	(18, 'pattern with dollar', '$qzx'),
	(19, 'five letters', 'qzxqz'),
	(20, 'Cyrillic', E'\u0410BC'),
	(21, 'Roman numeral', E'\u216B'),
	(22, 'quotes', '''BTC'''),
	(23, 'SQL', 'x''; DROP TABLE defidata.token; --'),
	(24, 'empty', ''),
	(25, 'white space', E' \t '),
	(26, 'dollar alone', ' $ '),
	(27, 'null', NULL),
	(28, '64 characters', repeat(E'\u00E9', 64)),
	(29, '65 characters', repeat(E'\u00E9', 65)),
	(30, '64 and white space', repeat(' ', 1000) || repeat('x', 64) || ' '),
	(31, 'list before length', 'BTC' || repeat('.', 62)),
	(32, '1 MB', repeat('BTC ', 262144)),
	(33, '1 MB of white space', repeat(' ', 524288) || 'BTC' || repeat(' ', 524288))
) samples(place, label, raw), defidata_explain(raw)
ORDER BY place;

-- A stored long value, compressed or not, is judged the same.
CREATE TEMP TABLE stored (place int, raw text);
ALTER TABLE stored ALTER raw SET STORAGE EXTERNAL;
INSERT INTO stored VALUES (1, repeat('BTC ', 262144)), (2, 'BTC' || repeat(' ', 1048576));
ALTER TABLE stored ALTER raw SET STORAGE EXTENDED;
INSERT INTO stored VALUES (3, repeat('BTC ', 262144)), (4, 'BTC' || repeat(' ', 1048576));
SELECT place, token, rule FROM stored, defidata_explain(raw) ORDER BY place;

-- An edit counts from the next call on, and so does taking it back.
SELECT * FROM defidata_explain('ZZTOP');
INSERT INTO defidata.token (symbol) VALUES ('ZZTop');
SELECT * FROM defidata_explain('ZZTOP');
SAVEPOINT edit;
UPDATE defidata.token SET enabled = false WHERE symbol = 'ZZTop';
SELECT * FROM defidata_explain('ZZTOP');
ROLLBACK TO edit;
SELECT * FROM defidata_explain('ZZTOP');
DELETE FROM defidata.token WHERE symbol = 'ZZTop';
SELECT * FROM defidata_explain('ZZTOP');
INSERT INTO defidata.token (symbol) VALUES ('ZZTop');
TRUNCATE defidata.token;
SELECT * FROM defidata_explain('ZZTOP');
INSERT INTO defidata.token (symbol) VALUES ('ZZTop');
SELECT * FROM defidata_explain('ZZTOP');
ROLLBACK;
SELECT * FROM defidata_explain('ZZTOP');

BEGIN;
-- The user's entries win over built-in ones; a disabled one has no fall-back.
INSERT INTO defidata.token (symbol, enabled) VALUES
	('btc', true), ('Eth', false), ('USDC.e', false), ('QQ', false),
	('abcdef', true), ('ABCdef', true), ('Abcdef', false);
SELECT raw, token, rule
FROM unnest(ARRAY['BTC', 'ETH', 'ETHQ', 'usdc.e', 'USDC', 'qq', 'abcdef',
	'ABCdef', 'Abcdef', 'ABCDEF']) WITH ORDINALITY samples(raw, place),
	defidata_explain(raw)
ORDER BY place;

-- Without folding both spellings stand side by side, and case matters.
SELECT pg_temp.set('fold_case', 'off');
SELECT raw, token, rule
FROM unnest(ARRAY['BTC', 'btc', 'Btc', 'ETH', 'Eth', 'ABCDEF', 'qzx'])
	WITH ORDINALITY samples(raw, place),
	defidata_explain(raw)
ORDER BY place;
SELECT pg_temp.set('fold_case', 'on');

-- Without the built-in list the user's remains.
SELECT pg_temp.set('use_builtin_list', 'off');
SELECT raw, token, rule
FROM unnest(ARRAY['SUSHI', 'ETH', 'btc'])
	WITH ORDINALITY samples(raw, place), defidata_explain(raw)
ORDER BY place;
SELECT pg_temp.set('use_builtin_list', 'on');

-- Another pattern; only ASCII letters are folded.
SELECT pg_temp.set('symbol_pattern', E'^[a-z\u00E9-]{7}$');
SELECT token = E'QZX-Q\u00E9Q' AS folded, rule FROM defidata_explain(E'qzx-q\u00E9q');
SELECT token, rule FROM defidata_explain('qzx');
ROLLBACK;

-- Words that stand for no value are no tokens, unless a dollar or the user's own list says so.
BEGIN;
SELECT raw, (defidata_explain(raw)).* FROM unnest(ARRAY['nan', 'NaN', ' None ', 'null', 'UNDEFINED', 'n/a',
	'na', 'nil', '$nil', '$NAN', 'nano', 'n/a/x', 'Non']) raw;
INSERT INTO defidata.token (symbol, enabled) VALUES ('NONE', true), ('NIL', false);
SELECT raw, (defidata_explain(raw)).* FROM unnest(ARRAY['none', 'nil', 'nan']) raw;
ROLLBACK;

-- A naive twin, which reads the tables each time.
BEGIN;
CREATE FUNCTION pg_temp.folded(t text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN value IN ('on', 'true') THEN upper(t COLLATE "C") ELSE t END
	FROM defidata.setting WHERE name = 'fold_case'
$$;

CREATE FUNCTION pg_temp.twin(raw text, OUT token text, OUT rule text)
LANGUAGE plpgsql AS $$
DECLARE
	white CONSTANT text := E' \t\n\x0b\f\r';
	match text := (SELECT value FROM defidata.setting WHERE name = 'match');
	stripped text := btrim(raw, white);
	dollar boolean := left(stripped, 1) = '$';
	listed record;
BEGIN
	IF dollar THEN
		stripped := ltrim(substr(stripped, 2), white);
	END IF;
	IF coalesce(stripped, '') = '' THEN
		rule := 'empty';
		RETURN;
	ELSIF char_length(stripped) > 64 THEN
		rule := 'too long';
		RETURN;
	ELSIF NOT dollar AND lower(stripped COLLATE "C") IN ('nan', 'null', 'none', 'undefined', 'n/a', 'na', 'nil')
	  AND NOT EXISTS (SELECT FROM defidata.token t WHERE pg_temp.folded(t.symbol) = pg_temp.folded(stripped)) THEN
		rule := 'no value';
		RETURN;
	END IF;

	SELECT l.symbol, l.enabled INTO listed
	FROM listed l
	WHERE starts_with(pg_temp.folded(stripped), l.key)
	  AND CASE match
		WHEN 'exact' THEN char_length(stripped) = char_length(l.symbol)
		WHEN 'boundary' THEN
			substr(stripped, char_length(l.symbol) + 1, 1) !~ '[A-Za-z0-9]'
		ELSE true END
	ORDER BY char_length(l.symbol) DESC, starts_with(stripped, l.symbol) DESC,
		l.symbol COLLATE "C"
	LIMIT 1;
	IF FOUND THEN
		token := CASE WHEN listed.enabled THEN listed.symbol END;
		rule := CASE WHEN listed.enabled THEN 'list' ELSE 'disabled' END;
	ELSIF stripped ~ '^[A-Za-z]{1,4}$' THEN
		token := pg_temp.folded(stripped);
		rule := 'pattern';
	ELSE
		rule := 'no match';
	END IF;
END $$;

-- a built-in list small enough for it
DELETE FROM defidata.builtin_token
WHERE symbol NOT IN ('NIL', 'BTC', 'ETH', '1INCH', 'SUSHI', 'stETH', 'USDC', 'USDC.e');
INSERT INTO defidata.token (symbol, enabled) VALUES
	('btc', true), ('BTCB', true), ('bTcB', true), ('B', true), ('b2', false),
	('Eth', false), ('usdc.', true), ('None', true), ('na', false), (E'USDC.e\u00E9', true), ('S', false);

CREATE TEMP TABLE samples AS
SELECT DISTINCT string_agg(pieces[1 + ('x' || substr(md5(i || ',' || k), 1, 6))::bit(24)::int
	% cardinality(pieces)], '' ORDER BY k) AS raw
FROM (SELECT ARRAY['BTC', 'btc', 'Btc', 'BTCB', 'bTCb', 'B', 'b2', 'ETH', 'eth',
		'Eth', 'USDC', 'usdc', '.', 'e', 'E', E'\u00E9', E'\u00C9', '1INCH',
		'1inch', 'stETH', 'Susi', 'Sushi', 'q', 'Z9', '0', '$', ' ', E'\t',
		E'\x0b', '/', '-', '''', '_', '@', '[', '`', '{', ':', E'\u00A0',
		E'\u0410', E'\u216B', E'\U0001F680', 'nan', 'NaN', 'n/a', 'None', 'nil', 'na',
		'abcdefghijklmnopqrstuvwxyz']) p(pieces),
	generate_series(1, 4000) i, generate_series(1, 1 + i % 5) k
GROUP BY i;
SELECT count(*) > 2500 AS enough FROM samples;

CREATE TEMP TABLE listed (symbol text, enabled boolean, key text);
CREATE TEMP TABLE differences (match text, fold text, raw text);
CREATE TEMP TABLE rules_seen (rule text);
DO $$
DECLARE
	m text;
	f text;
BEGIN
	FOREACH m IN ARRAY ARRAY['exact', 'boundary', 'prefix'] LOOP
		FOREACH f IN ARRAY ARRAY['on', 'off'] LOOP
			PERFORM defidata_set('match', m);
			PERFORM defidata_set('fold_case', f);
			DELETE FROM listed;
			INSERT INTO listed
			SELECT symbol, enabled, pg_temp.folded(symbol) AS key FROM defidata.token
			UNION ALL
			SELECT symbol, true, pg_temp.folded(symbol) FROM defidata.builtin_token b
			WHERE NOT EXISTS (SELECT FROM defidata.token t
				WHERE pg_temp.folded(t.symbol) = pg_temp.folded(b.symbol));
			INSERT INTO differences
			SELECT m, f, raw FROM (
				SELECT raw, (pg_temp.twin(raw)).* FROM samples
				EXCEPT
				SELECT raw, (defidata_explain(raw)).* FROM samples) d;
			INSERT INTO rules_seen
			SELECT DISTINCT (defidata_explain(raw)).rule FROM samples;
		END LOOP;
	END LOOP;
END $$;
SELECT * FROM differences ORDER BY match, fold, raw COLLATE "C" LIMIT 10;
SELECT DISTINCT rule COLLATE "C" AS rule FROM rules_seen ORDER BY 1;
SELECT count(*) AS differences FROM samples
WHERE defidata_clean(raw) IS DISTINCT FROM (defidata_explain(raw)).token;

-- Parallel workers see the same rules, edits of this transaction included.
SELECT count(set_config(name, 'on', true)) AS forced
FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT defidata_clean('b'), defidata_clean('STeth'), (defidata_explain('s')).rule;
ROLLBACK;

-- Anyone may clean, without any right on the lists; search_path plays no part.
CREATE ROLE regress_defidata_clean;
BEGIN;
CREATE TEMP TABLE builtin_token AS SELECT 'EVIL'::text AS symbol;
CREATE TEMP TABLE token AS SELECT 'EVIL'::text AS symbol, true AS enabled;
UPDATE defidata.setting SET value = value;	-- read the rules anew, as that role
SET LOCAL ROLE regress_defidata_clean;
SELECT defidata_clean('sushi'), defidata_clean('evil.');
SELECT has_function_privilege('defidata_clean(text)', 'EXECUTE') AS clean,
	has_function_privilege('defidata_explain(text)', 'EXECUTE') AS explain;
ROLLBACK;
SELECT has_function_privilege('regress_defidata_clean', p.oid, 'EXECUTE') AS allowed,
	p.proname
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'defidata' AND p.proname IN ('reject_reason', 'check_pattern', 'forget_rules')
ORDER BY p.proname COLLATE "C";
DROP ROLE regress_defidata_clean;

-- Reasons for rejecting a row, the first one first.
BEGIN;
INSERT INTO defidata.token (symbol, enabled) VALUES ('ETH', false);
SELECT label, defidata.reject_reason(hour, symbol, mentions, sentiment,
	'2021-06-01 12:00+00') AS reason
FROM (VALUES
	(1, 'fine', '2021-06-01 12:00+00'::timestamptz, 'BTC', 1::float8, 0.5::float8),
	(2, 'no hour', NULL, NULL, NULL, NULL),
	(3, 'end of time', 'infinity', 'BTC', 1, 0),
	(4, 'beginning of time', '-infinity', 'BTC', 1, 0),
	(5, 'year 1', '0001-01-01 00:00+00', 'BTC', 1, 0),
	(6, 'before 2006', '2005-12-31 23:59:59.999999+00', 'BTC', 1, 0),
	(7, '2006', '2006-01-01 00:00+00', 'BTC', 1, 0),
	(8, 'future', '2021-06-01 12:00:00.000001+00', 'BTC', 1, 0),
	(9, 'no symbol', '2021-06-01 12:00+00', NULL, NULL, NULL),
	(10, 'empty symbol', '2021-06-01 12:00+00', ' $ ', 1, 0),
	(11, 'unknown symbol', '2021-06-01 12:00+00', '?', 1, 0),
	(12, 'long symbol', '2021-06-01 12:00+00', repeat('x', 65), 1, 0),
	(13, 'disabled', '2021-06-01 12:00+00', 'eth.', -1, 0),
	(14, 'no mentions', '2021-06-01 12:00+00', 'BTC', NULL, NULL),
	(15, '0', '2021-06-01 12:00+00', 'BTC', 0, 0),
	(16, '-0', '2021-06-01 12:00+00', 'BTC', '-0', 0),
	(17, '-1', '2021-06-01 12:00+00', 'BTC', -1, 'NaN'),
	(18, '1.5', '2021-06-01 12:00+00', 'BTC', 1.5, 0),
	(19, 'NaN mentions', '2021-06-01 12:00+00', 'BTC', 'NaN', 0),
	(20, 'infinite mentions', '2021-06-01 12:00+00', 'BTC', 'Infinity', 0),
	(21, '1e9', '2021-06-01 12:00+00', 'BTC', 1e9, 0),
	(22, '1e9 + 1', '2021-06-01 12:00+00', 'BTC', 1e9 + 1, 0),
	(23, '2^63', '2021-06-01 12:00+00', 'BTC', 9223372036854775808, 0),
	(24, '1e308', '2021-06-01 12:00+00', 'BTC', 1e308, 0),
	(25, 'no sentiment', '2021-06-01 12:00+00', 'BTC', 1, NULL),
	(26, '-1000', '2021-06-01 12:00+00', 'BTC', 1, -1000),
	(27, '1000.1', '2021-06-01 12:00+00', 'BTC', 1, 1000.1),
	(28, 'NaN sentiment', '2021-06-01 12:00+00', 'BTC', 1, 'NaN'),
	(29, 'infinite sentiment', '2021-06-01 12:00+00', 'BTC', 1, '-Infinity'),
	(30, '1e308 sentiment', '2021-06-01 12:00+00', 'BTC', 1, 1e308)
) samples(place, label, hour, symbol, mentions, sentiment)
ORDER BY place;
SELECT defidata.reject_reason('2999-01-01 00:00+00', 'BTC', 1, 0, NULL) AS no_limit;
ROLLBACK;

-- Patterns that are refused.
\set VERBOSITY sqlstate
SELECT defidata.check_pattern(NULL);
SELECT defidata.check_pattern('[');
SELECT defidata.check_pattern('(a{0,255}){0,255}');
SELECT defidata.check_pattern('^(.*)\1$');
SELECT defidata.check_pattern(repeat('x', 201));
SELECT defidata.check_pattern(repeat('x', 1048576));
-- what took the server's regex engine from 0.1 s to 12 s to compile: nested bounds,
-- many parts that can be left out, constraints among them, in each kind of syntax
DO $$
DECLARE
	pattern text;
BEGIN
	FOREACH pattern IN ARRAY ARRAY['((a|b){0,100}){0,100}', '(a{0,99}){0,99}', '((x*y*){0,20}){0,20}', '(x*){0,255}(x*){0,255}', '(x?){0,99}(x*){0,99}(x*){0,99}',
		'((a{0,16}){0,16}){0,16}', '((([^A]*[^C]{0,64}[^G]*[^K]*)+)+)+', '(' || repeat('x*', 60) || '){0,3}', repeat('\y', 30),
		'(?w)((((|\ya])\y(|b)(|by|c)(|d)(|e)(||e)(|)(|f)(|g)(|$)(|$))*)+)*', '(((((((|a)(|b)(|c)(|)((?!y[a-z])|)([b-y]|)((?!y)|)|)(|)((?!y)|k)(|l)(|m)(|n)(|n|p)*){2,})*))?)*',
		'(?x) (a{0,9}) {0,99}', E'(?x)(a{0,9}){ 9 # {,\n 9}', '(?b)\(a\{0,9\}\)\{0,99\}', '(a{0,9})(?#){0,99}'] LOOP
		BEGIN
			PERFORM defidata.check_pattern(pattern);
			RAISE WARNING 'accepted: %', pattern;
		EXCEPTION WHEN invalid_regular_expression THEN
			IF SQLERRM !~ 'too complex' THEN
				RAISE;
			END IF;
		END;
	END LOOP;
END $$;
\set VERBOSITY default
SELECT defidata.check_pattern('(a{0,99}){0,99}');
-- Patterns that are not.
SELECT defidata.check_pattern(p)
FROM unnest(ARRAY['', '***=', '^[A-Za-z]{1,4}$', repeat('x', 200), repeat('(', 99) || repeat(')', 99)]) p;
SELECT defidata.check_pattern(repeat(E'\u00E9', 100));
SELECT count(defidata.check_pattern(p)::text)
FROM unnest(ARRAY['^[A-Za-z0-9]{1,64}$', '^[A-Z]{2,10}[0-9]{0,4}(-[A-Z]{1,10}){0,3}$', '^(1[0-9]{3,6})?[A-Z]{2,10}([-_./:][A-Z]{2,5}){0,2}$',
	'^(BTC|ETH|SOL|ADA|XRP|DOGE|SHIB|AVAX|DOT|MATIC|LTC|LINK|ATOM|UNI|XLM|ETC|BCH|NEAR|APE|FIL|ALGO|VET|ICP|HBAR)([-/](USDT?|BTC))?$',
	'(?i)^[a-z][a-z0-9]{1,9}([._-]?(usdt?|perp|[0-9]+[lsx]))?$', '^[A-Z]+([.][A-Z]+)*$', '^(?![0-9]+$)[A-Za-z0-9]{2,10}$', '^\{[A-Z]{1,5}\}$', '^[^{}]+$']) p;

-- forget_rules is a trigger and nothing else.
SELECT defidata.forget_rules();
