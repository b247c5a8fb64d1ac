-- tables.sql: every table that a user can change or that holds data, in plain DDL.
--
-- The tables are no members of the extension: defidata_setup() makes them (sql/setup.sql).
-- So pg_dump carries them whole, DROP EXTENSION refuses to destroy them, and Citus can
-- distribute them.  tables.awk turns the comments into COMMENT ON: the one over a table and
-- those behind its columns.  A line `@metrics PLACE@` stands for the metrics of that place
-- in metric_list.h.  What changes here from a version on that was released needs a step in
-- sql/steps.sql too.

--
-- What the owner configures
--

-- the relations that raw rows are read from, made by defidata_attach
CREATE TABLE defidata.source (
    name text COLLATE "C" NOT NULL,                 -- the source's name
    kind text NOT NULL,                             -- mentions or prices
    relation regclass NOT NULL,                     -- the relation that is read
    columns jsonb NOT NULL,                         -- logical column name to actual one, where they
                                                    -- differ from the default
    watermark timestamptz,                          -- newest hour (mentions) or quote (prices)
                                                    -- imported; never after now()
    attached_at timestamptz NOT NULL DEFAULT now(), -- when it was attached
    PRIMARY KEY (name),
    CHECK (kind IN ('mentions', 'prices'))
);

-- your own token list; wins over defidata.builtin_token
CREATE TABLE defidata.token (
    symbol text COLLATE "C" NOT NULL,       -- the spelling that a matching raw symbol becomes
    name text,                              -- the token's name
    enabled boolean NOT NULL DEFAULT true,  -- false rejects the symbol although it is listed
    asset text COLLATE "C",                 -- the asset that is its price, whatever else has its
                                            -- symbol; NULL: the choice is made from the quotes
    PRIMARY KEY (symbol),
    CHECK (length(symbol) BETWEEN 1 AND 64)
);

-- the settings; change them with defidata_set
CREATE TABLE defidata.setting (
    name text COLLATE "C" NOT NULL,     -- the setting's name
    value text NOT NULL,                -- its value as text
    description text NOT NULL,          -- what it does
    PRIMARY KEY (name),
    CHECK (defidata.check_setting(name, value))
);

-- the top tables that publish fills; made by defidata_add_board
CREATE TABLE defidata.board (
    name text COLLATE "C" NOT NULL,     -- the board's and its table's name
    metric text NOT NULL,               -- the column of token_stats that it ranks by
    direction text NOT NULL,            -- desc or asc
    min_mentions float8 NOT NULL,       -- mentions in 24 hours that a token needs to be ranked
    size integer NOT NULL,              -- how many ranks the table has
    PRIMARY KEY (name),
    CHECK (direction IN ('asc', 'desc'))
);

--
-- The copy of what the sources delivered
--

-- copy of every row that the mentions sources delivered, rejected ones included
CREATE TABLE defidata.raw_mentions (
    source text COLLATE "C" NOT NULL,   -- the source that delivered the row
    id text COLLATE "C" NOT NULL,       -- the row's key there, within its hour
    hour timestamptz NOT NULL,          -- start of the hour, in UTC; -infinity where it has none
    symbol text COLLATE "C",            -- the raw symbol as delivered
    mentions float8,                    -- tweets, as delivered
    sentiment float8,                   -- mean sentiment, as mapped; NULL where it is unusable
    token text COLLATE "C",             -- the clean symbol; NULL where the row is rejected
    reason text,                        -- why the row is rejected: symbol, disabled, hour or
                                        -- mentions; NULL where it is accepted
    fetched_at timestamptz NOT NULL,    -- when this version of the row was copied
    PRIMARY KEY (source, hour, id)
);
CREATE INDEX ON defidata.raw_mentions (source) WHERE reason = 'hour';

