-- report.sql: one self-contained HTML page for people who look, and one for a token.

CREATE FUNCTION defidata.report_board(board text) RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    b    record;
    body xml;
BEGIN
    SELECT d.name, d.metric, (SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a
                               WHERE a.attrelid = 'defidata.token_stats'::regclass
                                   AND a.attname = d.metric) AS meaning
      INTO b FROM defidata.board d WHERE d.name = board;
    -- a page has to stay one that can be looked through
    EXECUTE format($sql$
        SELECT xmlagg(xmlelement(NAME tr,
                   xmlelement(NAME td, t.rank),
                       xmlelement(NAME th, xmlattributes('row' AS scope, t.token AS title),
                                  t.token),
                   xmlelement(NAME td, defidata.show_metric($1, t.value)),
                   xmlelement(NAME td, defidata.line_drawing('spark',
                       'mentions of the last 7 days', ARRAY[m.figures], 0,
                                           (SELECT max(f) FROM unnest(m.figures) f))),
                   xmlelement(NAME td, defidata.show_number(24 * t.sma_24h)),
                       xmlelement(NAME td, defidata.show_change(t.change_24h)),
                   xmlelement(NAME td, defidata.show_metric('sentiment', t.sentiment_24h)),
                   xmlelement(NAME td, defidata.show_number(t.price))) ORDER BY t.rank)
          FROM defidata.%I t, LATERAL (SELECT defidata.recent_mentions(t.token, t.hour)) m (figures)
         WHERE t.rank <= 100
        $sql$, board) INTO body USING b.metric;
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
               xmlelement(NAME h2, initcap(replace(b.name, '_', ' '))),
               xmlelement(NAME p, xmlattributes('note' AS class),
                          format('Value is %s: %s.', b.metric, b.meaning)),
               defidata.report_table('{#,Token,Value,7 days,Mentions,Change,Sentiment,Price}',
                                     body, 'board'));
END
$$;
COMMENT ON FUNCTION defidata.report_board(text) IS 'a board as a card';

CREATE FUNCTION defidata.report_alerts() RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- nothing at all where nobody uses alerts
    RETURN (SELECT xmlelement(NAME section, xmlattributes('card' AS class),
                xmlelement(NAME h2, 'Alerts that stand'),
                CASE WHEN count(s.id) = 0
                     THEN xmlelement(NAME p, xmlattributes('empty' AS class), 'None.')
                     ELSE defidata.report_table('{Alert,Token,Since,Value}', xmlagg(
                        xmlelement(NAME tr, xmlelement(NAME td, s.alert),
                                   xmlelement(NAME td, s.token),
                            xmlelement(NAME td, defidata.show_time(s.hour)),
                            xmlelement(NAME td, defidata.show_metric(a.metric, s.value)))
                        ORDER BY s.id DESC) FILTER (WHERE s.id IS NOT NULL)) END)
              FROM defidata.alert a LEFT JOIN defidata.alerts s ON s.alert = a.name
            HAVING count(*) > 0);
END
$$;
COMMENT ON FUNCTION defidata.report_alerts() IS
    'the alerts that stand as a card; NULL where there is no alert';

