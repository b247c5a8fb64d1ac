-- ct_scanner.sql: the tables as the CT-SCANNER makes them.

CREATE TABLE tweetvolumeshours (
	id text PRIMARY KEY,
	timezone text,
	"timestamp" integer,
	date timestamp,
	symbol text,
	count float8,
	sma24 float8,
	sma168 float8,
	sentiment float8,
	savg24 float8,
	savg168 float8
);

CREATE TABLE cmc_price (
	id text PRIMARY KEY,
	source text,
	symbol text,
	slug text,
	max_supply text,
	circulating_supply text,
	total_supply text,
	price numeric,
	volume_24h text,
	volume_change_24h text,
	percent_change_1h numeric,
	percent_change_24h numeric,
	percent_change_7d numeric,
	market_cap text,
	market_cap_dominance numeric,
	fully_diluted_market_cap text,
	last_updated timestamp,
	"timestamp" integer
);