-- rows that the copy had and their source delivers no more, for 14 days
CREATE TABLE defidata.superseded (
    source text COLLATE "C" NOT NULL,   -- the source that delivered the row
    id text COLLATE "C" NOT NULL,       -- the row's key there, within its hour
    hour timestamptz NOT NULL,          -- start of the hour, in UTC; -infinity where it has none
    symbol text COLLATE "C",            -- the raw symbol as delivered
    mentions float8,                    -- tweets, as delivered
    sentiment float8,                   -- mean sentiment, as mapped; NULL where it is unusable
    token text COLLATE "C",             -- the clean symbol; NULL where the row is rejected
    reason text,                        -- why the row is rejected; NULL where it is accepted
    fetched_at timestamptz NOT NULL,    -- when this version of the row was copied
    superseded_at timestamptz NOT NULL, -- when its source delivered it no more
    PRIMARY KEY (source, hour, id, superseded_at)
);
CREATE INDEX ON defidata.superseded (superseded_at);

-- the rows that are being copied; empty but within a transaction that does
CREATE UNLOGGED TABLE defidata.delivered (
    hour timestamptz NOT NULL,          -- start of the hour, in UTC; -infinity where it has none
    id text COLLATE "C" NOT NULL,       -- the row's key, within its hour
    symbol text COLLATE "C",            -- the raw symbol
    mentions float8,                    -- tweets
    sentiment float8                    -- mean sentiment
);

-- the sources whose mentions come as documents, by defidata_load_mentions
CREATE TABLE defidata.document_source (
    name text COLLATE "C" NOT NULL,     -- the source's name
    PRIMARY KEY (name)
);

-- copy of every quote that the price sources and documents delivered, rejected ones included
CREATE TABLE defidata.prices (
    source text COLLATE "C" NOT NULL,   -- the source that delivered the quote
    id text COLLATE "C" NOT NULL,       -- the quote's key there; of a document asset and currency
    token text COLLATE "C",             -- the clean symbol; NULL where the quote is rejected
    asset text COLLATE "C" NOT NULL,    -- the asset at the source; several can share a symbol
    at timestamptz NOT NULL,            -- when the quote was taken; -infinity where that is unknown
    price float8,                       -- price
    change_24h float8,                  -- change over 24 hours as delivered, as a fraction
    volume_24h float8,                  -- volume traded in 24 hours, as delivered
    market_cap float8,                  -- market capitalisation, as delivered
    fetched_at timestamptz NOT NULL,    -- when this version of the quote was copied
    symbol text COLLATE "C",            -- the raw symbol as delivered
    reason text,                        -- why the quote is rejected: symbol, disabled, hour or
                                        -- price; NULL where it is accepted
    currency text COLLATE "C",          -- what the figures are in; NULL: in the setting currency
    PRIMARY KEY (source, at, id)
);
CREATE INDEX ON defidata.prices (token, at);
CREATE INDEX ON defidata.prices (at) WHERE reason = 'hour';

-- rows of a source that could not be copied at all, counted
CREATE TABLE defidata.uncopied (
    source text COLLATE "C" NOT NULL,   -- the source
    hour timestamptz NOT NULL,          -- the hour; -infinity where it is unusable
    cause text NOT NULL,                -- null id, long id, duplicate id or encoding
    rows bigint NOT NULL,               -- how many rows
    seen_at timestamptz NOT NULL,       -- when they were last seen
    PRIMARY KEY (source, hour, cause)
);

-- what a mentions source said of an hour when it was last read, and what came of it
CREATE TABLE defidata.surveyed (
    source text COLLATE "C" NOT NULL,       -- the source
    hour timestamptz NOT NULL,              -- the hour; -infinity: rows whose time is unusable
    rows bigint NOT NULL,                   -- the rows that the source had
    checksum numeric,                       -- their checksum there; NULL: to be read again
    held bigint NOT NULL,                   -- the rows that the copy had from then on
    most bigint NOT NULL,                   -- the most rows that it had since apply_deletes last
                                            -- followed the source
    kept text,                              -- why the copy was left as it was: emptied, shrunken or
                                            -- oldest; NULL where it follows the source
    twins boolean NOT NULL DEFAULT false,   -- whether more than half of its rows have a twin under
                                            -- another id
    repeats text,                           -- another source that has nearly the same rows
    PRIMARY KEY (source, hour)
);

