-- report.sql: one self-contained HTML page for people who look, and one for a token.

CREATE FUNCTION defidata.require_xml() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM xmlelement(NAME probe, 'x');
EXCEPTION WHEN feature_not_supported THEN
    RAISE EXCEPTION 'the report needs a PostgreSQL that was built with libxml' USING ERRCODE = 'feature_not_supported',
        HINT = 'Use a server built with --with-libxml, as Debian''s packages are; defidata.status and the boards are there all the same.';
END
$$;
COMMENT ON FUNCTION defidata.require_xml() IS 'raises 0A000 where the server was built without libxml';

-- Scripts are in ASCII, for they have to do in databases of any encoding; and not in SQL, where
-- a planner would try the character anyhow.
CREATE FUNCTION defidata.dash() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF getdatabaseencoding() = 'UTF8' THEN
        RETURN chr(8211);
    END IF;
    RETURN '-';
END
$$;
COMMENT ON FUNCTION defidata.dash() IS 'an en dash, or a hyphen where the encoding may have none';

-- The page comes as the client has it.
CREATE FUNCTION defidata.charset() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE pg_client_encoding() WHEN 'UTF8' THEN 'utf-8' WHEN 'EUC_JP' THEN 'euc-jp'
                WHEN 'SJIS' THEN 'shift_jis' WHEN 'WIN1252' THEN 'windows-1252'
                ELSE regexp_replace(pg_client_encoding(), '^LATIN([1-4])$', 'iso-8859-\1') END;
COMMENT ON FUNCTION defidata.charset() IS 'the encoding of what the client gets, as HTML names it';

CREATE FUNCTION defidata.show_number(figure float8) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN figure IS NULL OR abs(figure) IN ('NaN', 'Infinity') THEN defidata.dash()
                WHEN abs(figure) >= 1e9 THEN to_char(figure / 1e9, 'FM999,999,990.0') || ' bn'
                WHEN abs(figure) >= 1e6 THEN to_char(figure / 1e6, 'FM990.0') || ' m'
                WHEN abs(figure) >= 1000 OR figure = round(figure) THEN to_char(figure, 'FM999,990')
                WHEN abs(figure) >= 1 THEN to_char(figure, 'FM990.00')
                ELSE trim_scale(round(figure::numeric, least(2 - floor(log(abs(figure)))::integer, 15)))::text END;
COMMENT ON FUNCTION defidata.show_number(float8) IS 'a number in a few digits; a dash for NULL and what is not finite';

CREATE FUNCTION defidata.show_percent(figure float8) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN abs(figure) < 1e9 THEN to_char(100 * figure, 'FM999,999,999,990.0') || ' %' ELSE defidata.dash() END;
COMMENT ON FUNCTION defidata.show_percent(float8) IS 'a fraction as a percentage; a dash for NULL and what is beyond all bounds';

CREATE FUNCTION defidata.show_change(figure float8) RETURNS xml
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN xmlelement(NAME span, xmlattributes(CASE WHEN figure > 0 THEN 'up' WHEN figure < 0 THEN 'down' ELSE 'flat' END AS class),
                      COALESCE(CASE WHEN figure > 0 THEN '+' WHEN figure < 0 THEN '-' END, '')
                      || defidata.show_percent(abs(figure)));
COMMENT ON FUNCTION defidata.show_change(float8) IS 'a change as a percentage with its sign, coloured by it';

CREATE FUNCTION defidata.show_metric(metric text, figure float8) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN metric ~ '^(trend|change|deviation|rsd|coverage|dominance|price_change|price_volatility)_' THEN defidata.show_percent(figure)
                WHEN metric ~ '^(surge|zscore)_' THEN COALESCE(to_char(figure, 'FM999,990.0'), defidata.dash())
                WHEN metric ~ '^sentiment' THEN COALESCE(to_char(figure, 'FM990.000'), defidata.dash())
                ELSE defidata.show_number(figure) END;
COMMENT ON FUNCTION defidata.show_metric(text, float8) IS 'a figure of token_stats as fits its column';

CREATE FUNCTION defidata.show_time(at timestamptz) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN COALESCE(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'never');
COMMENT ON FUNCTION defidata.show_time(timestamptz) IS 'a time in UTC to the minute; never for NULL';

