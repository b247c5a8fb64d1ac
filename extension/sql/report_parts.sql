-- report_parts.sql: what the reports are made of: figures in words, drawings, tables.

CREATE FUNCTION defidata.require_xml() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM xmlelement(NAME probe, 'x');
EXCEPTION WHEN feature_not_supported THEN
    RAISE EXCEPTION 'the report needs a PostgreSQL that was built with'
                    ' libxml' USING ERRCODE = 'feature_not_supported',
        HINT = 'Use a server built with --with-libxml, as Debian''s packages are; defidata.status'
            ' and the boards are there all the same.';
END
$$;
COMMENT ON FUNCTION defidata.require_xml() IS
    'raises 0A000 where the server was built without libxml';

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
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE pg_client_encoding() WHEN 'UTF8' THEN 'utf-8' WHEN 'EUC_JP' THEN 'euc-jp'
                WHEN 'SJIS' THEN 'shift_jis' WHEN 'WIN1252' THEN 'windows-1252'
                ELSE regexp_replace(pg_client_encoding(), '^LATIN([1-4])$', 'iso-8859-\1') END;
COMMENT ON FUNCTION defidata.charset() IS 'the encoding of what the client gets, as HTML names it';

CREATE FUNCTION defidata.show_number(figure float8) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN figure IS NULL OR abs(figure) IN ('NaN', 'Infinity') THEN defidata.dash()
                WHEN abs(figure) >= 1e9 THEN to_char(figure / 1e9, 'FM999,999,990.0') || ' bn'
                WHEN abs(figure) >= 1e6 THEN to_char(figure / 1e6, 'FM990.0') || ' m'
                WHEN abs(figure) >= 1000 OR figure = round(figure) THEN to_char(figure, 'FM999,990')
                WHEN abs(figure) >= 1 THEN to_char(figure, 'FM990.00')
                ELSE trim_scale(round(figure::numeric,
                                      least(2 - floor(log(abs(figure)))::integer, 15)))::text END;
COMMENT ON FUNCTION defidata.show_number(float8) IS
    'a number in a few digits; a dash for NULL and what is not finite';

CREATE FUNCTION defidata.show_percent(figure float8) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN abs(figure) < 1e9 THEN to_char(100 * figure, 'FM999,999,999,990.0') || ' %'
        ELSE defidata.dash() END;
COMMENT ON FUNCTION defidata.show_percent(float8) IS
    'a fraction as a percentage; a dash for NULL and what is beyond all bounds';

CREATE FUNCTION defidata.show_change(figure float8) RETURNS xml
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN xmlelement(NAME span,
                      xmlattributes(CASE WHEN figure > 0 THEN 'up' WHEN figure < 0 THEN 'down'
                                    ELSE 'flat' END AS class),
                      COALESCE(CASE WHEN figure > 0 THEN '+' WHEN figure < 0 THEN '-' END, '')
                      || defidata.show_percent(abs(figure)));
COMMENT ON FUNCTION defidata.show_change(float8) IS
    'a change as a percentage with its sign, coloured by it';

CREATE FUNCTION defidata.show_metric(metric text, figure float8) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN metric ~ ('^(trend|change|deviation|rsd|coverage|dominance|price_change'
                               '|price_volatility)_')
                THEN defidata.show_percent(figure)
                WHEN metric ~ '^(surge|zscore)_' THEN COALESCE(to_char(figure, 'FM999,990.0'),
                    defidata.dash())
                WHEN metric ~ '^sentiment' THEN COALESCE(to_char(figure, 'FM990.000'),
                                                         defidata.dash())
                ELSE defidata.show_number(figure) END;
COMMENT ON FUNCTION defidata.show_metric(text, float8) IS
    'a figure of token_stats as fits its column';

CREATE FUNCTION defidata.show_time(at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'never');
COMMENT ON FUNCTION defidata.show_time(timestamptz) IS
    'a time in UTC to the minute; never for NULL';

CREATE FUNCTION defidata.line_path(figures float8[], low float8, high float8) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    -- a NULL interrupts the line; what stands alone is a dot
    SELECT string_agg(CASE WHEN p.former IS NULL THEN format('M%s %sh0', p.x, p.y)
                      ELSE format('L%s %s', p.x, p.y) END, '' ORDER BY p.i)
      FROM (SELECT f.i, lag(f.v) OVER (ORDER BY f.i) AS former, f.v,
                   round((1000.0 * (f.i - 1) / greatest(cardinality(figures) - 1, 1))::numeric,
                         1) AS x,
                   round((100 - 100 * (f.v - low) / COALESCE(NULLIF(high - low, 0), 1))::numeric,
                         1) AS y
              FROM unnest(figures) WITH ORDINALITY f (v, i)) p
     WHERE p.v IS NOT NULL;
END;
COMMENT ON FUNCTION defidata.line_path(float8[], float8, float8) IS
    'figures as the path of a line in a box of 1000 by 100 that reaches from low to high; NULLs'
    ' are gaps';

CREATE FUNCTION defidata.drawing(class text, label text, content xml, width integer DEFAULT 1000,
    height integer DEFAULT 100)
    RETURNS xml
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN xmlelement(NAME svg,
                      xmlattributes(class AS class,
                                    format('0 0 %s %s', width, height) AS "viewBox",
                                        'none' AS "preserveAspectRatio",
                                              'img' AS role, label AS "aria-label"), content);
