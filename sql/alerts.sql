-- Alerts: what is raised and ended, against a judge of its own that is shown each
-- publication; and the same over the past by defidata_try_alert.
SET client_min_messages = warning;
CREATE SCHEMA alert_test;
SET search_path = alert_test, public;
SET timezone = 'UTC';

-- 20 days up to now and 60 hours more, which come one by one or late; bursts, a token that
-- falls silent, one that comes and goes, an outage
CREATE TABLE delivery AS
SELECT t || '-' || i AS id, i, (extract(epoch FROM date_trunc('hour', now())) - 3600 * (545 - i))::integer AS "timestamp", symbol,
       (CASE symbol WHEN 'QUIE' THEN 1 ELSE 10 END + abs(hashint8(i * 31 + t)) % 20
        + CASE WHEN abs(hashint8(i / 3 * 17 + t)) % 23 = 0 THEN 60 ELSE 0 END)::float8 AS count,
       sin(i / 5.0 + t) AS sentiment
  FROM generate_series(0, 544) i, (VALUES (1, 'BTC'), (2, 'ETH'), (3, 'SOL'), (4, 'DOGE'), (5, 'QUIE'), (6, 'GONE')) s (t, symbol)
 WHERE i NOT BETWEEN 500 AND 503 AND NOT (symbol = 'GONE' AND i BETWEEN 190 AND 520) AND NOT (symbol = 'DOGE' AND i > 500);
CREATE TABLE remote AS SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE i < 480;
SELECT defidata_attach('all', 'mentions', 'remote');

-- one made before anything was published, and the initial import raises nothing
SELECT defidata_add_alert('early', 'mentions', 20, min_mentions => 0);
SELECT status FROM defidata_refresh();
SELECT count(*) AS events, (SELECT judged_hour = latest_hour FROM defidata.alert, defidata.publication) AS judged FROM defidata.alert_event;
SELECT defidata_add_alert('spike', 'spike_14d', 2, min_mentions => 0, rearm => '6 hours');
SELECT defidata_add_alert('hysteresis', 'mentions', 60, 12, rearm => '0', min_mentions => 0);
SELECT defidata_add_alert('below', 'sentiment', -0.7, direction => 'below', rearm => '10 hours');
SELECT defidata_add_alert('shrinking', 'trend_24h', -0.1, direction => 'below', min_mentions => 300);
SELECT defidata_add_alert('watched', 'deviation_14d', 0.5, 0.4, min_mentions => 0, rearm => '2 hours', tokens => '{ETH,GONE}');
SELECT defidata_add_alert('silent', 'sma_24h', 11, 12, 'below', '1 hour', 0);
SELECT name, metric, direction, enter, leave, rearm, min_mentions, tokens, judged_hour IS NOT NULL AS judged FROM defidata.alert ORDER BY name;