CREATE FUNCTION defidata.report_days() RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last_day  constant date := (SELECT max(d.day) FROM defidata.daily_mentions d);
    first_day constant date := (SELECT greatest(min(d.day), last_day - 34)
                                FROM defidata.daily_mentions d);
    most      constant bigint := (SELECT max(d.mentions) FROM defidata.daily_mentions d
                                  WHERE d.day >= first_day);
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
        xmlelement(NAME h2, 'Mentions per day'),
        CASE WHEN most IS NULL THEN xmlelement(NAME p, xmlattributes('empty' AS class),
                                               'Nothing yet.') ELSE
        xmlelement(NAME p, xmlattributes('legend' AS class),
                   xmlelement(NAME span, xmlattributes('key1' AS class), 'whole day'),
                   xmlelement(NAME span, xmlattributes('keypart' AS class),
                              'day with hours missing')) END,
        (SELECT xmlelement(NAME div, xmlattributes('chart' AS class),
                    xmlelement(NAME div, xmlattributes('scale' AS class),
                               xmlelement(NAME span, defidata.show_number(most)),
                                   xmlelement(NAME span, '0')),
                    defidata.drawing('plot', 'mentions per day', xmlagg(
                        xmlelement(NAME rect,
                            xmlattributes(
                                CASE WHEN d.observed_hours < 24 THEN 'part' ELSE 'bar' END AS class,
                                10 * (d.day - first_day) + 1 AS x,
                                round(100 - 100.0 * d.mentions / greatest(most, 1), 1) AS y,
                                8 AS width,
                                round(100.0 * d.mentions / greatest(most, 1), 1) AS height),
                            xmlelement(NAME title,
                                format('%s: %s mentions of %s tokens, %s of 24 hours observed',
                                       d.day, to_char(d.mentions, 'FM999,999,999,990'),
                                       d.tokens, d.observed_hours)))
                        ORDER BY d.day), 10 * (last_day - first_day + 1), 100),
                    xmlelement(NAME div, xmlattributes('days' AS class),
                        xmlelement(NAME span, to_char(first_day, 'Mon DD')),
                            xmlelement(NAME span, to_char(last_day, 'Mon DD'))))
           FROM defidata.daily_mentions d WHERE d.day >= first_day HAVING count(*) > 0));
END
$$;
COMMENT ON FUNCTION defidata.report_days() IS 'mentions of the last 35 days as bars';

CREATE FUNCTION defidata.report_outages(latest timestamptz) RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN COALESCE((
        SELECT xmlelement(NAME ul,
                          xmlagg(xmlelement(NAME li,
                                            format('No data from %s to %s (%s h)',
                                                   to_char(o.first AT TIME ZONE 'UTC',
                                                           'Mon DD HH24:MI'),
                              to_char((o.last + interval '1 hour') AT TIME ZONE 'UTC',
                                      'Mon DD HH24:MI'), o.n)) ORDER BY o.first))
          FROM (SELECT min(g.hour) AS first, max(g.hour) AS last, count(*) AS n
                  FROM (SELECT c.hour,
                        c.hour - interval '1 hour' * row_number() OVER (ORDER BY c.hour) AS island
                          FROM generate_series(latest - interval '335 hours', latest,
                                               interval '1 hour') c (hour)
                         WHERE NOT EXISTS (SELECT FROM defidata.hours h WHERE h.hour = c.hour
                                           AND h.observed)) g
                 GROUP BY g.island) o HAVING count(*) > 0),
        xmlelement(NAME p, xmlattributes('note' AS class), CASE
                   WHEN latest IS NULL THEN 'Nothing yet.'
                       ELSE 'No outage: every hour of the last 14 days was observed.' END));
END
$$;
COMMENT ON FUNCTION defidata.report_outages(timestamptz) IS
    'the outages of the 14 days up to latest in words';

CREATE FUNCTION defidata.report_coverage(latest timestamptz) RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
        xmlelement(NAME h2, 'Coverage'),
        xmlelement(NAME p, xmlattributes('legend' AS class),
                   xmlelement(NAME span, xmlattributes('key1' AS class), 'observed hour'),
                   xmlelement(NAME span, xmlattributes('keyout' AS class), 'outage')),
        (SELECT xmlelement(NAME div, xmlattributes('coverage' AS class),
                           xmlagg(xmlelement(NAME div, xmlelement(NAME span, d.label), d.strip)
                                  ORDER BY d.day DESC))
           FROM (SELECT c.day, to_char(c.day, 'Dy DD') AS label,
                        defidata.drawing('strip',
                            format('%s: %s hours observed, %s missing', c.day, count(h.hour),
                                   count(*) - count(h.hour)),
                            xmlagg(xmlelement(NAME rect,
                                xmlattributes(
                                    CASE WHEN h.hour IS NULL THEN 'out' ELSE 'bar' END AS class,
                                    10 * EXTRACT(hour FROM c.hour AT TIME ZONE 'UTC')::integer
                                    + 0.5 AS x, 0 AS y, 9 AS width, 10 AS height),
                                xmlelement(NAME title, defidata.show_time(c.hour)
                                    || CASE WHEN h.hour IS NULL THEN ': no data'
                                            ELSE format(': %s rows', h.rows) END))
                                ORDER BY c.hour), 240, 10) AS strip
                   FROM (SELECT s.hour, (s.hour AT TIME ZONE 'UTC')::date AS day
                           FROM generate_series(latest - interval '335 hours', latest,
                                                interval '1 hour') s (hour)) c
                   LEFT JOIN defidata.hours h ON h.hour = c.hour AND h.observed
                  GROUP BY c.day) d HAVING count(*) > 0),
        defidata.report_outages(latest));
