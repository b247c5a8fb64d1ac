/*
 * windows.h
 *
 * The metrics: figures of the windows of days that end at an hour.  Encoding is
 * the business of series_codec.h, and memory that of the caller; nothing here
 * needs a server.
 *
 * Sums are exact integers and turn into floating point in one place each, in
 * a fixed order of operations: the same rows give the same bits, whichever
 * way the sums were reached.
 */
#ifndef DEFIDATA_WINDOWS_H
#define DEFIDATA_WINDOWS_H

#include "observed.h"
#include "series_reader.h"

#pragma GCC visibility push(hidden)

/* days that the widest of the metrics reaches back */
#define WINDOW_DAYS		14

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

extern void metrics_start(MetricsWalk *walk, const ObservedHours *observed,
						  double min_coverage, RunningSums *room);
extern void metrics_add(MetricsWalk *walk, const SeriesEntry *entries, int count);
extern void metrics_ready(MetricsWalk *walk);
extern void metrics_move(MetricsWalk *walk, int32_t hour, Metrics *metrics);

#pragma GCC visibility pop

#endif							/* DEFIDATA_WINDOWS_H */
