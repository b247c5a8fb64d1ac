-- follow.sql: an hour that is read becomes what its source delivers.
--
-- With exceptions, so that a source that was emptied or damaged erases nothing: they are judged
-- on what was read, and noted in surveyed.

-- What is known of an hour once its rows are delivered.
CREATE TYPE defidata.read_hour AS (
    hour timestamptz, rows bigint, checksum numeric, copyable bigint, held bigint, most bigint,
    kept text
);
COMMENT ON TYPE defidata.read_hour IS 'an hour of a source that was read';
COMMENT ON COLUMN defidata.read_hour.hour IS 'the hour; -infinity: rows whose time is unusable';
COMMENT ON COLUMN defidata.read_hour.rows IS 'the rows that the source has';
COMMENT ON COLUMN defidata.read_hour.checksum IS 'their checksum there';
COMMENT ON COLUMN defidata.read_hour.copyable IS
    'those with an id and with text by which they can be copied';
COMMENT ON COLUMN defidata.read_hour.held IS 'the rows that the copy has';
COMMENT ON COLUMN defidata.read_hour.most IS
    'the most rows that it had since apply_deletes last followed the source';
COMMENT ON COLUMN defidata.read_hour.kept IS
    'why the copy is left as it is: emptied, shrunken or oldest; NULL where it follows';

