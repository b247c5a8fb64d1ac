-- SAMPLE DATA, not real figures: a CT-SCANNER database as defidata reads it, for
-- `make demo`.  Run by psql in an empty database.  Every figure comes from a hash
-- of token and hour, so two runs in the same hour give the same rows.
--
-- About 35 days of hours up to the last complete one: some 400 tokens with a
-- daily and weekly rhythm, a few of them bursting or fading in the last day,
-- dirty symbols, missing sentiments, an outage of 20 hours nine days ago, and
-- rows that come late: `SELECT sample.deliver_late()` delivers those.

\set ON_ERROR_STOP on
SET timezone = 'UTC';
SET client_min_messages = warning;
BEGIN;

\ir ../ct_scanner.sql
COMMENT ON TABLE tweetvolumeshours IS 'SAMPLE DATA: tweets per symbol and hour, generated for the defidata demo';
COMMENT ON TABLE cmc_price IS 'SAMPLE DATA: price quotes, generated for the defidata demo';

-- what the figures are made from

CREATE SCHEMA sample;

-- a number in (0, 1) that depends on nothing but the arguments
CREATE FUNCTION sample.uniform(name text, age bigint, seed int) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashtextextended(name, age * 1000 + seed) & 9007199254740991) + 0.5) / 9007199254740992.0;

-- a standard normal number, by Box and Muller
CREATE FUNCTION sample.normal(name text, age bigint, seed int) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sqrt(-2 * ln(sample.uniform(name, age, seed))) * cos(2 * pi() * sample.uniform(name, age, seed + 1));

-- age 0 is the last complete hour; the outage has no hours at all
CREATE TABLE sample.hour AS
SELECT age, at,
	extract(epoch FROM at)::integer AS unix,
	-- Europe and America are awake in the afternoon of UTC, and weekends are quiet
	(1 + 0.45 * sin(2 * pi() * (extract(hour FROM at) - 9) / 24)) *
	CASE WHEN extract(isodow FROM at) > 5 THEN 0.75 ELSE 1 END AS rhythm
FROM generate_series(0, 35 * 24 - 1) AS age,
	LATERAL (SELECT date_trunc('hour', localtimestamp) - make_interval(hours => age + 1) AS at) AS h
WHERE age NOT BETWEEN 9 * 24 AND 9 * 24 + 19;

-- rank decides the size; mood is the mean sentiment
CREATE TABLE sample.token AS
WITH known AS (
	SELECT symbol, ordinality AS position
	FROM regexp_split_to_table(
		'BTC ETH USDT SOL XRP DOGE BNB SHIB ADA PEPE USDC AVAX LINK MATIC TRX DOT TON LTC UNI ATOM '
		'XLM XMR ETC HBAR ICP FIL APT ARB OP NEAR VET INJ MKR AAVE GRT RUNE ALGO QNT SAND MANA '
		'AXS FTM EGLD XTZ EOS FLOW SNX CRV LDO SUI KAS STX WLD SEI TIA DYDX 1INCH SUSHI stETH BCH',
		' ') WITH ORDINALITY AS k(symbol, ordinality)
), made_up AS (
	-- consonant, vowel, consonant and for every third a vowel more
	SELECT substr('BCDFGHJKLMNPQRSTVWXZ', i % 20 + 1, 1) || substr('AEIOU', i / 20 % 5 + 1, 1) ||
		substr('NXKTL', i / 100 + 1, 1) || CASE WHEN i % 3 = 0 THEN 'O' ELSE '' END AS symbol,
		100 + i AS position
	FROM generate_series(0, 359) AS i
), ranked AS (
	SELECT symbol, row_number() OVER (ORDER BY position) AS rank
	FROM (SELECT * FROM known UNION ALL SELECT * FROM made_up WHERE symbol NOT IN (SELECT symbol FROM known)) AS both_lists
)
SELECT symbol, rank,
	4500 / rank ^ 1.4 AS size,
	0.12 + 0.2 * sample.normal(symbol, 0, 90) AS mood,
	-- some names live on sudden attention that lasts a few hours
	rank > 15 AND sample.uniform(symbol, 0, 92) < 0.12 AS is_erratic
