-- copy.sql: rows of a source -> delivered -> the copy.

CREATE TYPE defidata.batch AS (
    source text, from_at timestamptz, until_at timestamptz, hours timestamptz[],
    planned_at timestamptz, apply_deletes boolean
);
COMMENT ON TYPE defidata.batch IS
    'one statement''s share of an import: hours of a mentions source, or quotes of a price source'
    ' from from_at until until_at';
COMMENT ON COLUMN defidata.batch.source IS 'the source';
COMMENT ON COLUMN defidata.batch.from_at IS 'start of what is read';
COMMENT ON COLUMN defidata.batch.until_at IS 'end of what is read';
COMMENT ON COLUMN defidata.batch.hours IS
    'the hours that are read; -infinity alone stands for rows whose time is unusable, which is one'
    ' before 2006 or not before until_at; NULL for quotes';
COMMENT ON COLUMN defidata.batch.planned_at IS
    'when the import was planned: what starts later is in the future for all of it';
COMMENT ON COLUMN defidata.batch.apply_deletes IS
    'whether the copy follows also where that empties or halves an hour';

CREATE FUNCTION defidata.count_uncopied(source text, hour timestamptz, cause text, rows bigint)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO defidata.uncopied AS u (source, hour, cause, rows, seen_at)
    SELECT $1, $2, $3, $4, now() WHERE $4 > 0
    ON CONFLICT (source, hour, cause) DO UPDATE
       SET rows = u.rows + excluded.rows, seen_at = excluded.seen_at
$$;
COMMENT ON FUNCTION defidata.count_uncopied(text, timestamptz, text, bigint) IS
    'adds rows that could not be copied to the count of their hour and cause';

-- Text that this database cannot hold fails a whole statement.  The rows are halved, by a hash
-- of their id, until the one that carries it stands alone: it is counted, its neighbours arrive.
CREATE FUNCTION defidata.copy_range(name text, source defidata.source_sql, head text, tail text,
                                   condition text, usable text, low numeric, high numeric)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
AS $$
DECLARE
    chosen constant text := format('%s AND (%s) BETWEEN %L::bigint AND %L::bigint',
                                   defidata.copyable(source, condition), (source).id_hash,
                                   low::bigint, high::bigint);
    middle constant numeric := floor((low + high) / 2);
    poison record;
BEGIN
    BEGIN
        EXECUTE head || chosen || tail;
        RETURN;
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
        EXECUTE 'SELECT array_agg(a.hour) AS hours, array_agg(a.rows) AS rows, sum(a.rows) AS total'
                ' FROM (' || defidata.answer_sql(source, chosen, usable, 'false') || ') a'
           INTO poison;
    END;
    IF poison.total > 1 AND low < high THEN
        PERFORM defidata.copy_range(name, source, head, tail, condition, usable, low, middle),
                defidata.copy_range(name, source, head, tail, condition, usable, middle + 1, high);
    ELSE
        PERFORM defidata.count_uncopied(name, p.hour, 'encoding', p.rows)
           FROM unnest(poison.hours, poison.rows) p (hour, rows);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.copy_range(text, defidata.source_sql, text, text, text, text, numeric,
                                       numeric) IS
    'executes head, condition and tail for the rows of a source whose id has a hash from low to'
    ' high, leaving out and counting those whose text this database cannot hold; usable: as in'
    ' answer_sql';

