/*
 * sliding.h
 *
 * One window of any width that slides over a series: the figures of
 * defidata_unroll.  It needs no server.
 */
#ifndef DEFIDATA_SLIDING_H
#define DEFIDATA_SLIDING_H

#include "observed.h"

#pragma GCC visibility push(hidden)

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

#pragma GCC visibility pop

#endif							/* DEFIDATA_SLIDING_H */