FROM ranked WHERE rank <= 400;

-- what moves: by how much a token's mentions have grown at the end of the time
CREATE TABLE sample.trend (symbol text PRIMARY KEY, factor float8, since_age int);
INSERT INTO sample.trend VALUES
	('PEPE', 4, 22), ('INJ', 6, 26), ('TIA', 5, 18), ('RUNE', 3, 30), ('KAS', 3.5, 20), ('SUI', 2.5, 24),
	('LTC', 0.4, 36), ('ICP', 0.3, 40), ('SAND', 0.25, 44), ('AXS', 0.3, 30), ('VET', 0.45, 30), ('EOS', 0.35, 36);

-- how people spell a token, besides the right way
CREATE TABLE sample.spelling (pattern text);
INSERT INTO sample.spelling VALUES
	('$%s'), ('%s.'), ('%s🚀'), ('%s/USDT'), (' %s '), ('$ %s'), ('%s,'), ('%s🚀🌕'), ('%s!'), ('%s-PERP');

-- what stands after a $ and is no token
CREATE TABLE sample.noise (symbol text);
INSERT INTO sample.noise VALUES
	('100k'), ('1m'), ('50'), ('2,500.00'), (''), ('$'), (NULL), ('🚀🚀🚀'), ('to the moon'), ('money'),
	('billion'), ('HODLers'), ('…'), ('💰'), ('4.20'), ('BTСUSDT?'), (repeat('pump', 40)), ('$$$$$'), ('ТОКЕН'), ('1000x');

-- deliver writes the rows of the hours of those ages, but for the ones that come
-- late; rows that are there already stay.
CREATE FUNCTION sample.deliver(first_age int, last_age int, with_late boolean DEFAULT false) RETURNS bigint
LANGUAGE sql AS $$
WITH clean AS (
	SELECT h.*, t.symbol, t.mood, t.size * h.rhythm
		* coalesce(CASE WHEN h.age <= r.since_age THEN r.factor ^ (1 - h.age / (r.since_age + 1.0)) END, 1)
		* CASE WHEN t.is_erratic AND sample.uniform(t.symbol, h.age / 5, 70) < 0.06 THEN 7 ELSE 1 END
		-- more spread than Poisson, as people follow one another
		* exp(0.35 * sample.normal(t.symbol, h.age, 10) - 0.06) AS mean
	FROM sample.hour AS h CROSS JOIN sample.token AS t LEFT JOIN sample.trend AS r USING (symbol)
	WHERE h.age BETWEEN first_age AND last_age
		AND (with_late OR NOT (h.age BETWEEN 2 AND 4 AND sample.uniform(t.symbol, h.age, 40) < 0.3))
), counted AS (
	SELECT *, floor(greatest(mean + sqrt(mean) * sample.normal(symbol, age, 20), 0)
		+ sample.uniform(symbol, age, 25)) AS count
	FROM clean
), dirty AS (
	SELECT h.*, CASE WHEN sample.uniform(t.symbol, h.age, 52) < 0.5 THEN format(s.pattern, t.symbol)
			ELSE format(s.pattern, lower(t.symbol)) END AS symbol,
		t.mood, 1 + floor(t.size * h.rhythm * 0.02 * sample.uniform(t.symbol, h.age, 51)) AS count
	FROM sample.hour AS h CROSS JOIN sample.spelling AS s JOIN sample.token AS t ON t.rank <= 60
	WHERE h.age BETWEEN first_age AND last_age AND sample.uniform(t.symbol || s.pattern, h.age, 50) < 0.03
), noise AS (
	SELECT h.*, n.symbol, 0 AS mood, 1 + floor(4 * sample.uniform(coalesce(n.symbol, '?'), h.age, 61)) AS count
	FROM sample.hour AS h CROSS JOIN sample.noise AS n
	WHERE h.age BETWEEN first_age AND last_age AND sample.uniform(coalesce(n.symbol, '?'), h.age, 60) < 0.3
), every AS (
	-- an hour without a tweet has a row only now and then
	SELECT age, at, unix, symbol, mood, count FROM counted WHERE count > 0 OR sample.uniform(symbol, age, 30) < 0.03
	UNION ALL SELECT age, at, unix, symbol, mood, count FROM dirty
	UNION ALL SELECT age, at, unix, symbol, mood, count FROM noise
), written AS (
	INSERT INTO tweetvolumeshours (id, timezone, "timestamp", date, symbol, count, sentiment)
	SELECT unix || '-' || coalesce(symbol, 'none'), 'UTC', unix, at, symbol, count,
		CASE WHEN count > 0 AND sample.uniform(coalesce(symbol, '?'), age, 80) > 0.04 THEN
			round(tanh(mood + 0.6 / sqrt(count) * sample.normal(coalesce(symbol, '?'), age, 82))::numeric, 4) END
	FROM every
	ON CONFLICT (id) DO NOTHING
	RETURNING 1
)
SELECT count(*) FROM written
$$;