CREATE FUNCTION defidata.line_path(figures float8[], low float8, high float8) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    -- a NULL interrupts the line; what stands alone is a dot
    SELECT string_agg(CASE WHEN p.former IS NULL THEN format('M%s %sh0', p.x, p.y) ELSE format('L%s %s', p.x, p.y) END, '' ORDER BY p.i)
      FROM (SELECT f.i, lag(f.v) OVER (ORDER BY f.i) AS former, f.v,
                   round((1000.0 * (f.i - 1) / greatest(cardinality(figures) - 1, 1))::numeric, 1) AS x,
                   round((100 - 100 * (f.v - low) / COALESCE(NULLIF(high - low, 0), 1))::numeric, 1) AS y
              FROM unnest(figures) WITH ORDINALITY f (v, i)) p
     WHERE p.v IS NOT NULL;
END;
COMMENT ON FUNCTION defidata.line_path(float8[], float8, float8) IS 'figures as the path of a line in a box of 1000 by 100 that reaches from low to high; NULLs are gaps';

CREATE FUNCTION defidata.drawing(class text, label text, content xml, width integer DEFAULT 1000, height integer DEFAULT 100) RETURNS xml
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN xmlelement(NAME svg, xmlattributes(class AS class, format('0 0 %s %s', width, height) AS "viewBox", 'none' AS "preserveAspectRatio",
                                              'img' AS role, label AS "aria-label"), content);
COMMENT ON FUNCTION defidata.drawing(text, text, xml, integer, integer) IS 'an SVG drawing that stretches to its place';

CREATE FUNCTION defidata.line_drawing(class text, label text, lines float8[], low float8, high float8) RETURNS xml
    STABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.drawing(class, label, xmlagg(xmlelement(NAME path, xmlattributes('line' || i AS class,
               COALESCE(defidata.line_path(ARRAY(SELECT unnest(lines[i:i])), low, high), 'M0 0') AS d)) ORDER BY i))
      FROM generate_series(1, array_length(lines, 1)) i;
END;
COMMENT ON FUNCTION defidata.line_drawing(text, text, float8[], float8, float8) IS 'lines, each a row of a two-dimensional array, between low and high';

CREATE FUNCTION defidata.line_chart(class text, title text, names text[], lines float8[], hours timestamptz[], base float8) RETURNS xml
    STABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT xmlelement(NAME section, xmlattributes(class AS class),
               xmlelement(NAME h2, title),
               xmlelement(NAME p, xmlattributes('legend' AS class),
                   (SELECT xmlagg(xmlelement(NAME span, xmlattributes('key' || n.i AS class), n.name) ORDER BY n.i)
                      FROM unnest(names) WITH ORDINALITY n (name, i))),
               CASE WHEN r.high IS NULL THEN xmlelement(NAME p, xmlattributes('empty' AS class), 'No figures in this time.') ELSE
               xmlelement(NAME div, xmlattributes('chart' AS class),
                   xmlelement(NAME div, xmlattributes('scale' AS class),
                       xmlelement(NAME span, defidata.show_number(r.high)), xmlelement(NAME span, defidata.show_number(r.low))),
                   defidata.line_drawing('plot', title, lines, r.low, r.high),
                   xmlelement(NAME div, xmlattributes('days' AS class),
                       xmlelement(NAME span, to_char(hours[1] AT TIME ZONE 'UTC', 'Mon DD')),
                       xmlelement(NAME span, to_char(hours[cardinality(hours) / 2 + 1] AT TIME ZONE 'UTC', 'Mon DD')),
                       xmlelement(NAME span, to_char(hours[cardinality(hours)] AT TIME ZONE 'UTC', 'Mon DD HH24:MI')))) END)
      FROM (SELECT least(min(v), base) AS low, max(v) AS high FROM unnest(lines) v) r;
END;
COMMENT ON FUNCTION defidata.line_chart(text, text, text[], float8[], timestamptz[], float8) IS 'a card with lines over hours and their scale, which starts at base or below (NULL: at the smallest figure)';

