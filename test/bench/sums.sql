-- sums.sql: the ten window figures of every row as fast as plain SQL gives them:
-- from sums of integers, since PostgreSQL can take a row that leaves a frame out
-- of such a sum, but not out of an average of floats.
SELECT token, hour, mentions,
	CASE WHEN n1 >= 18 THEN s1 / n1 END AS sma_24h,
	CASE WHEN n7 >= 126 THEN s7 / n7 END AS sma_7d,
	CASE WHEN n14 >= 252 THEN s14 / n14 END AS sma_14d,
	CASE WHEN p1 >= 18 THEN t1 / p1 END AS sma_24h_prev,
	CASE WHEN p7 >= 126 THEN t7 / p7 END AS sma_7d_prev,
	CASE WHEN n1 >= 18 AND p1 >= 18 THEN s1 / n1 / nullif(t1 / p1, 0) - 1 END AS change_24h,
	CASE WHEN n7 >= 126 AND p7 >= 126 THEN s7 / n7 / nullif(t7 / p7, 0) - 1 END AS change_7d,
	CASE WHEN n1 >= 18 THEN sqrt(greatest(q1 - s1 * s1 / n1, 0) / (n1 - 1)) / nullif(s1 / n1, 0) END AS rsd_24h,
	CASE WHEN n7 >= 126 THEN sqrt(greatest(q7 - s7 * s7 / n7, 0) / (n7 - 1)) / nullif(s7 / n7, 0) END AS rsd_7d,
	CASE WHEN n14 >= 252 THEN sqrt(greatest(q14 - s14 * s14 / n14, 0) / (n14 - 1)) / nullif(s14 / n14, 0) END AS rsd_14d
  FROM (SELECT token, hour, mentions,
			count(*) OVER d1 AS n1, CAST(sum(mentions) OVER d1 AS float8) AS s1, CAST(sum(square) OVER d1 AS float8) AS q1,
			count(*) OVER d7 AS n7, CAST(sum(mentions) OVER d7 AS float8) AS s7, CAST(sum(square) OVER d7 AS float8) AS q7,
			count(*) OVER d14 AS n14, CAST(sum(mentions) OVER d14 AS float8) AS s14, CAST(sum(square) OVER d14 AS float8) AS q14,
			count(*) OVER b1 AS p1, CAST(sum(mentions) OVER b1 AS float8) AS t1,
			count(*) OVER b7 AS p7, CAST(sum(mentions) OVER b7 AS float8) AS t7
		  FROM (SELECT token, hour, mentions, mentions * mentions AS square FROM facts) f
		WINDOW d1 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 23 PRECEDING AND CURRENT ROW),
			d7 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 167 PRECEDING AND CURRENT ROW),
			d14 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 335 PRECEDING AND CURRENT ROW),
			b1 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 47 PRECEDING AND 24 PRECEDING),
			b7 AS (PARTITION BY token ORDER BY hour RANGE BETWEEN 335 PRECEDING AND 168 PRECEDING)
	) w