END
$$;
COMMENT ON FUNCTION defidata.report_coverage(timestamptz) IS
    'the hours of the 14 days up to latest, outages marked';

CREATE FUNCTION defidata.report_status() RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card wide' AS class),
                      xmlelement(NAME h2, 'Status'),
        defidata.report_table(ARRAY['Check', 'State', 'Found', 'Next step'], (
            SELECT xmlagg(xmlelement(NAME tr,
                                     xmlelement(NAME th, xmlattributes('row' AS scope), s.name),
                       xmlelement(NAME td, xmlelement(NAME span,
                                                      xmlattributes('state ' || s.state AS class),
                                                          s.state)),
                       xmlelement(NAME td, s.value),
                           xmlelement(NAME td,
                                      xmlattributes(CASE
                                                    WHEN s.hint IS NULL THEN 'none' END AS class),
                                                        COALESCE(s.hint, defidata.dash())))
                                                            ORDER BY s.position)
              FROM defidata.status() WITH ORDINALITY s (name, state, value, hint, position)),
                  'words'));
END
$$;
COMMENT ON FUNCTION defidata.report_status() IS 'defidata.status as a card';

CREATE FUNCTION defidata.report_run() RETURNS xml
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class), xmlelement(NAME h2, 'Last run'),
        defidata.report_table(ARRAY['Stage', 'State', 'Began', 'Took', 'What it did'], (
            SELECT xmlagg(xmlelement(NAME tr,
                                     xmlelement(NAME th, xmlattributes('row' AS scope), r.stage),
                       xmlelement(NAME td, xmlelement(NAME span, xmlattributes(
                           'state ' || CASE r.status WHEN 'ok' THEN 'ok' WHEN 'failed' THEN 'fail'
                               ELSE 'warn' END AS class), r.status)),
                       xmlelement(NAME td, defidata.show_time(r.started_at)),
                       xmlelement(NAME td,
                                  COALESCE(round(EXTRACT(epoch FROM r.finished_at - r.started_at),
                                                 1) || ' s', defidata.dash())),
                       xmlelement(NAME td, COALESCE(r.error,
                                                    (SELECT string_agg(format('%s %s', e.value,
                                                        e.key), ', ' ORDER BY e.key)
                                                                FROM jsonb_each_text(r.counts) e),
                                                                    defidata.dash())))
                                                                        ORDER BY r.id)
              FROM defidata.runs r
             WHERE r.run = (SELECT max(l.run) FROM defidata.runs l
                            WHERE l.trigger IN ('run', 'refresh') AND l.status <> 'skipped')),
                                'words'));
END
$$;
COMMENT ON FUNCTION defidata.report_run() IS 'the stages of the last run or refresh as a card';

