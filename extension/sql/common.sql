-- common.sql: what every layer above builds on: hours, numbers, counts, locks.

CREATE FUNCTION defidata.parse_number(figure text) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'defidata_parse_number';
COMMENT ON FUNCTION defidata.parse_number(text) IS
    'a decimal number, NaN or Infinity written as text; NULL where it is none';

CREATE FUNCTION defidata.finite(figure float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN figure > '-infinity' AND figure < 'infinity' THEN figure END;
COMMENT ON FUNCTION defidata.finite(float8) IS
    'the figure itself; NULL where it is NaN or infinite';

CREATE FUNCTION defidata.instant_of(at bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN at BETWEEN -62135596800 AND 253402300799 THEN pg_catalog.to_timestamp(at)
                WHEN at > 0 THEN 'infinity'::timestamptz
                WHEN at <= 0 THEN '-infinity'::timestamptz END;

CREATE FUNCTION defidata.instant_of(at timestamp) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN at AT TIME ZONE 'UTC';

CREATE FUNCTION defidata.instant_of(at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN at;
COMMENT ON FUNCTION defidata.instant_of(bigint) IS
    'Unix seconds as timestamptz; what is out of its range is infinite';
COMMENT ON FUNCTION defidata.instant_of(timestamp) IS 'a timestamp taken as UTC';
COMMENT ON FUNCTION defidata.instant_of(timestamptz) IS 'the instant itself';

CREATE FUNCTION defidata.hour_of(at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.date_bin('1 hour', at, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.hour_of(timestamptz) IS
    'start of the hour, in UTC whatever the session''s time zone';

CREATE FUNCTION defidata.day_of(at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.date_bin('24 hours', at, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.day_of(timestamptz) IS 'start of the day, in UTC';

CREATE FUNCTION defidata.epoch_of(at timestamptz) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN at = 'infinity' THEN 9223372036854775807
                WHEN at = '-infinity' THEN -9223372036854775808
                ELSE EXTRACT(epoch FROM at AT TIME ZONE 'UTC')::bigint END;
COMMENT ON FUNCTION defidata.epoch_of(timestamptz) IS
    'Unix seconds; an infinite time is the largest or smallest bigint';

CREATE FUNCTION defidata.week_of(hour timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.date_bin('7 days', hour, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.week_of(timestamptz) IS
    'start of the week that holds the hour, a Monday in UTC';

CREATE FUNCTION defidata.part_of(hour timestamptz, open_day timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN hour >= open_day THEN open_day ELSE defidata.week_of(hour) END;
COMMENT ON FUNCTION defidata.part_of(timestamptz, timestamptz) IS
    'start of the facts that hold the hour: of the open day or of a week before it';

CREATE FUNCTION defidata.parse_instant(at text, otherwise timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    IF at ~ '^[0-9]{1,18}(\.[0-9]*)?$' THEN
        -- seconds reach 10^11 in the year 5138, milliseconds and microseconds in 1973
        RETURN to_timestamp(at::numeric / CASE WHEN at::numeric < 1e11 THEN 1
                                               WHEN at::numeric < 1e14 THEN 1000
                                               ELSE 1000000 END);
    END IF;
    RETURN COALESCE(at::timestamptz, otherwise);
EXCEPTION WHEN data_exception THEN
    RETURN otherwise;
END
$$;
COMMENT ON FUNCTION defidata.parse_instant(text, timestamptz) IS
    'an ISO 8601 time, UTC where it names no zone, or Unix seconds, milliseconds or microseconds;'
    ' otherwise where it is NULL or none of these';

CREATE FUNCTION defidata.add_counts(counts jsonb, more jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT COALESCE(jsonb_object_agg(c.key, c.total ORDER BY c.key), '{}')
      FROM (SELECT e.key, sum(e.value::bigint) AS total
              FROM (SELECT * FROM jsonb_each_text(counts)
                    UNION ALL
                    SELECT * FROM jsonb_each_text(more)) e
             GROUP BY e.key) c;
END;
COMMENT ON FUNCTION defidata.add_counts(jsonb, jsonb) IS 'sums two objects of counts, key by key';

CREATE FUNCTION defidata.member_functions() RETURNS SETOF regprocedure
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.objid::regprocedure
      FROM pg_depend d
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname IN ('defidata', 'defidata_redis')
     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
       AND d.deptype = 'e';
END;
COMMENT ON FUNCTION defidata.member_functions() IS
    'the functions of the extension and, where it is there, of the one that reads streams';

-- What can be read as text is text, whatever its name; a domain is what it is one over.
CREATE FUNCTION defidata.base_type(type oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
BEGIN ATOMIC
    WITH RECURSIVE base AS (
        SELECT t.oid, t.typtype, t.typname, t.typbasetype
          FROM pg_type t WHERE t.oid = type
        UNION ALL
        SELECT t.oid, t.typtype, t.typname, t.typbasetype
          FROM base b JOIN pg_type t ON t.oid = b.typbasetype AND b.typtype = 'd')
    SELECT CASE WHEN b.typtype = 'e' OR b.typname IN ('citext', 'money') THEN 'text'
                ELSE format_type(b.oid, NULL) END
      FROM base b WHERE b.typtype <> 'd';
END;
COMMENT ON FUNCTION defidata.base_type(oid) IS
    'the name of a type, of a domain that of the type under it, and text for what is read as such';

-- Raw rows are found by their key, facts by their token, and so they are
-- spread.  Everything else is small and stays on the coordinator, from where a
-- query takes it along.
CREATE FUNCTION defidata.shard_keys(OUT relation text, OUT key text, OUT beside text)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT *
      FROM (VALUES ('defidata.raw_mentions', 'id', 'none'),
                   ('defidata.prices', 'id', 'defidata.raw_mentions'),
                   ('defidata.week_series', 'token', 'none'),
                   ('defidata.day_series', 'token', 'defidata.week_series')
           ) AS k (relation, key, beside);
END;
COMMENT ON FUNCTION defidata.shard_keys() IS
    'the tables that defidata_distribute distributes: by which column, and beside which other one';

CREATE FUNCTION defidata.distributed_tables() RETURNS SETOF regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        RETURN QUERY
        SELECT k.relation::regclass
          FROM defidata.shard_keys() k
         WHERE k.relation::regclass IN (SELECT p.logicalrelid FROM pg_dist_partition p);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.distributed_tables() IS
    'the tables that are distributed; none where there is no Citus';

-- A lock is a row that is locked until the transaction ends: unlike an advisory one, nobody
-- can take it who may not read defidata.lock.
CREATE FUNCTION defidata.try_lock(wanted text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- a clone without data has no rows
    IF NOT EXISTS (SELECT FROM defidata.lock l WHERE l.name = wanted) THEN
        INSERT INTO defidata.lock (name) VALUES (wanted) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM FROM defidata.lock l WHERE l.name = wanted FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION defidata.try_lock(text) IS
    'takes a lock of defidata.lock until the transaction ends; false where another transaction'
    ' holds it';

-- Who waits for a row is not sure to be the next to have it: a backfill that takes
-- chunk after chunk could always be faster.  So writers wait for the table itself,
-- where the first who comes is the first to be served.
CREATE FUNCTION defidata.lock(wanted text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF wanted = 'writer' THEN
        LOCK TABLE defidata.lock IN SHARE ROW EXCLUSIVE MODE;
    ELSIF NOT defidata.try_lock(wanted) THEN
        PERFORM FROM defidata.lock l WHERE l.name = wanted FOR UPDATE;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.lock(text) IS
    'waits for a lock, of defidata.lock or (writer) on it, and holds it until the transaction ends';

-- A full queue would fail the transaction at its commit.
CREATE FUNCTION defidata.queue_usage() RETURNS float8
    LANGUAGE sql VOLATILE
    RETURN pg_catalog.pg_notification_queue_usage();
COMMENT ON FUNCTION defidata.queue_usage() IS 'which share of the queue of NOTIFY is full';

CREATE FUNCTION defidata.notify(channel text, payload json) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.queue_usage() > 0.5 THEN
        RAISE WARNING 'channel % is not notified, since the queue of NOTIFY is % %% full',
                      channel, round(100 * defidata.queue_usage())
            USING HINT = 'A session that listens has been in a transaction for long: '
                         'the oldest xact_start in pg_stat_activity.';
        RETURN;
    END IF;
    PERFORM pg_notify(channel, payload::text);
END
$$;
COMMENT ON FUNCTION defidata.notify(text, json) IS
    'notifies a channel; where the queue is more than half full a WARNING instead';
