-- api_owner.sql: the entry points of whoever owns the extension: what is set up, what is read,
-- who else may.  Nobody else may call any of these (grant.sql).
--
-- An entry point looks that all tables are there and hands on; with the owner's rights, since
-- what it calls has only the caller's.

CREATE FUNCTION @extschema@.defidata_setup() RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.take_over();
    SELECT defidata.setup();
END;
COMMENT ON FUNCTION @extschema@.defidata_setup() IS
'creates the tables in schema defidata, or brings them up to date after ALTER EXTENSION UPDATE;
every call that needs them does this too. Takes over tables that belong to another role than the
extension does, as after a restore by somebody else; 42501 that names what stands against it, where
a trigger, rule, policy, default or index on them uses code of another role';

--
-- Sources
--

CREATE FUNCTION @extschema@.defidata_attach_server(server name,
        remote_schema text DEFAULT 'public', mentions text DEFAULT 'tweetvolumeshours',
        prices text DEFAULT 'cmc_price') RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.attach_server(server, remote_schema, mentions, prices);
END;
COMMENT ON FUNCTION @extschema@.defidata_attach_server(name, text, text, text) IS
'makes foreign tables for the CT-SCANNER''s tables on a postgres_fdw server, checks them and
attaches them as sources SERVER_TABLE; NULL skips one. 42704: no such server; 42P01: no mentions
table there; 42501: it may not be read; 42703 or 42804: wrong shape';

CREATE FUNCTION @extschema@.defidata_attach(name text, kind text, relation regclass,
        columns jsonb DEFAULT '{}') RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.attach(name, kind, relation, columns);
END;
COMMENT ON FUNCTION @extschema@.defidata_attach(text, text, regclass, jsonb) IS
'registers a relation as a source. kind: mentions or prices; columns: logical to actual column
names where they differ from the CT-SCANNER''s. 42703 or 42804 where the shape does not fit, 22023
for a bad argument';

CREATE FUNCTION @extschema@.defidata_detach(name text, drop_rows boolean DEFAULT false)
    RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.detach(name, drop_rows);
END;
COMMENT ON FUNCTION @extschema@.defidata_detach(text, boolean) IS
'the source is no longer read; its rows stay, or, with drop_rows, go, and their hours, but for
expired ones, are summed anew and published. 42704 where there is no such source';

