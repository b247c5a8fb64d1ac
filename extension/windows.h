/*
 * windows.h
 *
 * What a series means over time: which hours were observed, and the figures
 * of the windows that end at an hour.  Encoding is the business of
 * series_codec.h, and memory that of the caller; nothing here needs a server.
 *
 * A figure that is not defined (a window with too few observed hours, a
 * division by zero) is a NaN, which the figures computed from it inherit.
 * Sums are exact integers and turn into floating point in one place each, in
 * a fixed order of operations: the same rows give the same bits, whichever
 * way the sums were reached.
 */
#ifndef DEFIDATA_WINDOWS_H
#define DEFIDATA_WINDOWS_H

#include "series_codec.h"

#pragma GCC visibility push(hidden)

#define HOURS_PER_DAY_WINDOW 24

/* days that the widest of the metrics reaches back */
#define WINDOW_DAYS		14

/* ten years; sums over more could outgrow 128 bits */
#define MAX_WINDOW_HOURS 87672

/*
 * The observed hours, 24 bits a day, and for each day the number of observed
 * hours before it.  So the number of those in any window takes two look-ups,
 * and the size is bounded by the calendar, whatever the array it was made of.
 *
 *	 day		first_hour / 24		+1			+2
 *	 mask	   |111111111111110000000|111111111111|111000000000|
 *	 before    |0                    |14          |38          |41
 */
typedef struct ObservedHours
{
	int32_t		first_hour;		/* of the first day */
	int32_t		days;
	uint32_t   *mask;			/* one a day */
	int32_t    *before;			/* one a day, and the total */
} ObservedHours;

extern size_t observed_size(int32_t first_hour, int32_t last_hour);
extern void observed_init(ObservedHours *observed, int32_t first_hour, int32_t last_hour,
						  void *zeroed);
extern void observed_add(ObservedHours *observed, int32_t hour);
extern void observed_count(ObservedHours *observed);
extern bool observed_has(const ObservedHours *observed, int32_t hour);
extern int32_t observed_until(const ObservedHours *observed, int32_t hour);

/* The metrics of one hour. */
typedef double metric_float8;
typedef int64_t metric_bigint;

typedef struct Metrics
{
#define METRIC(name, type, places, meaning) metric_##type name;
#include "metric_list.h"
} Metrics;

/* The sums over a series from its beginning up to and including one hour. */
typedef struct RunningSums
{
	usum128		squares;
	usum128		sentiment;
	uint64_t	mentions;
	uint64_t	weight;
	int32_t		hour;
} RunningSums;

/*
 * Metrics of one series at ever later hours.  sums[0] is zero and stands
 * before all hours, sums[count + 1].hour after them, so that no step needs to
 * test for an end.  at[k] is the last sum not after the current hour - k days:
 *
 *	 sums	 0 . . . . . . . . . . . . . . . . . . . count
 *					 ^		^	   ^	  ^
 *					at[3]  at[2]  at[1]  at[0] = current hour
 *
 * A window's sum is the difference of two of them.  The sums may wrap around:
 * differences are right as long as the window's own sum fits.
 */
typedef struct MetricsWalk
{
	const ObservedHours *observed;
	double		min_coverage;
	RunningSums *sums;			/* room for all entries and two more */
	int32_t		count;
	int32_t		at[WINDOW_DAYS + 1];
} MetricsWalk;

/* the days of which the windows of 1, 7 and 14 days each have more than the one before */
#define WINDOW_SPANS	3

/*
 * Sums over one series by day back from one hour: all that the metrics of that
 * hour need, whatever the order in which the series' parts are added.  Mentions
 * are asked for by day, squares and sentiment only by window, the latter of no
 * more than 7 days: there are many of these, and memory is what they cost.
 */
typedef struct DaySums
{
	int32_t		hour;
	bool		has_own;		/* whether the hour has an entry */
	MentionSums own;			/* of the hour itself, which its day leaves out */
	SentimentSums own_sentiment;
	uint64_t	mentions[WINDOW_DAYS];
	usum128		squares[WINDOW_SPANS];
	SentimentSums sentiment[WINDOW_SPANS - 1];
} DaySums;

/* sums that a walk over DaySums has: none, one a day, and the hour's own */
#define DAY_SUMS_ROOM	(WINDOW_DAYS + 3)

extern void days_add(DaySums *sums, const ObservedHours *observed, SeriesReader *part);
extern void metrics_start_days(MetricsWalk *walk, const ObservedHours *observed,
							   double min_coverage, const DaySums *days,
							   RunningSums room[DAY_SUMS_ROOM]);

extern void metrics_start(MetricsWalk *walk, const ObservedHours *observed,
						  double min_coverage, RunningSums *room);
extern void metrics_add(MetricsWalk *walk, const SeriesEntry *entries, int count);
extern void metrics_ready(MetricsWalk *walk);
extern void metrics_move(MetricsWalk *walk, int32_t hour, Metrics *metrics);

/* The figures of defidata_unroll after its hour and mentions. */
typedef enum UnrollFigure
{
	UNROLL_SENTIMENT,
	UNROLL_SMA,
	UNROLL_SMA_PREV,
	UNROLL_CHANGE,
	UNROLL_STDDEV,
	UNROLL_RSD,
	UNROLL_ZSCORE,
	UNROLL_EMA,
	UNROLL_SENTIMENT_AVG,
	UNROLL_FIGURES
} UnrollFigure;

/*
 * One window of any width sliding over entries whose hours were all observed.
 * Entries enter at the front, leave at middle into the window before, and
 * leave that one at back.
 */
typedef struct UnrollWalk
{
	const ObservedHours *observed;
	const SeriesEntry *entries;
	int32_t		count;
	int32_t		width;
	int32_t		back;			/* entries not after hour - 2 * width */
	int32_t		middle;			/* entries not after hour - width */
	int32_t		front;			/* entries not after hour */
	sum128		mentions;		/* over (hour - width, hour] */
	sum128		squares;
	sum128		sentiment;
	sum128		weight;
	sum128		mentions_prev;	/* over the window before */
	double		ema;
	int32_t		ema_hour;		/* of the value that ema holds */
	bool		started;
} UnrollWalk;

extern void unroll_start(UnrollWalk *walk, const ObservedHours *observed,
						 const SeriesEntry *entries, int count, int width);
extern SeriesStatus unroll_move(UnrollWalk *walk, int32_t hour, int64_t *mentions,
								double figures[UNROLL_FIGURES]);

extern double mean_sentiment(sum128 sentiment, sum128 weight);

#pragma GCC visibility pop

#endif							/* DEFIDATA_WINDOWS_H */
