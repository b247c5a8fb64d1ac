-- board.sql: the top tables, built-in and a user's own.

CREATE FUNCTION defidata.copy_grants(model text, target text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reader record;
BEGIN
    FOR reader IN SELECT a.grantee FROM pg_class c, aclexplode(c.relacl) a
                   WHERE c.oid = format('defidata.%I', model)::regclass AND a.privilege_type = 'SELECT'
                     AND a.grantee <> c.relowner LOOP
        EXECUTE format('GRANT SELECT ON defidata.%I TO %s', target,
                       CASE reader.grantee WHEN 0 THEN 'PUBLIC' ELSE reader.grantee::regrole::text END);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.copy_grants(text, text) IS 'lets whoever may read one table read another';

-- Columns are added at the end, where an older version's table lacks them.
CREATE FUNCTION defidata.complete_board(board text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target constant regclass := format('defidata.%I', board);
    col    record;
BEGIN
    FOR col IN
        SELECT m.name, m.type FROM defidata.metric_list() m WHERE 'board' = ANY (m.places)
        UNION ALL VALUES ('price', 'float8'), ('price_change_24h', 'float8'), ('name', 'text') LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = target AND a.attname = col.name
                          AND NOT a.attisdropped) THEN
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s%s', target, col.name, col.type,
                           CASE col.name WHEN 'mentions' THEN ' NOT NULL' ELSE '' END);
        END IF;
    END LOOP;
    -- what is not the board's own means what it means in token_stats
    EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN %s.%I IS %L', target, a.attname,
                                      col_description(s.attrelid, s.attnum)), '; ')
               FROM pg_attribute a
               JOIN pg_attribute s ON s.attrelid = 'defidata.token_stats'::regclass
                                  AND s.attname = a.attname AND NOT s.attisdropped
              WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped);
    EXECUTE (SELECT format('COMMENT ON TABLE %s IS %L; COMMENT ON COLUMN %1$s.value IS %L;'
                           ' COMMENT ON COLUMN %1$s.rank IS %L', target,
                           format('top %s by %s, %s', b.size, b.metric, b.direction),
                           'what the board ranks by: ' || b.metric, 'the rank, from 1')
               FROM defidata.board b WHERE b.name = board);
END
$$;
COMMENT ON FUNCTION defidata.complete_board(text) IS
    'adds the columns that a board''s table lacks, and its comments';