-- Mentions of a token in the last 7 days, a figure for 4 hours; NULL in an outage.
CREATE FUNCTION defidata.recent_mentions(token text, latest timestamptz) RETURNS float8[]
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT CASE WHEN count(h.hour) > 0 THEN sum(COALESCE(e.mentions, 0)) / count(h.hour) END
          FROM generate_series(1, 168) i
          LEFT JOIN defidata.hours h ON h.hour = latest - make_interval(hours => 168 - i) AND h.observed
          LEFT JOIN (SELECT x.* FROM defidata.mention_series s, LATERAL defidata.entries(s.series) x
                      WHERE s.token = recent_mentions.token AND s.start >= defidata.week_of(latest - interval '168 hours')
                        AND s.start <= latest) e ON e.hour = h.hour
         GROUP BY (i - 1) / 4 ORDER BY (i - 1) / 4);
END
$$;
COMMENT ON FUNCTION defidata.recent_mentions(text, timestamptz) IS 'what a sparkline shows: mentions an hour over the 7 days up to latest';

CREATE FUNCTION defidata.report_table(head text[], body xml, class text DEFAULT '') RETURNS xml
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN xmlelement(NAME div, xmlattributes('scroll' AS class, '0' AS tabindex, 'region' AS role, 'table' AS "aria-label"),
               xmlelement(NAME table, xmlattributes(NULLIF(class, '') AS class),
                   xmlelement(NAME thead, xmlelement(NAME tr,
                       (SELECT xmlagg(xmlelement(NAME th, xmlattributes('col' AS scope), h.name) ORDER BY h.i)
                          FROM unnest(head) WITH ORDINALITY h (name, i)))),
                   xmlelement(NAME tbody, COALESCE(body, xmlelement(NAME tr, xmlelement(NAME td,
                       xmlattributes(cardinality(head) AS colspan, 'empty' AS class), 'Nothing yet.'))))));
COMMENT ON FUNCTION defidata.report_table(text[], xml, text) IS 'a table that scrolls where the screen is narrow';

CREATE FUNCTION defidata.report_figure(name text, figure text) RETURNS xml
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN xmlelement(NAME div, xmlattributes('figure' AS class), xmlelement(NAME dt, name), xmlelement(NAME dd, figure));
COMMENT ON FUNCTION defidata.report_figure(text, text) IS 'a figure under its name';

CREATE FUNCTION defidata.report_board(board text) RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    b    record;
    body xml;
BEGIN
    SELECT d.name, d.metric, (SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a
                               WHERE a.attrelid = 'defidata.token_stats'::regclass AND a.attname = d.metric) AS meaning
      INTO b FROM defidata.board d WHERE d.name = board;
    -- a page has to stay one that can be looked through
    EXECUTE format($sql$
        SELECT xmlagg(xmlelement(NAME tr,
                   xmlelement(NAME td, t.rank), xmlelement(NAME th, xmlattributes('row' AS scope, t.token AS title), t.token),
                   xmlelement(NAME td, defidata.show_metric($1, t.value)),
                   xmlelement(NAME td, defidata.line_drawing('spark', 'mentions of the last 7 days', ARRAY[m.figures], 0,
                                           (SELECT max(f) FROM unnest(m.figures) f))),
                   xmlelement(NAME td, defidata.show_number(24 * t.sma_24h)), xmlelement(NAME td, defidata.show_change(t.change_24h)),
                   xmlelement(NAME td, defidata.show_metric('sentiment', t.sentiment_24h)),
                   xmlelement(NAME td, defidata.show_number(t.price))) ORDER BY t.rank)
          FROM defidata.%I t, LATERAL (SELECT defidata.recent_mentions(t.token, t.hour)) m (figures)
         WHERE t.rank <= 100
        $sql$, board) INTO body USING b.metric;
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
               xmlelement(NAME h2, initcap(replace(b.name, '_', ' '))),
               xmlelement(NAME p, xmlattributes('note' AS class), format('Value is %s: %s.', b.metric, b.meaning)),
               defidata.report_table('{#,Token,Value,7 days,Mentions,Change,Sentiment,Price}', body, 'board'));
END
$$;
COMMENT ON FUNCTION defidata.report_board(text) IS 'a board as a card';

