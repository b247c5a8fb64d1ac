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

CREATE FUNCTION defidata.token_stats_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT '{token,name,hour,dominance_24h,price,price_change_1h,price_change_24h,'
                   'price_change_7d,price_volatility_7d,market_cap,price_at}'::text[]
                   || array_agg(m.name)
              FROM defidata.metric_list() m WHERE m.places && '{view,stats}');
COMMENT ON FUNCTION defidata.token_stats_columns() IS
    'the columns of token_stats that publishing fills; its owner may have added others';

-- Makes token_stats equal to what a query returns and writes only the rows that differ;
-- returns how many.  $1 of the query is the hour, at which all rows are to stand.  MERGE of
-- PostgreSQL 15 has no clause for what is gone: where the hour has moved on, that is left at
-- the former one; otherwise a full join finds it.
CREATE FUNCTION defidata.replace_token_stats(query text, hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET enable_mergejoin = off
AS $$
DECLARE
    names   record;
    again   constant boolean := EXISTS (SELECT FROM (SELECT t.hour FROM defidata.token_stats t
                                                      LIMIT 1) f WHERE f.hour = $2);
    source  text;
    changed bigint;
    gone    bigint := 0;
BEGIN
    -- the hour first: where it has moved on, the comparison ends there
    SELECT string_agg(format('%I', c), ', ') AS plain,
           string_agg(format('t.%I', c), ', ' ORDER BY c <> 'hour') AS former,
           string_agg(format('n.%I', c), ', ' ORDER BY c <> 'hour') AS compared,
           string_agg(format('n.%I', c), ', ') AS fresh,
           string_agg(format('%1$I = n.%1$I', c), ', ') FILTER (WHERE c <> 'token') AS assignments
      INTO names
      FROM unnest(defidata.token_stats_columns()) c;
    source := format(CASE WHEN again THEN
                         'SELECT COALESCE(q.token, o.token) AS either, q.* FROM (%s) q'
                         ' FULL JOIN (SELECT t.token FROM defidata.token_stats t) o'
                         ' ON o.token = q.token'
                     ELSE 'SELECT q.token AS either, q.* FROM (%s) q' END, query);
    EXECUTE format($sql$
        MERGE INTO defidata.token_stats t
        USING (%s) n
           ON t.token = n.either
         WHEN MATCHED AND n.token IS NULL THEN DELETE
         WHEN MATCHED AND (%s) IS DISTINCT FROM (%s) THEN UPDATE SET %s
         WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)
        $sql$, source, names.former, names.compared, names.assignments, names.plain, names.fresh)
      USING hour;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF NOT again THEN
        DELETE FROM defidata.token_stats t WHERE t.hour <> replace_token_stats.hour;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    RETURN changed + gone;
END
$$;
COMMENT ON FUNCTION defidata.replace_token_stats(text, timestamptz) IS
    'makes token_stats equal to a query as of an hour and returns how many rows that changed';