-- The oldest hour of a source may be one that its retention is eating.
CREATE FUNCTION defidata.judge_reading(batch defidata.batch, source defidata.source_sql,
                                       answers defidata.answer[], fresh boolean)
    RETURNS defidata.read_hour[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    unusable constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    known    defidata.read_hour[];
    oldest   timestamptz;
BEGIN
    known := ARRAY(
        SELECT (w.hour, COALESCE(a.rows, 0), COALESCE(a.checksum, 0),
                COALESCE(a.rows - a.null_ids - a.long_ids, 0) - COALESCE(u.rows, 0),
                COALESCE(h.rows, 0), greatest(k.most, h.rows, 0), NULL)::defidata.read_hour
          FROM unnest(batch.hours) w (hour)
          LEFT JOIN unnest(answers) a ON a.hour = w.hour
          LEFT JOIN (SELECT c.hour, c.rows
                       FROM defidata.count_copied(batch.source, batch.from_at, batch.until_at) c
                      WHERE NOT unusable AND NOT fresh
                     UNION ALL
                     SELECT '-infinity', n
                       FROM defidata.count_unusable(batch.source, batch.until_at) n
                      WHERE unusable) h ON h.hour = w.hour
          LEFT JOIN (SELECT * FROM defidata.uncopied u
                      WHERE u.source = batch.source AND u.cause = 'encoding') u ON u.hour = w.hour
          LEFT JOIN (SELECT * FROM defidata.surveyed k WHERE k.source = batch.source) k
                 ON k.hour = w.hour);
    IF NOT EXISTS (SELECT FROM unnest(known) k
                    WHERE k.copyable < k.held OR k.copyable * 2 < k.most) THEN
        RETURN known;
    END IF;
    oldest := defidata.hour_of((defidata.source_range(source, batch.planned_at)).oldest);
    RETURN ARRAY(
        SELECT (k.hour, k.rows, k.checksum, k.copyable, k.held, k.most,
                CASE WHEN k.held = 0 THEN NULL
                     -- where nothing is left of a source, its unusable rows stay too
                     WHEN unusable THEN CASE WHEN k.rows = 0 AND oldest IS NULL THEN 'emptied' END
                     WHEN batch.apply_deletes AND k.hour >= oldest THEN NULL
                     WHEN k.copyable = 0 THEN 'emptied'
                     WHEN k.copyable * 2 < k.most THEN 'shrunken'
                     WHEN k.copyable < k.held AND k.hour <= oldest THEN 'oldest' END
               )::defidata.read_hour
          FROM unnest(known) k);
END
$$;
COMMENT ON FUNCTION defidata.judge_reading(
    defidata.batch, defidata.source_sql, defidata.answer[], boolean) IS
    'what is known of the hours of a batch whose rows are delivered, and which of them the copy is'
    ' not to follow; fresh: whether the copy had none of them';

-- Of rows with ten mentions or more: smaller ones are alike by chance.  Twins have one symbol, so
-- that a part of the symbols tells of all.
CREATE FUNCTION defidata.find_twins(source text, hours timestamptz[], mask integer)
    RETURNS timestamptz[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN ARRAY(
        SELECT g.hour
          FROM (SELECT r.hour, count(*) AS rows
                  FROM defidata.raw_mentions r
                 WHERE r.source = find_twins.source AND r.hour = ANY (hours)
                   AND r.mentions >= 10 AND r.mentions < 'infinity'
                   AND COALESCE(hashtext(r.symbol), 0) & mask = 0
                 GROUP BY r.hour, r.symbol, r.mentions, r.sentiment) g
         GROUP BY g.hour
        HAVING sum(g.rows) FILTER (WHERE g.rows > 1) * (2 + sign(mask)) > sum(g.rows));
END
$$;
COMMENT ON FUNCTION defidata.find_twins(text, timestamptz[], integer) IS
    'those of the hours in which more than half of the rows of a source have a twin: the same'
    ' symbol, mentions and sentiment under another id; mask: where it is not 0, of the symbols of'
    ' which the hash has none of its bits, more than a third';

CREATE FUNCTION defidata.find_repeats(source text, hours timestamptz[], OUT hour timestamptz,
                                      OUT repeats text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    others constant text[] := ARRAY(SELECT s FROM defidata.copied_sources() s WHERE s <> source);
BEGIN
    IF others = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT t.hour, t.other
      FROM (SELECT g.hour, g.other, sum(least(g.rows, g.other_rows)) AS shared,
                   greatest(sum(g.rows), sum(g.other_rows)) AS rows
              FROM (SELECT r.hour, s.other, r.symbol, r.mentions,
                           count(*) FILTER (WHERE r.source = find_repeats.source) AS rows,
                           count(*) FILTER (WHERE r.source = s.other) AS other_rows
                      FROM defidata.raw_mentions r
                      JOIN unnest(others) s (other)
                        ON r.source = s.other OR r.source = find_repeats.source
                     WHERE r.source = ANY (others || find_repeats.source)
                       AND r.hour = ANY (hours) AND r.mentions >= 10 AND r.mentions < 'infinity'
                     GROUP BY r.hour, s.other, r.symbol, r.mentions) g
             GROUP BY g.hour, g.other) t
     WHERE t.shared * 10 > t.rows * 9;
END
$$;
COMMENT ON FUNCTION defidata.find_repeats(text, timestamptz[]) IS
    'those of the hours in which another source has more than nine tenths of the rows of a source:'
    ' the same symbol and mentions';

-- One look at what the copy now has of a batch serves all that follows.  New hours are not in
-- the statistics yet: the planner takes their rows for few and would sort a million of them, or
-- read a page for each of them.
CREATE FUNCTION defidata.take_census(batch defidata.batch, copied_at timestamptz,
        OUT hours timestamptz[], OUT rows bigint[], OUT written bigint[], OUT rejected bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off
    SET enable_incremental_sort = off SET enable_indexscan = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    unusable constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
BEGIN
    SELECT array_agg(c.hour), array_agg(c.rows), array_agg(c.written), sum(c.rejected)
      INTO hours, rows, written, rejected
      FROM (SELECT r.hour, count(*) AS rows,
                   count(*) FILTER (WHERE r.fetched_at = copied_at) AS written,
                   count(*) FILTER (WHERE r.fetched_at = copied_at AND r.reason IS NOT NULL)
                       AS rejected
              FROM defidata.raw_mentions r
             WHERE r.source = batch.source
               AND CASE WHEN unusable THEN r.hour < '2006-01-01 00:00:00+00'
                                           OR r.hour >= batch.until_at
                        ELSE r.hour = ANY (batch.hours) END
             GROUP BY r.hour) c;
END
$$;
COMMENT ON FUNCTION defidata.take_census(defidata.batch, timestamptz) IS
    'the hours that the copy has of a batch, with their rows and how many of them were written at'
    ' copied_at; rejected: how many of the written ones are';

CREATE FUNCTION defidata.count_former(batch defidata.batch) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN (SELECT count(*) FROM defidata.raw_mentions r
             WHERE r.source = batch.source
               AND CASE WHEN batch.hours = ARRAY['-infinity'::timestamptz]
                        THEN r.hour < '2006-01-01 00:00:00+00' OR r.hour >= batch.until_at
                        ELSE r.hour = ANY (batch.hours) END);
END
$$;
COMMENT ON FUNCTION defidata.count_former(defidata.batch) IS
    'rows that the copy has of the hours of a batch';

CREATE FUNCTION defidata.note_hours(batch defidata.batch, known defidata.read_hour[],
                                    hours timestamptz[], rows bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    unusable constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    twins    timestamptz[] := hours;
BEGIN
    -- of many symbols an eighth tells which hours are worth a closer look
    IF (SELECT sum(n) FROM unnest(rows) n) > 1000 * cardinality(hours) THEN
        twins := defidata.find_twins(batch.source, twins, 7);
    END IF;
    IF twins <> '{}' THEN
        twins := defidata.find_twins(batch.source, twins, 0);
    END IF;
    -- of those that the copy is left with, the delivered rows are not at hand any more
    PERFORM defidata.count_uncopied(batch.source, k.hour, 'duplicate id',
                                    k.copyable - COALESCE(c.rows, 0))
       FROM unnest(known) k
       LEFT JOIN (SELECT CASE WHEN unusable THEN '-infinity' ELSE h.hour END AS hour,
                         sum(h.rows)::bigint AS rows
                    FROM unnest(hours, rows) h (hour, rows) GROUP BY 1) c ON c.hour = k.hour
      WHERE k.kept IS NULL;
    INSERT INTO defidata.surveyed AS s (source, hour, rows, checksum, held, most, kept, twins,
                                        repeats)
    SELECT batch.source, k.hour, k.rows, k.checksum, h.held,
           CASE WHEN batch.apply_deletes AND k.kept IS NULL THEN h.held
                ELSE greatest(k.most, h.held) END,
           k.kept, NOT unusable AND k.hour = ANY (COALESCE(twins, '{}')), r.repeats
      FROM unnest(known) k
      LEFT JOIN (SELECT CASE WHEN unusable THEN '-infinity' ELSE c.hour END AS hour,
                        sum(c.rows)::bigint AS rows
                   FROM unnest(hours, rows) c (hour, rows) GROUP BY 1) c ON c.hour = k.hour
     CROSS JOIN LATERAL (SELECT CASE WHEN k.kept IS NULL THEN COALESCE(c.rows, 0)
                                     ELSE k.held END) h (held)
      LEFT JOIN defidata.find_repeats(batch.source, hours) r ON r.hour = k.hour AND NOT unusable
    ON CONFLICT (source, hour) DO UPDATE
       SET rows = excluded.rows, checksum = excluded.checksum, held = excluded.held,
           most = excluded.most, kept = excluded.kept, twins = excluded.twins,
           repeats = excluded.repeats;
END
$$;
COMMENT ON FUNCTION defidata.note_hours(
    defidata.batch, defidata.read_hour[], timestamptz[], bigint[]) IS
    'notes in surveyed what a source said of the hours of a batch, and in uncopied the rows that'
    ' share an id; hours and rows: as take_census has them';

-- What was taken over from the old tables gives way to a source itself.
CREATE FUNCTION defidata.give_way(hours timestamptz[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM defidata.source s WHERE s.name = 'legacy') THEN
        DELETE FROM defidata.raw_mentions r WHERE r.source = 'legacy' AND r.hour = ANY (hours);
        DELETE FROM defidata.surveyed k WHERE k.source = 'legacy' AND k.hour = ANY (hours);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.give_way(timestamptz[]) IS
    'deletes the rows of source legacy, of hours that another source delivers';

CREATE FUNCTION defidata.mark_hours_due(hours timestamptz[], planned_at timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE defidata.hours h SET summed = false WHERE h.hour = ANY (hours);
    INSERT INTO defidata.hours (hour)
    SELECT DISTINCT t FROM unnest(hours) t
     WHERE t >= '2006-01-01 00:00:00+00' AND t <= planned_at
    ON CONFLICT (hour) DO NOTHING;
END
$$;
COMMENT ON FUNCTION defidata.mark_hours_due(timestamptz[], timestamptz) IS
    'has the facts of hours summed anew; those not after planned_at are observed from now on';

-- Delivered rows into the copy, from which others go; returns the hours of these.
CREATE FUNCTION defidata.follow(batch defidata.batch, known defidata.read_hour[],
                                copied_at timestamptz) RETURNS timestamptz[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unusable constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    followed constant timestamptz[] := ARRAY(
        SELECT k.hour FROM unnest(known) k WHERE k.kept IS NULL);
    gone     timestamptz[] := '{}';
BEGIN
    IF followed <> '{}' THEN
        DELETE FROM defidata.delivered d WHERE NOT unusable AND d.hour <> ALL (followed);
        gone := defidata.supersede(batch.source, '2006-01-01 00:00:00+00', batch.until_at,
                                   CASE WHEN NOT unusable THEN followed END, copied_at);
        PERFORM defidata.write_delivered(batch.source, batch.planned_at, copied_at);
    END IF;
    PERFORM defidata.clear_delivered();
    RETURN gone;
END
$$;
COMMENT ON FUNCTION defidata.follow(defidata.batch, defidata.read_hour[], timestamptz) IS
    'has the copy follow its source in the hours of a batch that it is to follow, and returns the'
    ' hour of each row that is superseded by that';

-- Copy, count, mark the hours that changed.
CREATE FUNCTION defidata.import_mentions(batch defidata.batch, copied_at timestamptz)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    sql       constant defidata.source_sql := defidata.source_sql(batch.source);
    unusable  constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    usable    constant text := defidata.in_span(sql, batch.from_at, batch.until_at);
    former    constant bigint := defidata.count_former(batch);
    condition constant text :=
        CASE WHEN unusable THEN defidata.out_of_span(sql, batch.until_at)
             -- to ask each row for its hour would cost the source twice the time
             WHEN batch.from_at + interval '1 hour' * cardinality(batch.hours) = batch.until_at
             THEN usable
             ELSE format('%s AND %s', usable, defidata.in_hours(sql, batch.hours)) END;
    answers   defidata.answer[];
    known     defidata.read_hour[];
    gone      timestamptz[] := '{}';
    census    record;
    inserted  bigint;
    written   bigint;
BEGIN
    DELETE FROM defidata.uncopied u WHERE u.source = batch.source AND u.hour = ANY (batch.hours);
    -- on shards nothing else may be done by the statement that copies
    IF former = 0 AND NOT EXISTS (SELECT FROM defidata.distributed_tables()) THEN
        answers := defidata.copy_new(batch, sql, condition, usable, copied_at);
        known := defidata.judge_reading(batch, sql, answers, true);
    END IF;
    IF answers IS NULL THEN
        answers := defidata.read_rows(batch.source, sql, condition, usable);
        known := defidata.judge_reading(batch, sql, answers, false);
        gone := defidata.follow(batch, known, copied_at);
    END IF;
    PERFORM defidata.give_way(ARRAY(SELECT k.hour FROM unnest(known) k
                                     WHERE k.kept IS NULL AND k.copyable > 0));
    census := defidata.take_census(batch, copied_at);
    PERFORM defidata.mark_hours_due(gone || ARRAY(
                SELECT c.hour FROM unnest(census.hours, census.written) c (hour, written)
                 WHERE c.written > 0), batch.planned_at);
    PERFORM defidata.note_hours(batch, known, census.hours, census.rows);
    PERFORM defidata.count_uncopied(batch.source, a.hour, 'null id', a.null_ids),
            defidata.count_uncopied(batch.source, a.hour, 'long id', a.long_ids)
       FROM unnest(answers) a;
    SELECT COALESCE(sum(c.rows), 0) - former + cardinality(gone), COALESCE(sum(c.written), 0)
      INTO inserted, written
      FROM unnest(census.rows, census.written) c (rows, written);
    RETURN jsonb_build_object('fetched', (SELECT COALESCE(sum(a.rows), 0) FROM unnest(answers) a),
                              'inserted', inserted, 'updated', written - inserted,
                              'rejected', COALESCE(census.rejected, 0));
END
$$;
COMMENT ON FUNCTION defidata.import_mentions(defidata.batch, timestamptz) IS
    'reads the hours of a batch of mentions and has the copy follow; returns counts';
