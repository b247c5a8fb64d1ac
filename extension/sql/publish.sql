-- publish.sql: token_stats, boards and daily_mentions as of the latest settled hour.

CREATE FUNCTION defidata.settle_hours() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    settle_after constant interval := defidata.setting_value('settle_after');
BEGIN
    UPDATE defidata.hours h SET settled = NOT h.settled
     WHERE h.summed AND (NOT h.settled OR NOT h.published OR h.hour > now() - interval '3 days')
       AND h.settled <> (h.observed AND now() >= h.hour + settle_after);
    RETURN (SELECT max(h.hour) FROM defidata.hours h
             WHERE h.settled AND h.summed AND h.hour <= now());
END
$$;
COMMENT ON FUNCTION defidata.settle_hours() IS
    'decides which hours are settled and returns the latest one whose facts stand';

-- Makes a table equal to what a query returns and writes only the rows that
-- differ; returns how many.  $1 of the query is the hour, at which all rows are to
-- stand.  MERGE of PostgreSQL 15 has no clause for what is gone: where the hour has
-- moved on, that is left at the former one; otherwise a full join finds it.
CREATE FUNCTION defidata.replace_contents(target regclass, query text, hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB' SET enable_mergejoin = off
AS $$
DECLARE
    shape   record;
    again   boolean;
    source  text;
    changed bigint;
    gone    bigint := 0;
BEGIN
    SELECT string_agg(format('%I', a.attname), ', ') FILTER (WHERE is_key) AS key,
           string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum) AS names,
           string_agg(format('n.%I', a.attname), ', ' ORDER BY a.attnum) AS new_values,
           string_agg(format('%1$I = n.%1$I', a.attname), ', ') FILTER (WHERE NOT is_key) AS assignments,
           -- the hour first: where it has moved on, the comparison ends there
           string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attname <> 'hour', a.attnum) FILTER (WHERE NOT is_key) AS former,
           string_agg(format('n.%I', a.attname), ', ' ORDER BY a.attname <> 'hour', a.attnum) FILTER (WHERE NOT is_key) AS fresh
      INTO shape
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped,
           LATERAL (SELECT a.attnum = ANY (i.indkey)) k (is_key)
     WHERE i.indrelid = target AND i.indisprimary;
    EXECUTE format('SELECT $1 IS NULL OR COALESCE((SELECT t.hour = $1 FROM %s t LIMIT 1), false)', target) INTO again USING hour;
    source := format(CASE WHEN again THEN 'SELECT COALESCE(q.%1$s, o.%1$s) AS either, q.* FROM (%2$s) q FULL JOIN (SELECT %1$s FROM %3$s) o ON o.%1$s = q.%1$s'
                     ELSE 'SELECT q.%1$s AS either, q.* FROM (%2$s) q' END, shape.key, query, target);
    EXECUTE format($sql$
        MERGE INTO %s t
        USING (%s) n
           ON t.%3$s = n.either
         WHEN MATCHED AND n.%3$s IS NULL THEN DELETE
         WHEN MATCHED AND (%4$s) IS DISTINCT FROM (%5$s) THEN UPDATE SET %6$s
         WHEN NOT MATCHED THEN INSERT (%7$s) VALUES (%8$s)
        $sql$, target, source, shape.key, shape.former, shape.fresh, shape.assignments, shape.names, shape.new_values)
      USING hour;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF NOT again THEN
        EXECUTE format('DELETE FROM %s t WHERE t.hour <> $1', target) USING hour;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    RETURN changed + gone;
END
$$;
COMMENT ON FUNCTION defidata.replace_contents(regclass, text, timestamptz) IS 'makes a table with a key of one column equal to a query as of an hour and returns how many rows that changed';

-- A function of its own, so that the aggregate is a question to the shards where
-- the facts are distributed, whatever is done with its answer.
CREATE FUNCTION defidata.metrics_of(at timestamptz) RETURNS TABLE (token text, metrics defidata.metrics_row)
    LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    coverage constant float8 := defidata.setting_value('min_coverage')::float8;
    observed constant timestamptz[] := defidata.observed_hours(at, at + interval '1 hour');
BEGIN
    RETURN QUERY
    SELECT f.token, defidata.metrics_at(f.series, observed, at, coverage)
      FROM defidata.mention_series f
     WHERE f.start >= defidata.week_of(at - interval '336 hours') AND f.start <= at
     GROUP BY f.token;
END
$$;
COMMENT ON FUNCTION defidata.metrics_of(timestamptz) IS 'the metrics at an hour of every token with facts in the weeks that its windows touch';

