-- windows.sql: the ten window figures of every row as SQL is usually written.
SELECT token, hour, mentions,
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
  FROM (SELECT token, hour, mentions,
			count(*) OVER d1 AS n1, avg(CAST(mentions AS float8)) OVER d1 AS a1, stddev_samp(CAST(mentions AS float8)) OVER d1 AS s1,
			count(*) OVER d7 AS n7, avg(CAST(mentions AS float8)) OVER d7 AS a7, stddev_samp(CAST(mentions AS float8)) OVER d7 AS s7,
			count(*) OVER d14 AS n14, avg(CAST(mentions AS float8)) OVER d14 AS a14, stddev_samp(CAST(mentions AS float8)) OVER d14 AS s14,
			count(*) OVER p1 AS p1, avg(CAST(mentions AS float8)) OVER p1 AS b1,
			count(*) OVER p7 AS p7, avg(CAST(mentions AS float8)) OVER p7 AS b7
		  FROM facts
		WINDOW d1 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 23 PRECEDING AND CURRENT ROW),
			d7 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 167 PRECEDING AND CURRENT ROW),
			d14 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 335 PRECEDING AND CURRENT ROW),
			p1 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 47 PRECEDING AND 24 PRECEDING),
			p7 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 335 PRECEDING AND 168 PRECEDING)
	) w