--
-- Facts
--

-- facts: mentions and sentiment by token and hour, a week to a row, without the open day
CREATE TABLE defidata.week_series (
    token text COLLATE "C" NOT NULL,    -- the clean symbol
    start timestamptz NOT NULL,         -- start of the week, a Monday in UTC
    series defidata.series NOT NULL,    -- its hours; empty where the token has none but in the open
                                        -- day
    PRIMARY KEY (token, start)
);
CREATE INDEX ON defidata.week_series (start);

-- facts of the open day
CREATE TABLE defidata.day_series (
    token text COLLATE "C" NOT NULL,    -- the clean symbol
    start timestamptz NOT NULL,         -- start of the day, in UTC
    series defidata.series NOT NULL,    -- its hours
    PRIMARY KEY (token)
) WITH (fillfactor = 50);

-- one row: the latest day that facts have been summed for
CREATE TABLE defidata.open_day (
    day timestamptz NOT NULL,           -- its start, in UTC
    PRIMARY KEY (day)
);

-- the hours for which a source has delivered rows
CREATE TABLE defidata.hours (
    hour timestamptz NOT NULL,                  -- start of the hour
    rows bigint,                                -- raw rows, also rejected ones; NULL: not computed
    mentions bigint,                            -- accepted mentions; NULL where not observed
    tokens bigint,                              -- tokens with accepted rows; NULL: not observed
    settled boolean NOT NULL DEFAULT false,     -- whether it is observed and old enough to publish
    summed boolean NOT NULL DEFAULT false,      -- whether the facts hold what the raw rows say
    published boolean NOT NULL DEFAULT false,   -- whether daily_mentions agrees with its facts
    expired boolean NOT NULL DEFAULT false,     -- whether its raw rows are gone; its facts stay
    incomplete boolean NOT NULL DEFAULT false,  -- whether its source has lost some of its rows
    thin boolean NOT NULL DEFAULT false,        -- whether it has far fewer rows than is usual
    marked boolean,                             -- what defidata_mark_hours says; NULL: nothing
    observed boolean NOT NULL                   -- whether it is measured; if not, it is an outage
        GENERATED ALWAYS AS (COALESCE(rows, 0) > 0
                             AND COALESCE(marked, NOT thin AND NOT incomplete)) STORED,
    first_summed_at timestamptz,                -- since when its facts were known; -infinity: since
                                                -- before version 1.1
    first_published_at timestamptz,             -- when it first was the latest hour published
    PRIMARY KEY (hour)
);
CREATE INDEX ON defidata.hours (hour) WHERE NOT summed;

-- facts: the accepted quotes of each asset, a day to a row, in the order of time
CREATE TABLE defidata.quote_series (
    asset text COLLATE "C" NOT NULL,    -- the asset at the source
    source text COLLATE "C" NOT NULL,   -- the source
    token text COLLATE "C" NOT NULL,    -- the clean symbol of its quotes
    currency text COLLATE "C" NOT NULL, -- what the figures are in; empty: in the setting currency
    day timestamptz NOT NULL,           -- start of the day, in UTC
    spelled boolean NOT NULL,           -- whether the raw symbol is the token but for case
    at timestamptz[] NOT NULL,          -- when each quote was taken
    price float8[] NOT NULL,            -- its price
    PRIMARY KEY (asset, source, token, currency, day)
);
CREATE INDEX ON defidata.quote_series (date_bin('24 hours', day, '2001-01-01 00:00:00+00'));

