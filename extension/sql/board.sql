-- board.sql: the top tables, built-in and a user's own.
--
-- The rows of board NAME stand in the table _NAME, a name that no board can have; what is read
-- is the view NAME over it, which puts them in the order of rank.  defidata.board says which
-- boards there are: what somebody has dropped of one is made again by the next publish.

CREATE FUNCTION defidata.board_table(board text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('defidata.%I', '_' || board);
COMMENT ON FUNCTION defidata.board_table(text) IS 'the table of a board, as SQL';

CREATE FUNCTION defidata.board_view(board text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('defidata.%I', board);
COMMENT ON FUNCTION defidata.board_view(text) IS 'the view of a board, as SQL';

CREATE FUNCTION defidata.raise_no_board(board text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'board % does not exist', quote_nullable(left(board, 80))
        USING ERRCODE = 'undefined_object',
              HINT = 'SELECT name FROM defidata.board lists the boards.';
END
$$;
COMMENT ON FUNCTION defidata.raise_no_board(text) IS 'raises 42704: there is no such board';

-- A view's columns can only be added to: newer ones come last.
CREATE FUNCTION defidata.board_columns(OUT name text, OUT type text, OUT place bigint)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.name, c.type, row_number() OVER (ORDER BY c.chapter, c.place)
      FROM (SELECT 1 AS chapter, f.place, f.name, f.type
              FROM unnest('{rank,token,value,hour}'::text[],
                          '{integer,text,float8,timestamptz}'::text[])
                   WITH ORDINALITY f (name, type, place)
            UNION ALL
            SELECT 2, m.ordinality, m.name, m.type
              FROM defidata.metric_list() WITH ORDINALITY m (name, type, places, meaning)
             WHERE 'board' = ANY (m.places) AND 'later' <> ALL (m.places)
            UNION ALL
            SELECT 3, f.place, f.name, f.type
              FROM unnest('{price,price_change_24h,name}'::text[], '{float8,float8,text}'::text[])
                   WITH ORDINALITY f (name, type, place)
            UNION ALL
            SELECT 4, m.ordinality, m.name, m.type
              FROM defidata.metric_list() WITH ORDINALITY m (name, type, places, meaning)
             WHERE 'board' = ANY (m.places) AND 'later' = ANY (m.places)) c;
END;
COMMENT ON FUNCTION defidata.board_columns() IS 'the columns of every board, in their order';

CREATE FUNCTION defidata.copy_grants(model text, target text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reader record;
BEGIN
    FOR reader IN SELECT a.grantee FROM pg_class c, aclexplode(c.relacl) a
                   WHERE c.oid = format('defidata.%I', model)::regclass
                     AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner LOOP
        EXECUTE format('GRANT SELECT ON defidata.%I TO %s', target,
                       CASE reader.grantee WHEN 0 THEN 'PUBLIC'
                                           ELSE reader.grantee::regrole::text END);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.copy_grants(text, text) IS
    'lets whoever may read one table read another';

CREATE FUNCTION defidata.has_board_table(board text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_class c
                    WHERE c.oid = to_regclass(defidata.board_table(board)) AND c.relkind = 'r');
COMMENT ON FUNCTION defidata.has_board_table(text) IS 'whether the table of a board is there';

CREATE FUNCTION defidata.has_board_view(board text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_rewrite r
                     JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    WHERE r.ev_class = to_regclass(defidata.board_view(board))
                      AND d.refclassid = 'pg_class'::regclass
                      AND d.refobjid = to_regclass(defidata.board_table(board)));
COMMENT ON FUNCTION defidata.has_board_view(text) IS
    'whether the view of a board, over its table, is there';

CREATE FUNCTION defidata.has_board(board text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN defidata.has_board_table(board) AND defidata.has_board_view(board)
           AND NOT EXISTS (SELECT FROM defidata.board_columns() c
                            WHERE NOT EXISTS (
                                SELECT FROM pg_attribute a
                                 WHERE a.attrelid = to_regclass(defidata.board_view(board))
                                   AND a.attname = c.name AND NOT a.attisdropped));
COMMENT ON FUNCTION defidata.has_board(text) IS 'whether a board is there with all its columns';

-- What has the name without being the board.
CREATE FUNCTION defidata.check_board_name(board text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation constant regclass := to_regclass(defidata.board_view(board));
BEGIN
    IF relation IS NOT NULL AND NOT defidata.has_board_view(board) THEN
        RAISE EXCEPTION 'defidata.% exists already', board
            USING ERRCODE = 'duplicate_table', HINT = 'Choose another name, or rename that one.';
    ELSIF relation IS NULL AND EXISTS (SELECT FROM pg_type t
                                        WHERE t.typnamespace = 'defidata'::regnamespace
                                          AND t.typname = board AND t.typelem = 0) THEN
        RAISE EXCEPTION 'a type named defidata.% exists already', board
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or rename the type.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_board_name(text) IS
    'raises 42P07 or 42710 where something that is not the board has its name';

CREATE FUNCTION defidata.comment_board(board text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    b      record;
    target text;
BEGIN
    SELECT d.* INTO b FROM defidata.board d WHERE d.name = board;
    EXECUTE format('COMMENT ON TABLE %s IS %L', defidata.board_table(board),
                   'rows of the board ' || board || ', in no order; the view of its name has one');
    EXECUTE format('COMMENT ON VIEW %s IS %L', defidata.board_view(board),
                   format('top %s by %s, %s', b.size, b.metric, b.direction));
    FOREACH target IN ARRAY ARRAY[defidata.board_table(board), defidata.board_view(board)] LOOP
        -- what is not the board's own means what it means in token_stats
        EXECUTE (
            SELECT string_agg(format('COMMENT ON COLUMN %s.%I IS %L', target, c.name,
                       CASE c.name WHEN 'rank' THEN 'the rank, from 1'
                                   WHEN 'value' THEN 'what the board ranks by: ' || b.metric
                                   ELSE col_description(s.attrelid, s.attnum) END), '; ')
              FROM defidata.board_columns() c
              LEFT JOIN pg_attribute s ON s.attrelid = 'defidata.token_stats'::regclass
                                      AND s.attname = c.name AND NOT s.attisdropped);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.comment_board(text) IS 'comments on the table and view of a board';

CREATE FUNCTION defidata.make_board_table(board text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target constant text := defidata.board_table(board);
BEGIN
    EXECUTE format('CREATE TABLE %s (%s)', target, (
        SELECT string_agg(format('%I %s%s', c.name, c.type,
                   CASE WHEN c.name = 'rank' THEN ' PRIMARY KEY'
                        WHEN c.name = 'token' THEN ' COLLATE "C" NOT NULL'
                        WHEN c.name IN ('value', 'hour', 'mentions') THEN ' NOT NULL'
                        ELSE '' END), ', ' ORDER BY c.place)
          FROM defidata.board_columns() c));
    PERFORM defidata.copy_grants('token_stats', '_' || board);
END
$$;
COMMENT ON FUNCTION defidata.make_board_table(text) IS 'makes the table of a board';

-- In 1.0 the table itself had the board's name.  Views over it go on reading it.
CREATE FUNCTION defidata.has_former_table(board text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_constraint c
                     JOIN pg_class r ON r.oid = c.conrelid AND r.relkind = 'r'
                    WHERE c.conrelid = to_regclass(defidata.board_view(board))
                      AND c.contype = 'p' AND c.conname = board || '_pkey'
                      AND c.conkey = ARRAY[(SELECT a.attnum FROM pg_attribute a
                                              WHERE a.attrelid = r.oid AND a.attname = 'rank')]);
COMMENT ON FUNCTION defidata.has_former_table(text) IS
    'whether the table of a board of 1.0 is there under its former name';

CREATE FUNCTION defidata.rename_table(board text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s RENAME TO %I', defidata.board_view(board), '_' || board);
    EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', defidata.board_table(board),
                   board || '_pkey', '_' || board || '_pkey');
END
$$;
COMMENT ON FUNCTION defidata.rename_table(text) IS
    'gives the table of a board of 1.0 the name that it has now';

-- Makes what is missing of a board that defidata.board has.
CREATE FUNCTION defidata.make_board(board text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target  constant text := defidata.board_table(board);
    columns text;
BEGIN
    IF NOT defidata.has_board_table(board) AND defidata.has_former_table(board) THEN
        PERFORM defidata.rename_table(board);
    END IF;
    PERFORM defidata.check_board_name(board);
    IF NOT defidata.has_board_table(board) THEN
        PERFORM defidata.make_board_table(board);
    END IF;
    SELECT string_agg(format('ADD COLUMN %I %s', c.name, c.type), ', ' ORDER BY c.place)
      INTO columns
      FROM defidata.board_columns() c
     WHERE NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = target::regclass AND a.attname = c.name
                          AND NOT a.attisdropped);
    IF columns IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s %s', target, columns);
    END IF;
    columns := (SELECT string_agg(format('b.%I', c.name), ', ' ORDER BY c.place)
                  FROM defidata.board_columns() c);
    -- replaced rather than dropped, so that grants and views over it stay
    EXECUTE format('CREATE %s VIEW %s AS SELECT %s FROM %s b ORDER BY b.rank', 'OR REPLACE',
                   defidata.board_view(board), columns, target);
    PERFORM defidata.copy_grants('_' || board, board), defidata.comment_board(board);
END
$$;
COMMENT ON FUNCTION defidata.make_board(text) IS
'makes the table and the view of a board, or what they lack. 42P07 or 42710 where something else has
its name';

-- A board that cannot be made keeps nobody from the others.
CREATE FUNCTION defidata.restore_boards() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lost    text;
    message text;
    advice  text;
BEGIN
    FOR lost IN SELECT b.name FROM defidata.board b
                 WHERE NOT defidata.has_board(b.name) ORDER BY b.name LOOP
        BEGIN
            PERFORM defidata.make_board(lost);
        EXCEPTION WHEN duplicate_object OR duplicate_table OR wrong_object_type THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, advice = PG_EXCEPTION_HINT;
            RAISE WARNING 'board % cannot be made: %', lost, message USING HINT = advice;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.restore_boards() IS
    'makes again what has been dropped of boards; a WARNING where something else has the name';

CREATE FUNCTION defidata.check_board(metric text, direction text, min_mentions float8,
                                     size integer) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    metrics constant text[] := ARRAY(
        SELECT a.attname FROM pg_attribute a
         WHERE a.attrelid = 'defidata.token_stats'::regclass AND a.attnum > 0
           AND NOT a.attisdropped AND a.atttypid IN ('float8'::regtype, 'bigint'::regtype)
         ORDER BY a.attnum);
BEGIN
    IF metric IS NULL OR metric <> ALL (metrics) THEN
        RAISE EXCEPTION '% is not a metric of defidata.token_stats',
                        quote_nullable(left(metric, 80))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The metrics are ' || array_to_string(metrics, ', ') || '.';
    ELSIF direction IS NULL OR direction NOT IN ('asc', 'desc') THEN
        RAISE EXCEPTION 'direction must be asc or desc, not %', quote_nullable(left(direction, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF min_mentions IS NULL OR NOT (min_mentions >= 0 AND min_mentions < 'infinity') THEN
        RAISE EXCEPTION 'min_mentions must be a number of at least 0'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF size IS NULL OR size NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'size must be between 1 and 10000'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_board(text, text, float8, integer) IS
    'raises 22023 where a board cannot be like that';

-- A table and a view that are there without a row of defidata.board are those of a clone
-- without data: they become this board's.
CREATE FUNCTION defidata.setup_board(name text, metric text, direction text, min_mentions float8,
                                     size integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- cut first, as a regex does not take a text of any length
    IF name IS NULL OR left(name, 49) !~ '^[a-z][a-z0-9_]{0,47}$' THEN
        RAISE EXCEPTION 'invalid board name %', quote_nullable(left(name, 80))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A name is 1 to 48 lower-case letters, digits and underscores'
                         ' and begins with a letter.';
    END IF;
    PERFORM defidata.check_board(metric, direction, min_mentions, size);
    IF EXISTS (SELECT FROM defidata.board b WHERE b.name = setup_board.name) THEN
        RAISE EXCEPTION 'board % exists already', name
            USING ERRCODE = 'duplicate_table',
                  HINT = 'defidata_set_board changes it; defidata_drop_board drops it.';
    END IF;
    INSERT INTO defidata.board (name, metric, direction, min_mentions, size)
    VALUES (name, metric, direction, min_mentions, size);
    PERFORM defidata.make_board(name);
END
$$;
COMMENT ON FUNCTION defidata.setup_board(text, text, text, float8, integer) IS
    'checks and registers a board and makes its table and view';

CREATE FUNCTION defidata.setup_boards() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_board(b.name, b.metric, b.direction, 240, 10)
       FROM (VALUES ('trending', 'trend_24h', 'desc'), ('decreasing', 'trend_24h', 'asc'),
                    ('volatile', 'rsd_7d', 'desc'), ('surging', 'surge_14d', 'desc'),
                    ('most_mentioned', 'sma_24h', 'desc'),
                    ('most_positive', 'sentiment_24h', 'desc'),
                    ('most_negative', 'sentiment_24h', 'asc')) AS b (name, metric, direction)
      WHERE b.name NOT IN (SELECT d.name FROM defidata.board d);
END
$$;
COMMENT ON FUNCTION defidata.setup_boards() IS 'makes the seven built-in boards';
