-- filters.sql: the ten window figures of one hour, :at, as SQL is usually written:
-- an aggregate with a FILTER for each window.  The same text for PostgreSQL and
-- DuckDB.
SELECT token, CAST(:at AS integer) AS hour, mentions,
	CASE WHEN n1 >= 18 THEN a1 END AS sma_24h,
	CASE WHEN n7 >= 126 THEN a7 END AS sma_7d,
	CASE WHEN n14 >= 252 THEN a14 END AS sma_14d,
	CASE WHEN p1 >= 18 THEN b1 END AS sma_24h_prev,
	CASE WHEN p7 >= 126 THEN b7 END AS sma_7d_prev,
	CASE WHEN n1 >= 18 AND p1 >= 18 THEN a1 / nullif(b1, 0) - 1 END AS change_24h,
	CASE WHEN n7 >= 126 AND p7 >= 126 THEN a7 / nullif(b7, 0) - 1 END AS change_7d,
	CASE WHEN n1 >= 18 THEN s1 / nullif(a1, 0) END AS rsd_24h,
	CASE WHEN n7 >= 126 THEN s7 / nullif(a7, 0) END AS rsd_7d,
	CASE WHEN n14 >= 252 THEN s14 / nullif(a14, 0) END AS rsd_14d
  FROM (SELECT token, max(mentions) FILTER (WHERE hour = :at) AS mentions,
			count(*) FILTER (WHERE hour > :at - 24) AS n1, avg(CAST(mentions AS float8)) FILTER (WHERE hour > :at - 24) AS a1,
			stddev_samp(CAST(mentions AS float8)) FILTER (WHERE hour > :at - 24) AS s1,
			count(*) FILTER (WHERE hour > :at - 168) AS n7, avg(CAST(mentions AS float8)) FILTER (WHERE hour > :at - 168) AS a7,
			stddev_samp(CAST(mentions AS float8)) FILTER (WHERE hour > :at - 168) AS s7,
			count(*) AS n14, avg(CAST(mentions AS float8)) AS a14, stddev_samp(CAST(mentions AS float8)) AS s14,
			count(*) FILTER (WHERE hour > :at - 48 AND hour <= :at - 24) AS p1,
			avg(CAST(mentions AS float8)) FILTER (WHERE hour > :at - 48 AND hour <= :at - 24) AS b1,
			count(*) FILTER (WHERE hour <= :at - 168) AS p7, avg(CAST(mentions AS float8)) FILTER (WHERE hour <= :at - 168) AS b7
		  FROM facts WHERE hour > :at - 336 AND hour <= :at
		 GROUP BY token) w
 WHERE mentions IS NOT NULL