CREATE TABLE told AS SELECT s.* FROM defidata.token_stats s WHERE false;
CREATE TABLE counted (hour timestamptz, events bigint);
CREATE PROCEDURE deliver(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    FOR at IN first .. last LOOP
        INSERT INTO alert_test.remote SELECT id, "timestamp", symbol, count, sentiment FROM alert_test.delivery WHERE i = at;
        CONTINUE WHEN NOT FOUND;
        PERFORM defidata_refresh();
        INSERT INTO alert_test.told SELECT * FROM defidata.token_stats;
        INSERT INTO alert_test.counted SELECT (SELECT latest_hour FROM defidata.publication), count(*) FROM defidata.alert_event;
        COMMIT;
    END LOOP;
END
$$;
CALL deliver(480, 530);

-- the judge: one alert and token at a time, hour by hour
CREATE TABLE judged (alert text, token text, hour timestamptz, event text, value float8);
CREATE FUNCTION judge() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a record;
    t text;
    h timestamptz;
    s record;
    v float8;
    stands boolean;
    raised timestamptz;
    s_or_e float8;
BEGIN
    FOR a IN SELECT * FROM defidata.alert LOOP
        FOR t IN SELECT DISTINCT symbol FROM alert_test.delivery LOOP
            stands := false;
            raised := NULL;
            FOR h IN SELECT DISTINCT hour FROM alert_test.told ORDER BY 1 LOOP
                SELECT * INTO s FROM alert_test.told o WHERE o.token = t AND o.hour = h;
                v := to_jsonb(s) ->> a.metric;
                s_or_e := CASE WHEN a.name = 'shrinking' THEN greatest(s.mentions_24h, s.baseline_24h) ELSE s.mentions_24h END;
                IF stands AND (s.token IS NULL OR (CASE a.direction WHEN 'above' THEN v < a.leave ELSE v > a.leave END)) THEN
                    INSERT INTO alert_test.judged VALUES (a.name, t, h, 'ended', v);
                    stands := false;
                ELSIF NOT stands AND s.token IS NOT NULL AND (CASE a.direction WHEN 'above' THEN v >= a.enter ELSE v <= a.enter END)
                      AND s_or_e >= a.min_mentions AND (a.tokens IS NULL OR t = ANY (a.tokens)) AND (raised IS NULL OR h - raised >= a.rearm) THEN
                    INSERT INTO alert_test.judged VALUES (a.name, t, h, 'raised', v);
                    stands := true;
                    raised := h;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;
SELECT judge();
SELECT alert, count(*) > 0 AS events, count(*) FILTER (WHERE event = 'ended') > 0 AS ended,
       count(*) = (SELECT count(*) FROM judged j WHERE j.alert = e.alert) AS as_many,
       (SELECT count(*) FROM (SELECT alert, token, hour, event, value FROM defidata.alert_event v WHERE v.alert = e.alert
                              EXCEPT ALL SELECT alert, token, hour, event, value FROM judged) q) AS wrong
  FROM defidata.alert_event e GROUP BY alert ORDER BY alert;
SELECT count(*) AS never_raised FROM judged j WHERE NOT EXISTS (SELECT FROM defidata.alert_event e WHERE (e.alert, e.token, e.hour, e.event) = (j.alert, j.token, j.hour, j.event));
SELECT count(*) = count(DISTINCT (alert, token)) AS once, bool_and(id = (SELECT max(id) FROM defidata.alert_event e WHERE e.alert = s.alert AND e.token = s.token)) AS last,
       count(*) = (SELECT sum(CASE event WHEN 'raised' THEN 1 ELSE -1 END) FROM defidata.alert_event) AS balance FROM defidata.alerts s;
SELECT count(*) AS out_of_order FROM (SELECT hour < lag(hour) OVER (ORDER BY id) AS back FROM defidata.alert_event) q WHERE back;
SELECT (SELECT count(*) FROM defidata.alerts) = json_array_length(body) AS document, status FROM defidata_document('/alerts');
SELECT state, value = (SELECT count(*) FROM defidata.alerts) || ' stand' AS value FROM defidata.status WHERE name = 'alerts';

-- corrections and hours that settle behind raise nothing
SELECT count(*) AS events FROM defidata.alert_event \gset
UPDATE remote SET count = 5000 WHERE id = '1-527';
INSERT INTO remote SELECT 'late' || i, (extract(epoch FROM date_trunc('hour', now())) - 3600 * (545 - i))::integer, 'ETH', 4000, 1 FROM generate_series(500, 501) i;
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('5 days');
SELECT status FROM defidata_refresh();
SELECT count(*) - :events AS events FROM defidata.alert_event;
UPDATE remote SET count = 11 WHERE id = '1-527';
DELETE FROM remote WHERE id LIKE 'late%';
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('5 days', true);

-- hours that come at once are judged one after the other
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE i BETWEEN 531 AND 536;
SELECT status FROM defidata_refresh();
SELECT count(DISTINCT hour) > 2 AS hours FROM defidata.alert_event WHERE id > :events;
CALL deliver(537, 544);

-- an alert tried over the same hours says the same; each that was raised, and when it ended
SELECT date_trunc('hour', now()) - interval '65 hours' AS first \gset
CREATE TABLE tried AS
SELECT a.name AS alert, t.* FROM defidata.alert a, defidata_try_alert(:'first', now(), a.metric, a.enter, a.leave, a.direction, a.rearm, a.min_mentions, a.tokens) t;
CREATE TABLE raised AS
SELECT e.alert, e.token, e.hour, e.value, (SELECT min(n.hour) FROM defidata.alert_event n WHERE n.alert = e.alert AND n.token = e.token AND n.event = 'ended' AND n.id > e.id) AS ended_at
  FROM defidata.alert_event e WHERE e.event = 'raised';
SELECT alert, count(*) > 0 AS raised, count(*) - (SELECT count(*) FROM tried t WHERE t.alert = r.alert) AS difference,
       (SELECT count(*) FROM (SELECT * FROM raised q WHERE q.alert = r.alert EXCEPT ALL TABLE tried) q) AS wrong
  FROM raised r GROUP BY alert ORDER BY alert;

-- dropped, it ends; added again, it begins anew
SELECT count(*) > 0 AS stands FROM defidata.alerts WHERE alert = 'early';
SELECT defidata_drop_alert('early');
SELECT count(*) AS stand FROM defidata.alerts WHERE alert = 'early';
SELECT event, value FROM defidata.alert_event WHERE alert = 'early' ORDER BY id DESC LIMIT 1;
SELECT defidata_add_alert('early', 'mentions', 1, rearm => '100 days', min_mentions => 0, tokens => '{BTC}');
INSERT INTO remote SELECT 'now', extract(epoch FROM date_trunc('hour', now()))::integer, s, 30, 0 FROM unnest('{BTC,ETH,SOL}'::text[]) s;
ALTER TABLE remote ADD n serial;
UPDATE remote SET id = id || n WHERE id = 'now';
SELECT status FROM defidata_refresh();
SELECT event, value FROM defidata.alert_event WHERE alert = 'early' ORDER BY id DESC LIMIT 1;

-- what is refused
SELECT error_of(statement, true) FROM (VALUES
    ($$SELECT defidata_add_alert('early', 'mentions', 1)$$), ($$SELECT defidata_add_alert('No', 'mentions', 1)$$), ($$SELECT defidata_add_alert(NULL, 'mentions', 1)$$),
    ($$SELECT defidata_add_alert('x', 'price', 1)$$), ($$SELECT defidata_add_alert('x', NULL, 1)$$), ($$SELECT defidata_add_alert('x', 'hour', 1)$$),
    ($$SELECT defidata_add_alert('x', 'mentions', NULL)$$), ($$SELECT defidata_add_alert('x', 'mentions', 'NaN')$$), ($$SELECT defidata_add_alert('x', 'mentions', 1, 'infinity')$$),
    ($$SELECT defidata_add_alert('x', 'mentions', 1, 2)$$), ($$SELECT defidata_add_alert('x', 'mentions', 1, 0.5, 'below')$$), ($$SELECT defidata_add_alert('x', 'mentions', 1, 1, 'up')$$),
    ($$SELECT defidata_add_alert('x', 'mentions', 1, rearm => '-1 hour')$$), ($$SELECT defidata_add_alert('x', 'mentions', 1, min_mentions => -1)$$),
    ($$SELECT defidata_add_alert('x', 'mentions', 1, tokens => '{}')$$), ($$SELECT defidata_add_alert('x', 'mentions', 1, tokens => '{NULL}')$$),
    ($$SELECT defidata_drop_alert('nosuch')$$), ($$SELECT defidata_drop_alert(NULL)$$),
    ($$SELECT defidata_try_alert(NULL, now(), 'mentions', 1)$$), ($$SELECT defidata_try_alert(now(), now(), 'nothing', 1)$$)) v (statement);
-- by default it leaves at half, where that is nearer
SELECT defidata_add_alert('a', 'sentiment', -0.5), defidata_add_alert('b', 'sentiment', -0.5, direction => 'below'), defidata_add_alert('c', 'sentiment', 0.5, direction => 'below'), defidata_add_alert('d', 'sentiment', 0);
SELECT name, enter, leave FROM defidata.alert WHERE name IN ('a', 'b', 'c', 'd') ORDER BY name;

SET client_min_messages = warning;
DROP SCHEMA alert_test CASCADE;
RESET search_path;
CALL start_over();
RESET client_min_messages;
RESET timezone;
