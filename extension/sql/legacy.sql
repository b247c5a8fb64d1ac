-- legacy.sql: for whoever comes from the old scripts.

CREATE FUNCTION defidata.legacy_views(OUT name text, OUT columns text[], OUT relation text,
    OUT comment text)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.name, string_to_array(v.columns, ' '), v.relation, v.comment
      FROM (VALUES
        ('tweetvolumescleaned',
         'id timezone timestamp date symbol count sma24 sma168 sentiment savg24 savg168',
         'defidata.metrics t',
         'accepted mentions; one row for each token and hour, spellings added up. Computed when'
         ' read: a condition on the symbol is cheap, without one all hours are computed'),
        ('rsd_metrics',
         'id timezone timestamp date symbol count symbol_sma1 symbol_sma1_previous symbol_sma7'
         ' symbol_sma7_previous symbol_sma14 sma1_dif sma7_dif sma14_dif sentiment sentiment_sma1'
         ' sentiment_sma7 rsd_1 rsd_7 rsd_14',
         'defidata.metrics t',
         'every token and hour with its figures. Computed when read: a condition on the symbol is'
         ' cheap, without one all hours are computed'),
        ('trending',
         'id timestamp date symbol count symbol_sma1 sma1_dif symbol_sma7 sma7_dif sentiment rsd_1'
         ' rsd_7 price percent_change_24h',
         'defidata.trending t ORDER BY t.rank',
         'ranked by trend_24h, growth shrunk towards 0 for small counts; the old table ranked by'
         ' the bare sma1_dif'),
        ('volatile',
         'id timestamp date symbol count symbol_sma1 sma1_dif symbol_sma7 sma7_dif sentiment rsd_1'
         ' rsd_7 price percent_change_24h',
         'defidata.volatile t ORDER BY t.rank',
         'ranked by rsd_7, among tokens with enough mentions'),
        ('descreasing',
         'id timestamp date symbol count symbol_sma1 sma1_dif symbol_sma7 sma7_dif sentiment rsd_1'
         ' rsd_7 price percent_change_24h',
         'defidata.decreasing t ORDER BY t.rank',
         'ranked by trend_24h, smallest first; the old table ranked by the bare sma1_dif. The'
         ' spelling is the old one'),
        ('token_stats',
         'id timezone timestamp date symbol count symbol_sma1 symbol_sma1_previous symbol_sma7'
         ' symbol_sma7_previous symbol_sma14 sma1_dif sma7_dif sma14_dif sentiment sentiment_sma1'
         ' sentiment_sma7 rsd_1 rsd_7 rsd_14 price percent_change_1h percent_change_24h'
         ' percent_change_7d market_cap',
         'defidata.token_stats t',
         'every token mentioned in the last 14 days, as of the latest settled hour'),
        ('tweet_trend', 'date tweets',
         '(SELECT d.day::timestamp AT TIME ZONE ''UTC'' AS hour, d.mentions'
         '   FROM defidata.daily_mentions d) t ORDER BY t.hour',
         'mentions by day, in UTC'),
        ('tokens', 'symbol name',
         '(SELECT l.symbol AS token, l.name FROM defidata.token l WHERE l.enabled UNION ALL'
         ' SELECT b.symbol, b.name FROM defidata.builtin_token b'
         '  WHERE b.symbol NOT IN (SELECT l.symbol FROM defidata.token l)'
         '    AND (SELECT s.value::boolean FROM defidata.setting s'
         '          WHERE s.name = ''use_builtin_list'')) t ORDER BY t.token',
         'the token list in force: your own and the built-in one')
      ) AS v (name, columns, relation, comment);
END;
COMMENT ON FUNCTION defidata.legacy_views() IS
    'the tables of the old scripts, the columns that they had, and what they are read from, as t';

