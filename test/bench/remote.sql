-- remote.sql: rows for the tables of ct_scanner.sql that follow from token and hour
-- alone, so that every run of the bench reads the same ones.

CREATE INDEX ON tweetvolumeshours (timestamp);

-- Adds the rows of the hours from from_hour until until_hour, counted from the
-- origin: a few tokens have most of the mentions, as in life.
CREATE FUNCTION deliver(tokens int, origin timestamptz, from_hour int, until_hour int) RETURNS void
	LANGUAGE sql
AS $$
	INSERT INTO tweetvolumeshours (id, timezone, timestamp, date, symbol, count, sentiment)
	SELECT symbol || '-' || at, 'UTC', at, to_timestamp(at) AT TIME ZONE 'UTC', symbol,
		floor(5 + 3000.0 / (k + 1) * (1 + (hashint8extended(seed, 1) & 1023) / 1024.0) + (hashint8extended(seed, 2) & 7)),
		round(((hashint8extended(seed, 3) & 65535) / 65536.0)::numeric, 4)
	  FROM generate_series(from_hour, until_hour - 1) h,
		generate_series(0, tokens - 1) k,
		LATERAL (SELECT extract(epoch FROM origin)::int + h * 3600,
			chr(65 + (k / 17576) % 26) || chr(65 + (k / 676) % 26) || chr(65 + (k / 26) % 26) || chr(65 + k % 26),
			h * 100003::bigint + k) row (at, symbol, seed)
$$;