CREATE FUNCTION defidata.publish_token_stats(hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.judge_quotes(now());
    RETURN defidata.replace_contents('defidata.token_stats', $sql$
        SELECT m.*, COALESCE(l.name, b.name) AS name,
               CASE WHEN m.sma_24h IS NOT NULL THEN m.total_24h / NULLIF((
                   SELECT sum(h.mentions) FROM defidata.hours h WHERE h.hour > $1 - interval '24 hours' AND h.hour <= $1)::float8, 0)
               END AS dominance_24h,
               p.price, p.price_change_1h, p.price_change_24h, p.price_change_7d, p.price_volatility_7d, p.market_cap, p.price_at
          FROM (SELECT s.token, (s.metrics).* FROM defidata.metrics_of($1) s) m
          LEFT JOIN defidata.token l ON l.symbol = m.token
          LEFT JOIN defidata.builtin_token b ON b.symbol = m.token
          LEFT JOIN defidata.price_stats($1) p ON p.token = m.token
         WHERE m.total_14d > 0
        $sql$, hour);
END
$$;
COMMENT ON FUNCTION defidata.publish_token_stats(timestamptz) IS 'brings token_stats to an hour and returns how many rows changed';

-- Days are summed from the hours that changed since the last publish; the
-- latest hour is the end of what readers see.
CREATE FUNCTION defidata.publish_days(latest timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    open_day constant timestamptz := (SELECT o.day FROM defidata.open_day o);
    due      date;
    day_start timestamptz;
    day_end timestamptz;
    changed bigint;
    total   bigint := 0;
BEGIN
    FOR due IN SELECT DISTINCT (h.hour AT TIME ZONE 'UTC')::date AS day FROM defidata.hours h
                WHERE NOT h.published AND h.summed AND h.hour <= latest ORDER BY 1 LOOP
        day_start := due::timestamp AT TIME ZONE 'UTC';
        day_end := least(day_start + interval '24 hours', latest + interval '1 hour');
        INSERT INTO defidata.daily_mentions AS d (day, mentions, tokens, observed_hours)
        SELECT due, COALESCE(sum(h.mentions), 0),
               (SELECT count(*) FROM defidata.mention_series s
                 WHERE s.start = defidata.part_of(day_start, open_day)
                   AND defidata.mentions_between(s.series, day_start, day_end) > 0),
               count(*) FILTER (WHERE h.observed)
          FROM defidata.hours h WHERE h.hour >= day_start AND h.hour < day_end
        ON CONFLICT (day) DO UPDATE SET mentions = excluded.mentions, tokens = excluded.tokens, observed_hours = excluded.observed_hours
         WHERE (d.*) IS DISTINCT FROM (excluded.*);
        GET DIAGNOSTICS changed = ROW_COUNT;
        total := total + changed;
        UPDATE defidata.hours h SET published = true WHERE h.hour >= day_start AND h.hour < day_end AND NOT h.published;
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION defidata.publish_days(timestamptz) IS 'brings daily_mentions up to the latest settled hour and returns how many rows changed';

CREATE FUNCTION defidata.fill_boards() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ranked  record;
    changed bigint := 0;
BEGIN
    FOR ranked IN SELECT r.board, r.tokens FROM defidata.rank_tokens() r LOOP
        changed := changed + defidata.replace_contents(format('defidata.%I', ranked.board)::regclass,
                                                       defidata.board_query(ranked.board, ranked.tokens), NULL);
    END LOOP;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.fill_boards() IS 'fills every board from token_stats and returns how many rows changed';

-- A new generation: its record, its history, and word to whoever listens.
CREATE FUNCTION defidata.announce(latest timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    current record;
    board   text;
BEGIN
    UPDATE defidata.publication p SET generation = p.generation + 1, latest_hour = latest, published_at = clock_timestamp()
    RETURNING p.* INTO current;
    INSERT INTO defidata.publication_history VALUES (current.generation, current.latest_hour, current.published_at);
    UPDATE defidata.hours h SET first_published_at = defidata.revision_time()
     WHERE h.hour = latest AND h.first_published_at IS NULL;
    FOR board IN SELECT b.name FROM defidata.board b LOOP
        EXECUTE format('INSERT INTO defidata.board_history (generation, board, rank, token, value)'
                       ' SELECT $1, $2, t.rank, t.token, t.value FROM defidata.%I t', board) USING current.generation, board;
    END LOOP;
    PERFORM defidata.publish_documents();
    PERFORM pg_notify('defidata', json_build_object('generation', current.generation, 'latest_hour', to_jsonb(current.latest_hour AT TIME ZONE 'UTC') #>> '{}' || 'Z')::text);
END
$$;
COMMENT ON FUNCTION defidata.announce(timestamptz) IS 'makes a new generation of publication, board history and documents and notifies the channel defidata';

CREATE FUNCTION defidata.publish_boards() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed constant bigint := defidata.fill_boards();
BEGIN
    IF changed > 0 THEN
        PERFORM defidata.announce((SELECT p.latest_hour FROM defidata.publication p));
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.publish_boards() IS 'fills the boards from token_stats as it stands, as a new generation where one changed';

CREATE FUNCTION defidata.publish() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    latest  timestamptz;
    changed bigint;
BEGIN
    PERFORM defidata.lock('writer');
    latest := defidata.settle_hours();
    IF latest IS NULL THEN
        RETURN 0;
    END IF;
    changed := defidata.publish_token_stats(latest) + defidata.fill_boards() + defidata.publish_days(latest);
    IF changed > 0 OR latest IS DISTINCT FROM (SELECT p.latest_hour FROM defidata.publication p) THEN
        PERFORM defidata.announce(latest);
    END IF;
    PERFORM defidata.compare_streams();
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.publish() IS 'the publish stage; see defidata_publish';

CREATE FUNCTION defidata.add_board(name text, metric text, direction text, min_mentions double precision,
                                   size integer) RETURNS void
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
COMMENT ON FUNCTION defidata.add_board(text, text, text, double precision, integer) IS 'makes the table defidata.NAME with the top SIZE tokens by a column of token_stats, filled at once and by every publish. 22023 for a bad argument, 42P07 where the name is taken';

CREATE FUNCTION defidata.drop_board(name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock('writer');
    DELETE FROM defidata.board b WHERE b.name = drop_board.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'board % does not exist', quote_nullable(left(name, 80)) USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.board lists the boards.';
    END IF;
    EXECUTE format('DROP TABLE defidata.%I', name);
    PERFORM defidata.publish_documents();
END
$$;
COMMENT ON FUNCTION defidata.drop_board(text) IS 'drops a board and its table; its history stays. 42704 where there is no such board';
