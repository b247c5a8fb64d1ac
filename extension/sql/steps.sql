-- steps.sql: what brings tables of 1.0 up to date, one numbered step for each concern.
--
-- A table that was released never changes in tables.sql alone: the same change stands here, and
-- test/t/021_update.pl compares what comes out.  setup.sql goes through the steps that are due.

-- Step 1: from 1.0.  There locks were advisory, and the layout counted no steps.
CREATE FUNCTION defidata.step_1() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.lock (
        name text COLLATE "C" NOT NULL,
        PRIMARY KEY (name)
    );
    ALTER TABLE defidata.layout ADD COLUMN step integer NOT NULL DEFAULT 0;
    ALTER TABLE defidata.layout ALTER COLUMN step DROP DEFAULT;
END
$$;
COMMENT ON FUNCTION defidata.step_1() IS 'locks that are rows';

-- Step 2: thin, marked, incomplete and expired hours.
CREATE FUNCTION defidata.step_2() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.hours
        ADD COLUMN expired boolean NOT NULL DEFAULT false,
        ADD COLUMN incomplete boolean NOT NULL DEFAULT false,
        ADD COLUMN thin boolean NOT NULL DEFAULT false,
        ADD COLUMN marked boolean,
        ADD COLUMN observed boolean NOT NULL
            GENERATED ALWAYS AS (COALESCE(rows, 0) > 0
                                 AND COALESCE(marked, NOT thin AND NOT incomplete)) STORED;
    UPDATE defidata.hours h SET expired = true
     WHERE h.rows > 0 AND NOT EXISTS (SELECT 1 FROM defidata.raw_mentions r WHERE r.hour = h.hour);
    PERFORM defidata.judge_hours('-infinity', 'infinity');
END
$$;
COMMENT ON FUNCTION defidata.step_2() IS 'hours that are thin, marked, incomplete or expired';

-- Step 4: servers are asked about their tables by their catalogs.
CREATE FUNCTION defidata.step_4() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former record;
BEGIN
    FOR former IN SELECT s.oid AS server, defidata.remote_table(s.oid, 'information_schema', v,
                                                                'defidata_remote') AS relation
                    FROM pg_foreign_server s, unnest('{columns,character_sets}'::text[]) v LOOP
        CONTINUE WHEN former.relation IS NULL;
        PERFORM defidata.make_catalogs(former.server);
        BEGIN
            EXECUTE format('DROP FOREIGN TABLE %s', former.relation);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            -- a view of the user's reads it
            NULL;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.step_4() IS 'foreign tables over the catalogs of servers';

-- Step 10: quotes are known by their instant too.  What 1.0 chose among assets of one symbol
-- is chosen anew.
CREATE FUNCTION defidata.step_10() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.token ADD COLUMN asset text COLLATE "C";
    ALTER TABLE defidata.prices ADD COLUMN currency text COLLATE "C";
    -- of documents 1.0 read no other currency
    UPDATE defidata.prices SET currency = 'USD' WHERE source = 'documents';
    UPDATE defidata.prices SET at = '-infinity' WHERE at IS NULL;
    ALTER TABLE defidata.prices ALTER COLUMN at SET NOT NULL;
    ALTER TABLE defidata.prices DROP CONSTRAINT prices_pkey;
    ALTER TABLE defidata.prices ADD PRIMARY KEY (source, at, id);
    DROP INDEX defidata.prices_at_idx;
    CREATE INDEX ON defidata.prices (at) WHERE reason = 'hour';
    CREATE TABLE defidata.quote_series (
        asset text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        token text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        day timestamptz NOT NULL,
        spelled boolean NOT NULL,
        at timestamptz[] NOT NULL,
        price float8[] NOT NULL,
        PRIMARY KEY (asset, source, token, currency, day)
    );
    CREATE INDEX ON defidata.quote_series
        (date_bin('24 hours', day, '2001-01-01 00:00:00+00'));
    PERFORM defidata.rebuild_quote_series();
    DELETE FROM defidata.token_asset;
    ALTER TABLE defidata.token_asset ADD COLUMN quoted text COLLATE "C" NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.step_10() IS
    'quotes by instant and currency, their series, pinned assets';

-- Step 20: metrics that came after 1.0.
CREATE FUNCTION defidata.step_20() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.token_stats
        ADD COLUMN spike_14d float8,
        ADD COLUMN sentiment_change float8;
END
$$;
COMMENT ON FUNCTION defidata.step_20() IS 'spike_14d and sentiment_change in token_stats';

-- Step 21: the past.  What 1.0 summed stands for every earlier time as it is found.
CREATE FUNCTION defidata.step_21() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.fact_revision (
        token text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        until timestamptz NOT NULL,
        series defidata.series NOT NULL,
        PRIMARY KEY (token, hour, until)
    );
    CREATE INDEX ON defidata.fact_revision (until);
    CREATE TABLE defidata.hour_revision (
        hour timestamptz NOT NULL,
        until timestamptz NOT NULL,
        observed boolean NOT NULL,
        settled boolean NOT NULL,
        PRIMARY KEY (hour, until)
    );
    CREATE TABLE defidata.revision_clock (
        latest timestamptz NOT NULL,
        PRIMARY KEY (latest)
    );
    ALTER TABLE defidata.hours
        ADD COLUMN first_summed_at timestamptz,
        ADD COLUMN first_published_at timestamptz;
    UPDATE defidata.hours h SET first_summed_at = '-infinity', first_published_at = p.at
      FROM defidata.hours o
      LEFT JOIN (SELECT g.latest_hour, min(g.published_at) AS at
                   FROM defidata.publication_history g GROUP BY g.latest_hour) p
             ON p.latest_hour = o.hour
     WHERE h.hour = o.hour AND h.rows IS NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.step_21() IS 'revisions of facts and hours';

-- Step 22: alerts.
CREATE FUNCTION defidata.step_22() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.alert (
        name text COLLATE "C" NOT NULL,
        metric text NOT NULL,
        direction text NOT NULL,
        enter float8 NOT NULL,
        leave float8 NOT NULL,
        rearm interval NOT NULL,
        min_mentions float8 NOT NULL,
        tokens text[] COLLATE "C",
        judged_hour timestamptz,
        added_at timestamptz NOT NULL,
        PRIMARY KEY (name),
        CHECK (direction IN ('above', 'below'))
    );
    CREATE TABLE defidata.alert_event (
        id bigint GENERATED ALWAYS AS IDENTITY,
        alert text COLLATE "C" NOT NULL,
        token text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        value float8,
        event text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (id),
        CHECK (event IN ('raised', 'ended'))
    );
    CREATE INDEX ON defidata.alert_event (alert, token, id);
END
$$;
COMMENT ON FUNCTION defidata.step_22() IS 'alerts and their events';

CREATE FUNCTION defidata.steps() RETURNS SETOF integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT substr(p.proname, 6)::integer
      FROM pg_proc p
     WHERE p.pronamespace = 'defidata'::regnamespace AND p.proname ~ '^step_[0-9]+$';
END;
COMMENT ON FUNCTION defidata.steps() IS 'the numbers of the steps that this version has';

CREATE FUNCTION defidata.latest_step() RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT max(s) FROM defidata.steps() s);
COMMENT ON FUNCTION defidata.latest_step() IS 'the number of the last step that this version has';
