-- ranking.sql: which tokens a board shows, now and then.

-- What shrinks must have been large once: the larger of now and before counts.
CREATE FUNCTION defidata.eligible(metric text, direction text, min_mentions float8) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('COALESCE(%s, 0) >= %L',
                  CASE WHEN metric = 'trend_24h' AND direction = 'asc'
                       THEN 'greatest(t.mentions_24h, t.baseline_24h)'
                       ELSE 't.mentions_24h' END, min_mentions);
COMMENT ON FUNCTION defidata.eligible(text, text, float8) IS
    'the condition, on token_stats t, for a place on such a board';

-- One look at token_stats serves every board: it leaves the tokens that any of them can rank.
CREATE FUNCTION defidata.rank_tokens() RETURNS TABLE (board text, tokens text[])
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    ranking text;
BEGIN
    SELECT format('WITH t AS MATERIALIZED (SELECT t.* FROM defidata.token_stats t WHERE %s) ',
                  string_agg(DISTINCT e.eligible, ' OR '))
           || string_agg(format('SELECT %L, ARRAY(SELECT t.token FROM t'
                                ' WHERE t.%I IS NOT NULL AND %s'
                                ' ORDER BY t.%2$I %4$s, t.mentions_24h DESC NULLS LAST,'
                                ' t.token COLLATE "C" LIMIT %L)',
                                e.name, e.metric, e.eligible, e.direction, e.size),
                         ' UNION ALL ' ORDER BY e.name)
      INTO ranking
      FROM (SELECT b.*, defidata.eligible(b.metric, b.direction, b.min_mentions) AS eligible
              FROM defidata.board b WHERE defidata.has_board_table(b.name)) e;
    IF ranking IS NOT NULL THEN
        RETURN QUERY EXECUTE ranking;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.rank_tokens() IS
    'the tokens that each board has to show, from token_stats, the first rank first';

CREATE FUNCTION defidata.board_query(board text, tokens text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    metric constant text := (SELECT b.metric FROM defidata.board b WHERE b.name = board);
BEGIN
    RETURN format('SELECT %s FROM unnest(%L::text[]) WITH ORDINALITY o (token, rank)'
                  ' JOIN defidata.token_stats s ON s.token = o.token',
        (SELECT string_agg(CASE c.name
                               WHEN 'rank' THEN 'o.rank::integer AS rank'
                               WHEN 'value' THEN format('s.%I::float8 AS value', metric)
                               ELSE format('s.%I', c.name) END, ', ' ORDER BY c.place)
           FROM defidata.board_columns() c), tokens);
END
$$;
COMMENT ON FUNCTION defidata.board_query(text, text[]) IS
    'the query of what a board has to show of these tokens, the first rank first';

-- What differs goes before anything comes, so that not even a unique index of somebody's own
-- sees a token twice.
CREATE FUNCTION defidata.fill_board(board text, tokens text[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    target constant text := defidata.board_table(board);
    query  constant text := defidata.board_query(board, tokens);
    names  record;
    gone   bigint;
    come   bigint;
BEGIN
    SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place) AS plain,
           string_agg(format('t.%I', c.name), ', ' ORDER BY c.place) AS former,
           string_agg(format('n.%I', c.name), ', ' ORDER BY c.place) AS fresh INTO names
      FROM defidata.board_columns() c;
    EXECUTE format('DELETE FROM %s t WHERE NOT EXISTS (SELECT FROM (%s) n'
                   ' WHERE n.rank = t.rank AND (%s) IS NOT DISTINCT FROM (%s))',
                   target, query, names.fresh, names.former);
    GET DIAGNOSTICS gone = ROW_COUNT;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM (%s) n'
                   ' WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.rank = n.rank)',
                   target, names.plain, names.fresh, query);
    GET DIAGNOSTICS come = ROW_COUNT;
    RETURN greatest(gone, come);
END
$$;
COMMENT ON FUNCTION defidata.fill_board(text, text[]) IS
    'has a board show these tokens, the first rank first; returns how many ranks changed';

CREATE FUNCTION defidata.board_as_of(board text, at timestamptz)
    RETURNS TABLE (rank integer, token text, value float8, generation bigint,
                   latest_hour timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF board IS NULL OR at IS NULL THEN
        RAISE EXCEPTION 'board and time must not be null'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT EXISTS (SELECT FROM defidata.board b WHERE b.name = board)
          AND NOT EXISTS (SELECT FROM defidata.board_history h
                           WHERE h.board = board_as_of.board) THEN
        PERFORM defidata.raise_no_board(board);
    END IF;
    RETURN QUERY
    SELECT h.rank, h.token, h.value, p.generation, p.latest_hour
      FROM (SELECT g.generation, g.latest_hour FROM defidata.publication_history g
             WHERE g.published_at <= at ORDER BY g.generation DESC LIMIT 1) p
      JOIN defidata.board_history h ON h.generation = p.generation AND h.board = board_as_of.board
     ORDER BY h.rank;
END
$$;
COMMENT ON FUNCTION defidata.board_as_of(text, timestamptz) IS 'see defidata_board_as_of';
