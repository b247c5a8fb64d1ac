-- step_identity.sql: on the way from 1.0, where a row was known by source and id.

CREATE FUNCTION defidata.tell_step(what text, relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE NOTICE 'defidata_setup: %, % of %', what,
        pg_size_pretty(pg_total_relation_size(relation)), relation;
END
$$;
COMMENT ON FUNCTION defidata.tell_step(text, regclass) IS
    'says in a NOTICE which part of a change of the tables has begun, for those that take long';

-- 1.0 rejected a row for its sentiment.  Rows are judged here, where the list is.
CREATE FUNCTION defidata.accept_sentiments() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    judged record;
BEGIN
    UPDATE defidata.raw_mentions r SET sentiment = NULL
     WHERE NOT r.sentiment BETWEEN -1000 AND 1000;
    SELECT array_agg(j.source) AS sources, array_agg(j.hour) AS hours, array_agg(j.id) AS ids,
           array_agg(defidata.clean(j.symbol)) AS tokens INTO judged
      FROM (SELECT r.source, r.hour, r.id, r.symbol FROM defidata.raw_mentions r
             WHERE r.reason = 'sentiment' OFFSET 0) j;
    UPDATE defidata.raw_mentions r
       SET token = j.token, reason = CASE WHEN j.token IS NULL THEN 'symbol' END
      FROM unnest(judged.sources, judged.hours, judged.ids, judged.tokens)
           j (source, hour, id, token)
     WHERE r.source = j.source AND r.hour = j.hour AND r.id = j.id;
    UPDATE defidata.hours h SET summed = false WHERE h.hour = ANY (judged.hours);
END
$$;
COMMENT ON FUNCTION defidata.accept_sentiments() IS
    'judges the rows again that were rejected for their sentiment';

-- A view of somebody's that shows the column is no reason to stay with 1.0.
CREATE FUNCTION defidata.drop_former_hour() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    detail text;
BEGIN
    ALTER TABLE defidata.raw_mentions DROP COLUMN former_hour;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    COMMENT ON COLUMN defidata.raw_mentions.former_hour IS
        'of version 1.0; not filled any more, and there because a view shows it';
    RAISE NOTICE 'column former_hour of defidata.raw_mentions stays, and is not filled any more'
        USING DETAIL = detail,
              HINT = 'Once nothing depends on it,'
                     ' ALTER TABLE defidata.raw_mentions DROP COLUMN former_hour;';
END
$$;
COMMENT ON FUNCTION defidata.drop_former_hour() IS
    'drops a column that 1.0 had, unless something depends on it';

-- Step 3: rows are known by source, hour and id, and hours follow their source.  In the notes of
-- 1.0 are hours that were found equal.
CREATE FUNCTION defidata.step_3() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET maintenance_work_mem = '256MB'
AS $$
BEGIN
    CREATE TABLE defidata.superseded (
        source text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        symbol text COLLATE "C",
        mentions float8,
        sentiment float8,
        token text COLLATE "C",
        reason text,
        fetched_at timestamptz NOT NULL,
        superseded_at timestamptz NOT NULL,
        PRIMARY KEY (source, hour, id, superseded_at)
    );
    CREATE INDEX ON defidata.superseded (superseded_at);
    CREATE UNLOGGED TABLE defidata.delivered (
        hour timestamptz NOT NULL,
        id text COLLATE "C" NOT NULL,
        symbol text COLLATE "C",
        mentions float8,
        sentiment float8
    );
    CREATE TABLE defidata.document_source (
        name text COLLATE "C" NOT NULL,
        PRIMARY KEY (name)
    );
    ALTER TABLE defidata.surveyed ALTER checksum DROP NOT NULL, ADD COLUMN held bigint,
        ADD COLUMN most bigint, ADD COLUMN kept text,
        ADD COLUMN twins boolean NOT NULL DEFAULT false, ADD COLUMN repeats text;
    UPDATE defidata.surveyed SET held = rows, most = rows;
    ALTER TABLE defidata.surveyed ALTER held SET NOT NULL, ALTER most SET NOT NULL;

    PERFORM defidata.tell_step('the index of source, hour and id is built',
                               'defidata.raw_mentions');
    UPDATE defidata.raw_mentions SET hour = '-infinity' WHERE hour IS NULL;
    DROP INDEX defidata.raw_mentions_hour_idx;
    ALTER TABLE defidata.raw_mentions ALTER hour SET NOT NULL, DROP CONSTRAINT raw_mentions_pkey;
    PERFORM defidata.drop_former_hour();
    ALTER TABLE defidata.raw_mentions ADD PRIMARY KEY (source, hour, id);
    PERFORM defidata.tell_step('rows that were rejected for their sentiment are judged again',
                               'defidata.raw_mentions'),
            defidata.accept_sentiments();
END
$$;
COMMENT ON FUNCTION defidata.step_3() IS
    'the copy by source, hour and id, and rows that are superseded';
