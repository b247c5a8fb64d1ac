-- import.sql: survey → compare → copy.
--
-- A source is surveyed first: one aggregate, computed where the rows are, gives
-- count and checksum of every hour.  Hours that are new or differ from the
-- copy are read, in batches of whole hours, and merged by key.  Refresh,
-- backfill and reconcile all import this way.

CREATE FUNCTION defidata.parse_number(figure text) RETURNS float8
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'defidata_parse_number';
COMMENT ON FUNCTION defidata.parse_number(text) IS 'a decimal number, NaN or Infinity written as text; NULL where it is none';

CREATE FUNCTION defidata.finite(figure float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN figure > '-infinity' AND figure < 'infinity' THEN figure END;
COMMENT ON FUNCTION defidata.finite(float8) IS 'the figure itself; NULL where it is NaN or infinite';

CREATE FUNCTION defidata.clean(raw text) RETURNS text
    STABLE PARALLEL SAFE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'defidata_clean';
COMMENT ON FUNCTION defidata.clean(text) IS 'defidata_clean under a name that the stages can rely on';

CREATE FUNCTION defidata.instant_of(at bigint) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN at BETWEEN -62135596800 AND 253402300799 THEN pg_catalog.to_timestamp(at)
                WHEN at > 0 THEN 'infinity'::timestamptz
                WHEN at <= 0 THEN '-infinity'::timestamptz END;
CREATE FUNCTION defidata.instant_of(at timestamp) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN at AT TIME ZONE 'UTC';
CREATE FUNCTION defidata.instant_of(at timestamptz) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN at;
COMMENT ON FUNCTION defidata.instant_of(bigint) IS 'Unix seconds as timestamptz; what is out of its range is infinite';
COMMENT ON FUNCTION defidata.instant_of(timestamp) IS 'a timestamp taken as UTC';
COMMENT ON FUNCTION defidata.instant_of(timestamptz) IS 'the instant itself';

CREATE FUNCTION defidata.hour_of(at timestamptz) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.date_bin('1 hour', at, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.hour_of(timestamptz) IS 'start of the hour, in UTC whatever the session''s time zone';

CREATE FUNCTION defidata.epoch_of(at timestamptz) RETURNS bigint
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN at = 'infinity' THEN 9223372036854775807 WHEN at = '-infinity' THEN -9223372036854775808
                ELSE EXTRACT(epoch FROM at)::bigint END;
COMMENT ON FUNCTION defidata.epoch_of(timestamptz) IS 'Unix seconds; an infinite time is the largest or smallest bigint';

CREATE FUNCTION defidata.add_counts(counts jsonb, more jsonb) RETURNS jsonb
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT COALESCE(jsonb_object_agg(c.key, c.total ORDER BY c.key), '{}')
      FROM (SELECT e.key, sum(e.value::bigint) AS total
              FROM (SELECT * FROM jsonb_each_text(counts) UNION ALL SELECT * FROM jsonb_each_text(more)) e
             GROUP BY e.key) c;
END;
COMMENT ON FUNCTION defidata.add_counts(jsonb, jsonb) IS 'sums two objects of counts, key by key';

-- The pieces of SQL that read one source.  Bounds and hours are parameters:
-- $1, $2, $3 from, until, hours as timestamptz; $4, $5, $6 the same as Unix
-- seconds (hours: seconds / 3600); $7, $8, $9 as timestamp; $10, $11, $12 another
-- bound for the piece before, in the same three.  A piece uses those that have the
-- type of the source's own column, so that its conditions can be evaluated by the
-- remote.
CREATE FUNCTION defidata.source_sql(source text, OUT kind text, OUT relation text, OUT in_range text, OUT in_hours text, OUT before text,
        OUT unusable text, OUT bucket text, OUT bucket_hour text, OUT when_at text, OUT id text, OUT id_usable text,
        OUT id_hash text, OUT columns text, OUT row_hash text)
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src      record;
    col      record;
    part     text;
    family   text;
    hashable boolean := true;
BEGIN
    SELECT s.kind, s.relation, s.columns INTO src FROM defidata.source s WHERE s.name = source_sql.source;
    kind := src.kind;
    relation := src.relation::text;
    FOR col IN SELECT * FROM defidata.source_columns(src.relation, src.kind, src.columns) LOOP
        part := format('r.%I', col.actual);
        family := COALESCE(defidata.type_family(col.type), 'absent');
        CASE
            WHEN col.logical = 'id' THEN
                id := part || '::text';
                id_usable := CASE family WHEN 'string' THEN format('%s IS NOT NULL AND octet_length(%s) <= 512', part, part)
                                         ELSE part || ' IS NOT NULL' END;
                id_hash := format(CASE family WHEN 'string' THEN 'hashtextextended(%s, 0)'
                                              WHEN 'integer' THEN 'hashint8extended(%s, 0)'
                                              ELSE 'uuid_hash_extended(%s, 0)' END, part);
                hashable := hashable AND family = 'string';
                row_hash := id_hash;
                columns := concat_ws(', ', columns, id || ' COLLATE "C" AS id');
            WHEN col.logical IN ('hour', 'at') THEN
                when_at := part;
                in_range := format(CASE family WHEN 'integer' THEN '%1$s >= $4 AND %1$s < $5'
                                               WHEN 'timestamp' THEN '%1$s >= $7 AND %1$s < $8'
                                               ELSE '%1$s >= $1 AND %1$s < $2' END, part);
                before := part || CASE family WHEN 'integer' THEN ' < $11' WHEN 'timestamp' THEN ' < $12' ELSE ' < $10' END;
                unusable := format(CASE family
                    WHEN 'integer' THEN '(%1$s IS NULL OR %1$s < 1136073600 OR %1$s >= $5)'
                    WHEN 'timestamp' THEN '(%1$s IS NULL OR %1$s < timestamp ''2006-01-01'' OR %1$s >= $8)'
                    ELSE '(%1$s IS NULL OR %1$s < timestamptz ''2006-01-01 00:00:00+00'' OR %1$s >= $2)' END, part);
                bucket := format(CASE family
                    WHEN 'integer' THEN '(%s / 3600)'
                    WHEN 'timestamp' THEN 'date_bin(''1 hour'', %s, timestamp ''2001-01-01'')'
                    ELSE 'date_bin(''1 hour'', %s, timestamptz ''2001-01-01 00:00:00+00'')' END, part);
                bucket_hour := CASE family WHEN 'integer' THEN 'defidata.instant_of(s.bucket * 3600::bigint)'
                                           ELSE 'defidata.instant_of(s.bucket)' END;
                part := CASE family WHEN 'integer' THEN '$6' WHEN 'timestamp' THEN '$9' ELSE '$3' END;
                in_hours := format('%s = ANY (%s)', bucket, part);
                part := format('r.%I', col.actual);
                columns := concat_ws(', ', columns, CASE col.logical
                    WHEN 'hour' THEN format('defidata.hour_of(defidata.instant_of(%s)) AS hour', part)
                    ELSE format('defidata.instant_of(%s) AS at', part) END);
            WHEN 'string' = ALL (col.families) THEN
                columns := concat_ws(', ', columns, CASE family WHEN 'absent' THEN 'NULL::text' ELSE part || '::text COLLATE "C"' END
                                                    || ' AS ' || col.logical);
                row_hash := row_hash || format(' # CASE WHEN %1$s IS NULL THEN 0 ELSE hashtextextended(%1$s, 1) END', part);
            ELSE
                columns := concat_ws(', ', columns, CASE family
                    WHEN 'absent' THEN 'NULL::float8'
                    WHEN 'float' THEN part || '::float8'
                    WHEN 'integer' THEN part || '::float8'
                    ELSE format('defidata.parse_number(%s::text)', part) END || ' AS ' || col.logical);
                -- seeds tell the columns apart, so that swapped values show; CASE, since
                -- postgres_fdw sends no COALESCE
                IF family <> 'absent' THEN
                    hashable := hashable AND family IN ('float', 'integer');
                    row_hash := row_hash || format(' # CASE WHEN %1$s IS NULL THEN 0 ELSE hashfloat8extended(%1$s::float8, %2$s) END',
                                                   part, CASE col.logical WHEN 'mentions' THEN 2 ELSE 3 END);
                END IF;
        END CASE;
    END LOOP;
    IF NOT hashable THEN
        row_hash := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.source_sql(text) IS 'the pieces of SQL that read a source; row_hash is NULL where the columns have types of which it cannot compute a checksum that is comparable here';

CREATE FUNCTION defidata.same_encoding(relation regclass) RETURNS boolean
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    view regclass := (SELECT defidata.server_view(t.ftserver, 'character_sets') FROM pg_foreign_table t WHERE t.ftrelid = relation);
    same boolean;
BEGIN
    IF view IS NULL THEN
        -- a foreign table of another wrapper may hash as it likes
        RETURN (SELECT c.relkind <> 'f' FROM pg_class c WHERE c.oid = relation);
    END IF;
    EXECUTE format('SELECT bool_and(v.character_set_name = $1) FROM %s v', view) INTO same
      USING (SELECT pg_encoding_to_char(d.encoding) FROM pg_database d WHERE d.datname = current_database());
    RETURN same;
END
$$;
COMMENT ON FUNCTION defidata.same_encoding(regclass) IS 'whether text has the same bytes at the source as here, so that checksums can be compared';

-- An hour at which the copy was found equal to its source need not be read here
-- again, six times with the usual overlap, as long as the source says the same of it.
CREATE FUNCTION defidata.survey(source text, from_at timestamptz, until_at timestamptz, with_unusable boolean, trusting boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    piece     record;
    there     record;
    here      record;
    checksum  text;
    after     constant timestamptz := (SELECT s.watermark + interval '1 hour' FROM defidata.source s WHERE s.name = survey.source);
    known     timestamptz[] := '{}';
    read_from timestamptz := from_at;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(survey.source);
    -- an hour after the newest of the copy needs no checksum: it differs; the usual case first
    checksum := CASE WHEN piece.row_hash IS NOT NULL AND defidata.same_encoding(piece.relation::regclass)
                     THEN format('sum(%s) FILTER (WHERE %s OR NOT (%s) OR %s IS NULL)', piece.row_hash, piece.before, piece.in_range, piece.when_at) END;
    -- rows whose hour is unusable stand together, under the hour -infinity
    EXECUTE format('SELECT array_agg(COALESCE(%s, ''-infinity'')) AS hours, array_agg(s.rows) AS rows, array_agg(s.checksum) AS checksums'
                   ' FROM (SELECT CASE WHEN %s THEN %s END AS bucket, count(*) AS rows, %s AS checksum'
                   '         FROM %s r WHERE %s GROUP BY 1) s',
                   piece.bucket_hour, piece.in_range, piece.bucket,
                   COALESCE(checksum, 'NULL::numeric'), piece.relation,
                   CASE WHEN with_unusable THEN format('(%s OR %s)', piece.in_range, piece.unusable) ELSE piece.in_range END)
       INTO there
      USING from_at, until_at, NULL::timestamptz[], defidata.epoch_of(from_at), defidata.epoch_of(until_at), NULL::bigint[],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', NULL::timestamp[],
            after, defidata.epoch_of(after), after AT TIME ZONE 'UTC';
    IF trusting THEN
        DELETE FROM defidata.surveyed k WHERE k.source = survey.source AND k.hour < from_at;
        known := ARRAY(SELECT k.hour FROM defidata.surveyed k
                         JOIN unnest(there.hours, there.rows, there.checksums) t (hour, rows, checksum) USING (hour, rows, checksum)
                        WHERE k.source = survey.source);
        read_from := (SELECT h FROM (SELECT generate_series(defidata.hour_of(from_at), until_at, interval '1 hour') AS h) e
                       WHERE h <> ALL (known) LIMIT 1);
    END IF;
    SELECT array_agg(h.hour) AS hours, array_agg(h.rows) AS rows, array_agg(h.checksum) AS checksums INTO here
      FROM (SELECT CASE WHEN r.reason = 'hour' THEN '-infinity' ELSE r.hour END AS hour, count(*) AS rows,
                   sum(hashtextextended(r.id, 0)
                       # CASE WHEN r.symbol IS NULL THEN 0 ELSE hashtextextended(r.symbol, 1) END
                       # CASE WHEN r.mentions IS NULL THEN 0 ELSE hashfloat8extended(r.mentions, 2) END
                       # CASE WHEN r.sentiment IS NULL THEN 0 ELSE hashfloat8extended(r.sentiment, 3) END) AS checksum
              FROM defidata.raw_mentions r
             WHERE r.source = survey.source
               AND (r.hour >= greatest(from_at, read_from) AND r.hour < until_at AND r.hour <> ALL (known)
                    AND r.reason IS DISTINCT FROM 'hour' OR with_unusable AND r.reason = 'hour')
             GROUP BY 1) h;
    RETURN QUERY
    WITH compared AS MATERIALIZED (
        SELECT hour, t.rows AS remote_rows, h.rows AS local_rows, t.checksum, t.rows = h.rows AND t.checksum = h.checksum AS same
          FROM (SELECT u.* FROM unnest(there.hours, there.rows, there.checksums) u (hour, rows, checksum) WHERE u.hour <> ALL (known)) t
          FULL JOIN unnest(here.hours, here.rows, here.checksums) h (hour, rows, checksum) USING (hour)),
    noted AS (
        INSERT INTO defidata.surveyed (source, hour, rows, checksum)
        SELECT survey.source, c.hour, c.remote_rows, c.checksum FROM compared c WHERE trusting AND c.same AND isfinite(c.hour)
        ON CONFLICT ON CONSTRAINT surveyed_pkey DO UPDATE SET rows = excluded.rows, checksum = excluded.checksum)
    SELECT c.hour, COALESCE(c.remote_rows, 0), COALESCE(c.local_rows, 0) FROM compared c WHERE c.same IS NOT TRUE ORDER BY c.hour;
END
$$;
COMMENT ON FUNCTION defidata.survey(text, timestamptz, timestamptz, boolean, boolean) IS 'hours in which a mentions source and its copy differ in count or checksum (always, where there is no checksum), with the rows of both. Rows with an unusable hour stand under -infinity. trusting: whether hours found equal by an earlier survey are equal as long as the source has the same rows';

-- Reads rows of a source and merges them into the copy, or only adds them.  The
-- hours that are read again are a literal: what decides about a conflict runs
-- where the rows are, and parameters do not get there.
CREATE FUNCTION defidata.copy_statement(source text, condition text, merge boolean, reread timestamptz[]) RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece   record;
    fetched text;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(copy_statement.source);
    -- in the order of the index that the rows enter; of rows with one id always
    -- the same is taken, whatever their order and whatever the copy holds
    fetched := format('SELECT %7$s %2$s FROM %3$s r WHERE %4$s AND %5$s ORDER BY %1$s COLLATE "C", %6$s',
                      piece.id, piece.columns, piece.relation, piece.id_usable, condition,
                      CASE piece.kind WHEN 'mentions' THEN 'hour DESC NULLS LAST, symbol, mentions, sentiment'
                                      ELSE 'at DESC NULLS LAST, symbol, price' END,
                      CASE WHEN merge THEN format('DISTINCT ON (%s COLLATE "C")', piece.id) ELSE '' END);
    RETURN format(CASE piece.kind WHEN 'mentions' THEN $sql$
        INSERT INTO defidata.raw_mentions AS r (source, id, hour, symbol, mentions, sentiment, token, reason, fetched_at)
        SELECT $10, q.id, q.hour, q.symbol, q.mentions, q.sentiment,
               CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, q.reason, $11
          FROM (SELECT f.*, defidata.reject_reason(f.hour, f.symbol, f.mentions, f.sentiment, $11) AS reason
                  FROM (%s) f OFFSET 0) q
        $sql$ || CASE WHEN merge THEN $sql$
        ON CONFLICT (source, id) DO UPDATE
           SET hour = excluded.hour, symbol = excluded.symbol, mentions = excluded.mentions, sentiment = excluded.sentiment,
               token = excluded.token, reason = excluded.reason, fetched_at = excluded.fetched_at,
               former_hour = COALESCE(r.hour, '-infinity')
         WHERE ((r.hour, r.symbol, r.mentions, r.sentiment)
                IS DISTINCT FROM (excluded.hour, excluded.symbol, excluded.mentions, excluded.sentiment)
                OR r.reason = 'hour' AND excluded.reason IS DISTINCT FROM 'hour')
           -- where two rows of the source share an id, the later hour holds it;
           -- a row moves back only from an hour that is itself read again
           AND (r.reason IS NOT DISTINCT FROM 'hour' OR r.hour = ANY (%s)
                OR excluded.reason IS DISTINCT FROM 'hour' AND excluded.hour >= r.hour)
        $sql$ ELSE '' END ELSE $sql$
        INSERT INTO defidata.prices AS r (source, id, token, asset, at, price, change_24h, volume_24h, market_cap, fetched_at, symbol, reason)
        SELECT $10, q.id, CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, COALESCE(q.asset, q.symbol, ''),
               q.at, q.price, defidata.finite(q.change_24h) / 100, defidata.finite(q.volume_24h), defidata.finite(q.market_cap), $11, q.symbol, q.reason
          FROM (SELECT f.*, defidata.price_reject_reason(f.at, f.symbol, f.price, $11) AS reason
                  FROM (%s) f OFFSET 0) q
        ON CONFLICT (source, id) DO UPDATE
           SET token = excluded.token, asset = excluded.asset, at = excluded.at, price = excluded.price,
               change_24h = excluded.change_24h, volume_24h = excluded.volume_24h, market_cap = excluded.market_cap,
               fetched_at = excluded.fetched_at, symbol = excluded.symbol, reason = excluded.reason
         WHERE (r.asset, r.at, r.price, r.change_24h, r.volume_24h, r.market_cap, r.symbol)
               IS DISTINCT FROM (excluded.asset, excluded.at, excluded.price, excluded.change_24h, excluded.volume_24h,
                                 excluded.market_cap, excluded.symbol)
               OR r.reason = 'hour' AND excluded.reason IS DISTINCT FROM 'hour'
        $sql$ END, fetched, quote_nullable(reread) || '::timestamptz[]');
END
$$;
COMMENT ON FUNCTION defidata.copy_statement(text, text, boolean, timestamptz[]) IS 'the statement that reads rows of a source, one for each id, and merges them into the copy; without merge (mentions only) it fails where an id is there already or comes twice. reread: the hours that the import reads again';

-- Copies a part of a batch: the rows whose id has a hash from low to high.
--
-- Hours of which the copy has nothing are added at half the cost of a merge,
-- which does it where that fails, as an id is there already or comes twice.
-- Text that this database cannot hold fails a statement too; the part is halved
-- until the row that carries it stands alone; it is counted, and its neighbours
-- arrive.
CREATE FUNCTION defidata.copy_part(source text, condition text, from_at timestamptz, until_at timestamptz, hours timestamptz[],
                                   reread timestamptz[], copied_at timestamptz, low numeric, high numeric) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
AS $$
DECLARE
    piece  record;
    part   text := condition;
    -- from a shard no error comes back by which to know that an id is there already
    merge  boolean := low IS NOT NULL OR hours IS NULL OR NOT isfinite(hours[1]) OR COALESCE(hours && reread, false)
                      OR (SELECT count(*) FROM defidata.distributed_tables()) > 0;
    poison record;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(copy_part.source);
    IF low IS NOT NULL THEN
        part := format('%s AND %s >= $12 AND %2$s <= $13', condition, piece.id_hash);
    END IF;
    LOOP
        BEGIN
            -- the common way: all text is fine
            EXECUTE defidata.copy_statement(source, part, merge, reread)
              USING from_at, until_at, hours, defidata.epoch_of(from_at), defidata.epoch_of(until_at),
                    ARRAY(SELECT defidata.epoch_of(h) / 3600 FROM unnest(hours) h),
                    from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', ARRAY(SELECT h AT TIME ZONE 'UTC' FROM unnest(hours) h),
                    source, copied_at, low::bigint, high::bigint;
            RETURN;
        EXCEPTION
            WHEN character_not_in_repertoire OR untranslatable_character THEN
                EXIT;
            WHEN unique_violation THEN
                IF merge THEN
                    RAISE;
                END IF;
                merge := true;
        END;
    END LOOP;
    low := COALESCE(low, -9223372036854775808);
    high := COALESCE(high, 9223372036854775807);
    FOR poison IN EXECUTE format('SELECT CASE WHEN COALESCE(isfinite($3[1]), true) THEN %s ELSE ''-infinity'' END AS hour, s.rows, sum(s.rows) OVER () AS total'
                                 ' FROM (SELECT %s AS bucket, count(*) AS rows FROM %s r WHERE %s AND %s >= $12 AND %5$s <= $13 GROUP BY 1) s',
                                 piece.bucket_hour, piece.bucket, piece.relation, condition, piece.id_hash)
                     USING from_at, until_at, hours, defidata.epoch_of(from_at), defidata.epoch_of(until_at),
                           ARRAY(SELECT defidata.epoch_of(h) / 3600 FROM unnest(hours) h),
                           from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC',
                           ARRAY(SELECT h AT TIME ZONE 'UTC' FROM unnest(hours) h),
                           source, copied_at, low::bigint, high::bigint LOOP
        EXIT WHEN poison.total > 1 AND low < high;
        PERFORM defidata.count_uncopied(source, poison.hour, 'encoding', poison.rows);
    END LOOP;
    IF poison.total > 1 AND low < high THEN
        PERFORM defidata.copy_part(source, condition, from_at, until_at, hours, reread, copied_at, low, floor((low + high) / 2));
        PERFORM defidata.copy_part(source, condition, from_at, until_at, hours, reread, copied_at, floor((low + high) / 2) + 1, high);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.copy_part(text, text, timestamptz, timestamptz, timestamptz[], timestamptz[], timestamptz, numeric, numeric) IS 'copies the rows of a batch, leaving out and counting those whose text this database cannot hold';

CREATE FUNCTION defidata.count_uncopied(source text, hour timestamptz, cause text, rows bigint) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO defidata.uncopied AS u (source, hour, cause, rows, seen_at)
    SELECT $1, $2, $3, $4, now() WHERE $4 > 0
    ON CONFLICT (source, hour, cause) DO UPDATE SET rows = u.rows + excluded.rows, seen_at = excluded.seen_at
$$;
COMMENT ON FUNCTION defidata.count_uncopied(text, timestamptz, text, bigint) IS 'adds rows that could not be copied to the count of their hour and cause';

-- Where an hour of the copy has fewer rows than its source, the source is asked why.
CREATE FUNCTION defidata.audit_hour(source text, hour timestamptz, local_rows bigint, condition text,
                                    from_at timestamptz, until_at timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece  record;
    found  record;
    poison bigint;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(audit_hour.source);
    EXECUTE format('SELECT count(*) FILTER (WHERE %1$s IS NULL) AS null_ids, count(*) FILTER (WHERE %2$s) AS usable,'
                   ' count(*) AS total, count(DISTINCT %1$s) FILTER (WHERE %2$s) AS different FROM %3$s r WHERE %4$s',
                   regexp_replace(piece.id, '::text$', ''), piece.id_usable, piece.relation, condition)
       INTO found
      USING from_at, until_at, ARRAY[hour], defidata.epoch_of(from_at), defidata.epoch_of(until_at), ARRAY[defidata.epoch_of(hour) / 3600],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', ARRAY[hour AT TIME ZONE 'UTC'];
    DELETE FROM defidata.uncopied u WHERE u.source = audit_hour.source AND u.hour = audit_hour.hour AND u.cause <> 'encoding';
    poison := COALESCE((SELECT u.rows FROM defidata.uncopied u
                         WHERE u.source = audit_hour.source AND u.hour = audit_hour.hour AND u.cause = 'encoding'), 0);
    PERFORM defidata.count_uncopied(source, hour, 'null id', found.null_ids),
            defidata.count_uncopied(source, hour, 'long id', found.total - found.null_ids - found.usable),
            -- in the same hour, or held by a later hour
            defidata.count_uncopied(source, hour, 'duplicate id',
                found.usable - found.different + greatest(found.different - poison - local_rows, 0));
END
$$;
COMMENT ON FUNCTION defidata.audit_hour(text, timestamptz, bigint, text, timestamptz, timestamptz) IS 'counts, by cause, the rows of an hour of a mentions source that could not be copied';

CREATE TYPE defidata.batch AS (
    source      text,
    from_at     timestamptz,
    until_at    timestamptz,
    hours       timestamptz[],
    remote_rows bigint[],
    reread      timestamptz[]
);
COMMENT ON TYPE defidata.batch IS 'a part of an import: hours of a mentions source with the rows that it holds for them, and every hour that the whole import reads again; or quotes of a price source from from_at until until_at';
COMMENT ON COLUMN defidata.batch.source IS 'the source';
COMMENT ON COLUMN defidata.batch.from_at IS 'start of what is read';
COMMENT ON COLUMN defidata.batch.until_at IS 'end of what is read';
COMMENT ON COLUMN defidata.batch.hours IS 'the hours that are read; -infinity alone stands for rows whose time is unusable; NULL for quotes';
COMMENT ON COLUMN defidata.batch.remote_rows IS 'the rows that the source holds for each of them';
COMMENT ON COLUMN defidata.batch.reread IS 'every hour that the whole import reads again';

-- One look at what the copy now has of the hours of a batch serves all that follows
-- the copying.  New hours are not in the statistics yet: the planner takes their
-- rows for few and would sort a million of them, or read a page for each of them.
CREATE FUNCTION defidata.take_census(source text, hours timestamptz[], copied_at timestamptz,
                                     OUT hours_found timestamptz[], OUT usable boolean[], OUT former timestamptz[], OUT rows bigint[],
                                     OUT inserted bigint, OUT updated bigint, OUT rejected bigint, OUT touched timestamptz[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_incremental_sort = off
    SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    unusable constant boolean := hours = ARRAY['-infinity'::timestamptz];
BEGIN
    SELECT array_agg(c.hour), array_agg(c.usable), array_agg(c.former), array_agg(c.rows),
           sum(c.inserted), sum(c.fetched - c.inserted), sum(c.rejected),
           array_agg(c.hour) FILTER (WHERE c.fetched > 0 AND c.usable) || array_agg(c.former)
      INTO hours_found, usable, former, rows, inserted, updated, rejected, touched
      FROM (SELECT r.hour, r.reason IS DISTINCT FROM 'hour' AS usable, CASE WHEN r.fetched_at = copied_at THEN r.former_hour END AS former,
                   count(*) AS rows, count(*) FILTER (WHERE r.fetched_at = copied_at) AS fetched,
                   count(*) FILTER (WHERE r.fetched_at = copied_at AND r.former_hour IS NULL) AS inserted,
                   count(*) FILTER (WHERE r.fetched_at = copied_at AND r.reason IS NOT NULL) AS rejected
              FROM defidata.raw_mentions r
             WHERE r.source = take_census.source AND CASE WHEN unusable THEN r.reason = 'hour' ELSE r.hour = ANY (hours) END
             GROUP BY 1, 2, 3) c;
END
$$;
COMMENT ON FUNCTION defidata.take_census(text, timestamptz[], timestamptz) IS 'counts the rows that the copy has of hours of a source ({-infinity}: those with an unusable time), by hour, usability and the hour that rows copied at copied_at have left; how many of these are new, changed, rejected; and the hours that they touched';

-- One batch: copy, count, mark the hours that changed.  Planned anew each time: a
-- plan for any batch could not tell hours from unusable ones and would read the
-- whole copy for each hour.
CREATE FUNCTION defidata.import_batch(batch defidata.batch) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    piece     record;
    condition text;
    copied_at constant timestamptz := clock_timestamp();
    unusable  constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    census    record;
    short     record;
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    SELECT * INTO piece FROM defidata.source_sql(batch.source);
    IF piece.kind = 'prices' THEN
        RETURN defidata.import_prices(batch.source, batch.from_at, batch.until_at, COALESCE(unusable, false), copied_at);
    END IF;
    condition := CASE WHEN unusable THEN piece.unusable
                      -- hours without a gap are a range: to ask each row for its hour would cost the source twice the time
                      WHEN batch.from_at + interval '1 hour' * cardinality(batch.hours) = batch.until_at THEN piece.in_range
                      ELSE format('%s AND %s', piece.in_range, piece.in_hours) END;
    DELETE FROM defidata.uncopied u WHERE u.source = batch.source AND u.hour = ANY (batch.hours);
    PERFORM defidata.copy_part(batch.source, condition, batch.from_at, batch.until_at, batch.hours, batch.reread, copied_at, NULL, NULL);
    -- what was taken over from the old tables gives way to the source itself
    DELETE FROM defidata.raw_mentions r
     WHERE r.source = 'legacy' AND r.hour = ANY (batch.hours)
       AND (SELECT count(*) FROM defidata.source s WHERE s.name = 'legacy') = 0;

    SELECT * INTO census FROM defidata.take_census(batch.source, batch.hours, copied_at);
    -- what was found equal has changed here: it must be found so again
    DELETE FROM defidata.surveyed k WHERE k.source = batch.source AND k.hour = ANY (batch.hours || census.former);
    INSERT INTO defidata.hours AS h (hour)
    SELECT DISTINCT t FROM unnest(census.touched) t WHERE t BETWEEN '2006-01-01 00:00:00+00' AND copied_at
    ON CONFLICT (hour) DO UPDATE SET summed = false;
    FOR short IN SELECT w.hour, COALESCE(here.rows, 0)::bigint AS rows
                   FROM unnest(batch.hours, batch.remote_rows) w (hour, remote_rows)
                   LEFT JOIN (SELECT CASE WHEN unusable THEN '-infinity' ELSE c.hour END AS hour, sum(c.rows) AS rows
                                FROM unnest(census.hours_found, census.usable, census.rows) c (hour, usable, rows)
                               WHERE c.usable <> unusable GROUP BY 1) here ON here.hour = w.hour
                  WHERE COALESCE(here.rows, 0) <> w.remote_rows
                 UNION ALL
                 -- an hour that a row has left may hold it at the source all the same
                 SELECT DISTINCT f, NULL::bigint FROM unnest(census.former) f
                  WHERE NOT unusable AND f <> ALL (batch.hours || '-infinity'::timestamptz) LOOP
        PERFORM defidata.audit_hour(batch.source, short.hour, COALESCE(short.rows, (
                SELECT count(*) FROM defidata.raw_mentions r
                 WHERE r.source = batch.source AND r.hour = short.hour AND r.reason IS DISTINCT FROM 'hour')), condition,
            CASE WHEN unusable THEN batch.from_at ELSE short.hour END,
            CASE WHEN unusable THEN batch.until_at ELSE short.hour + interval '1 hour' END);
    END LOOP;
    UPDATE defidata.source s SET watermark = greatest(s.watermark, newest.hour)
      FROM (SELECT max(h) AS hour FROM unnest(batch.hours) h WHERE isfinite(h)) newest
     WHERE s.name = batch.source AND newest.hour > COALESCE(s.watermark, '-infinity');
    RETURN jsonb_build_object('inserted', COALESCE(census.inserted, 0), 'updated', COALESCE(census.updated, 0),
                              'rejected', COALESCE(census.rejected, 0), 'fetched', (SELECT sum(n) FROM unnest(batch.remote_rows) n));
END
$$;
COMMENT ON FUNCTION defidata.import_batch(defidata.batch) IS 'copies the hours of a batch (for prices: its quotes) and returns counts';

CREATE FUNCTION defidata.import_prices(source text, from_at timestamptz, until_at timestamptz, unusable boolean,
                                       copied_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    piece  record;
    before bigint;
    counts jsonb;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(import_prices.source);
    SELECT count(*) INTO before FROM defidata.prices p
     WHERE p.source = import_prices.source AND (NOT unusable AND p.at >= from_at AND p.at < until_at OR unusable AND p.reason = 'hour');
    DELETE FROM defidata.uncopied u
     WHERE u.source = import_prices.source
       AND CASE WHEN unusable THEN u.hour = '-infinity' ELSE u.hour >= defidata.hour_of(from_at) AND u.hour < until_at END;
    PERFORM defidata.copy_part(source, CASE WHEN unusable THEN piece.unusable ELSE piece.in_range END, from_at, until_at,
                               CASE WHEN unusable THEN ARRAY['-infinity'::timestamptz] END, NULL, copied_at, NULL, NULL);
    SELECT jsonb_build_object('inserted', count(*) - before,
                              'updated', greatest(count(*) FILTER (WHERE p.fetched_at = copied_at) - count(*) + before, 0),
                              'rejected', count(*) FILTER (WHERE p.fetched_at = copied_at AND p.reason IS NOT NULL),
                              'fetched', count(*))
      INTO counts
      FROM defidata.prices p
     WHERE p.source = import_prices.source AND (NOT unusable AND p.at >= from_at AND p.at < until_at OR unusable AND p.reason = 'hour');
    UPDATE defidata.source s SET watermark = greatest(s.watermark, newest.at)
      FROM (SELECT max(p.at) AS at FROM defidata.prices p
             WHERE p.source = import_prices.source AND p.at >= from_at AND p.at < until_at AND p.reason IS DISTINCT FROM 'hour') newest
     WHERE s.name = import_prices.source AND newest.at > COALESCE(s.watermark, '-infinity');
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import_prices(text, timestamptz, timestamptz, boolean, timestamptz) IS 'copies the quotes of a price source from from_at until until_at, or those whose time is unusable, and returns counts';

CREATE FUNCTION defidata.source_range(source text, OUT oldest timestamptz, OUT newest timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece    record;
    from_at  constant timestamptz := '2006-01-01 00:00:00+00';
    until_at constant timestamptz := defidata.hour_of(now()) + interval '1 hour';
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(source_range.source);
    EXECUTE format('SELECT defidata.instant_of(s.oldest), defidata.instant_of(s.newest)'
                   ' FROM (SELECT min(%1$s) AS oldest, max(%1$s) AS newest FROM %2$s r WHERE %3$s) s',
                   piece.when_at, piece.relation, piece.in_range)
       INTO oldest, newest
      USING from_at, until_at, NULL::timestamptz[], defidata.epoch_of(from_at), defidata.epoch_of(until_at), NULL::bigint[],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC';
END
$$;

-- What an import has to read, as batches in ascending order of hours, so that the
-- watermark only moves over what is there.
CREATE FUNCTION defidata.plan_import(since timestamptz, until_hour timestamptz, batch_rows bigint) RETURNS SETOF defidata.batch
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    src        record;
    start      timestamptz;
    horizon    constant timestamptz := defidata.hour_of(now()) + interval '1 hour';
    finish     constant timestamptz := least(COALESCE(until_hour, horizon), horizon);
BEGIN
    PERFORM defidata.require_source();
    FOR src IN SELECT s.name, s.kind, s.relation, s.columns, s.watermark FROM defidata.source s ORDER BY s.kind, s.name LOOP
        PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
        -- what is older has no usable hour
        start := least(greatest(COALESCE(since, defidata.import_start(src.name, src.watermark), finish), '2006-01-01 00:00:00+00'), finish);
        IF src.kind = 'prices' THEN
            -- a day at a time bounds what one transaction of a run holds; no
            -- days are asked for from before a source's first row or after its last
            RETURN QUERY
            SELECT src.name, d, least(d + interval '24 hours', finish), NULL::timestamptz[], NULL::bigint[], NULL::timestamptz[]
              FROM (SELECT start, finish WHERE finish - start <= '48 hours'
                    UNION ALL
                    SELECT r.oldest, r.newest FROM defidata.source_range(src.name) r WHERE finish - start > '48 hours' AND r.newest >= start) e (oldest, newest),
                   generate_series(greatest(start, e.oldest), least(finish - interval '1 microsecond', e.newest), interval '24 hours') d
            UNION ALL
            SELECT src.name, start, finish, ARRAY['-infinity'::timestamptz], NULL, NULL WHERE until_hour IS NULL;
        ELSE
            RETURN QUERY
            WITH wanted AS MATERIALIZED (
                SELECT s.hour, s.remote_rows, s.local_rows
                  FROM defidata.survey(src.name, start, finish, until_hour IS NULL, since IS NULL AND until_hour IS NULL) s),
            settled AS (
                DELETE FROM defidata.uncopied u
                 WHERE u.source = src.name AND (u.hour >= start AND u.hour < finish OR until_hour IS NULL AND NOT isfinite(u.hour))
                   AND NOT EXISTS (SELECT FROM wanted w WHERE w.hour = u.hour AND w.remote_rows > 0)),
            cut AS (
                SELECT w.hour, w.remote_rows, NOT isfinite(w.hour) AS unusable,
                       w.local_rows = 0 AS new,
                       div(sum(w.remote_rows) OVER (PARTITION BY isfinite(w.hour), w.local_rows = 0 ORDER BY w.hour) - 1, batch_rows) AS batch
                  FROM wanted w WHERE w.remote_rows > 0)
            SELECT src.name, CASE WHEN c.unusable THEN start ELSE min(c.hour) END,
                   CASE WHEN c.unusable THEN finish ELSE max(c.hour) + interval '1 hour' END,
                   array_agg(c.hour ORDER BY c.hour), array_agg(c.remote_rows ORDER BY c.hour),
                   (SELECT array_agg(w.hour) FROM wanted w WHERE isfinite(w.hour) AND w.local_rows > 0)
              -- hours that are read again are behind the watermark: they cannot move it over others
              FROM cut c GROUP BY c.unusable, c.new, c.batch ORDER BY c.unusable, c.new, c.batch;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.plan_import(timestamptz, timestamptz, bigint) IS 'surveys every source from since (NULL: its watermark less the overlap) until until_hour (NULL: now) and returns the batches to read, of whole hours and about batch_rows rows each';

CREATE FUNCTION defidata.require_source() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT count(*) FROM defidata.source) = 0 THEN
        RAISE EXCEPTION 'no source is attached' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Attach one with defidata_attach_server or defidata_attach.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_source() IS 'raises 55000 where no source is attached';

CREATE FUNCTION defidata.import_start(source text, watermark timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present record;
    start   timestamptz;
BEGIN
    IF watermark IS NOT NULL THEN
        RETURN defidata.hour_of(watermark - defidata.setting_value('overlap')::interval);
    END IF;
    SELECT * INTO present FROM defidata.source_range(source);
    start := defidata.hour_of(present.newest - defidata.setting_value('initial_span')::interval) + interval '1 hour';
    IF present.oldest < start THEN
        RAISE NOTICE 'source "%" has rows since %, older than the first import''s %', source,
                     to_char(present.oldest AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), defidata.setting_value('initial_span')
            USING HINT = format('CALL defidata_backfill(%L, %L) imports them.', present.oldest::text, start::text);
    END IF;
    RETURN start;
END
$$;
COMMENT ON FUNCTION defidata.import_start(text, timestamptz) IS 'where an import of a source begins: the overlap before the watermark, or, the first time, initial_span before its newest row';
COMMENT ON FUNCTION defidata.source_range(text) IS 'times of the oldest and the newest row of a source between 2006 and now';

CREATE FUNCTION defidata.import(since timestamptz) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch  defidata.batch;
    counts jsonb := '{"fetched": 0, "inserted": 0, "updated": 0, "rejected": 0}';
BEGIN
    PERFORM defidata.setup();
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    -- a source without an index on its time is read from end to end for each batch,
    -- so these are as large as copy_part() can usually sort in memory
    FOR batch IN SELECT * FROM defidata.plan_import(since, NULL, 5 * defidata.setting_value('batch_size')::bigint) LOOP
        counts := defidata.add_counts(counts, defidata.import_batch(batch));
    END LOOP;
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import(timestamptz) IS 'the import stage; see defidata_import';

CREATE FUNCTION @extschema@.defidata_import(since timestamptz DEFAULT NULL, OUT fetched bigint, OUT inserted bigint, OUT updated bigint, OUT rejected bigint)
    LANGUAGE sql
BEGIN ATOMIC
    SELECT (i ->> 'fetched'::text)::bigint, (i ->> 'inserted'::text)::bigint, (i ->> 'updated'::text)::bigint, (i ->> 'rejected'::text)::bigint
      FROM defidata.import(since) i;
END;
COMMENT ON FUNCTION @extschema@.defidata_import(timestamptz) IS 'copies new, late and corrected rows of every source, from since (NULL: each source''s watermark less the overlap). 55000 without a source; 08001 or 08006 where a remote is down; 42703 or 42804 where its shape has changed';

REVOKE ALL ON FUNCTION defidata.parse_number(text), defidata.finite(float8), defidata.clean(text), defidata.instant_of(bigint),
    defidata.instant_of(timestamp), defidata.instant_of(timestamptz), defidata.hour_of(timestamptz),
    defidata.epoch_of(timestamptz), defidata.add_counts(jsonb, jsonb), defidata.source_sql(text),
    defidata.same_encoding(regclass), defidata.survey(text, timestamptz, timestamptz, boolean, boolean),
    defidata.copy_statement(text, text, boolean, timestamptz[]),
    defidata.copy_part(text, text, timestamptz, timestamptz, timestamptz[], timestamptz[], timestamptz, numeric, numeric),
    defidata.count_uncopied(text, timestamptz, text, bigint), defidata.take_census(text, timestamptz[], timestamptz),
    defidata.audit_hour(text, timestamptz, bigint, text, timestamptz, timestamptz),
    defidata.import_batch(defidata.batch),
    defidata.import_prices(text, timestamptz, timestamptz, boolean, timestamptz), defidata.source_range(text),
    defidata.plan_import(timestamptz, timestamptz, bigint), defidata.require_source(), defidata.import_start(text, timestamptz),
    defidata.import(timestamptz), @extschema@.defidata_import(timestamptz) FROM PUBLIC;
