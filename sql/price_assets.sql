-- Which asset is a token's price.
BEGIN;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL extra_float_digits = 0;

-- a day of mentions up to 2025-06-15 23:00
CREATE TABLE mentions AS
SELECT s || i AS id, 1750028400 - 3600 * i AS "timestamp", s AS symbol, 20 AS count, NULL::float8 AS sentiment
  FROM generate_series(0, 23) i, unnest('{ADA,AVAX,BTC,DOGE,ETH,GRT,LINK,POL,SOL,TON,XRP}'::text[]) s;
CREATE TABLE quotes (id serial, slug text, "timestamp" timestamptz, symbol text, price float8, market_cap float8, volume_24h float8);
CREATE TABLE others (LIKE quotes INCLUDING ALL);
SELECT defidata_attach('mentions', 'mentions', 'mentions'), defidata_attach('quotes', 'prices', 'quotes'), defidata_attach('others', 'prices', 'others');
CREATE FUNCTION quote(slug text, at timestamptz, symbol text, price float8, market_cap float8 DEFAULT NULL, volume float8 DEFAULT NULL) RETURNS void
LANGUAGE sql AS 'INSERT INTO quotes (slug, "timestamp", symbol, price, market_cap, volume_24h) VALUES ($1, $2, $3, $4, $5, $6)';
CREATE FUNCTION cycle(VARIADIC tokens text[]) RETURNS TABLE (token text, source text, asset text, price float8, c1 float8, c24 float8) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM defidata_import('2025-06-01'), defidata_compute(), defidata_publish();
    RETURN QUERY SELECT s.token, a.source, a.asset, s.price, s.price_change_1h, s.price_change_24h
                   FROM defidata.token_stats s LEFT JOIN defidata.token_asset a ON a.token = s.token
                  WHERE s.token = ANY (tokens) ORDER BY s.token;
END $$;

-- each rule alone: spelling, market cap (0 is one that is not known), volume, number of
-- quotes, name, source
SELECT quote('wrapped-ada', '2025-06-15 23:00', 'ADA.e', 1, 9e12), quote('cardano', '2025-06-15 23:00', 'ada', 2, 5),
       quote('avax-large', '2025-06-15 23:00', 'AVAX', 2, 5), quote('avax-a', '2025-06-15 23:00', 'AVAX', 1, 4, 9e9), quote('avax-b', '2025-06-15 23:00', 'AVAX', 1, 'NaN', 9e9),
       quote('baby-grt', '2025-06-15 23:00', 'grt', 1e-10, 0, 281131), quote('a-grt', '2025-06-15 23:00', 'grt', 1e-9, NULL, 28), quote('the-graph', '2025-06-15 23:00', 'grt', 0.17, 0, 33836501),
       quote('b-link', '2025-06-15 23:00', 'LINK', 2), quote('a-link', '2025-06-15 22:30', 'LINK', 1), quote('b-link', '2025-06-03 23:00', 'LINK', 2),
       quote('a-link', '2025-05-31 23:00', 'LINK', 1), quote('a-link', '2025-05-30 23:00', 'LINK', 1), quote('a-link', '2025-05-29 23:00', 'LINK', 1),
       quote('b-sol', '2025-06-15 23:00', 'SOL', 1), quote('a-sol', '2025-06-15 23:00', 'SOL', 2),
       quote('toncoin', '2025-06-15 23:00', 'TON', 1, 5);
INSERT INTO others SELECT 100 + id, slug, "timestamp", symbol, 2 FROM quotes WHERE slug = 'toncoin';
UPDATE others SET market_cap = 5;
SELECT * FROM cycle('ADA', 'AVAX', 'GRT', 'LINK', 'SOL', 'TON');

-- a flip of ranks changes nothing, ten times the market cap or an exact spelling does
SELECT quote('bitcoin', '2025-06-15 22:10', 'BTC', 100, 1000), quote('bitcoin-2', '2025-06-15 22:10', 'BTC', 1, 900),
       quote('eth-x', '2025-06-15 22:10', 'ETH/X', 100, 1000);
SELECT * FROM cycle('BTC', 'ETH');
SELECT quote('bitcoin', '2025-06-15 22:50', 'BTC', 100, 100), quote('bitcoin-2', '2025-06-15 22:50', 'BTC', 1, 999),
       quote('eth-x', '2025-06-15 22:50', 'ETH/X', 100, 1000), quote('ethereum', '2025-06-15 22:50', 'eth', 10, NULL);
