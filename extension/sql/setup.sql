-- setup.sql: the tables that hold a user's choices and data.
--
-- They are made by a function, not by the script, so that they do not belong
-- to the extension: pg_dump carries them whole and DROP EXTENSION refuses to
-- destroy them.

CREATE FUNCTION defidata.setup_table(name text, comment text, columns text[], keys text[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text := format('defidata.%I', name);
    pair   text[];
BEGIN
    IF to_regclass(target) IS NULL THEN
        EXECUTE format('CREATE TABLE %s ()', target);
    END IF;
    FOREACH pair SLICE 1 IN ARRAY columns LOOP
        -- a column that a newer version of the extension brought is added
        IF (SELECT count(*) FROM pg_attribute a
                        WHERE a.attrelid = target::regclass AND a.attname = split_part(pair[1], ' ', 1)
                          AND NOT a.attisdropped) = 0 THEN
            EXECUTE format('ALTER TABLE %s ADD COLUMN %s', target, pair[1]);
        END IF;
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target, split_part(pair[1], ' ', 1), pair[2]);
    END LOOP;
    IF (SELECT count(*) FROM pg_index i WHERE i.indrelid = target::regclass) = 0 THEN
        FOR i IN 1 .. cardinality(keys) LOOP
            EXECUTE CASE WHEN keys[i] LIKE 'INDEX %'
                         THEN format('CREATE INDEX ON %s %s', target, substr(keys[i], 7))
                         WHEN keys[i] ~ '^(SET|ALTER) ' THEN format('ALTER TABLE %s %s', target, keys[i])
                         ELSE format('ALTER TABLE %s ADD %s', target, keys[i]) END;
        END LOOP;
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', target, comment);
END
$$;
COMMENT ON FUNCTION defidata.setup_table(text, text, text[], text[]) IS 'makes a table, or adds the columns that it lacks; columns are pairs of definition and comment';

CREATE FUNCTION defidata.metric_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(ARRAY[l.name || ' ' || l.type, l.meaning] ORDER BY l.ordinality)
      FROM defidata.metric_list() WITH ORDINALITY l
     WHERE 'view' = ANY (l.places) AND l.name NOT IN ('mentions', 'sentiment');
END;
COMMENT ON FUNCTION defidata.metric_columns() IS 'the metrics as pairs of column definition and comment';

CREATE FUNCTION defidata.setup_tables() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_table('source', 'the relations that raw rows are read from, made by defidata_attach', ARRAY[
        ['name text COLLATE "C" NOT NULL', 'the source''s name'],
        ['kind text NOT NULL', 'mentions or prices'],
        ['relation regclass NOT NULL', 'the relation that is read'],
        ['columns jsonb NOT NULL', 'logical column name to actual one, where they differ from the default'],
        ['watermark timestamptz', 'newest hour (mentions) or quote (prices) imported; never after now()'],
        ['attached_at timestamptz NOT NULL DEFAULT now()', 'when it was attached']],
        ARRAY['PRIMARY KEY (name)', 'CHECK (kind IN (''mentions'', ''prices''))']);
    PERFORM defidata.setup_table('token', 'your own token list; wins over defidata.builtin_token', ARRAY[
        ['symbol text COLLATE "C" NOT NULL', 'the spelling that a matching raw symbol becomes'],
        ['name text', 'the token''s name'],
        ['enabled boolean NOT NULL DEFAULT true', 'false rejects the symbol although it is listed']],
        ARRAY['PRIMARY KEY (symbol)', 'CHECK (length(symbol) BETWEEN 1 AND 64)']);
    PERFORM defidata.setup_table('setting', 'the settings; change them with defidata_set', ARRAY[
        ['name text COLLATE "C" NOT NULL', 'the setting''s name'],
        ['value text NOT NULL', 'its value as text'],
        ['description text NOT NULL', 'what it does']],
        ARRAY['PRIMARY KEY (name)', 'CHECK (defidata.check_setting(name, value))']);
    PERFORM defidata.setup_table('board', 'the top tables that publish fills; made by defidata_add_board', ARRAY[
        ['name text COLLATE "C" NOT NULL', 'the board''s and its table''s name'],
        ['metric text NOT NULL', 'the column of token_stats that it ranks by'],
        ['direction text NOT NULL', 'desc or asc'],
        ['min_mentions float8 NOT NULL', 'mentions in 24 hours that a token needs to be ranked'],
        ['size integer NOT NULL', 'how many ranks the table has']],
        ARRAY['PRIMARY KEY (name)', 'CHECK (direction IN (''asc'', ''desc''))']);

    PERFORM defidata.setup_table('raw_mentions', 'copy of every row that the mentions sources delivered, rejected ones included', ARRAY[
        ['source text COLLATE "C" NOT NULL', 'the source that delivered the row'],
        ['id text COLLATE "C" NOT NULL', 'the row''s key there'],
        ['hour timestamptz', 'start of the hour, in UTC'],
        ['symbol text COLLATE "C"', 'the raw symbol as delivered'],
        ['mentions float8', 'tweets, as delivered'],
        ['sentiment float8', 'mean sentiment, as delivered'],
        ['token text COLLATE "C"', 'the clean symbol; NULL where the row is rejected'],
        ['reason text', 'why the row is rejected: symbol, disabled, hour, mentions or sentiment; NULL where it is accepted'],
        ['fetched_at timestamptz NOT NULL', 'when this version of the row was copied'],
        ['former_hour timestamptz', 'the hour that the row had before its last correction; NULL where it was never corrected']],
        ARRAY['PRIMARY KEY (source, id)', 'INDEX (hour)', 'INDEX (source) WHERE reason = ''hour''']);
    PERFORM defidata.setup_table('prices', 'copy of every quote that the price sources delivered', ARRAY[
        ['source text COLLATE "C" NOT NULL', 'the source that delivered the quote'],
        ['id text COLLATE "C" NOT NULL', 'the quote''s key there'],
        ['token text COLLATE "C"', 'the clean symbol; NULL where the quote is rejected'],
        ['asset text COLLATE "C" NOT NULL', 'the asset at the source; several can share a symbol'],
        ['at timestamptz', 'when the quote was taken'],
        ['price float8', 'price'],
        ['change_24h float8', 'change over 24 hours as delivered, as a fraction'],
        ['volume_24h float8', 'volume traded in 24 hours, as delivered'],
        ['market_cap float8', 'market capitalisation, as delivered'],
        ['fetched_at timestamptz NOT NULL', 'when this version of the quote was copied'],
        ['symbol text COLLATE "C"', 'the raw symbol as delivered'],
        ['reason text', 'why the quote is rejected: symbol, disabled, hour or price; NULL where it is accepted']],
        ARRAY['PRIMARY KEY (source, id)', 'INDEX (at)', 'INDEX (token, at)']);
    PERFORM defidata.setup_table('uncopied', 'rows of a source that could not be copied at all, counted', ARRAY[
        ['source text COLLATE "C" NOT NULL', 'the source'],
        ['hour timestamptz NOT NULL', 'the hour; -infinity where it is unusable'],
        ['cause text NOT NULL', 'null id, long id, duplicate id or encoding'],
        ['rows bigint NOT NULL', 'how many rows'],
        ['seen_at timestamptz NOT NULL', 'when they were last seen']],
        ARRAY['PRIMARY KEY (source, hour, cause)']);
    PERFORM defidata.setup_table('surveyed', 'hours of the overlap at which the copy was found equal to its source', ARRAY[
        ['source text COLLATE "C" NOT NULL', 'the source'],
        ['hour timestamptz NOT NULL', 'the hour'],
        ['rows bigint NOT NULL', 'the rows that the source had'],
        ['checksum numeric NOT NULL', 'their checksum there']],
        ARRAY['PRIMARY KEY (source, hour)']);

    PERFORM defidata.setup_table('week_series', 'facts: mentions and sentiment by token and hour, a week to a row, without the open day', ARRAY[
        ['token text COLLATE "C" NOT NULL', 'the clean symbol'],
        ['start timestamptz NOT NULL', 'start of the week, a Monday in UTC'],
        ['series defidata.series NOT NULL', 'its hours; empty where the token has none but in the open day']],
        ARRAY['PRIMARY KEY (token, start)', 'INDEX (start)']);
    PERFORM defidata.setup_table('day_series', 'facts of the open day', ARRAY[
        ['token text COLLATE "C" NOT NULL', 'the clean symbol'],
        ['start timestamptz NOT NULL', 'start of the day, in UTC'],
        ['series defidata.series NOT NULL', 'its hours']],
        ARRAY['PRIMARY KEY (token)', 'SET (fillfactor = 50)']);
    PERFORM defidata.setup_table('open_day', 'one row: the latest day that facts have been summed for', ARRAY[
        ['day timestamptz NOT NULL', 'its start, in UTC']],
        ARRAY['PRIMARY KEY (day)']);
    PERFORM defidata.setup_table('hours', 'the observed hours', ARRAY[
        ['hour timestamptz NOT NULL', 'start of the hour'],
        ['rows bigint', 'raw rows, rejected ones included; NULL until computed'],
        ['mentions bigint', 'accepted mentions'],
        ['tokens bigint', 'tokens with an accepted row'],
        ['settled boolean NOT NULL DEFAULT false', 'whether the hour is old and complete enough to be published'],
        ['summed boolean NOT NULL DEFAULT false', 'whether the facts hold what the raw rows say'],
        ['published boolean NOT NULL DEFAULT false', 'whether the day''s mentions hold what the facts say']],
        ARRAY['PRIMARY KEY (hour)', 'INDEX (hour) WHERE NOT summed']);
    PERFORM defidata.setup_table('token_asset', 'the asset whose quotes stand for a token', ARRAY[
        ['token text COLLATE "C" NOT NULL', 'the token'],
        ['source text COLLATE "C" NOT NULL', 'the price source'],
        ['asset text COLLATE "C" NOT NULL', 'the asset there'],
        ['chosen_at timestamptz NOT NULL', 'the hour for which it was chosen']],
        ARRAY['PRIMARY KEY (token)']);
    PERFORM defidata.setup_table('token_stats', 'every token mentioned in the last 14 days, as of the latest settled hour',
        ARRAY[['token text COLLATE "C" NOT NULL', 'the clean symbol'],
              ['name text', 'the token''s name, where it is listed'],
              ['hour timestamptz NOT NULL', 'the latest settled hour'],
              ['mentions bigint NOT NULL', 'tweets that name the token in the hour'],
              ['sentiment float8', 'mention-weighted mean sentiment of the hour']]
        || defidata.metric_columns() || ARRAY[
        ['dominance_24h float8', 'the token''s share of all accepted mentions in 24 hours'],
        ['price float8', 'the newest quote'],
        ['price_change_1h float8', 'change of the price over 1 hour, a fraction'],
        ['price_change_24h float8', 'change of the price over 24 hours, a fraction'],
        ['price_change_7d float8', 'change of the price over 7 days, a fraction'],
        ['price_volatility_7d float8', 'sample standard deviation of hourly log returns over 7 days, annualised by the root of 8760'],
        ['market_cap float8', 'market capitalisation with the newest quote'],
        ['price_at timestamptz', 'when the newest quote was taken'],
        ['mentions_24h float8', 'mentions in 24 hours: 24 * sma_24h'],
        ['baseline_24h float8', 'mentions that the 13 days before would give in 24 hours']],
        ARRAY['PRIMARY KEY (token)', 'SET (fillfactor = 50)']);
    PERFORM defidata.setup_table('daily_mentions', 'mentions by day', ARRAY[
        ['day date NOT NULL', 'the day, in UTC'],
        ['mentions bigint NOT NULL', 'accepted mentions of all tokens'],
        ['tokens bigint NOT NULL', 'distinct tokens mentioned'],
        ['observed_hours integer NOT NULL', 'hours of the day that were observed']],
        ARRAY['PRIMARY KEY (day)']);
    PERFORM defidata.setup_table('publication', 'one row: the published generation, an ETag for caches', ARRAY[
        ['generation bigint NOT NULL', 'grows by one whenever something published changed'],
        ['latest_hour timestamptz', 'the settled hour that is published'],
        ['published_at timestamptz', 'when this generation was published']], ARRAY['PRIMARY KEY (generation)']);
    PERFORM defidata.setup_table('document', 'JSON documents ready to serve, filled by publish; defidata_document answers from here', ARRAY[
        ['path text COLLATE "C" NOT NULL', 'the path of the URL, in lower case'],
        ['body json NOT NULL', 'the document: an array of rows with the columns of their table as keys; for /topstats an object of such arrays'],
        ['etag text NOT NULL', 'the ETag, in quotes; changes if and only if the body does'],
        ['generation bigint NOT NULL', 'the generation that brought this body'],
        ['published_at timestamptz', 'when that generation was published; NULL before the first']],
        ARRAY['PRIMARY KEY (path)', 'ALTER body SET STORAGE EXTERNAL']);
    PERFORM defidata.setup_table('publication_history', 'every generation that was published', ARRAY[
        ['generation bigint NOT NULL', 'the generation'],
        ['latest_hour timestamptz', 'the settled hour that it showed'],
        ['published_at timestamptz NOT NULL', 'when it was published']],
        ARRAY['PRIMARY KEY (generation)', 'INDEX (published_at)']);
    PERFORM defidata.setup_table('board_history', 'what readers of the boards saw, by generation', ARRAY[
        ['generation bigint NOT NULL', 'the generation'],
        ['board text COLLATE "C" NOT NULL', 'the board'],
        ['rank integer NOT NULL', 'the rank'],
        ['token text COLLATE "C" NOT NULL', 'the token'],
        ['value float8', 'what the board ranks by']],
        ARRAY['PRIMARY KEY (generation, board, rank)']);
    PERFORM defidata.setup_table('runs', 'every stage of every recorded run', ARRAY[
        ['id bigint GENERATED ALWAYS AS IDENTITY', 'one for each record'],
        ['run bigint', 'the id of the run''s first record'],
        ['trigger text NOT NULL', 'what called: refresh, run, backfill, reconcile or expire'],
        ['stage text NOT NULL', 'import, compute, publish, backfill, reconcile or expire'],
        ['status text NOT NULL', 'running, ok, failed, interrupted or skipped'],
        ['started_at timestamptz NOT NULL', 'when the stage began'],
        ['finished_at timestamptz', 'when it ended; NULL while it runs'],
        ['counts jsonb NOT NULL DEFAULT ''{}''', 'what the stage did, and its progress'],
        ['latest_hour timestamptz', 'the newest hour that it dealt with'],
        ['sqlstate text', 'of the error, where it failed'],
        ['error text', 'the error''s message, where it failed'],
        ['pid integer', 'the server process that ran it']],
        ARRAY['PRIMARY KEY (id)', 'INDEX (status) WHERE status = ''running''']);
END
$$;
COMMENT ON FUNCTION defidata.setup_tables() IS 'makes every table and adds missing columns; idempotent';

CREATE FUNCTION defidata.setup_rules() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    watched text;
BEGIN
    INSERT INTO defidata.setting AS s (name, value, description)
    SELECT d.name, d.value, d.description FROM defidata.default_settings() d
    ON CONFLICT (name) DO UPDATE SET description = excluded.description
     WHERE s.description <> excluded.description;
    -- every session's cached rules are dropped when one of these tables changes
    FOREACH watched IN ARRAY ARRAY['token', 'setting'] LOOP
        IF (SELECT count(*) FROM pg_trigger t
                        WHERE t.tgrelid = format('defidata.%I', watched)::regclass
                          AND t.tgname = 'forget_rules') = 0 THEN
            EXECUTE format('CREATE TRIGGER forget_rules AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON defidata.%I'
                           ' FOR EACH STATEMENT EXECUTE FUNCTION defidata.forget_rules()', watched);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.setup_rules() IS 'inserts missing settings and makes edits of list and settings reach every session';

CREATE FUNCTION defidata.setup() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present constant text := (SELECT extversion FROM pg_extension WHERE extname = 'defidata');
BEGIN
    -- a newer library serves older SQL, an older one may judge by former rules
    IF string_to_array(defidata.library_version(), '.')::integer[]
       < string_to_array(present, '.')::integer[] THEN
        RAISE EXCEPTION 'extension defidata is of version %, the library in this session of version %',
            present, defidata.library_version()
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Reconnect if the extension was updated after this session began; '
                   'otherwise install the library of its version.';
    END IF;
    -- the last thing that setup makes tells that all is there; this is the way
    -- of nearly every call
    IF to_regclass('defidata.layout') IS NOT NULL THEN
        IF EXISTS (SELECT FROM defidata.layout l WHERE l.version = present) THEN
            RETURN;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(defidata.lock_key('setup'));
    PERFORM defidata.setup_tables();
    PERFORM defidata.setup_views();
    PERFORM defidata.setup_rules();
    PERFORM defidata.setup_boards();
    INSERT INTO defidata.publication (generation) SELECT 0 WHERE (SELECT count(*) FROM defidata.publication) = 0;
    PERFORM defidata.publish_documents();
    PERFORM defidata.setup_table('layout', 'the version of the extension that made these tables',
        ARRAY[['version text NOT NULL', 'the version']], ARRAY['PRIMARY KEY (version)']);
    DELETE FROM defidata.layout l WHERE l.version <> present;
    INSERT INTO defidata.layout (version) VALUES (present) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION defidata.setup() IS 'makes the tables, or brings them up to date; cheap where there is nothing to do';

CREATE FUNCTION @extschema@.defidata_setup() RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.setup();
END;
COMMENT ON FUNCTION @extschema@.defidata_setup() IS 'creates the tables in schema defidata, or brings them up to date after ALTER EXTENSION UPDATE; every call that needs them does this too';

REVOKE ALL ON FUNCTION defidata.setup_table(text, text, text[], text[]), defidata.metric_columns(),
    defidata.setup_tables(), defidata.setup_rules(), defidata.setup(), @extschema@.defidata_setup() FROM PUBLIC;