CREATE FUNCTION defidata.legacy_columns(OUT name text, OUT expression text, OUT comment text)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.name, c.expression, c.comment
      FROM (VALUES
        ('id', 'EXTRACT(epoch FROM t.hour)::bigint || ''-'' || t.token',
         'timestamp and symbol; unique, but not the id of the old row'),
        ('timezone', '''UTC''::text', 'always UTC'),
        ('timestamp', 'EXTRACT(epoch FROM t.hour)::integer', 'start of the hour in Unix seconds'),
        ('date', 't.hour AT TIME ZONE ''UTC''',
         'start of the hour (tweet_trend: of the day), in UTC'),
        ('symbol', 't.token', 'the clean symbol'),
        ('name', 'COALESCE(t.name, t.token)', 'the token''s name, or its symbol where it has none'),
        ('count', 't.mentions::float8', 'mentions in the hour'),
        ('tweets', 't.mentions::float8',
         'accepted mentions of all tokens; of an outage''s day only the observed hours'),
        ('sma24', 'COALESCE(t.sma_24h, 0)',
         'sma_24h: mean over the observed hours of 24 only, so that an outage does not lower it;'
         ' 0 where under min_coverage'),
        ('sma168', 'COALESCE(t.sma_7d, 0)',
         'sma_7d: mean over the observed hours of 168 only; 0 where under min_coverage'),
        ('savg24', 'COALESCE(t.sentiment_24h, 0)',
         'sentiment_24h: weighted by mentions; the old one weighted every hour alike'),
        ('savg168', 'COALESCE(t.sentiment_7d, 0)',
         'sentiment_7d: weighted by mentions; the old one weighted every hour alike'),
        ('symbol_sma1', 'COALESCE(t.sma_24h, 0)',
         'sma_24h: mean over the observed hours of 24 only, so that an outage does not lower it;'
         ' 0 where under min_coverage'),
        ('symbol_sma1_previous', 'COALESCE(t.sma_24h_prev, 0)',
         'sma_24h_prev: symbol_sma1 of 24 hours before'),
        ('symbol_sma7', 'COALESCE(t.sma_7d, 0)',
         'sma_7d: mean over the observed hours of 168 only; 0 where under min_coverage'),
        ('symbol_sma7_previous', 'COALESCE(t.sma_7d_prev, 0)',
         'sma_7d_prev: symbol_sma7 of 7 days before'),
        ('symbol_sma14', 'COALESCE(t.sma_14d, 0)',
         'sma_14d: mean over the observed hours of 336 only; 0 where under min_coverage'),
        ('sma1_dif', 'COALESCE(t.change_24h, 0)',
         'change_24h: symbol_sma1 / symbol_sma1_previous - 1, a fraction; 0 also where that is'
         ' unknown'),
        ('sma7_dif', 'COALESCE(t.change_7d, 0)',
         'change_7d: symbol_sma7 / symbol_sma7_previous - 1, a fraction; 0 also where that is'
         ' unknown'),
        ('sma14_dif', 'COALESCE(t.deviation_14d, 0)',
         'deviation_14d: count / symbol_sma14 - 1, the hour against its fortnight, a fraction'),
        ('sentiment', 'COALESCE(t.sentiment, 0)',
         'mention-weighted mean of the hour; 0 where no row has one'),
        ('sentiment_sma1', 'COALESCE(t.sentiment_24h, 0)',
         'sentiment_24h: weighted by mentions; the old one weighted every hour alike'),
        ('sentiment_sma7', 'COALESCE(t.sentiment_7d, 0)',
         'sentiment_7d: weighted by mentions; the old one weighted every hour alike'),
        ('rsd_1', 'COALESCE(t.rsd_24h, 0)',
         'rsd_24h: sample standard deviation / mean over the observed hours of 24, silent ones'
         ' counted as 0'),
        ('rsd_7', 'COALESCE(t.rsd_7d, 0)',
         'rsd_7d: sample standard deviation / mean over the observed hours of 168, silent ones'
         ' counted as 0'),
        ('rsd_14', 'COALESCE(t.rsd_14d, 0)',
         'rsd_14d: sample standard deviation / mean over the observed hours of 336, silent ones'
         ' counted as 0'),
        ('price', 'COALESCE(t.price, 0)',
         'the newest quote of the token''s largest asset; 0 where older than price_max_age'),
        ('percent_change_1h', '100 * COALESCE(t.price_change_1h, 0)',
         'in percent, from the quotes'),
        ('percent_change_24h', '100 * COALESCE(t.price_change_24h, 0)',
         'in percent, from the quotes, or as delivered where those do not reach back'),
        ('percent_change_7d', '100 * COALESCE(t.price_change_7d, 0)',
         'in percent, from the quotes'),
        ('market_cap', 'COALESCE(t.market_cap, 0)', 'with the newest quote')
      ) AS c (name, expression, comment);
END;
COMMENT ON FUNCTION defidata.legacy_columns() IS
    'the columns of the old tables: what each is now, and how its formula differs';