CREATE FUNCTION defidata.copy_rows(name text, source defidata.source_sql, head text, tail text,
                                   condition text, usable text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    RETURN defidata.copy_range(name, source, head, tail, condition, usable,
                              -9223372036854775808, 9223372036854775807);
COMMENT ON FUNCTION defidata.copy_rows(text, defidata.source_sql, text, text, text, text) IS
    'copy_range for the rows of a source for which condition holds';

-- Many rows are truncated, since what the transaction itself has deleted would be read over and
-- over; but no cycle waits for a pg_dump.
CREATE FUNCTION defidata.clear_delivered() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_relation_size('defidata.delivered') > 8388608 THEN
        BEGIN
            LOCK TABLE defidata.delivered IN ACCESS EXCLUSIVE MODE NOWAIT;
            TRUNCATE defidata.delivered;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END IF;
    DELETE FROM defidata.delivered;
END
$$;
COMMENT ON FUNCTION defidata.clear_delivered() IS
    'deletes the delivered rows, once they are copied';

CREATE TYPE defidata.answer AS (
    hour timestamptz, rows bigint, checksum numeric, null_ids bigint, long_ids bigint
);
COMMENT ON TYPE defidata.answer IS 'what a source says of an hour';
COMMENT ON COLUMN defidata.answer.hour IS 'the hour; -infinity: rows whose time is unusable';
COMMENT ON COLUMN defidata.answer.rows IS 'how many rows it has';
COMMENT ON COLUMN defidata.answer.checksum IS 'their checksum; NULL where there is none';
COMMENT ON COLUMN defidata.answer.null_ids IS 'how many of them have no id';
COMMENT ON COLUMN defidata.answer.long_ids IS 'how many have one that is too long';

-- What is copied is judged as of the time at which the import was planned.
CREATE FUNCTION defidata.insert_sql(source text, planned_at timestamptz, copied_at timestamptz,
                                    rows text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
    SELECT format($sql$
        INSERT INTO defidata.raw_mentions AS r (source, hour, id, symbol, mentions, sentiment,
                                                token, reason, fetched_at)
        SELECT %L, q.hour, q.id, q.symbol, q.mentions,
               CASE WHEN q.sentiment BETWEEN -1000 AND 1000 THEN q.sentiment END,
               CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, q.reason,
               %L::timestamptz
          FROM (SELECT f.*, defidata.reject_reason(f.hour, f.symbol, f.mentions, NULL, %L)
                            AS reason
                  FROM ($sql$, source, copied_at, planned_at) || rows || ') f OFFSET 0) q'
$$;
COMMENT ON FUNCTION defidata.insert_sql(text, timestamptz, timestamptz, text) IS
    'SQL that copies what the query rows returns as rows of a source, judged as of planned_at';

-- Rows and answer come of one statement, or, where text is in the way, of one transaction at
-- the remote: the answer is of the very rows that are read.
CREATE FUNCTION defidata.read_rows(name text, source defidata.source_sql, condition text,
                                   usable text) RETURNS defidata.answer[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    head    constant text := format('INSERT INTO defidata.delivered'
                                    ' (hour, symbol, mentions, sentiment, id)'
                                    ' SELECT %s FROM %s r WHERE ',
                                    (source).columns, (source).relation);
    asked   constant text := 'SELECT array_agg(a::defidata.answer) FROM ('
                             || defidata.answer_sql(source, condition, usable, 'true') || ') a';
    answers defidata.answer[];
BEGIN
    BEGIN
        EXECUTE 'WITH delivered AS (' || head || defidata.copyable(source, condition) || ') '
                || asked INTO answers;
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
        EXECUTE asked INTO answers;
        PERFORM defidata.copy_rows(name, source, head, '', condition, usable);
    END;
    RETURN answers;
END
$$;
COMMENT ON FUNCTION defidata.read_rows(text, defidata.source_sql, text, text) IS
    'fills delivered with the rows of a mentions source for which condition holds, and returns'
    ' what the source says of them; usable: as in answer_sql';

-- Where the copy has nothing yet, rows need not be delivered before they are judged.
CREATE FUNCTION defidata.copy_new(batch defidata.batch, source defidata.source_sql,
                                  condition text, usable text, copied_at timestamptz)
    RETURNS defidata.answer[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    answers defidata.answer[];
BEGIN
    EXECUTE 'WITH copied AS (' || defidata.insert_sql(batch.source, batch.planned_at, copied_at,
                'SELECT ' || (source).columns || ' FROM ' || (source).relation || ' r WHERE '
                || defidata.copyable(source, condition)) || ')'
            ' SELECT array_agg(a::defidata.answer) FROM ('
            || defidata.answer_sql(source, condition, usable, 'true') || ') a' INTO answers;
    RETURN COALESCE(answers, '{}');
EXCEPTION
    -- ids that repeat, or text that is in the way
    WHEN unique_violation OR character_not_in_repertoire OR untranslatable_character THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION defidata.copy_new(
    defidata.batch, defidata.source_sql, text, text, timestamptz) IS
    'copies the rows of a mentions source for which condition holds, of hours of which the copy'
    ' has none, and returns what the source says of them; NULL, and does nothing, where one of'
    ' them cannot be copied so';

-- Of rows with one id always the same is taken, whatever their order.
CREATE FUNCTION defidata.write_delivered(source text, planned_at timestamptz,
                                         copied_at timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
AS $$
BEGIN
    EXECUTE defidata.insert_sql(source, planned_at, copied_at, $sql$
                SELECT DISTINCT ON (d.hour, d.id) d.*
                  FROM defidata.delivered d
                 ORDER BY d.hour, d.id, d.symbol, d.mentions, d.sentiment$sql$) || $sql$
        ON CONFLICT (source, hour, id) DO UPDATE
           SET symbol = excluded.symbol, mentions = excluded.mentions,
               sentiment = excluded.sentiment, token = excluded.token, reason = excluded.reason,
               fetched_at = excluded.fetched_at
         WHERE (r.symbol, r.mentions, r.sentiment)
               IS DISTINCT FROM (excluded.symbol, excluded.mentions, excluded.sentiment)
            -- a future hour has come, or the clock was wrong
            OR COALESCE(r.reason = 'hour', false) <> COALESCE(excluded.reason = 'hour', false)
        $sql$;
END
$$;
COMMENT ON FUNCTION defidata.write_delivered(text, timestamptz, timestamptz) IS
    'copies delivered rows as rows of a source, judged as of planned_at; of those that the copy'
    ' has, the ones that differ';

-- A row that its source delivers no more makes room, but is kept for a while.
CREATE FUNCTION defidata.supersede(source text, from_at timestamptz, until_at timestamptz,
                                   hours timestamptz[], superseded_at timestamptz)
    RETURNS timestamptz[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    gone record;
BEGIN
    SELECT array_agg(r.hour) AS hours, array_agg(r.id) AS ids INTO gone
      FROM (SELECT r.hour, r.id
              FROM defidata.raw_mentions r
             WHERE r.source = supersede.source
               AND CASE WHEN hours IS NULL THEN r.hour < from_at OR r.hour >= until_at
                        ELSE r.hour = ANY (hours) END
            OFFSET 0) r
     WHERE NOT EXISTS (SELECT 1 FROM defidata.delivered d WHERE d.hour = r.hour AND d.id = r.id);
    IF gone.hours IS NOT NULL THEN
        INSERT INTO defidata.superseded (source, hour, id, symbol, mentions, sentiment, token,
                                         reason, fetched_at, superseded_at)
        SELECT r.source, r.hour, r.id, r.symbol, r.mentions, r.sentiment, r.token, r.reason,
               r.fetched_at, supersede.superseded_at
          FROM defidata.raw_mentions r
          JOIN unnest(gone.hours, gone.ids) g (hour, id) ON g.hour = r.hour AND g.id = r.id
         WHERE r.source = supersede.source;
        DELETE FROM defidata.raw_mentions r
         USING unnest(gone.hours, gone.ids) g (hour, id)
         WHERE r.source = supersede.source AND r.hour = g.hour AND r.id = g.id;
    END IF;
    RETURN COALESCE(gone.hours, '{}');
END
$$;
COMMENT ON FUNCTION defidata.supersede(text, timestamptz, timestamptz, timestamptz[], timestamptz)
IS
    'moves the rows of a source that the copy has of hours (NULL: of those before from_at or not'
    ' before until_at) and that are not among the delivered ones to superseded; returns the hour'
    ' of each';

-- A watermark that is ahead comes of a clock that was wrong.
CREATE FUNCTION defidata.watermark(source text, planned_at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    src record;
BEGIN
    SELECT s.kind, s.watermark AS at INTO src FROM defidata.source s
     WHERE s.name = watermark.source;
    RETURN CASE WHEN COALESCE(src.at <= planned_at, true) THEN src.at
                WHEN src.kind = 'mentions' THEN
                    (SELECT max(r.hour) FROM defidata.raw_mentions r
                      WHERE r.source = watermark.source AND r.hour <= planned_at
                        AND r.hour >= '2006-01-01 00:00:00+00')
                ELSE (SELECT max(p.at) FROM defidata.prices p
                       WHERE p.source = watermark.source AND p.at <= planned_at
                         AND p.at >= '2006-01-01 00:00:00+00') END;
END
$$;
COMMENT ON FUNCTION defidata.watermark(text, timestamptz) IS
    'the newest hour or quote of a source that is imported, not after planned_at; NULL before the'
    ' first import';

CREATE FUNCTION defidata.move_watermark(batch defidata.batch, newest timestamptz) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE defidata.source s
       SET watermark = greatest(newest, defidata.watermark(batch.source, batch.planned_at))
     WHERE s.name = batch.source
       AND (newest > COALESCE(s.watermark, '-infinity') OR s.watermark > batch.planned_at)
$$;
COMMENT ON FUNCTION defidata.move_watermark(defidata.batch, timestamptz) IS
    'moves the watermark of a source on to newest, where that is later (NULL: nowhere), or back,'
    ' where it is in the future of the batch';
