-- api.sql: the entry points, and who may call what.

CREATE FUNCTION @extschema@.defidata_attach_stream(
        server name, stream text, mode text DEFAULT 'events', fields jsonb DEFAULT '{}',
        "trim" boolean DEFAULT false)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    PERFORM defidata.attach_stream(server, stream, mode, fields, "trim");
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_attach_stream(name, text, text, jsonb, boolean) IS
'registers a Redis stream as the source SERVER_STREAM, read from its oldest entry on. mode: events
(an entry is a tweet or a few: symbol, at, count, sentiment) or rows (an hourly row: id, hour,
symbol, count, sentiment); fields: logical to actual field names where they differ, as columns of
defidata_attach; trim: whether Redis is to forget what was read. Called again it changes fields and
trim. 42704: no such server; 22023: unfit argument; 08xxx: Redis does not answer or refuses the
password; 42809: the key holds something else; 0A000: a cluster';

CREATE FUNCTION @extschema@.defidata_detach_stream(name text, drop_rows boolean DEFAULT false)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    PERFORM defidata.detach_stream(name, drop_rows);
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_detach_stream(text, boolean) IS
'the stream is no longer read; its raw rows stay, or go with drop_rows, and their hours are summed
anew. 42704 where there is no such stream';

CREATE FUNCTION @extschema@.defidata_drain()
    RETURNS TABLE (stream text, read bigint, rejected bigint, lag bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    RETURN QUERY SELECT d.stream, d.read, d.rejected, d.lag FROM defidata.drain_all() d;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_drain() IS
'reads every stream up to its end. read: entries; rejected: those of them that cannot be used, see
defidata.stream_reject; lag: entries that have come meanwhile. NULL where another transaction
drains the stream. 08xxx where Redis does not answer; 55000 where a stream ends before the position
up to which it was read';

CREATE FUNCTION @extschema@.defidata_reset_stream(name text, from_id text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    PERFORM defidata.reset_stream(name, from_id);
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_reset_stream(text, text) IS
'reads a stream from an id on; $ stands for its newest. Backwards, the sums of events from that
minute on (beyond 48 hours: from that hour on) are dropped first, so that nothing counts twice;
forwards, the hours passed over are noted as incomplete. 42704: no such stream; 22023: no id';

CREATE FUNCTION @extschema@.defidata_follow() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    PERFORM defidata.begin_following();
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_follow() IS
'has a background worker read every stream of this database within a second, from now on, also
after a crash. 55000 where no stream is attached; 53000 where max_worker_processes leaves no room';

CREATE FUNCTION @extschema@.defidata_unfollow() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_streams();
    DELETE FROM defidata.follower;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_unfollow() IS
    'ends the worker of defidata_follow, within a few seconds; each cycle still reads the streams';

CREATE FUNCTION @extschema@.defidata_live(size integer DEFAULT 10, min_mentions integer DEFAULT 10)
    RETURNS TABLE (rank bigint, token text, mentions_60m bigint, sma_14d float8, zscore_60m float8,
                   sentiment_60m float8, as_of timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    RETURN QUERY SELECT l.* FROM defidata.live(size, min_mentions) l;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_live(integer, integer) IS
'the tokens with the largest zscore_60m: (mentions_60m - sma_14d) / sample standard deviation of the
observed hours of the 14 days that ended before these 60 minutes, from streams alone. size: ranks;
min_mentions: mentions in the 60 minutes; as_of: up to when the streams were read, in whose minute
the 60 end. Empty before 24 observed hours';

-- Nobody may call anything; others get their rights by GRANT.
DO $$
DECLARE
    target regprocedure;
BEGIN
    FOR target IN SELECT p.oid FROM pg_proc p
                    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                     AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata_redis' LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', target);
    END LOOP;
END
$$;