-- facts that stand no longer: what they were before a change of an hour that was over
CREATE TABLE defidata.fact_revision (
    token text COLLATE "C" NOT NULL,    -- the clean symbol
    hour timestamptz NOT NULL,          -- start of the hour
    until timestamptz NOT NULL,         -- until when they stood
    series defidata.series NOT NULL,    -- the hour as it was; empty where the token had none
    PRIMARY KEY (token, hour, until)
);
CREATE INDEX ON defidata.fact_revision (until);

-- what hours were once: a row for each change after they were first summed
CREATE TABLE defidata.hour_revision (
    hour timestamptz NOT NULL,          -- start of the hour
    until timestamptz NOT NULL,         -- until when this stood
    observed boolean NOT NULL,          -- whether it was measured
    settled boolean NOT NULL,           -- whether it was settled
    PRIMARY KEY (hour, until)
);

-- one row: the time of the latest change, which never goes back
CREATE TABLE defidata.revision_clock (
    latest timestamptz NOT NULL,        -- the time
    PRIMARY KEY (latest)
);

--
-- What readers see
--

-- the asset whose quotes stand for a token
CREATE TABLE defidata.token_asset (
    token text COLLATE "C" NOT NULL,    -- the token
    source text COLLATE "C" NOT NULL,   -- the price source
    asset text COLLATE "C" NOT NULL,    -- the asset there
    chosen_at timestamptz NOT NULL,     -- the hour for which it was chosen
    quoted text COLLATE "C" NOT NULL,   -- the token of its quotes; another only where it is pinned
    PRIMARY KEY (token)
);

-- every token mentioned in the last 14 days, as of the latest settled hour
CREATE TABLE defidata.token_stats (
    token text COLLATE "C" NOT NULL,    -- the clean symbol
    name text,                          -- the token's name, where it is listed
    hour timestamptz NOT NULL,          -- the latest settled hour
    @metrics view@
    dominance_24h float8,               -- the token's share of all accepted mentions in 24 hours
    price float8,                       -- the newest quote
    price_change_1h float8,             -- change of the price over 1 hour, a fraction
    price_change_24h float8,            -- change of the price over 24 hours, a fraction
    price_change_7d float8,             -- change of the price over 7 days, a fraction
    price_volatility_7d float8,         -- sample standard deviation of hourly log returns over
                                        -- 7 days, annualised by the root of 8760
    market_cap float8,                  -- market capitalisation with the newest quote
    price_at timestamptz,               -- when the newest quote was taken
    @metrics stats@
    @metrics later@
    PRIMARY KEY (token)
) WITH (fillfactor = 50);

-- mentions by day
CREATE TABLE defidata.daily_mentions (
    day date NOT NULL,                  -- the day, in UTC
    mentions bigint NOT NULL,           -- accepted mentions of all tokens
    tokens bigint NOT NULL,             -- distinct tokens mentioned
    observed_hours integer NOT NULL,    -- hours of the day that were observed
    PRIMARY KEY (day)
);

-- one row: the published generation, an ETag for caches
CREATE TABLE defidata.publication (
    generation bigint NOT NULL,         -- grows by one whenever something published changed
    latest_hour timestamptz,            -- the settled hour that is published
    published_at timestamptz,           -- when this generation was published
    PRIMARY KEY (generation)
);

-- JSON documents ready to serve, filled by publish; defidata_document answers from here
CREATE TABLE defidata.document (
    path text COLLATE "C" NOT NULL,     -- the path of the URL, in lower case
    body json NOT NULL,                 -- the document: an array of rows with the columns of their
                                        -- table as keys; for /topstats an object of such arrays
    etag text NOT NULL,                 -- the ETag, in quotes; changes if and only if the body does
    generation bigint NOT NULL,         -- the generation that brought this body
    published_at timestamptz,           -- when that generation was published; NULL before the first
    PRIMARY KEY (path)
);
ALTER TABLE defidata.document ALTER body SET STORAGE EXTERNAL;