SELECT * FROM cycle('BTC', 'ETH');
SELECT quote('bitcoin', '2025-06-15 23:10', 'BTC', 100, 100), quote('bitcoin-2', '2025-06-15 23:10', 'BTC', 1, 1000), quote('eth-x', '2025-06-15 23:10', 'ETH/X', 100, 1e9);
-- and then never the change from one asset to the other: of the new one there is a quote of an hour before
SELECT * FROM cycle('BTC', 'ETH');
-- a market cap that is not delivered for once takes nothing over
SELECT quote('bitcoin-2', '2025-06-15 23:20', 'BTC', 1, NULL), quote('bitcoin', '2025-06-15 23:20', 'BTC', 100, 100);
SELECT * FROM cycle('BTC');

-- an asset renamed: the former name's quotes end, the new name's begin 30 hours later
INSERT INTO quotes (slug, "timestamp", symbol, price, market_cap)
SELECT 'matic-network', timestamptz '2025-06-15 09:00' + i * interval '1 hour', 'POL', 0.5, 5000 FROM generate_series(0, 8) i;
SELECT * FROM cycle('POL');
INSERT INTO mentions SELECT s || (1000 + i), 1750028400 + 3600 * i, s, 20 FROM generate_series(1, 24) i, unnest('{DOGE,POL,XRP}'::text[]) s;
INSERT INTO quotes (slug, "timestamp", symbol, price, market_cap)
SELECT 'polygon-ecosystem-token', timestamptz '2025-06-16 05:00' + i * interval '1 hour', 'POL', 0.25, 1 FROM generate_series(0, 18) i;
SELECT * FROM cycle('POL');

-- pinned: whatever else has the symbol, and also where its own is another; without a quote there is no price
INSERT INTO quotes (slug, "timestamp", symbol, price, market_cap) VALUES
    ('ripple', '2025-06-16 23:00', 'XRP', 2, 1000), ('xrp-classic', '2025-06-16 23:00', 'XRP', 3, 1), ('shiba', '2025-06-16 23:00', 'SHIB', 4, 1000), ('dogecoin', '2025-06-16 23:00', 'DOGE', 5, 1000);
INSERT INTO defidata.token (symbol, asset) VALUES ('XRP', 'xrp-classic'), ('DOGE', 'shiba'), ('POL', 'no-such-asset');
SELECT * FROM cycle('DOGE', 'POL', 'XRP');
SELECT hour, price FROM defidata_history('DOGE', '1 hour');
UPDATE defidata.token SET asset = NULL;
SELECT * FROM cycle('DOGE', 'POL', 'XRP');

-- a listing as it comes: of two in three assets the market cap is 0, and up to 5 share a symbol
CREATE TABLE listing AS
SELECT chr(65 + k / 26 % 26) || chr(65 + k % 26) || 'Q' AS symbol, format('%s-%s', k, j) AS slug, j,
       CASE WHEN j = k % (k % 5 + 1) THEN 100 + k ELSE 1e-9 END AS price,
       CASE WHEN k % 3 > 0 THEN 0 WHEN j = k % (k % 5 + 1) THEN 1e6 + k ELSE 1e4 END AS market_cap,
       CASE WHEN j = k % (k % 5 + 1) THEN 1e7 ELSE 1e5 + j END AS volume
  FROM generate_series(0, 99) k, LATERAL generate_series(0, k % 5) j;
SELECT count(*) AS assets, count(*) FILTER (WHERE market_cap = 0) AS without_market_cap, count(DISTINCT symbol) AS tokens FROM listing;
INSERT INTO mentions SELECT symbol || 'x', 1750028400 + 3600 * 24, symbol, 20 FROM listing WHERE j = 0;
SELECT defidata_load_prices((SELECT jsonb_agg(jsonb_build_object('id', slug, 'symbol', lower(symbol), 'current_price', price, 'market_cap', market_cap,
    'total_volume', volume, 'last_updated', '2025-06-16T22:59:00Z') ORDER BY md5(slug)) FROM listing));
SELECT defidata_compute() IS NOT NULL AS computed;
SELECT * FROM cycle('AAQ');
SELECT count(*) AS priced FROM defidata.token_stats s WHERE s.price IS NOT NULL AND s.token LIKE '__Q';
SELECT count(*) AS wrong FROM listing l JOIN defidata.token_stats s ON s.token = l.symbol WHERE l.price >= 100 AND s.price IS DISTINCT FROM l.price;
ROLLBACK;
