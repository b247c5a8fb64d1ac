-- revision.sql: what facts and observed hours were before they changed.
--
-- Facts are replaced where they stand, and what is replaced is kept here: a row for a token
-- and hour, until when it stood.  So the past costs what has changed of it, and a state is
-- found by going back from the present: of each token and hour the first revision that
-- stood longer than that, and where there is none what stands today (as_of.sql).
--
--     now          sum of the hour 10:00 is 7
--     until 14:05  it was 5                   as of 13:00: 5
--     until 12:05  it was nothing             as of 12:00: nothing, as of 12:30: 5

-- The time of a change, later than that of every change before it, though the system's clock went
-- back.  Under the writer's lock: who comes later gets a later one, and commits later.
CREATE FUNCTION defidata.revision_time() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    latest timestamptz;
BEGIN
    UPDATE defidata.revision_clock c
       SET latest = greatest(clock_timestamp(), c.latest + interval '1 microsecond')
    RETURNING c.latest INTO latest;
    IF latest IS NULL THEN
        latest := clock_timestamp();
        INSERT INTO defidata.revision_clock (latest) VALUES (latest);
    END IF;
    RETURN latest;
END
$$;
COMMENT ON FUNCTION defidata.revision_time() IS
    'the time of a change that is being made, later than that of each change before';

-- Of hours that were summed before; another transaction may have seen no others.
CREATE FUNCTION defidata.keep_hours() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM former o JOIN fresh n ON n.hour = o.hour
                WHERE o.first_summed_at IS NOT NULL
                  AND (o.observed, o.settled) <> (n.observed, n.settled)) THEN
        INSERT INTO defidata.hour_revision (hour, until, observed, settled)
        SELECT o.hour, t.time, o.observed, o.settled
          FROM defidata.revision_time() t (time), former o
          JOIN fresh n ON n.hour = o.hour
         WHERE o.first_summed_at IS NOT NULL
           AND (o.observed, o.settled) <> (n.observed, n.settled);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION defidata.keep_hours() IS
    'keeps what hours were, observed and settled, before a statement changed that';

CREATE FUNCTION defidata.keep_facts(target regclass, start timestamptz, hours timestamptz[],
                                    tokens text[], series defidata.series[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    stored record;
BEGIN
    IF hours IS NULL THEN
        RETURN;
    END IF;
    -- first to here, where a shard need not know of revisions
    EXECUTE format('SELECT array_agg(s.token) AS tokens, array_agg(s.series) AS series'
                   ' FROM %s s WHERE s.start = $1', target) INTO stored USING start;
    INSERT INTO defidata.fact_revision (token, hour, until, series)
    SELECT c.token, h.hour, t.time, defidata.replace_hours(NULL, c.former, ARRAY[h.hour])
      FROM (SELECT COALESCE(o.token, n.token) AS token, o.series AS former, n.series AS fresh
              FROM unnest(stored.tokens, stored.series) o (token, series)
              FULL JOIN unnest(keep_facts.tokens, keep_facts.series) n (token, series)
                ON n.token = o.token
             WHERE defidata.replace_hours(NULL, o.series, hours)
                   OPERATOR(defidata.<>) defidata.replace_hours(NULL, n.series, hours)) c
     CROSS JOIN unnest(hours) h (hour)
     CROSS JOIN defidata.revision_time() t (time)
     WHERE defidata.replace_hours(NULL, c.former, ARRAY[h.hour])
           OPERATOR(defidata.<>) defidata.replace_hours(NULL, c.fresh, ARRAY[h.hour]);
END
$$;
COMMENT ON FUNCTION
    defidata.keep_facts(regclass, timestamptz, timestamptz[], text[], defidata.series[]) IS
'keeps the facts of hours of a part, where the new ones of tokens, which may lack some, differ';