CREATE FUNCTION defidata.report_alerts() RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- nothing at all where nobody uses alerts
    RETURN (SELECT xmlelement(NAME section, xmlattributes('card' AS class),
                xmlelement(NAME h2, 'Alerts that stand'),
                CASE WHEN count(s.id) = 0
                     THEN xmlelement(NAME p, xmlattributes('empty' AS class), 'None.')
                     ELSE defidata.report_table('{Alert,Token,Since,Value}', xmlagg(
                        xmlelement(NAME tr, xmlelement(NAME td, s.alert), xmlelement(NAME td, s.token),
                            xmlelement(NAME td, defidata.show_time(s.hour)),
                            xmlelement(NAME td, defidata.show_metric(a.metric, s.value)))
                        ORDER BY s.id DESC) FILTER (WHERE s.id IS NOT NULL)) END)
              FROM defidata.alert a LEFT JOIN defidata.alerts s ON s.alert = a.name
            HAVING count(*) > 0);
END
$$;
COMMENT ON FUNCTION defidata.report_alerts() IS 'the alerts that stand as a card; NULL where there is no alert';

CREATE FUNCTION defidata.report_days() RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last_day  constant date := (SELECT max(d.day) FROM defidata.daily_mentions d);
    first_day constant date := (SELECT greatest(min(d.day), last_day - 34) FROM defidata.daily_mentions d);
    most      constant bigint := (SELECT max(d.mentions) FROM defidata.daily_mentions d WHERE d.day >= first_day);
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
        xmlelement(NAME h2, 'Mentions per day'),
        CASE WHEN most IS NULL THEN xmlelement(NAME p, xmlattributes('empty' AS class), 'Nothing yet.') ELSE
        xmlelement(NAME p, xmlattributes('legend' AS class), xmlelement(NAME span, xmlattributes('key1' AS class), 'whole day'),
                   xmlelement(NAME span, xmlattributes('keypart' AS class), 'day with hours missing')) END,
        (SELECT xmlelement(NAME div, xmlattributes('chart' AS class),
                    xmlelement(NAME div, xmlattributes('scale' AS class), xmlelement(NAME span, defidata.show_number(most)), xmlelement(NAME span, '0')),
                    defidata.drawing('plot', 'mentions per day', xmlagg(
                        xmlelement(NAME rect, xmlattributes(CASE WHEN d.observed_hours < 24 THEN 'part' ELSE 'bar' END AS class,
                                       10 * (d.day - first_day) + 1 AS x, round(100 - 100.0 * d.mentions / greatest(most, 1), 1) AS y, 8 AS width,
                                       round(100.0 * d.mentions / greatest(most, 1), 1) AS height),
                            xmlelement(NAME title, format('%s: %s mentions of %s tokens, %s of 24 hours observed', d.day,
                                                          to_char(d.mentions, 'FM999,999,999,990'), d.tokens, d.observed_hours))) ORDER BY d.day), 10 * (last_day - first_day + 1), 100),
                    xmlelement(NAME div, xmlattributes('days' AS class),
                        xmlelement(NAME span, to_char(first_day, 'Mon DD')), xmlelement(NAME span, to_char(last_day, 'Mon DD'))))
           FROM defidata.daily_mentions d WHERE d.day >= first_day HAVING count(*) > 0));
END
$$;
COMMENT ON FUNCTION defidata.report_days() IS 'mentions of the last 35 days as bars';

CREATE FUNCTION defidata.report_outages(latest timestamptz) RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN COALESCE((
        SELECT xmlelement(NAME ul, xmlagg(xmlelement(NAME li, format('No data from %s to %s (%s h)', to_char(o.first AT TIME ZONE 'UTC', 'Mon DD HH24:MI'),
                              to_char((o.last + interval '1 hour') AT TIME ZONE 'UTC', 'Mon DD HH24:MI'), o.n)) ORDER BY o.first))
          FROM (SELECT min(g.hour) AS first, max(g.hour) AS last, count(*) AS n
                  FROM (SELECT c.hour, c.hour - interval '1 hour' * row_number() OVER (ORDER BY c.hour) AS island
                          FROM generate_series(latest - interval '335 hours', latest, interval '1 hour') c (hour)
                         WHERE NOT EXISTS (SELECT FROM defidata.hours h WHERE h.hour = c.hour AND h.observed)) g
                 GROUP BY g.island) o HAVING count(*) > 0),
        xmlelement(NAME p, xmlattributes('note' AS class), CASE WHEN latest IS NULL THEN 'Nothing yet.' ELSE 'No outage: every hour of the last 14 days was observed.' END));
