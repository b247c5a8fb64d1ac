-- 1.0--1.1.sql: what has to be done by hand on the way from 1.0; the rest of the update script is
-- made of the parts of the install script by update.awk.
\echo Use "ALTER EXTENSION defidata UPDATE TO '1.1'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

ALTER TYPE defidata.metrics_row ADD ATTRIBUTE spike_14d float8, ADD ATTRIBUTE sentiment_change float8;

-- stays: defidata.builtin_token
-- stays: defidata.series
-- stays: defidata.series;
-- stays: defidata.metrics_row
-- stays: defidata.failure

-- what carries a batch of an import from one step to the next
ALTER TYPE defidata.batch DROP ATTRIBUTE remote_rows, DROP ATTRIBUTE reread,
    ADD ATTRIBUTE planned_at timestamptz, ADD ATTRIBUTE apply_deletes boolean;
-- stays: defidata.batch

-- what returns something else, or names its arguments otherwise
DROP FUNCTION
    @extschema@.defidata_load_prices(jsonb),
    defidata.document_quotes(jsonb),
    defidata.choose_assets(timestamptz),
    defidata.callable_functions(text),
    defidata.readable_tables(text),
    defidata.remote_columns(oid, text, text),
    defidata.attach_remote_table(oid, text, text, text),
    defidata.source_sql(text),
    defidata.survey(text, timestamptz, timestamptz, boolean, boolean),
    defidata.import_start(text, timestamptz);

-- the parts

-- what is gone; metrics_between() goes when setup() has replaced the view over it
DROP FUNCTION
    defidata.setup_tables(),
    defidata.setup_table(text, text, text[], text[]),
    defidata.metric_columns(),
    defidata.metrics_query(text, text, text),
    defidata.lock_key(text),
    defidata.server_view(oid, text),
    defidata.same_encoding(regclass),
    defidata.replace_contents(regclass, text, timestamptz),
    defidata.data_status(),
    defidata.run_status(),
    defidata.cron_status(),
    defidata.count_hours(timestamptz, timestamptz[], defidata.series[]),
    defidata.price_change(float8, float8),
    defidata.source_range(text),
    defidata.find_deleted(text, timestamptz),
    defidata.compute_step(timestamptz),
    defidata.copy_statement(text, text, boolean, timestamptz[]),
    defidata.copy_part(text, text, timestamptz, timestamptz, timestamptz[], timestamptz[],
                       timestamptz, numeric, numeric),
    defidata.audit_hour(text, timestamptz, bigint, text, timestamptz, timestamptz),
    defidata.take_census(text, timestamptz[], timestamptz),
    defidata.import_prices(text, timestamptz, timestamptz, boolean, timestamptz),
    defidata.reclean_mentions(timestamptz, timestamptz),
    @extschema@.defidata_detach(text);
