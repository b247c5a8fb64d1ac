-- tables.sql: every table in which something is kept of streams, in plain DDL.
--
-- As the base's tables they are no members of the extension: pg_dump carries them, and DROP
-- EXTENSION leaves them.  tables.awk of the base turns the comments into COMMENT ON.
--
-- A drain writes to these tables alone, under the lock of its stream's row.  What the base's
-- writer does to them never makes a drain wait: it reads sums, and deletes from the queues
-- stream_due and stream_row what it can see.

-- the streams that are read, made by defidata_attach_stream
CREATE TABLE defidata.stream (
    name text COLLATE "C" NOT NULL,                         -- its name as a source: SERVER_STREAM
    server text NOT NULL,                                   -- the foreign server
    key text NOT NULL,                                      -- the stream's key in Redis
    mode text NOT NULL,                                     -- events or rows
    fields jsonb NOT NULL,                                  -- logical to actual field names, where
                                                            -- they differ
    "trim" boolean NOT NULL,                                -- whether Redis is to forget what was
                                                            -- read
    "position" text NOT NULL DEFAULT '0-0',                 -- the id up to which it was read
    held boolean NOT NULL DEFAULT false,                    -- whether the stream had an entry of
                                                            -- that id
    ordinal bigint,                                         -- entries that it ever had up to
                                                            -- there; NULL where unknown
    recount_until text,                                     -- after a step back: entries up to
                                                            -- this id were read before
    recount_from timestamptz,                               -- and their sums before this minute
                                                            -- are still there
    minutes_from timestamptz NOT NULL DEFAULT '-infinity',  -- sums before this time are by hour,
                                                            -- not by minute
    entries bigint NOT NULL DEFAULT 0,                      -- entries read in all
    rejected bigint NOT NULL DEFAULT 0,                     -- of them, how many could not be used
    lag bigint,                                             -- entries left to read by the last
                                                            -- drain; NULL where unknown
    missing boolean NOT NULL DEFAULT false,                 -- whether Redis had no such stream
    drained_at timestamptz,                                 -- when it was last read, to the minute
    failed_at timestamptz,                                  -- since when it cannot be read; NULL
                                                            -- where it can
    sqlstate text,                                          -- of the error, where it cannot be
                                                            -- read
    error text,                                             -- its message
    attached_at timestamptz NOT NULL DEFAULT now(),         -- when it was attached
    PRIMARY KEY (name),
    CHECK (mode IN ('events', 'rows'))
) WITH (fillfactor = 50);

-- sums of events by minute (before stream.minutes_from: by hour)
CREATE TABLE defidata.stream_sum (
    stream text COLLATE "C" NOT NULL,   -- the stream
    at timestamptz NOT NULL,            -- start of the minute or hour
    symbol text COLLATE "C" NOT NULL,   -- the raw symbol
    mentions bigint NOT NULL,           -- tweets
    weight bigint NOT NULL,             -- of them, those with a sentiment
    sentiment numeric NOT NULL,         -- exact sum of their sentiment, in billionths
    PRIMARY KEY (stream, at, symbol)
) WITH (fillfactor = 70);

-- hours whose sums have changed since they were folded
CREATE TABLE defidata.stream_due (
    stream text COLLATE "C" NOT NULL,   -- the stream
    hour timestamptz NOT NULL           -- the hour
);

-- hourly rows on their way to raw_mentions
CREATE TABLE defidata.stream_row (
    ordinal bigint GENERATED ALWAYS AS IDENTITY,    -- the order in which they came
    stream text COLLATE "C" NOT NULL,               -- the stream
    hour timestamptz NOT NULL,                      -- the hour
    id text COLLATE "C" NOT NULL,                   -- the row's key in it
    symbol text COLLATE "C",                        -- the raw symbol
    mentions float8,                                -- tweets, as delivered
    sentiment float8,                               -- mean sentiment, as delivered
    PRIMARY KEY (ordinal)
);

-- entries that could not be used, for 14 days
CREATE TABLE defidata.stream_reject (
    ordinal bigint GENERATED ALWAYS AS IDENTITY,    -- the order in which they came
    stream text COLLATE "C" NOT NULL,               -- the stream
    entry text NOT NULL,                            -- the entry's id
    reason text NOT NULL,                           -- symbol, long symbol, hour, mentions,
                                                    -- encoding, null id, long id
    seen_at timestamptz NOT NULL,                   -- when it was read
    PRIMARY KEY (ordinal)
);

-- hours of which entries may be missing
CREATE TABLE defidata.stream_loss (
    ordinal bigint GENERATED ALWAYS AS IDENTITY,    -- the order in which this was noted
    stream text COLLATE "C" NOT NULL,               -- the stream
    from_hour timestamptz NOT NULL,                 -- the first of the hours
    until_hour timestamptz NOT NULL,                -- the last of them
    cause text NOT NULL,                            -- what happened
    noted_at timestamptz NOT NULL,                  -- when it was found
    PRIMARY KEY (ordinal)
);

-- what defidata_live compares with, by token
CREATE TABLE defidata.stream_baseline (
    before timestamptz NOT NULL,        -- end of the 14 days
    token text COLLATE "C" NOT NULL,    -- the clean symbol
    hours bigint NOT NULL,              -- observed hours of the 14 days
    mentions numeric NOT NULL,          -- sum of the token's mentions in them
    squares numeric NOT NULL,           -- sum of their squares
    PRIMARY KEY (before, token)
);

-- one row where a worker is to follow the streams
CREATE TABLE defidata.follower (
    wanted_since timestamptz NOT NULL,  -- when that was asked for
    PRIMARY KEY (wanted_since)
);
