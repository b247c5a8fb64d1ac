/*
 * sliding.c
 *
 * The arithmetic of a sliding window; sliding.h tells how its sums are kept.
 */
#include "sliding.h"

#include <math.h>
#include <string.h>

#include "figures.h"

/* unroll_start starts a walk over entries that were observed. */
void
unroll_start(UnrollWalk *walk, const ObservedHours *observed,
			 const SeriesEntry *entries, int count, int width)
{
	memset(walk, 0, sizeof(*walk));
	walk->observed = observed;
	walk->entries = entries;
	walk->count = count;
	walk->width = width;
}

/* HasEntryUntil tells whether the entry at a position is not after an hour. */
static inline bool
HasEntryUntil(const UnrollWalk *walk, int32_t position, int32_t hour)
{
	return position < walk->count && walk->entries[position].hour <= hour;
}

/* SlideEntry takes one entry into the window, or with sign -1 out of it. */
static inline void
SlideEntry(UnrollWalk *walk, const SeriesEntry *entry, int sign)
{
	walk->mentions += sign * entry->mentions;
	walk->squares += sign * ((sum128) entry->mentions * entry->mentions);
	walk->sentiment += sign * entry->sentiment_sum;
	walk->weight += sign * entry->sentiment_weight;
}

/* SlideWindows slides both windows so that they end at the hour and a width before. */
static void
SlideWindows(UnrollWalk *walk, int32_t hour)
{
	/* leaving goes first, lest a sum outgrow that of a window */
	for (; HasEntryUntil(walk, walk->back, hour - 2 * walk->width); walk->back++)
		if (walk->back < walk->middle)
			walk->mentions_prev -= walk->entries[walk->back].mentions;
	for (; HasEntryUntil(walk, walk->middle, hour - walk->width); walk->middle++)
	{
		if (walk->middle < walk->front)
			SlideEntry(walk, &walk->entries[walk->middle], -1);
		if (walk->middle >= walk->back)
			walk->mentions_prev += walk->entries[walk->middle].mentions;
	}
	for (; HasEntryUntil(walk, walk->front, hour); walk->front++)
		if (walk->front >= walk->middle)
			SlideEntry(walk, &walk->entries[walk->front], 1);
}

/* IsWindowCovered tells whether three quarters of a window were observed. */
static bool
IsWindowCovered(const UnrollWalk *walk, int32_t hours)
{
	return hours > 0 && 4 * (int64_t) hours >= 3 * (int64_t) walk->width;
}

/* WindowDeviation gives the sample standard deviation over the window. */
static SeriesStatus
WindowDeviation(const UnrollWalk *walk, int32_t hours, double *deviation)
{
	sum128		squares;
	sum128		square;
	sum128		difference;

	*deviation = NAN;
	if (!IsWindowCovered(walk, hours) || hours < 2)
		return SERIES_OK;
	if (__builtin_mul_overflow(walk->squares, (sum128) hours, &squares) ||
		__builtin_mul_overflow(walk->mentions, walk->mentions, &square))
		return SERIES_VARIANCE_RANGE;
	difference = squares - square;
	*deviation = sqrt((double) difference / ((double) hours * (hours - 1)));
	return SERIES_OK;
}

/* MoveEma moves the exponential mean on by the hours since its last value. */
static double
MoveEma(UnrollWalk *walk, int32_t hour, double mentions)
{
	double		alpha = 2.0 / (walk->width + 1.0);

	if (!walk->started)
		walk->ema = mentions;
	else
	{
		/* 1 - (1 - alpha) ^ gap, without losing digits where alpha is small */
		if (hour - walk->ema_hour > 1)
			alpha = -expm1((hour - walk->ema_hour) * log1p(-alpha));
		walk->ema += alpha * (mentions - walk->ema);
	}
	walk->started = true;
	walk->ema_hour = hour;
	return walk->ema;
}

/* unroll_move gives the figures of an observed hour later than that of the call before. */
SeriesStatus
unroll_move(UnrollWalk *walk, int32_t hour, int64_t *mentions, double figures[UNROLL_FIGURES])
{
	const SeriesEntry *entry;
	SeriesStatus status;
	int32_t		until_middle = observed_until(walk->observed, hour - walk->width);
	int32_t		until_back = observed_until(walk->observed, hour - 2 * walk->width);
	int32_t		hours = observed_until(walk->observed, hour) - until_middle;
	bool		covered = IsWindowCovered(walk, hours);
	double		distance;

	SlideWindows(walk, hour);
	entry = walk->front > 0 ? &walk->entries[walk->front - 1] : NULL;
	if (entry != NULL && entry->hour != hour)
		entry = NULL;
	*mentions = entry != NULL ? entry->mentions : 0;

	figures[UNROLL_SENTIMENT] = entry == NULL ? NAN :
		mean_sentiment(entry->sentiment_sum, entry->sentiment_weight);
	figures[UNROLL_SMA] = covered ? (double) walk->mentions / hours : NAN;
	figures[UNROLL_SMA_PREV] = IsWindowCovered(walk, until_middle - until_back) ?
		(double) walk->mentions_prev / (until_middle - until_back) : NAN;
	figures[UNROLL_CHANGE] = ratio(figures[UNROLL_SMA], figures[UNROLL_SMA_PREV]) - 1;

	status = WindowDeviation(walk, hours, &figures[UNROLL_STDDEV]);
	figures[UNROLL_RSD] = ratio(figures[UNROLL_STDDEV], figures[UNROLL_SMA]);
	/* subtracted as integers, lest large numbers lose their difference */
	distance = (double) ((sum128) hours * *mentions - walk->mentions) / hours;
	figures[UNROLL_ZSCORE] = ratio(distance, figures[UNROLL_STDDEV]);
	figures[UNROLL_EMA] = MoveEma(walk, hour, (double) *mentions);
	figures[UNROLL_SENTIMENT_AVG] = covered ?
		mean_sentiment(walk->sentiment, walk->weight) : NAN;
	return status;
}