CREATE FUNCTION defidata.make_legacy_view(target text, columns text[], relation text, comment text)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    col record;
BEGIN
    -- replaced rather than dropped, so that its grants stay
    EXECUTE format('CREATE %s VIEW %s AS SELECT %s FROM %s', 'OR REPLACE', target,
                   (SELECT string_agg(format('%s AS %I', c.expression, c.name), ', '
                                      ORDER BY w.position)
                      FROM unnest(columns) WITH ORDINALITY w (name, position)
                      JOIN defidata.legacy_columns() c ON c.name = w.name),
                   relation);
    EXECUTE format('COMMENT ON VIEW %s IS %L', target, comment);
    FOR col IN SELECT c.name, c.comment
                 FROM defidata.legacy_columns() c WHERE c.name = ANY (columns) LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target, col.name, col.comment);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.make_legacy_view(text, text[], text, text) IS
    'makes or replaces one view with its comments';

CREATE FUNCTION defidata.legacy_views(schema name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF schema IS NULL OR schema LIKE 'pg\_%'
       OR schema IN ('', 'public', 'defidata', 'defidata_remote', 'information_schema') THEN
        RAISE EXCEPTION 'the old tables'' views cannot be made in schema %',
                        quote_nullable(schema::text)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Name a schema of their own, for example legacy; it is created where it'
                         ' does not exist.';
    END IF;
    IF to_regnamespace(quote_ident(schema)) IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', schema);
        EXECUTE format('COMMENT ON SCHEMA %I IS %L', schema,
                       'the tables of the old scripts as views over defidata');
    END IF;
    PERFORM defidata.make_legacy_view(format('%I.%I', schema, v.name), v.columns, v.relation,
                                      v.comment)
       FROM defidata.legacy_views() v;
END
$$;
COMMENT ON FUNCTION defidata.legacy_views(name) IS
    'makes or replaces, in a schema of their own, views with the names, columns and types of the'
    ' old scripts'' tables; NULL is 0 there, and the comments of the columns tell where a formula'
    ' differs. Grant USAGE on the schema and SELECT on its views to the API''s role and set its'
    ' search_path. 22023: not a fitting schema; 42P16 or 42809: something else of that name is'
    ' there';

CREATE FUNCTION defidata.import_legacy(relation regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_at    constant timestamptz := clock_timestamp();
    finish    constant timestamptz := defidata.hour_of(now_at) + interval '1 hour';
    others    constant text[] := ARRAY(SELECT s FROM defidata.copied_sources() s
                                        WHERE s <> 'legacy');
    delivered timestamptz[];
    wanted    record;
    batch     defidata.batch;
    rows      bigint := 0;
BEGIN
    PERFORM defidata.lock('writer');
    IF EXISTS (SELECT FROM defidata.source s WHERE s.name = 'legacy') THEN
        RAISE EXCEPTION 'a source named legacy is attached'
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Its rows are read by every refresh already; otherwise detach it with'
                   ' defidata_detach(''legacy'') first.';
    END IF;
    -- a source for the time of this call, so that its rows come the way of all others
    PERFORM defidata.attach('legacy', 'mentions', relation, '{}');
    delivered := ARRAY(SELECT r.hour FROM defidata.raw_mentions r
                        WHERE r.source = ANY (others) AND r.reason IS DISTINCT FROM 'hour'
                        GROUP BY r.hour);
    SELECT array_agg(s.hour) AS hours, array_agg(s.remote_rows) AS remote_rows,
           array_agg(s.local_rows) AS local_rows INTO wanted
      FROM defidata.survey('legacy', '2006-01-01 00:00:00+00', finish, false) s
     WHERE s.remote_rows > 0 AND s.hour <> ALL (delivered);
    FOR batch IN SELECT * FROM defidata.cut_batches(
            'legacy', '2006-01-01 00:00:00+00', finish, wanted.hours, wanted.remote_rows,
            wanted.local_rows, defidata.setting_value('batch_size')::bigint, now_at, false) LOOP
        rows := rows + (defidata.import_batch(batch) ->> 'inserted')::bigint;
    END LOOP;
    DELETE FROM defidata.source s WHERE s.name = 'legacy';
    PERFORM defidata.tell_expired('-infinity', 'infinity');
    RETURN rows;
END
$$;
COMMENT ON FUNCTION defidata.import_legacy(regclass) IS
    'rows of an old tweetvolumescleaned as rows of source legacy; see defidata_import_legacy';
