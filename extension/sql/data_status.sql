-- data_status.sql: what the data tell of health, a function for each row of defidata.status.
-- All of it can be judged on a standby too.

CREATE FUNCTION defidata.rejects()
    RETURNS TABLE (symbol text, reason text, rows bigint, mentions float8,
                   first_seen timestamptz, last_seen timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('defidata.raw_mentions') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.symbol COLLATE "default", r.reason, sum(r.rows)::bigint, sum(r.mentions),
           min(r.first_seen), max(r.last_seen)
      FROM (SELECT m.symbol, m.reason, count(*) AS rows,
                   sum(m.mentions) FILTER (WHERE m.mentions BETWEEN 0 AND 1e9) AS mentions,
                   min(m.hour) AS first_seen, max(m.hour) AS last_seen
              FROM defidata.raw_mentions m
             WHERE m.reason IS NOT NULL
             GROUP BY m.symbol, m.reason
            UNION ALL
            -- a quote that has no symbol shows by its asset
            SELECT COALESCE(p.symbol, p.asset), p.reason, count(*), NULL,
                   min(defidata.hour_of(p.at)), max(defidata.hour_of(p.at))
              FROM defidata.prices p
             WHERE p.reason IS NOT NULL
             GROUP BY 1, p.reason) r
     GROUP BY r.symbol, r.reason;
END
$$;
COMMENT ON FUNCTION defidata.rejects() IS 'the rejected rows by symbol and reason';

CREATE TYPE defidata.finding AS (
    name  text,
    state text,
    value text,
    hint  text
);
COMMENT ON TYPE defidata.finding IS 'a row of defidata.status';
COMMENT ON COLUMN defidata.finding.name IS 'what is judged';
COMMENT ON COLUMN defidata.finding.state IS 'ok, warn or fail';
COMMENT ON COLUMN defidata.finding.value IS 'what was found';
COMMENT ON COLUMN defidata.finding.hint IS 'the next step, where one is needed';

-- A hint is for what is not well.
CREATE FUNCTION defidata.finding(name text, state text, value text, hint text)
    RETURNS defidata.finding
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(name, state, value, CASE WHEN state <> 'ok' THEN hint END)::defidata.finding;
COMMENT ON FUNCTION defidata.finding(text, text, text, text) IS 'a row of defidata.status';

-- How bad it is that something is so old.
CREATE FUNCTION defidata.age_state(age interval) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stale_after constant interval := defidata.setting_value('stale_after');
BEGIN
    RETURN CASE WHEN age IS NULL THEN 'warn' WHEN age > 2 * stale_after THEN 'fail'
                WHEN age > stale_after THEN 'warn' ELSE 'ok' END;
END
$$;
COMMENT ON FUNCTION defidata.age_state(interval) IS
    'ok; warn beyond stale_after or where unknown; fail beyond twice that';

CREATE FUNCTION defidata.show_hour(hour timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC, '
           || date_trunc('minute', now() - hour) || ' ago';
COMMENT ON FUNCTION defidata.show_hour(timestamptz) IS 'an hour in UTC, and how long ago it was';

CREATE FUNCTION defidata.sources_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n record;
BEGIN
    SELECT count(*) FILTER (WHERE s.kind = 'mentions') AS mentions,
           count(*) FILTER (WHERE s.kind = 'prices') AS prices INTO n
      FROM defidata.source s;
    RETURN defidata.finding('sources',
        CASE WHEN n.mentions > 0 OR defidata.has_streams() THEN 'ok' ELSE 'fail' END,
        format('%s of mentions, %s of prices', n.mentions, n.prices),
        'Attach one with defidata_attach_server or defidata_attach.');
END
$$;
COMMENT ON FUNCTION defidata.sources_status() IS 'whether anything is attached';

CREATE FUNCTION defidata.latest_hour_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settle constant interval := defidata.setting_value('settle_after');
    latest constant timestamptz := (SELECT max(h.hour) FROM defidata.hours h WHERE h.settled);
BEGIN
    RETURN defidata.finding('latest hour',
        defidata.age_state(now() - latest - settle - interval '1 hour'),
        COALESCE(defidata.show_hour(latest), 'none'),
        'Either no cycle runs or the collector delivers no complete hours; see the row last run.');
END
$$;
COMMENT ON FUNCTION defidata.latest_hour_status() IS 'how old the latest settled hour is';

CREATE FUNCTION defidata.publication_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settle constant interval := defidata.setting_value('settle_after');
    seen   record;
BEGIN
    SELECT p.generation, p.latest_hour INTO seen FROM defidata.publication p;
    RETURN defidata.finding('publication',
        defidata.age_state(now() - seen.latest_hour - settle - interval '1 hour'),
        CASE WHEN seen.latest_hour IS NULL THEN 'nothing is published yet'
             ELSE format('generation %s, %s', seen.generation, defidata.show_hour(seen.latest_hour))
        END, 'SELECT * FROM defidata_refresh(); publishes, or tells what keeps it from that.');
END
$$;
COMMENT ON FUNCTION defidata.publication_status() IS 'how old the figures are that readers see';

-- Columns that publishing does not know of and that must not be NULL.
CREATE FUNCTION defidata.obstacles() RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT format('column %I of %s must not be null', a.attname, t.relation)
      FROM (SELECT 'defidata.token_stats'::regclass AS relation,
                   defidata.token_stats_columns() AS names
            UNION ALL
            SELECT to_regclass(defidata.board_table(b.name)),
                   ARRAY(SELECT c.name FROM defidata.board_columns() c)
              FROM defidata.board b) t
      JOIN pg_attribute a ON a.attrelid = t.relation
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
       AND a.attidentity = '' AND a.attname <> ALL (t.names)
    UNION ALL
    SELECT format('board %s is not there as it should be', b.name)
      FROM defidata.board b WHERE NOT defidata.has_board(b.name);
END
$$;
COMMENT ON FUNCTION defidata.obstacles() IS
    'what of the published tables keeps them from being filled';

CREATE FUNCTION defidata.obstacles_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found constant text := (SELECT string_agg(o, '; ') FROM defidata.obstacles() o);
BEGIN
    RETURN defidata.finding('published tables', CASE WHEN found IS NULL THEN 'ok' ELSE 'warn' END,
        COALESCE(found, 'as they should be'),
        'Let added columns be NULL or have a default; defidata_publish() makes a board again'
        ' unless something else has its name.');
END
$$;
COMMENT ON FUNCTION defidata.obstacles_status() IS
    'what a user''s hand has done to published tables';

-- The tenth token of now says what would fill a board.
CREATE FUNCTION defidata.boards_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    least_mentions constant float8 := (SELECT min(b.min_mentions) FROM defidata.board b);
    top            record;
    empty          boolean;
BEGIN
    SELECT max(t.mentions_24h) AS most, floor(min(t.mentions_24h)) AS tenth INTO top
      FROM (SELECT s.mentions_24h FROM defidata.token_stats s
             WHERE s.mentions_24h IS NOT NULL ORDER BY s.mentions_24h DESC LIMIT 10) t;
    empty := COALESCE(top.most < least_mentions, false);
    RETURN defidata.finding('boards', CASE WHEN empty THEN 'warn' ELSE 'ok' END,
        CASE WHEN empty THEN format('empty: no token has %s mentions in 24 hours, the most are %s',
                                    least_mentions, floor(top.most))
             ELSE (SELECT count(*) FROM defidata.board)::text END,
        format('SELECT defidata_set_board(name, min_mentions => %s) FROM defidata.board;',
               top.tenth));
END
$$;
COMMENT ON FUNCTION defidata.boards_status() IS
    'whether any token has the mentions that boards ask for';

CREATE FUNCTION defidata.documents_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing constant text := (
        SELECT string_agg(q.path, ', ' ORDER BY q.path) FROM defidata.document_queries() q
         WHERE q.path NOT IN (SELECT d.path FROM defidata.document d));
BEGIN
    RETURN defidata.finding('documents', CASE WHEN missing IS NULL THEN 'ok' ELSE 'warn' END,
        COALESCE('left out: ' || missing, (SELECT count(*) FROM defidata.document)::text),
        'They are too large to be one value; read the tables instead.');
END
$$;
COMMENT ON FUNCTION defidata.documents_status() IS 'whether a document could not be built';

CREATE FUNCTION defidata.unsettled_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settle    constant interval := defidata.setting_value('settle_after');
    unsettled constant bigint := (
        SELECT count(*) FROM defidata.hours h
         WHERE NOT h.settled AND h.rows > 0 AND NOT h.thin
           AND h.hour > now() - interval '14 days' AND h.hour + settle < now());
    future    constant bigint := (
        SELECT count(*) FROM defidata.raw_mentions r
         WHERE r.source = ANY (ARRAY(SELECT defidata.copied_sources()))
           AND r.reason = 'hour' AND r.hour > now() AND isfinite(r.hour));
BEGIN
    RETURN defidata.finding('unsettled hours',
        CASE WHEN unsettled + future > 0 THEN 'warn' ELSE 'ok' END, (unsettled + future)::text,
        'Hours that are not summed or incomplete, or in the future, are not published; a refresh'
        ' takes up what can be.');
END
$$;
COMMENT ON FUNCTION defidata.unsettled_status() IS
    'how many hours of 14 days are not published yet, and rows of a time to come';

CREATE FUNCTION defidata.thin_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n record;
BEGIN
    SELECT count(*) FILTER (WHERE h.thin AND h.marked IS NULL) AS thin,
           count(*) FILTER (WHERE h.marked) AS observed,
           count(*) FILTER (WHERE NOT h.marked) AS outages INTO n
      FROM defidata.hours h WHERE h.hour > now() - interval '14 days';
    RETURN defidata.finding('thin hours', CASE WHEN n.thin > 0 THEN 'warn' ELSE 'ok' END,
        concat_ws(', ', n.thin, NULLIF(n.observed, 0) || ' marked as observed',
                  NULLIF(n.outages, 0) || ' marked as outages'),
        'Hours with far fewer rows than is usual count as outages until their rows come;'
        ' defidata_mark_hours(from_hour, until_hour, true) says that they are whole.');
END
$$;
COMMENT ON FUNCTION defidata.thin_status() IS 'how many hours of 14 days are thin or marked';

-- Rows that have no usable time are found by when they came.
CREATE FUNCTION defidata.rejected_shares(OUT rows numeric, OUT quotes numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day_ago constant timestamptz := now() - interval '24 hours';
    feeds   constant text[] := ARRAY(SELECT defidata.copied_sources());
    quoting constant text[] := ARRAY(SELECT s.name FROM defidata.source s WHERE s.kind = 'prices'
                                     UNION ALL SELECT 'documents');
BEGIN
    SELECT avg((r.reason IS NOT NULL)::integer) FILTER (WHERE r.kind = 'rows'),
           avg((r.reason IS NOT NULL)::integer) FILTER (WHERE r.kind = 'quotes')
      INTO rows, quotes
      FROM (SELECT 'rows' AS kind, m.reason FROM defidata.raw_mentions m
             WHERE m.source = ANY (feeds) AND m.hour > day_ago AND m.hour <= now()
            UNION ALL
            SELECT 'rows', m.reason FROM defidata.raw_mentions m
             WHERE m.source = ANY (feeds) AND m.reason = 'hour' AND m.fetched_at > day_ago
               AND (m.hour > day_ago AND m.hour <= now() + interval '24 hours') IS NOT TRUE
            UNION ALL
            SELECT 'quotes', p.reason FROM defidata.prices p
             WHERE p.source = ANY (quoting) AND p.at > day_ago AND p.at <= now()
            UNION ALL
            SELECT 'quotes', p.reason FROM defidata.prices p
             WHERE p.reason = 'hour' AND p.fetched_at > day_ago
               AND (p.at > day_ago AND p.at <= now() + interval '24 hours') IS NOT TRUE) r;
END
$$;
COMMENT ON FUNCTION defidata.rejected_shares() IS
    'the shares of rejected rows and quotes of 24 hours; NULL where there are none';

CREATE FUNCTION defidata.rejects_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    share record;
BEGIN
    SELECT * INTO share FROM defidata.rejected_shares();
    RETURN defidata.finding('rejected rows',
        CASE WHEN greatest(share.rows, share.quotes) > 0.5 THEN 'warn' ELSE 'ok' END,
        COALESCE(NULLIF(concat_ws(', ', round(100 * share.rows, 1) || ' % of the last 24 hours',
                                  round(100 * share.quotes, 1) || ' % of the quotes'), ''),
                 'no rows in the last 24 hours'),
        'SELECT * FROM defidata.rejects ORDER BY rows DESC LIMIT 20; shows which and why: times and'
        ' figures need another mapping (defidata_attach), symbols could go into defidata.token.');
END
$$;
COMMENT ON FUNCTION defidata.rejects_status() IS
    'the share of rejected rows and quotes of 24 hours';

CREATE FUNCTION defidata.coverage_share() RETURNS float8
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    latest constant timestamptz := (SELECT max(h.hour) FROM defidata.hours h WHERE h.settled);
BEGIN
    RETURN (SELECT count(*) FROM defidata.hours h
             WHERE h.observed AND h.hour <= latest
               AND h.hour > latest - interval '336 hours') / 336.0;
END
$$;
COMMENT ON FUNCTION defidata.coverage_share() IS
    'the share of the 336 hours up to the latest settled one that were observed';

CREATE FUNCTION defidata.coverage_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    share constant float8 := defidata.coverage_share();
BEGIN
    RETURN defidata.finding('coverage of 14 days',
        CASE WHEN share >= defidata.setting_value('min_coverage')::float8 THEN 'ok' ELSE 'warn' END,
        round(100 * share::numeric, 1) || ' %',
        'Figures over 14 days are NULL below min_coverage; backfill what the source holds, or'
        ' wait.');
END
$$;
COMMENT ON FUNCTION defidata.coverage_status() IS 'the share of observed hours of 14 days';

CREATE FUNCTION defidata.alerts_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    standing constant bigint := (SELECT count(*) FROM defidata.alerts);
BEGIN
    RETURN ROW('alerts', 'ok', standing || ' stand',
               CASE WHEN standing > 0 THEN 'SELECT * FROM defidata.alerts;' END)::defidata.finding;
END
$$;
COMMENT ON FUNCTION defidata.alerts_status() IS 'how many alerts stand';