CREATE FUNCTION defidata.report_page(title text, note text, content xml) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN E'<!DOCTYPE html>\n'
        || xmlserialize(CONTENT xmlelement(NAME html, xmlattributes('en' AS lang),
        xmlelement(NAME head,
            xmlelement(NAME meta, xmlattributes(defidata.charset() AS charset)),
            xmlelement(NAME meta, xmlattributes('Content-Security-Policy' AS "http-equiv",
                                                'default-src ''none''; style-src'
                                                    ' ''unsafe-inline''; img-src'
                                                        ' data:' AS content)),
            xmlelement(NAME meta,
                       xmlattributes('viewport' AS name,
                                     'width=device-width, initial-scale=1' AS content)),
            xmlelement(NAME link, xmlattributes('icon' AS rel, 'data:,' AS href)),
            xmlelement(NAME title, title), xmlelement(NAME style, defidata.report_style())),
        xmlelement(NAME body,
            xmlelement(NAME header, xmlelement(NAME h1, title), xmlelement(NAME p, note)),
            xmlelement(NAME main, content),
            xmlelement(NAME footer,
                       'Made by defidata. Mentions, change and sentiment are those of 24 hours;'
                       ' times are in UTC; an hour without data is an outage, not a'
                       ' zero.'))) AS text) || E'\n';
COMMENT ON FUNCTION defidata.report_page(text, text, xml) IS 'a whole HTML page';

CREATE FUNCTION defidata.report() RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD' SET jit = off
AS $$
DECLARE
    seen      record;
    -- what tells of the machinery is for those who may read it elsewhere
    for_staff constant boolean := has_table_privilege(session_user, 'defidata.status', 'SELECT');
BEGIN
    PERFORM defidata.require_xml();
    SELECT p.generation, p.latest_hour, p.published_at,
        (SELECT count(*) FROM defidata.token_stats) AS tokens,
           (SELECT sum(h.mentions) FROM defidata.hours h
            WHERE h.hour > p.latest_hour - interval '24 hours'
                AND h.hour <= p.latest_hour) AS mentions,
           (SELECT count(*) / 336.0 FROM defidata.hours h WHERE h.observed
            AND h.hour > p.latest_hour - interval '336 hours'
                AND h.hour <= p.latest_hour) AS coverage
      INTO seen FROM defidata.publication p;
    RETURN defidata.report_page('defidata', CASE
                                WHEN seen.latest_hour IS NULL THEN 'Nothing has been published yet.'
            ELSE format('The hour from %s, generation %s, published %s',
                        defidata.show_time(seen.latest_hour), seen.generation,
                            defidata.show_time(seen.published_at)) END,
        xmlconcat(
            xmlelement(NAME dl, xmlattributes('figures' AS class),
                defidata.report_figure('Mentions in 24 hours',
                                       COALESCE(to_char(seen.mentions, 'FM999,999,999,990'),
                                                defidata.dash())),
                defidata.report_figure('Tokens in 14 days', to_char(seen.tokens, 'FM999,990')),
                defidata.report_figure('Coverage of 14 days',
                    defidata.show_percent(CASE WHEN seen.latest_hour IS NOT NULL
                                               THEN seen.coverage END)),
                CASE WHEN for_staff THEN defidata.report_figure('Status',
                    (SELECT CASE WHEN 'fail' = ANY (array_agg(s.state)) THEN 'fail'
                    WHEN 'warn' = ANY (array_agg(s.state)) THEN 'warn' ELSE 'ok' END
                        FROM defidata.status() s)) END),
            -- the three main boards first
            (SELECT xmlagg(defidata.report_board(b.name)
                           ORDER BY array_position('{trending,decreasing,volatile}', b.name),
                               b.name) FROM defidata.board b),
            defidata.report_alerts(), defidata.report_days(),
                defidata.report_coverage(seen.latest_hour),
            CASE WHEN for_staff THEN xmlconcat(defidata.report_run(),
                                               defidata.report_status()) END));
END
$$;

