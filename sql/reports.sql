-- The report: it works before any data, is well-formed, shows hostile names as
-- text, and tells a reader nothing that belongs to the operator.
-- All in one transaction that is rolled back, so that no other test meets it.
BEGIN;
SET LOCAL timezone = 'America/New_York';
SET LOCAL client_min_messages = warning;

-- a page parses as XML once its doctype is off
CREATE FUNCTION pg_temp.page(report text) RETURNS xml LANGUAGE sql
    RETURN xmlparse(DOCUMENT regexp_replace(report, '^<!DOCTYPE html>', ''));
-- the texts at a path, in one line
CREATE FUNCTION pg_temp.texts(path text, report text) RETURNS text LANGUAGE sql
    RETURN array_to_string(xpath(path, pg_temp.page(report)), ' | ');

-- before any data
SELECT left(defidata_report(), 15), pg_temp.texts('//header//text()', defidata_report()), pg_temp.texts('//h2/text()', defidata_report());
SELECT pg_temp.texts('//main//section[1]//tbody//text()', defidata_report());

-- 15 days up to 2025-06-17 with an outage of 5 hours; tokens whose names would be markup
SELECT defidata_set('symbol_pattern', '^[A-Za-z<>/()"''& ]{1,30}$');
CREATE TABLE scanned AS
SELECT i || s.symbol AS id, 1748822400 + 3600 * i AS "timestamp", s.symbol, (s.count * (1 + i % 5))::float8 AS count, s.sentiment::float8
  FROM generate_series(0, 359) i, (VALUES ('BTC', 100, 0.5), ('<script>alert(X)</script>', 40, -0.25), ('"><img src=x onerror=y>', 30, NULL), ('A&B''c', 20, 0.1)) s (symbol, count, sentiment)
 WHERE i NOT BETWEEN 300 AND 304;
SELECT defidata_attach('report_test', 'mentions', 'scanned');
SELECT status FROM defidata_refresh();

SELECT pg_temp.texts('//header/h1/text()', defidata_report()), pg_temp.texts('//dt/text()', defidata_report()), pg_temp.texts('//dd/text()', defidata_report());
SELECT pg_temp.texts('//section[1]//tbody/tr/th/text()', defidata_report());
SELECT pg_temp.texts('//section[1]//tbody/tr[1]//text()', defidata_report());
-- a sparkline has a gap for the outage of more than 4 hours, else none
SELECT pg_temp.texts('(//section[1]//tbody/tr[1]//@d)[1]', defidata_report()) ~ '^M[^M]+M[^M]+$' AS one_gap;
SELECT pg_temp.texts('//section[h2="Coverage"]//li/text()', defidata_report()), pg_temp.texts('count(//rect[@class="out"])', defidata_report());
SELECT pg_temp.texts('//section[h2="Mentions per day"]//rect[@class="part"]/title/text()', defidata_report());
SELECT pg_temp.texts('//section[h2="Last run"]//tbody/tr/th/text()', defidata_report());

-- no script, nothing from elsewhere, no element that HTML would leave open
SELECT pg_temp.texts('count(//script | //img | //iframe | //@src | //@onerror | //@style)', defidata_report()) AS active,
       pg_temp.texts('//@href', defidata_report()) AS links,
       pg_temp.texts('count(//*[not(node()) and not(self::meta or self::link or self::path or self::rect)])', defidata_report()) AS empty,
       defidata.report_style() ~ '[<>&]' AS style_is_escaped;

-- a token's page, its name as typed or hostile
SELECT pg_temp.texts('//header//text()', defidata_report('btc')), pg_temp.texts('//h2/text()', defidata_report('$BTC')),
       pg_temp.texts('//dd/text()', defidata_report('btc'));
SELECT pg_temp.texts('count(//path)', defidata_report('btc')), pg_temp.texts('//section[h2="Price"]/p[2]/text()', defidata_report('btc'));
SELECT pg_temp.texts('//title/text()', defidata_report('<script>alert(x)</script>')), pg_temp.texts('count(//script)', defidata_report('<script>alert(x)</script>'));
SELECT pg_temp.texts('//header//text()', defidata_report('<b>none</b>'));
SELECT pg_temp.texts('//header//text()', defidata_report(''));

-- how figures are written
SELECT defidata.show_number(figure), defidata.show_percent(figure), defidata.show_change(figure)
  FROM unnest(ARRAY[NULL, 0, 12, 1234.5, 12.345, 0.00012, -0.5, 2.5e6, 3.1e12, 'NaN', 'Infinity']) figure;
SELECT defidata.line_path(ARRAY[1, 3, NULL, 2, NULL, 3], 1, 3), defidata.line_path('{5}', 5, 5), defidata.line_path('{}', 0, 1) IS NULL AS none;

-- a reader sees the data, not the machinery
CREATE ROLE report_reader;
SELECT defidata_grant('report_reader', 'reader');
CREATE FUNCTION pg_temp.staff() RETURNS boolean LANGUAGE sql RETURN pg_temp.texts('//h2/text()', defidata_report()) ~ 'Status';
SELECT pg_temp.staff() AS owner_sees_status;
SET LOCAL SESSION AUTHORIZATION report_reader;
SELECT defidata_report() !~ '(Status|Last run)' AS reader_sees_none, defidata_report('BTC') ~ 'Bitcoin' AS token_page;
RESET SESSION AUTHORIZATION;

\set VERBOSITY terse
SELECT defidata_report(NULL);
ROLLBACK;