-- deliver_late writes the rows that were held back: some tokens' hours of three
-- to five hours ago.
CREATE FUNCTION sample.deliver_late() RETURNS bigint
LANGUAGE sql RETURN sample.deliver(2, 4, with_late => true);

SELECT sample.deliver(0, 35 * 24) AS "rows of mentions";

-- prices: a random walk per asset over the last ten days, a quote an hour; the
-- symbol UNI is shared by two assets, of which the larger one counts

WITH asset AS (
	SELECT symbol, lower(symbol) || '-coin' AS slug,
		coalesce((ARRAY[64000, 3200, 1, 150, 0.6, 0.15, 580])[rank], round(exp(9 * sample.uniform(symbol, 0, 1) - 4)::numeric, 4)) AS base,
		3e11 / rank ^ 1.1 AS cap
	FROM sample.token WHERE rank <= 120
	UNION ALL SELECT 'UNI', 'unicorn-token', 0.002, 1e6
), walk AS (
	SELECT a.*, h.age, h.at, h.unix,
		a.base::float8 * exp(sum(CASE WHEN a.symbol IN ('USDT', 'USDC') THEN 0.0002 ELSE 0.008 END
			* sample.normal(a.slug, h.age, 3)) OVER (PARTITION BY a.slug ORDER BY h.age DESC)) AS price
	FROM asset AS a CROSS JOIN sample.hour AS h WHERE h.age < 240
), quoted AS (
	SELECT *, price / lag(price, 1) OVER w - 1 AS change_1h, price / lag(price, 24) OVER w - 1 AS change_24h,
		price / lag(price, 168) OVER w - 1 AS change_7d, cap * price / base::float8 AS market_cap
	FROM walk WINDOW w AS (PARTITION BY slug ORDER BY age DESC)
), written AS (
	INSERT INTO cmc_price
	SELECT unix || '-' || slug, 'cmc', symbol, slug,
		CASE WHEN sample.uniform(slug, 0, 5) < 0.5 THEN 'n/a' ELSE round(cap::numeric / base::numeric)::text END,
		round(cap::numeric / base::numeric)::text, round(cap::numeric / base::numeric)::text,
		round(price::numeric, 8),
		CASE WHEN sample.uniform(slug, age, 6) < 0.02 THEN 'n/a'
			ELSE round((market_cap * 0.04 * (0.5 + sample.uniform(slug, age, 7)))::numeric, 2)::text END,
		round((20 * sample.normal(slug, age, 8))::numeric, 2)::text,
		round(100 * change_1h::numeric, 4), round(100 * change_24h::numeric, 4), round(100 * change_7d::numeric, 4),
		CASE WHEN sample.uniform(slug, age, 9) < 0.01 THEN 'n/a' ELSE round(market_cap::numeric, 2)::text END,
		round((market_cap / 2e10)::numeric, 4), round(market_cap::numeric * 1.1, 2)::text,
		at + interval '4 minutes', unix + 240
	FROM quoted
	RETURNING 1
)
SELECT count(*) AS "rows of prices" FROM written;

COMMIT;
ANALYZE tweetvolumeshours;
ANALYZE cmc_price;