COMMENT ON FUNCTION defidata.drawing(text, text, xml, integer, integer) IS
    'an SVG drawing that stretches to its place';

CREATE FUNCTION defidata.line_drawing(class text, label text, lines float8[], low float8,
    high float8)
    RETURNS xml
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT defidata.drawing(class, label,
                            xmlagg(xmlelement(NAME path, xmlattributes('line' || i AS class,
               COALESCE(defidata.line_path(ARRAY(SELECT unnest(lines[i:i])), low, high),
                        'M0 0') AS d)) ORDER BY i))
      FROM generate_series(1, array_length(lines, 1)) i;
END;
COMMENT ON FUNCTION defidata.line_drawing(text, text, float8[], float8, float8) IS
    'lines, each a row of a two-dimensional array, between low and high';

CREATE FUNCTION defidata.line_chart(class text, title text, names text[], lines float8[],
    hours timestamptz[], base float8)
    RETURNS xml
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT xmlelement(NAME section, xmlattributes(class AS class),
               xmlelement(NAME h2, title),
               xmlelement(NAME p, xmlattributes('legend' AS class),
                   (SELECT xmlagg(xmlelement(NAME span, xmlattributes('key' || n.i AS class),
                                             n.name) ORDER BY n.i)
                      FROM unnest(names) WITH ORDINALITY n (name, i))),
               CASE WHEN r.high IS NULL THEN xmlelement(NAME p, xmlattributes('empty' AS class),
                                                        'No figures in this time.') ELSE
               xmlelement(NAME div, xmlattributes('chart' AS class),
                   xmlelement(NAME div, xmlattributes('scale' AS class),
                       xmlelement(NAME span, defidata.show_number(r.high)),
                           xmlelement(NAME span, defidata.show_number(r.low))),
                   defidata.line_drawing('plot', title, lines, r.low, r.high),
                   xmlelement(NAME div, xmlattributes('days' AS class),
                       xmlelement(NAME span, to_char(hours[1] AT TIME ZONE 'UTC', 'Mon DD')),
                       xmlelement(NAME span,
                                  to_char(hours[cardinality(hours) / 2 + 1] AT TIME ZONE 'UTC',
                                          'Mon DD')),
                       xmlelement(NAME span,
                                  to_char(hours[cardinality(hours)] AT TIME ZONE 'UTC',
                                          'Mon DD HH24:MI')))) END)
      FROM (SELECT least(min(v), base) AS low, max(v) AS high FROM unnest(lines) v) r;
END;
COMMENT ON FUNCTION defidata.line_chart(text, text, text[], float8[], timestamptz[], float8) IS
    'a card with lines over hours and their scale, which starts at base or below (NULL: at the'
    ' smallest figure)';

-- Mentions of a token in the last 7 days, a figure for 4 hours; NULL in an outage.
CREATE FUNCTION defidata.recent_mentions(token text, latest timestamptz) RETURNS float8[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT CASE WHEN count(h.hour) > 0 THEN sum(COALESCE(e.mentions, 0)) / count(h.hour) END
          FROM generate_series(1, 168) i
          LEFT JOIN defidata.hours h ON h.hour = latest - make_interval(hours => 168 - i)
              AND h.observed
          LEFT JOIN (SELECT x.* FROM defidata.mention_series s, LATERAL defidata.entries(s.series) x
                      WHERE s.token = recent_mentions.token
                          AND s.start >= defidata.week_of(latest - interval '168 hours')
                        AND s.start <= latest) e ON e.hour = h.hour
         GROUP BY (i - 1) / 4 ORDER BY (i - 1) / 4);
END
$$;
COMMENT ON FUNCTION defidata.recent_mentions(text, timestamptz) IS
    'what a sparkline shows: mentions an hour over the 7 days up to latest';

CREATE FUNCTION defidata.report_table(head text[], body xml, class text DEFAULT '') RETURNS xml
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN xmlelement(NAME div,
                      xmlattributes('scroll' AS class, '0' AS tabindex, 'region' AS role,
                                    'table' AS "aria-label"),
               xmlelement(NAME table, xmlattributes(NULLIF(class, '') AS class),
                   xmlelement(NAME thead, xmlelement(NAME tr,
                       (SELECT xmlagg(xmlelement(NAME th, xmlattributes('col' AS scope), h.name)
                                      ORDER BY h.i)
                          FROM unnest(head) WITH ORDINALITY h (name, i)))),
                   xmlelement(NAME tbody, COALESCE(body, xmlelement(NAME tr, xmlelement(NAME td,
                       xmlattributes(cardinality(head) AS colspan, 'empty' AS class),
                           'Nothing yet.'))))));
COMMENT ON FUNCTION defidata.report_table(text[], xml, text) IS
    'a table that scrolls where the screen is narrow';

CREATE FUNCTION defidata.report_figure(name text, figure text) RETURNS xml
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN xmlelement(NAME div, xmlattributes('figure' AS class), xmlelement(NAME dt, name),
                      xmlelement(NAME dd, figure));
COMMENT ON FUNCTION defidata.report_figure(text, text) IS 'a figure under its name';