END
$$;
COMMENT ON FUNCTION defidata.report_outages(timestamptz) IS 'the outages of the 14 days up to latest in words';

CREATE FUNCTION defidata.report_coverage(latest timestamptz) RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class),
        xmlelement(NAME h2, 'Coverage'),
        xmlelement(NAME p, xmlattributes('legend' AS class), xmlelement(NAME span, xmlattributes('key1' AS class), 'observed hour'),
                   xmlelement(NAME span, xmlattributes('keyout' AS class), 'outage')),
        (SELECT xmlelement(NAME div, xmlattributes('coverage' AS class), xmlagg(xmlelement(NAME div, xmlelement(NAME span, d.label), d.strip) ORDER BY d.day DESC))
           FROM (SELECT c.day, to_char(c.day, 'Dy DD') AS label,
                        defidata.drawing('strip', format('%s: %s hours observed, %s missing', c.day, count(h.hour), count(*) - count(h.hour)),
                            xmlagg(xmlelement(NAME rect, xmlattributes(CASE WHEN h.hour IS NULL THEN 'out' ELSE 'bar' END AS class,
                                10 * EXTRACT(hour FROM c.hour AT TIME ZONE 'UTC')::integer + 0.5 AS x, 0 AS y, 9 AS width, 10 AS height),
                                xmlelement(NAME title, defidata.show_time(c.hour) || CASE WHEN h.hour IS NULL THEN ': no data' ELSE format(': %s rows', h.rows) END))
                                ORDER BY c.hour), 240, 10) AS strip
                   FROM (SELECT s.hour, (s.hour AT TIME ZONE 'UTC')::date AS day
                           FROM generate_series(latest - interval '335 hours', latest, interval '1 hour') s (hour)) c
                   LEFT JOIN defidata.hours h ON h.hour = c.hour AND h.observed
                  GROUP BY c.day) d HAVING count(*) > 0),
        defidata.report_outages(latest));
END
$$;
COMMENT ON FUNCTION defidata.report_coverage(timestamptz) IS 'the hours of the 14 days up to latest, outages marked';

CREATE FUNCTION defidata.report_status() RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card wide' AS class), xmlelement(NAME h2, 'Status'),
        defidata.report_table(ARRAY['Check', 'State', 'Found', 'Next step'], (
            SELECT xmlagg(xmlelement(NAME tr, xmlelement(NAME th, xmlattributes('row' AS scope), s.name),
                       xmlelement(NAME td, xmlelement(NAME span, xmlattributes('state ' || s.state AS class), s.state)),
                       xmlelement(NAME td, s.value), xmlelement(NAME td, xmlattributes(CASE WHEN s.hint IS NULL THEN 'none' END AS class), COALESCE(s.hint, defidata.dash()))) ORDER BY s.position)
              FROM defidata.status() WITH ORDINALITY s (name, state, value, hint, position)), 'words'));
END
$$;
COMMENT ON FUNCTION defidata.report_status() IS 'defidata.status as a card';

CREATE FUNCTION defidata.report_run() RETURNS xml
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN xmlelement(NAME section, xmlattributes('card' AS class), xmlelement(NAME h2, 'Last run'),
        defidata.report_table(ARRAY['Stage', 'State', 'Began', 'Took', 'What it did'], (
            SELECT xmlagg(xmlelement(NAME tr, xmlelement(NAME th, xmlattributes('row' AS scope), r.stage),
                       xmlelement(NAME td, xmlelement(NAME span, xmlattributes(
                           'state ' || CASE r.status WHEN 'ok' THEN 'ok' WHEN 'failed' THEN 'fail' ELSE 'warn' END AS class), r.status)),
                       xmlelement(NAME td, defidata.show_time(r.started_at)),
                       xmlelement(NAME td, COALESCE(round(EXTRACT(epoch FROM r.finished_at - r.started_at), 1) || ' s', defidata.dash())),
                       xmlelement(NAME td, COALESCE(r.error, (SELECT string_agg(format('%s %s', e.value, e.key), ', ' ORDER BY e.key)
                                                                FROM jsonb_each_text(r.counts) e), defidata.dash()))) ORDER BY r.id)
              FROM defidata.runs r
             WHERE r.run = (SELECT max(l.run) FROM defidata.runs l WHERE l.trigger IN ('run', 'refresh') AND l.status <> 'skipped')), 'words'));