-- every generation that was published
CREATE TABLE defidata.publication_history (
    generation bigint NOT NULL,         -- the generation
    latest_hour timestamptz,            -- the settled hour that it showed
    published_at timestamptz NOT NULL,  -- when it was published
    PRIMARY KEY (generation)
);
CREATE INDEX ON defidata.publication_history (published_at);

-- what readers of the boards saw, by generation
CREATE TABLE defidata.board_history (
    generation bigint NOT NULL,         -- the generation
    board text COLLATE "C" NOT NULL,    -- the board
    rank integer NOT NULL,              -- the rank
    token text COLLATE "C" NOT NULL,    -- the token
    value float8,                       -- what the board ranks by
    PRIMARY KEY (generation, board, rank)
);

-- what is watched; made by defidata_add_alert
CREATE TABLE defidata.alert (
    name text COLLATE "C" NOT NULL,     -- the alert's name
    metric text NOT NULL,               -- the column of metrics that it watches
    direction text NOT NULL,            -- above or below
    enter float8 NOT NULL,              -- raised at this value or beyond it
    leave float8 NOT NULL,              -- ended behind this value
    rearm interval NOT NULL,            -- how long after it was raised it may be raised again
    min_mentions float8 NOT NULL,       -- mentions in 24 hours that a token needs
    tokens text[] COLLATE "C",          -- these tokens only; NULL: all
    judged_hour timestamptz,            -- the latest hour that it was judged by
    added_at timestamptz NOT NULL,      -- when it was made
    PRIMARY KEY (name),
    CHECK (direction IN ('above', 'below'))
);

-- what alerts raised and ended, append-only; ids are committed in their order
CREATE TABLE defidata.alert_event (
    id bigint GENERATED ALWAYS AS IDENTITY, -- grows; a consumer reads on from the last it has seen
    alert text COLLATE "C" NOT NULL,        -- the alert's name
    token text COLLATE "C" NOT NULL,        -- the token
    hour timestamptz NOT NULL,              -- the hour that was judged
    value float8,                           -- the metric in it; NULL where the token has left
                                            -- token_stats or the alert was dropped
    event text NOT NULL,                    -- raised or ended
    at timestamptz NOT NULL,                -- when it was found
    PRIMARY KEY (id),
    CHECK (event IN ('raised', 'ended'))
);
CREATE INDEX ON defidata.alert_event (alert, token, id);

--
-- Records of the machinery
--

-- every stage of every recorded run
CREATE TABLE defidata.runs (
    id bigint GENERATED ALWAYS AS IDENTITY, -- one for each record
    run bigint,                             -- the id of the run's first record
    trigger text NOT NULL,                  -- what called: refresh, run, backfill, reconcile or
                                            -- expire
    stage text NOT NULL,                    -- import, compute, publish, backfill, reconcile or
                                            -- expire
    status text NOT NULL,                   -- running, ok, failed, interrupted or skipped
    started_at timestamptz NOT NULL,        -- when the stage began
    finished_at timestamptz,                -- when it ended; NULL while it runs
    counts jsonb NOT NULL DEFAULT '{}',     -- what the stage did, and its progress
    latest_hour timestamptz,                -- the newest hour that it dealt with
    sqlstate text,                          -- of the error, where it failed
    error text,                             -- the error's message, where it failed
    pid integer,                            -- the server process that ran it
    PRIMARY KEY (id)
);
CREATE INDEX ON defidata.runs (status) WHERE status = 'running';

-- a row for each lock of the pipeline, so that nobody can take it who has no rights here; a lock
-- on the whole table is the one of whoever writes data
CREATE TABLE defidata.lock (
    name text COLLATE "C" NOT NULL,     -- cycle: held by a refresh or run; backfill: while one
                                        -- starts; alert: while events are written
    PRIMARY KEY (name)
);

-- the version of the extension that made these tables
CREATE TABLE defidata.layout (
    version text NOT NULL,              -- the version
    step integer NOT NULL,              -- the last of the numbered changes that these tables have
    PRIMARY KEY (version)
);