CREATE FUNCTION defidata.publish_token_stats(hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.judge_quotes(now());
    RETURN defidata.replace_token_stats($sql$
        SELECT m.*, COALESCE(l.name, b.name) AS name,
               CASE WHEN m.sma_24h IS NOT NULL THEN m.total_24h / NULLIF((
                   SELECT sum(h.mentions) FROM defidata.hours h
                    WHERE h.hour > $1 - interval '24 hours' AND h.hour <= $1)::float8, 0)
               END AS dominance_24h,
               p.price, p.price_change_1h, p.price_change_24h, p.price_change_7d,
               p.price_volatility_7d, p.market_cap, p.price_at
          FROM (SELECT s.token, (s.metrics).* FROM defidata.metrics_of($1) s) m
          LEFT JOIN defidata.token l ON l.symbol = m.token
          LEFT JOIN defidata.builtin_token b ON b.symbol = m.token
          LEFT JOIN defidata.price_stats($1) p ON p.token = m.token
         WHERE m.total_14d > 0
        $sql$, hour);
END
$$;
COMMENT ON FUNCTION defidata.publish_token_stats(timestamptz) IS
    'brings token_stats to an hour and returns how many rows changed';

CREATE FUNCTION defidata.publish_day(due date, latest timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    open_day  constant timestamptz := (SELECT o.day FROM defidata.open_day o);
    day_start constant timestamptz := due::timestamp AT TIME ZONE 'UTC';
    day_end   constant timestamptz :=
        least(day_start + interval '24 hours', latest + interval '1 hour');
    changed   bigint;
BEGIN
    INSERT INTO defidata.daily_mentions AS d (day, mentions, tokens, observed_hours)
    SELECT due, COALESCE(sum(h.mentions), 0),
           (SELECT count(*) FROM defidata.mention_series s
             WHERE s.start = defidata.part_of(day_start, open_day)
               AND defidata.mentions_between(s.series, day_start, day_end) > 0),
           count(*) FILTER (WHERE h.observed)
      FROM defidata.hours h
     WHERE h.hour >= day_start AND h.hour < day_end
    ON CONFLICT (day) DO UPDATE
       SET mentions = excluded.mentions, tokens = excluded.tokens,
           observed_hours = excluded.observed_hours
     WHERE (d.mentions, d.tokens, d.observed_hours)
           IS DISTINCT FROM (excluded.mentions, excluded.tokens, excluded.observed_hours);
    GET DIAGNOSTICS changed = ROW_COUNT;
    UPDATE defidata.hours h SET published = true
     WHERE h.hour >= day_start AND h.hour < day_end AND NOT h.published;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.publish_day(date, timestamptz) IS
    'sums the hours of a day up to the latest one and returns how many rows changed';

-- Days are summed from the hours that changed since the last publish; the
-- latest hour is the end of what readers see.
CREATE FUNCTION defidata.publish_days(latest timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due   date;
    total bigint := 0;
BEGIN
    FOR due IN SELECT DISTINCT (h.hour AT TIME ZONE 'UTC')::date AS day FROM defidata.hours h
                WHERE NOT h.published AND h.summed AND h.hour <= latest ORDER BY 1 LOOP
        total := total + defidata.publish_day(due, latest);
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION defidata.publish_days(timestamptz) IS
    'brings daily_mentions up to the latest settled hour and returns how many rows changed';

CREATE FUNCTION defidata.fill_boards() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.restore_boards();
    RETURN COALESCE((SELECT sum(defidata.fill_board(r.board, r.tokens))
                       FROM defidata.rank_tokens() r), 0);
END
$$;
COMMENT ON FUNCTION defidata.fill_boards() IS
    'fills every board from token_stats and returns how many ranks changed';

-- A new generation: its record, its history, and word to whoever listens.
CREATE FUNCTION defidata.announce(latest timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    current record;
    board   text;
BEGIN
    UPDATE defidata.publication p
       SET generation = p.generation + 1, latest_hour = latest, published_at = clock_timestamp()
    RETURNING p.* INTO current;
    INSERT INTO defidata.publication_history (generation, latest_hour, published_at)
    VALUES (current.generation, current.latest_hour, current.published_at);
    UPDATE defidata.hours h SET first_published_at = defidata.revision_time()
     WHERE h.hour = latest AND h.first_published_at IS NULL;
    FOR board IN SELECT b.name FROM defidata.board b WHERE defidata.has_board_table(b.name) LOOP
        EXECUTE format('INSERT INTO defidata.board_history (generation, board, rank, token, value)'
                       ' SELECT $1, $2, t.rank, t.token, t.value FROM %s t',
                       defidata.board_table(board)) USING current.generation, board;
    END LOOP;
    PERFORM defidata.publish_documents();
    PERFORM defidata.notify('defidata', json_build_object(
        'generation', current.generation,
        'latest_hour', to_jsonb(current.latest_hour AT TIME ZONE 'UTC') #>> '{}' || 'Z'));
END
$$;
COMMENT ON FUNCTION defidata.announce(timestamptz) IS
'makes a new generation of publication, board history and documents and notifies the channel
defidata';

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
COMMENT ON FUNCTION defidata.publish_boards() IS
    'fills the boards from token_stats as it stands, as a new generation where one changed';

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
    changed := defidata.publish_token_stats(latest) + defidata.fill_boards()
               + defidata.publish_days(latest) + defidata.judge_alerts(latest);
    IF changed > 0
       OR latest IS DISTINCT FROM (SELECT p.latest_hour FROM defidata.publication p) THEN
        PERFORM defidata.announce(latest);
    END IF;
    PERFORM defidata.compare_streams();
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.publish() IS 'the publish stage; see defidata_publish';