CREATE FUNCTION defidata.report(token text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD' SET jit = off
AS $$
DECLARE
    t record;
BEGIN
    PERFORM defidata.require_xml();
    IF token IS NULL THEN
        RAISE EXCEPTION 'a token is needed' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'defidata_report() without an argument reports on all of them.';
    END IF;
    SELECT s.* INTO t FROM defidata.token_stats s
        WHERE s.token = defidata.known_token(report.token);
    IF NOT FOUND THEN
        RETURN defidata.report_page(COALESCE(NULLIF(left(token, 80), ''), '?'),
                                    'No such token was mentioned in the last 14 days.',
                                    xmlelement(NAME p,
                                               'SELECT token FROM defidata.token_stats lists'
                                               ' those that were.'));
    END IF;
    RETURN defidata.report_page(concat_ws(format(' %s ', defidata.dash()), t.token, t.name),
                                'The hour from ' || defidata.show_time(t.hour),
        xmlconcat(
            xmlelement(NAME dl, xmlattributes('figures' AS class),
                (SELECT xmlagg(defidata.report_figure(v.name,
                                                      defidata.show_metric(v.metric, v.figure))
                                                          ORDER BY v.position)
                   FROM (VALUES (1, 'Mentions in 24 h', 'mentions_24h', t.mentions_24h),
                         (2, 'Share of all', 'dominance_24h', t.dominance_24h),
                                (3, 'Change 24 h', 'change_24h', t.change_24h),
                                    (4, 'Change 7 days', 'change_7d', t.change_7d),
                                (5, 'Trend', 'trend_24h', t.trend_24h),
                                    (6, 'Surge', 'surge_14d', t.surge_14d),
                                (7, 'Spread 7 days', 'rsd_7d', t.rsd_7d),
                                    (8, 'Sentiment 24 h', 'sentiment_24h', t.sentiment_24h),
                                (9, 'Price', 'price', t.price),
                                    (10, 'Price 24 h', 'price_change_24h', t.price_change_24h),
                                (11, 'Volatility', 'price_volatility_7d', t.price_volatility_7d),
                                    (12, 'Market cap', 'market_cap', t.market_cap))
                        v (position, name, metric, figure))),
            defidata.report_token(t.token, t.hour)));
END
$$;
COMMENT ON FUNCTION defidata.report() IS 'the page of defidata_report()';
COMMENT ON FUNCTION defidata.report(text) IS 'the page of defidata_report(token)';

-- Means and sentiment of every clock hour, silent ones included.
CREATE FUNCTION defidata.report_token(subject text, latest timestamptz) RETURNS xml
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    coverage constant float8 := defidata.setting_value('min_coverage')::float8;
    observed constant timestamptz[] := defidata.observed_hours(latest - interval '335 hours',
        latest + interval '1 hour');
    parts    constant defidata.series[] := ARRAY(
        SELECT s.series FROM defidata.mention_series s
         WHERE s.token = subject AND s.start >= defidata.week_of(latest - interval '672 hours')
           AND s.start <= latest
         ORDER BY s.start);
    f        record;
BEGIN
    SELECT array_agg(h.hour ORDER BY h.hour) AS hours,
        array_agg(h.mentions::float8 ORDER BY h.hour) AS mentions,
           array_agg(m.sma_24h ORDER BY h.hour) AS sma_24h,
               array_agg(m.sma_7d ORDER BY h.hour) AS sma_7d,
           array_agg(h.sentiment ORDER BY h.hour) AS sentiment,
               array_agg(m.sentiment_24h ORDER BY h.hour) AS sentiment_24h,
           array_agg(h.price ORDER BY h.hour) AS price
      INTO f
      FROM defidata.history(subject, '14 days') h
      LEFT JOIN LATERAL (SELECT (defidata.metrics_at(p, observed, h.hour, coverage)).*
                         FROM unnest(parts) p) m ON h.mentions IS NOT NULL;
    RETURN xmlconcat(
        defidata.line_chart('card wide', 'Mentions an hour',
                            '{mentions,mean of 24 hours,mean of 7 days}',
                                ARRAY[f.mentions, f.sma_24h, f.sma_7d], f.hours, 0),
        defidata.line_chart('card', 'Sentiment', '{hour,mean of 24 hours}',
                            ARRAY[f.sentiment, f.sentiment_24h], f.hours, NULL),
        defidata.line_chart('card', 'Price', '{newest quote}', ARRAY[f.price], f.hours, NULL));
END
$$;
COMMENT ON FUNCTION defidata.report_token(text, timestamptz) IS
    'the charts of a token over the 14 days up to latest';