CREATE FUNCTION @extschema@.defidata_load_mentions(source text, document jsonb,
        OUT stored bigint, OUT rejected bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT * FROM defidata.load_mentions(source, document);
END;
COMMENT ON FUNCTION @extschema@.defidata_load_mentions(text, jsonb) IS
'takes an array of objects with symbol, hour (or timestamp), mentions (or count) and, where there
are any, id and sentiment as raw rows of that source, each known by hour and id, else symbol: it
replaces the rows that it names and no others. The next refresh takes them up. stored: rows of the
document that are accepted; rejected: those that are not, with their reason in defidata.rejects.
22023: not such a document, or the name of a source that is attached';

CREATE FUNCTION @extschema@.defidata_load_prices(
    document jsonb, currency text DEFAULT NULL, asset text DEFAULT NULL,
    OUT stored bigint, OUT rejected bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT l.stored, l.rejected FROM defidata.load_prices(document, currency, asset) l;
END;
COMMENT ON FUNCTION @extschema@.defidata_load_prices(jsonb, text, text) IS
'stores the quotes of a document as source documents, numbers as numbers or as text: CoinMarketCap
v1, v2 and v3 listings, quotes/latest and quotes/historical, CoinGecko coins/markets, simple/price
and market_chart, CoinPaprika tickers, and lists of these. currency: of quotes whose currency the
document does not name; NULL: that of the setting currency. asset: the asset of a document of one,
in place of its own name; a market_chart needs it. A quote without a readable time is one of now.
Returns how many quotes were stored or changed, and how many were rejected; those are kept with
their reason. 22023 where the document is of none of these forms or is an error of the provider''s';

CREATE FUNCTION @extschema@.defidata_import_legacy(relation regclass) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.import_legacy(relation);
END;
COMMENT ON FUNCTION @extschema@.defidata_import_legacy(regclass) IS
'takes over the hours that no source has delivered from an old tweetvolumescleaned (id, timestamp,
symbol, count, sentiment), as rows of source legacy, and returns how many rows are new; the next
compute or refresh takes them up. An hour that a source delivers later replaces them. 42703 or
42804: wrong shape; 55000: a source named legacy is attached';

CREATE FUNCTION @extschema@.defidata_mark_hours(from_hour timestamptz, until_hour timestamptz,
        observed boolean) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.mark_hours(from_hour, until_hour, observed);
END;
COMMENT ON FUNCTION @extschema@.defidata_mark_hours(timestamptz, timestamptz, boolean) IS
'says of the hours that have rows, from from_hour until until_hour, whether they are observed,
whatever their number of rows; NULL takes that back. Returns how many hours that is new for; the
next compute or refresh follows. Hours whose raw rows have expired stay as they are, with a NOTICE.
22023 for a bad range';

--
-- Rules and boards
--

CREATE FUNCTION @extschema@.defidata_set(name text, value text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.set(name, value);
END;
COMMENT ON FUNCTION @extschema@.defidata_set(text, text) IS
'changes a setting (a row of defidata.setting) after checking it; 22023 for an unknown name or an
unfit value';

CREATE FUNCTION @extschema@.defidata_reclean() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.reclean();
END;
COMMENT ON FUNCTION @extschema@.defidata_reclean() IS
'cleans the raw copy again after the list or a rule has changed; returns how many rows changed.
The next compute takes the changed hours up';

CREATE FUNCTION @extschema@.defidata_add_board(name text, metric text,
        direction text DEFAULT 'desc', min_mentions double precision DEFAULT 240,
        size integer DEFAULT 10) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.add_board(name, metric, direction, min_mentions, size);
END;
COMMENT ON FUNCTION @extschema@.defidata_add_board(text, text, text, double precision, integer) IS
    'makes the view defidata.NAME of the top SIZE tokens by a column of token_stats, in the order'
    ' of rank, filled at once and by every publish. metric, direction, min_mentions, size: as in'
    ' defidata_set_board. 22023 for a bad argument, 42P07 or 42710 where the name is taken';

CREATE FUNCTION @extschema@.defidata_set_board(name text, metric text DEFAULT NULL,
        direction text DEFAULT NULL, min_mentions double precision DEFAULT NULL,
        size integer DEFAULT NULL) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.set_board(name, metric, direction, min_mentions, size);
END;
COMMENT ON FUNCTION
    @extschema@.defidata_set_board(text, text, text, double precision, integer) IS
'changes a board, also a ready one, and fills it anew; NULL leaves as is. metric: the column of
token_stats that it ranks by; direction: desc or asc; min_mentions: the mentions in 24 hours that a
token needs; size: how many ranks it has. What somebody has dropped of the board is made again.
42704 where there is no such board, 22023 for a bad argument';

CREATE FUNCTION @extschema@.defidata_drop_board(name text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.drop_board(name);
END;
COMMENT ON FUNCTION @extschema@.defidata_drop_board(text) IS
'drops a board with its rows; its history stays. 42704 where there is no such board';

CREATE FUNCTION @extschema@.defidata_add_alert(name text, metric text, enter double precision,
        leave double precision DEFAULT NULL, direction text DEFAULT 'above',
        rearm interval DEFAULT '24 hours', min_mentions double precision DEFAULT 240,
        tokens text[] DEFAULT NULL) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.add_alert(name, metric, enter, leave, direction, rearm, min_mentions, tokens);
END;
COMMENT ON FUNCTION @extschema@.defidata_add_alert(text, text, double precision, double precision,
    text, interval, double precision, text[]) IS
    'watches a metric, a column of defidata.metrics, from the next settled hour on. Raised for a'
    ' token at the first hour whose metric is at or beyond enter (above or below it), if the token'
    ' has min_mentions in 24 hours; ends when the metric is behind leave, which by default is half'
    ' of enter, or the token leaves token_stats. One that stands is not raised again, an ended one'
    ' only rearm after it was last raised; a NULL figure changes nothing. tokens: these only, NULL'
    ' for all. Events go to defidata.alert_event and NOTIFY defidata_alert. 22023 for a bad'
    ' argument, 42710 where the name is taken';

CREATE FUNCTION @extschema@.defidata_drop_alert(name text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.drop_alert(name);
END;
COMMENT ON FUNCTION @extschema@.defidata_drop_alert(text) IS
'drops an alert; where it stands it ends, and its events stay. 42704 where there is no such alert';

CREATE FUNCTION @extschema@.defidata_legacy_views(schema name) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.legacy_views(schema);
END;
COMMENT ON FUNCTION @extschema@.defidata_legacy_views(name) IS
'makes or replaces, in a schema of their own, views with the names, columns and types of the old
scripts'' tables; NULL is 0 there, and the comments of the columns tell where a formula differs.
Grant USAGE on the schema and SELECT on its views to the API''s role and set its search_path.
22023: not a fitting schema; 42P16 or 42809: something else of that name is there';

--
-- Who, when, how long, where
--

CREATE FUNCTION @extschema@.defidata_grant(role regrole, level text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.grant(role, level);
END;
COMMENT ON FUNCTION @extschema@.defidata_grant(regrole, text) IS
    'reader: boards and their list, token_stats, daily_mentions, publication, documents and'
    ' reports; analyst: also metrics, hours, prices, raw rows, rejects, history, runs and status;'
    ' operator: analyst, and may refresh, run, backfill, reconcile, recompute and check. Also'
    ' USAGE on the schemas that this needs. 22023 for another level';

CREATE FUNCTION @extschema@.defidata_revoke(role regrole) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.revoke(role);
END;
COMMENT ON FUNCTION @extschema@.defidata_revoke(regrole) IS
'takes back all that defidata_grant gave a role: every right on the functions, tables and schema of
the extension, and USAGE on the schema of the entry points';

CREATE FUNCTION @extschema@.defidata_schedule(schedule text DEFAULT '5 * * * *') RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.schedule(schedule);
END;
COMMENT ON FUNCTION @extschema@.defidata_schedule(text) IS
'has pg_cron run the cycle by the schedule, a reconcile and an expiry each day, as the extension''s
owner; returns the job id of the cycle. 55000 where pg_cron cannot run jobs here; a WARNING where
pg_hba.conf would refuse them';

CREATE FUNCTION @extschema@.defidata_unschedule() RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.unschedule();
END;
COMMENT ON FUNCTION @extschema@.defidata_unschedule() IS
'removes the jobs that defidata_schedule made; returns how many there were. 55000 without pg_cron';

CREATE FUNCTION @extschema@.defidata_expire(OUT relation text, OUT deleted bigint)
    RETURNS SETOF record
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT * FROM defidata.expire();
END;
COMMENT ON FUNCTION @extschema@.defidata_expire() IS
'deletes rows older than raw_retention, metrics_retention and history_retention, never hours that
feed a window of what is published; returns the rows deleted by table';

CREATE FUNCTION @extschema@.defidata_distribute()
    RETURNS TABLE (relation text, key text, shards bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT * FROM defidata.distribute();
END;
COMMENT ON FUNCTION @extschema@.defidata_distribute() IS
'on the coordinator of a Citus cluster: spreads raw_mentions and prices by id, week_series and
day_series by token over the workers, with their rows, and returns by which column and over how
many shards. Refresh and all else go on as before. A second call changes nothing, but gives a
worker that was added since the rights of readers. 55000 without Citus';

CREATE FUNCTION @extschema@.defidata_undistribute() RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.undistribute();
END;
COMMENT ON FUNCTION @extschema@.defidata_undistribute() IS
'brings the distributed tables back to the coordinator, with their rows; returns how many those
were. 55000 without Citus';