END
$$;
COMMENT ON FUNCTION defidata.report_run() IS 'the stages of the last run or refresh as a card';

CREATE FUNCTION defidata.report_page(title text, note text, content xml) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE sql
    RETURN E'<!DOCTYPE html>\n' || xmlserialize(CONTENT xmlelement(NAME html, xmlattributes('en' AS lang),
        xmlelement(NAME head,
            xmlelement(NAME meta, xmlattributes(defidata.charset() AS charset)),
            xmlelement(NAME meta, xmlattributes('Content-Security-Policy' AS "http-equiv",
                                                'default-src ''none''; style-src ''unsafe-inline''; img-src data:' AS content)),
            xmlelement(NAME meta, xmlattributes('viewport' AS name, 'width=device-width, initial-scale=1' AS content)),
            xmlelement(NAME link, xmlattributes('icon' AS rel, 'data:,' AS href)),
            xmlelement(NAME title, title), xmlelement(NAME style, defidata.report_style())),
        xmlelement(NAME body,
            xmlelement(NAME header, xmlelement(NAME h1, title), xmlelement(NAME p, note)),
            xmlelement(NAME main, content),
            xmlelement(NAME footer, 'Made by defidata. Mentions, change and sentiment are those of 24 hours; times are in UTC; an hour without data is an outage, not a zero.'))) AS text) || E'\n';
COMMENT ON FUNCTION defidata.report_page(text, text, xml) IS 'a whole HTML page';

CREATE FUNCTION defidata.report() RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET jit = off
AS $$
DECLARE
    seen      record;
    -- what tells of the machinery is for those who may read it elsewhere
    for_staff constant boolean := has_table_privilege(session_user, 'defidata.status', 'SELECT');
BEGIN
    PERFORM defidata.require_xml();
    SELECT p.generation, p.latest_hour, p.published_at, (SELECT count(*) FROM defidata.token_stats) AS tokens,
           (SELECT sum(h.mentions) FROM defidata.hours h WHERE h.hour > p.latest_hour - interval '24 hours' AND h.hour <= p.latest_hour) AS mentions,
           (SELECT count(*) / 336.0 FROM defidata.hours h WHERE h.observed AND h.hour > p.latest_hour - interval '336 hours' AND h.hour <= p.latest_hour) AS coverage
      INTO seen FROM defidata.publication p;
    RETURN defidata.report_page('defidata', CASE WHEN seen.latest_hour IS NULL THEN 'Nothing has been published yet.'
            ELSE format('The hour from %s, generation %s, published %s', defidata.show_time(seen.latest_hour), seen.generation, defidata.show_time(seen.published_at)) END,
        xmlconcat(
            xmlelement(NAME dl, xmlattributes('figures' AS class),
                defidata.report_figure('Mentions in 24 hours', COALESCE(to_char(seen.mentions, 'FM999,999,999,990'), defidata.dash())),
                defidata.report_figure('Tokens in 14 days', to_char(seen.tokens, 'FM999,990')),
                defidata.report_figure('Coverage of 14 days', defidata.show_percent(CASE WHEN seen.latest_hour IS NOT NULL THEN seen.coverage END)),
                CASE WHEN for_staff THEN defidata.report_figure('Status', (SELECT CASE WHEN 'fail' = ANY (array_agg(s.state)) THEN 'fail'
                    WHEN 'warn' = ANY (array_agg(s.state)) THEN 'warn' ELSE 'ok' END FROM defidata.status() s)) END),
            -- the three main boards first
            (SELECT xmlagg(defidata.report_board(b.name) ORDER BY array_position('{trending,decreasing,volatile}', b.name), b.name) FROM defidata.board b),
            defidata.report_alerts(), defidata.report_days(), defidata.report_coverage(seen.latest_hour),
            CASE WHEN for_staff THEN xmlconcat(defidata.report_run(), defidata.report_status()) END));
