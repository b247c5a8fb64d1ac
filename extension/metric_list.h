/*
 * metric_list.h
 *
 * The metrics: METRIC(name, type, places, meaning) for each, in the order of the
 * attributes of defidata.metrics_row.  Name and type are those of SQL (float8 or
 * bigint), the meaning is the comment there.  The places are where it is a column:
 *
 *	 view	defidata.metrics, defidata_metrics() and token_stats
 *	 later	came after 1.0: in token_stats it is one of the last
 *	 stats	token_stats alone
 *	 board	the boards
 *	 sums	no table: the publisher reads it from the composite type
 *
 * From here come the struct Metrics (windows.h), the columns that metrics.c forms,
 * and by metric_list.awk the SQL of sql/metric_list.sql, whose functions the rest
 * of the SQL asks.  A metric is added at the end, here, in an update script by
 * ALTER TYPE ... ADD ATTRIBUTE, and with its formula in metrics_move(): who
 * declared fewer columns goes on with those.
 *
 * To be included where METRIC is defined, as often as it is of use.
 */
METRIC(mentions, bigint, "view board", "tweets that name the token in the hour")
METRIC(sentiment, float8, "view board", "mention-weighted mean sentiment of the hour")
METRIC(sma_24h, float8, "view board", "mean mentions an hour over the last 24 hours")
METRIC(sma_7d, float8, "view board", "mean mentions an hour over the last 7 days")
METRIC(sma_14d, float8, "view", "mean mentions an hour over the last 14 days")
METRIC(sma_24h_prev, float8, "view", "sma_24h as it was 24 hours before")
METRIC(sma_7d_prev, float8, "view", "sma_7d as it was 7 days before")
METRIC(change_24h, float8, "view board", "sma_24h / sma_24h_prev - 1")
METRIC(change_7d, float8, "view board", "sma_7d / sma_7d_prev - 1")
METRIC(trend_24h, float8, "view board",
	   "growth of the last 24 hours against the 13 days before, shrunk towards 0 for small counts"
	   " (DuMouchel 1999)")
METRIC(surge_14d, float8, "view board",
	   "the last day's distance from the 13 days before, in standard deviations of root counts"
	   " (Anscombe 1948)")
METRIC(deviation_14d, float8, "view", "mentions / sma_14d - 1")
METRIC(rsd_24h, float8, "view board", "relative standard deviation over 24 hours")
METRIC(rsd_7d, float8, "view board", "relative standard deviation over 7 days")
METRIC(rsd_14d, float8, "view", "relative standard deviation over 14 days")
METRIC(zscore_14d, float8, "view",
	   "(mentions - sma_14d) / sample standard deviation over 14 days")
METRIC(sentiment_24h, float8, "view board", "mention-weighted mean sentiment over 24 hours")
METRIC(sentiment_7d, float8, "view", "mention-weighted mean sentiment over 7 days")
METRIC(coverage_14d, float8, "view board", "share of the last 336 hours that was observed")
METRIC(mentions_24h, float8, "stats board", "mentions in 24 hours: 24 * sma_24h")
METRIC(baseline_24h, float8, "stats", "mentions that the 13 days before would give in 24 hours")
METRIC(total_24h, bigint, "sums", "plain sum of the mentions of 24 hours")
METRIC(total_14d, bigint, "sums", "plain sum of the mentions of 14 days")
METRIC(spike_14d, float8, "view later",
	   "mentions against the 14 days before the hour, in their sample standard deviations")
METRIC(sentiment_change, float8, "view later",
	   "sentiment_24h - mention-weighted mean sentiment of the 13 days before")

#undef METRIC