CREATE FUNCTION defidata.setup_board(name text, metric text, direction text, min_mentions float8, size integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- cut first, as a regex does not take a text of any length
    IF name IS NULL OR left(name, 49) !~ '^[a-z][a-z0-9_]{0,47}$' THEN
        RAISE EXCEPTION 'invalid board name %', quote_nullable(left(name, 80)) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A name is 1 to 48 lower-case letters, digits and underscores and begins with a letter.';
    ELSIF metric IS NULL OR NOT EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = 'defidata.token_stats'::regclass AND a.attname = metric AND a.attnum > 0
               AND NOT a.attisdropped AND a.atttypid IN ('float8'::regtype, 'bigint'::regtype)) THEN
        RAISE EXCEPTION '% is not a metric of defidata.token_stats', quote_nullable(left(metric, 80))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = (SELECT 'The metrics are ' || string_agg(a.attname, ', ' ORDER BY a.attnum) || '.'
                            FROM pg_attribute a WHERE a.attrelid = 'defidata.token_stats'::regclass AND a.attnum > 0
                             AND NOT a.attisdropped AND a.atttypid IN ('float8'::regtype, 'bigint'::regtype));
    ELSIF direction IS NULL OR direction NOT IN ('asc', 'desc') THEN
        RAISE EXCEPTION 'direction must be asc or desc, not %', quote_nullable(left(direction, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF min_mentions IS NULL OR NOT (min_mentions >= 0 AND min_mentions < 'infinity') THEN
        RAISE EXCEPTION 'min_mentions must be a number of at least 0' USING ERRCODE = 'invalid_parameter_value';
    ELSIF size IS NULL OR size NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'size must be between 1 and 10000' USING ERRCODE = 'invalid_parameter_value';
    ELSIF to_regclass(format('defidata.%I', name)) IS NOT NULL THEN
        RAISE EXCEPTION 'defidata.% exists already', name USING ERRCODE = 'duplicate_table',
            HINT = 'Choose another name, or drop the board of this name with defidata_drop_board.';
    END IF;
    INSERT INTO defidata.board VALUES (name, metric, direction, min_mentions, size);
    EXECUTE format('CREATE TABLE defidata.%I (rank integer PRIMARY KEY,'
                   ' token text COLLATE "C" NOT NULL, value float8 NOT NULL,'
                   ' hour timestamptz NOT NULL)', name);
    PERFORM defidata.complete_board(name);
    PERFORM defidata.copy_grants('token_stats', name);
END
$$;
COMMENT ON FUNCTION defidata.setup_board(text, text, text, float8, integer) IS 'checks and registers a board and makes its table';

CREATE FUNCTION defidata.setup_boards() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_board(b.name, b.metric, b.direction, 240, 10)
       FROM (VALUES ('trending', 'trend_24h', 'desc'), ('decreasing', 'trend_24h', 'asc'), ('volatile', 'rsd_7d', 'desc'),
                    ('surging', 'surge_14d', 'desc'), ('most_mentioned', 'sma_24h', 'desc'),
                    ('most_positive', 'sentiment_24h', 'desc'), ('most_negative', 'sentiment_24h', 'asc'))
            AS b (name, metric, direction);
END
$$;
COMMENT ON FUNCTION defidata.setup_boards() IS 'makes the seven built-in boards';

-- One look at token_stats serves every board: it leaves the tokens that any of them can rank.
CREATE FUNCTION defidata.rank_tokens() RETURNS TABLE (board text, tokens text[])
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    ranking text;
BEGIN
    SELECT format('WITH t AS MATERIALIZED (SELECT t.* FROM defidata.token_stats t WHERE %s) ', string_agg(DISTINCT e.eligible, ' OR '))
           || string_agg(format('SELECT %L, ARRAY(SELECT t.token FROM t WHERE t.%I IS NOT NULL AND %s'
                                ' ORDER BY t.%2$I %4$s, t.mentions_24h DESC NULLS LAST, t.token COLLATE "C" LIMIT %L)',
                                e.name, e.metric, e.eligible, e.direction, e.size), ' UNION ALL ' ORDER BY e.name)
      INTO ranking
      -- what shrinks must have been large once: the larger of now and before counts
      FROM (SELECT b.*, format('COALESCE(%s, 0) >= %L',
                               CASE WHEN b.metric = 'trend_24h' AND b.direction = 'asc' THEN 'greatest(t.mentions_24h, t.baseline_24h)'
                                    ELSE 't.mentions_24h' END, b.min_mentions) AS eligible
              FROM defidata.board b) e;
    IF ranking IS NOT NULL THEN
        RETURN QUERY EXECUTE ranking;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.rank_tokens() IS 'the tokens that each board has to show, from token_stats, the first rank first';

CREATE FUNCTION defidata.board_query(board text, tokens text[]) RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format('SELECT o.rank::integer AS rank, s.*, s.%I::float8 AS value'
                  ' FROM unnest(%L::text[]) WITH ORDINALITY o (token, rank) JOIN defidata.token_stats s ON s.token = o.token',
                  (SELECT b.metric FROM defidata.board b WHERE b.name = board), tokens);
END
$$;
COMMENT ON FUNCTION defidata.board_query(text, text[]) IS 'the query of what a board has to show of these tokens, the first rank first';

CREATE FUNCTION defidata.board_as_of(board text, at timestamptz)
    RETURNS TABLE (rank integer, token text, value float8, generation bigint, latest_hour timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF board IS NULL OR at IS NULL THEN
        RAISE EXCEPTION 'board and time must not be null' USING ERRCODE = 'invalid_parameter_value';
    ELSIF (SELECT count(*) FROM defidata.board b WHERE b.name = board) = 0
          AND NOT EXISTS (SELECT FROM defidata.board_history h WHERE h.board = board_as_of.board) THEN
        RAISE EXCEPTION 'board % does not exist', quote_nullable(left(board, 80)) USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.board lists the boards.';
    END IF;
    RETURN QUERY
    SELECT h.rank, h.token, h.value, p.generation, p.latest_hour
      FROM (SELECT g.generation, g.latest_hour FROM defidata.publication_history g
             WHERE g.published_at <= at ORDER BY g.generation DESC LIMIT 1) p
      JOIN defidata.board_history h ON h.generation = p.generation AND h.board = board_as_of.board
     ORDER BY h.rank;
END
$$;
COMMENT ON FUNCTION defidata.board_as_of(text, timestamptz) IS 'a board as its readers saw it at a moment; no rows where nothing was published by then. 42704 for an unknown board';
