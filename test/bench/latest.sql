-- latest.sql: every metric of one hour, :at, from the rows of the 336 hours up to
-- it, as fast as plain SQL gives it, the same text for PostgreSQL and DuckDB.
-- Every window is a number of days, so rows are summed by day and days by window.
SELECT token, CAST(:at AS integer) AS hour, mentions, sentiment,
	CASE WHEN n1 >= 18 THEN s1 / n1 END AS sma_24h,
	CASE WHEN n7 >= 126 THEN s7 / n7 END AS sma_7d,
	CASE WHEN n14 >= 252 THEN s14 / n14 END AS sma_14d,
	CASE WHEN p1 >= 18 THEN t1 / p1 END AS sma_24h_prev,
	CASE WHEN p7 >= 126 THEN t7 / p7 END AS sma_7d_prev,
	CASE WHEN n1 >= 18 AND p1 >= 18 THEN s1 / n1 / nullif(t1 / p1, 0) - 1 END AS change_24h,
	CASE WHEN n7 >= 126 AND p7 >= 126 THEN s7 / n7 / nullif(t7 / p7, 0) - 1 END AS change_7d,
	CASE WHEN n1 >= 18 THEN sqrt(greatest(q1 - s1 * s1 / n1, 0) / (n1 - 1)) / nullif(s1 / n1, 0) END AS rsd_24h,
	CASE WHEN n7 >= 126 THEN sqrt(greatest(q7 - s7 * s7 / n7, 0) / (n7 - 1)) / nullif(s7 / n7, 0) END AS rsd_7d,
	CASE WHEN n14 >= 252 THEN sqrt(greatest(q14 - s14 * s14 / n14, 0) / (n14 - 1)) / nullif(s14 / n14, 0) END AS rsd_14d,
	CASE WHEN n1 >= 18 AND n14 - n1 >= 234 THEN (24 * s1 / n1 + 24) / (24 * (s14 - s1) / (n14 - n1) + 24) - 1 END AS trend_24h,
	CASE WHEN xn >= 7 THEN (x0 - xavg) / greatest(1, xsd) END AS surge_14d,
	CASE WHEN n14 >= 252 THEN mentions / nullif(s14 / n14, 0) - 1 END AS deviation_14d,
	CASE WHEN n14 >= 252 THEN (mentions - s14 / n14) / nullif(sqrt(greatest(q14 - s14 * s14 / n14, 0) / (n14 - 1)), 0) END AS zscore_14d,
	CASE WHEN n1 >= 18 THEN v1 / nullif(w1, 0) END AS sentiment_24h,
	CASE WHEN n7 >= 126 THEN v7 / nullif(w7, 0) END AS sentiment_7d,
	n14 / 336.0 AS coverage_14d
  FROM (SELECT token, max(mentions) AS mentions, max(sentiment) AS sentiment,
			sum(n) FILTER (WHERE ago = 0) AS n1, sum(s) FILTER (WHERE ago = 0) AS s1, sum(q) FILTER (WHERE ago = 0) AS q1,
			sum(n) FILTER (WHERE ago < 168) AS n7, sum(s) FILTER (WHERE ago < 168) AS s7, sum(q) FILTER (WHERE ago < 168) AS q7,
			sum(n) AS n14, sum(s) AS s14, sum(q) AS q14,
			sum(n) FILTER (WHERE ago = 24) AS p1, sum(s) FILTER (WHERE ago = 24) AS t1,
			sum(n) FILTER (WHERE ago >= 168) AS p7, sum(s) FILTER (WHERE ago >= 168) AS t7,
			sum(w) FILTER (WHERE ago = 0) AS w1, sum(v) FILTER (WHERE ago = 0) AS v1,
			sum(w) FILTER (WHERE ago < 168) AS w7, sum(v) FILTER (WHERE ago < 168) AS v7,
			max(x) FILTER (WHERE ago = 0) AS x0, count(x) FILTER (WHERE ago > 0) AS xn,
			avg(x) FILTER (WHERE ago > 0) AS xavg, stddev_samp(x) FILTER (WHERE ago > 0) AS xsd
		  FROM (SELECT token, ago, n, s, q, w, v, mentions, sentiment,
					CASE WHEN n >= 18 THEN 2 * sqrt(24 * s / n + 0.375) END AS x
				  FROM (SELECT token, ago - ago % 24 AS ago, CAST(count(*) AS float8) AS n,
							CAST(sum(mentions) AS float8) AS s, CAST(sum(mentions * mentions) AS float8) AS q,
							CAST(sum(mentions) FILTER (WHERE sentiment IS NOT NULL) AS float8) AS w,
							sum(mentions * sentiment) AS v,
							max(mentions) FILTER (WHERE ago = 0) AS mentions, max(sentiment) FILTER (WHERE ago = 0) AS sentiment
						  FROM (SELECT token, :at - hour AS ago, mentions, sentiment FROM facts
								 WHERE hour > :at - 336 AND hour <= :at) f
						 GROUP BY token, ago - ago % 24) day
				) root
		 GROUP BY token) w
 WHERE mentions IS NOT NULL
