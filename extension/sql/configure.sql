-- configure.sql: boards of the owner's: added, changed, dropped.

CREATE FUNCTION defidata.add_board(name text, metric text, direction text,
                                   min_mentions double precision, size integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    PERFORM defidata.setup_board(name, metric, direction, min_mentions, size);
    IF EXISTS (SELECT FROM defidata.token_stats) THEN
        PERFORM defidata.publish_boards();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.add_board(text, text, text, double precision, integer) IS
    'see defidata_add_board';

CREATE FUNCTION defidata.set_board(name text, metric text, direction text,
                                   min_mentions double precision, size integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
BEGIN
    PERFORM defidata.lock('writer');
    SELECT b.name, COALESCE(set_board.metric, b.metric) AS metric,
           COALESCE(set_board.direction, b.direction) AS direction,
           COALESCE(set_board.min_mentions, b.min_mentions) AS min_mentions,
           COALESCE(set_board.size, b.size) AS size
      INTO wanted FROM defidata.board b WHERE b.name = set_board.name;
    IF wanted.name IS NULL THEN
        PERFORM defidata.raise_no_board(name);
    END IF;
    PERFORM defidata.check_board(wanted.metric, wanted.direction, wanted.min_mentions, wanted.size);
    UPDATE defidata.board b
       SET metric = wanted.metric, direction = wanted.direction,
           min_mentions = wanted.min_mentions, size = wanted.size
     WHERE b.name = wanted.name;
    PERFORM defidata.make_board(name);
    IF EXISTS (SELECT FROM defidata.token_stats) THEN
        PERFORM defidata.publish_boards();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.set_board(text, text, text, double precision, integer) IS
    'see defidata_set_board';

CREATE FUNCTION defidata.drop_board(name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    DELETE FROM defidata.board b WHERE b.name = drop_board.name;
    IF NOT FOUND THEN
        PERFORM defidata.raise_no_board(name);
    END IF;
    -- either may have been dropped before, and what has its name since is not ours
    IF defidata.has_board_view(name) THEN
        EXECUTE format('DROP VIEW %s', defidata.board_view(name));
    END IF;
    IF defidata.has_board_table(name) THEN
        EXECUTE format('DROP TABLE %s', defidata.board_table(name));
    END IF;
    PERFORM defidata.publish_documents();
END
$$;
COMMENT ON FUNCTION defidata.drop_board(text) IS 'see defidata_drop_board';
