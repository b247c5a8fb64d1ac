/*
 * day_sums.h
 *
 * The metrics of many series at one hour: sums by day, from which windows.h goes
 * on as from the entries themselves.
 */
#ifndef DEFIDATA_DAY_SUMS_H
#define DEFIDATA_DAY_SUMS_H

#include "windows.h"

#pragma GCC visibility push(hidden)

/* the days of which the windows of 1, 7 and 14 days each have more than the one before */
#define WINDOW_SPANS	3

/*
 * Sums over one series by day back from one hour: all that the metrics of that
 * hour need, whatever the order in which the series' parts are added.  Mentions
 * are asked for by day, squares and sentiment only by window: there are many of
 * these, and memory is what they cost.
 */
typedef struct DaySums
{
	int32_t		hour;
	bool		has_own;		/* whether the hour has an entry */
	MentionSums own;			/* of the hour itself, which its day leaves out */
	SentimentSums own_sentiment;
	MentionSums oldest;			/* of the hour before all days, which spike_14d has still */
	uint64_t	mentions[WINDOW_DAYS];
	usum128		squares[WINDOW_SPANS];
	SentimentSums sentiment[WINDOW_SPANS];
} DaySums;

/* sums that a walk over DaySums has: none, the oldest hour's, one a day, and the hour's own */
#define DAY_SUMS_ROOM	(WINDOW_DAYS + 4)

extern void days_add(DaySums *sums, const ObservedHours *observed, SeriesReader *part);
extern void metrics_start_days(MetricsWalk *walk, const ObservedHours *observed,
							   double min_coverage, const DaySums *days,
							   RunningSums room[DAY_SUMS_ROOM]);

#pragma GCC visibility pop

#endif							/* DEFIDATA_DAY_SUMS_H */