END
$$;

CREATE FUNCTION defidata.report(token text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET jit = off
AS $$
DECLARE
    t record;
BEGIN
    PERFORM defidata.require_xml();
    IF token IS NULL THEN
        RAISE EXCEPTION 'a token is needed' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'defidata_report() without an argument reports on all of them.';
    END IF;
    SELECT s.* INTO t FROM defidata.token_stats s WHERE s.token = defidata.known_token(report.token);
    IF NOT FOUND THEN
        RETURN defidata.report_page(COALESCE(NULLIF(left(token, 80), ''), '?'), 'No such token was mentioned in the last 14 days.',
                                    xmlelement(NAME p, 'SELECT token FROM defidata.token_stats lists those that were.'));
    END IF;
    RETURN defidata.report_page(concat_ws(format(' %s ', defidata.dash()), t.token, t.name), 'The hour from ' || defidata.show_time(t.hour),
        xmlconcat(
            xmlelement(NAME dl, xmlattributes('figures' AS class),
                (SELECT xmlagg(defidata.report_figure(v.name, defidata.show_metric(v.metric, v.figure)) ORDER BY v.position)
                   FROM (VALUES (1, 'Mentions in 24 h', 'mentions_24h', t.mentions_24h), (2, 'Share of all', 'dominance_24h', t.dominance_24h),
                                (3, 'Change 24 h', 'change_24h', t.change_24h), (4, 'Change 7 days', 'change_7d', t.change_7d),
                                (5, 'Trend', 'trend_24h', t.trend_24h), (6, 'Surge', 'surge_14d', t.surge_14d),
                                (7, 'Spread 7 days', 'rsd_7d', t.rsd_7d), (8, 'Sentiment 24 h', 'sentiment_24h', t.sentiment_24h),
                                (9, 'Price', 'price', t.price), (10, 'Price 24 h', 'price_change_24h', t.price_change_24h),
                                (11, 'Volatility', 'price_volatility_7d', t.price_volatility_7d), (12, 'Market cap', 'market_cap', t.market_cap))
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
    observed constant timestamptz[] := defidata.observed_hours(latest - interval '335 hours', latest + interval '1 hour');
    parts    constant defidata.series[] := ARRAY(SELECT s.series FROM defidata.mention_series s WHERE s.token = subject
                                                    AND s.start >= defidata.week_of(latest - interval '672 hours') AND s.start <= latest ORDER BY s.start);
    f        record;
BEGIN
    SELECT array_agg(h.hour ORDER BY h.hour) AS hours, array_agg(h.mentions::float8 ORDER BY h.hour) AS mentions,
           array_agg(m.sma_24h ORDER BY h.hour) AS sma_24h, array_agg(m.sma_7d ORDER BY h.hour) AS sma_7d,
           array_agg(h.sentiment ORDER BY h.hour) AS sentiment, array_agg(m.sentiment_24h ORDER BY h.hour) AS sentiment_24h,
           array_agg(h.price ORDER BY h.hour) AS price
      INTO f
      FROM defidata.history(subject, '14 days') h
      LEFT JOIN LATERAL (SELECT (defidata.metrics_at(p, observed, h.hour, coverage)).* FROM unnest(parts) p) m ON h.mentions IS NOT NULL;
    RETURN xmlconcat(
        defidata.line_chart('card wide', 'Mentions an hour', '{mentions,mean of 24 hours,mean of 7 days}', ARRAY[f.mentions, f.sma_24h, f.sma_7d], f.hours, 0),
        defidata.line_chart('card', 'Sentiment', '{hour,mean of 24 hours}', ARRAY[f.sentiment, f.sentiment_24h], f.hours, NULL),
        defidata.line_chart('card', 'Price', '{newest quote}', ARRAY[f.price], f.hours, NULL));
END
$$;
COMMENT ON FUNCTION defidata.report_token(text, timestamptz) IS 'the charts of a token over the 14 days up to latest';
