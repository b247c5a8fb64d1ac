/*
 * windows.c
 *
 * The arithmetic of the metrics.  Formulas are those of the table of metrics in
 * the documentation; windows.h tells how the sums are kept.
 */
#include "windows.h"

#include <math.h>
#include <string.h>

#include "figures.h"

#define DAY				OBSERVED_DAY

/* surge_14d needs this many of the 13 days before */
#define MIN_SURGE_DAYS	7

/* spike_14d needs this many of the hours before */
#define MIN_SPIKE_HOURS	24

/* metrics_start starts a walk over a series whose entries are still to be added. */
void
metrics_start(MetricsWalk *walk, const ObservedHours *observed, double min_coverage,
			  RunningSums *room)
{
	memset(walk, 0, sizeof(*walk));
	memset(room, 0, sizeof(*room));
	room->hour = INT32_MIN;
	walk->observed = observed;
	walk->min_coverage = min_coverage;
	walk->sums = room;
}

/* AddEntry adds an entry to sums. */
static inline void
AddEntry(RunningSums *sums, const SeriesEntry *entry)
{
	uint64_t	mentions = (uint64_t) entry->mentions;

	sums->mentions += mentions;
	sums->squares += (usum128) mentions * mentions;
	sums->sentiment += (usum128) entry->sentiment_sum;
	sums->weight += (uint64_t) entry->sentiment_weight;
}

/* metrics_add adds entries in ascending order of hours; outages hold no mentions. */
void
metrics_add(MetricsWalk *walk, const SeriesEntry *entries, int count)
{
	RunningSums sums = walk->sums[walk->count];

	for (int i = 0; i < count; i++)
	{
		if (!observed_has(walk->observed, entries[i].hour))
			continue;
		sums.hour = entries[i].hour;
		AddEntry(&sums, &entries[i]);
		walk->sums[++walk->count] = sums;
	}
}

/* metrics_ready closes the series, so that the walk can begin. */
void
metrics_ready(MetricsWalk *walk)
{
	walk->sums[walk->count + 1].hour = INT32_MAX;
}

/* One hour's view back: the sums and the observed hours at each day's end. */
typedef struct DayEnds
{
	double		min_coverage;
	int64_t		mentions;		/* of the hour itself */
	const RunningSums *sums[WINDOW_DAYS + 1];
	int32_t		observed[WINDOW_DAYS + 1];
	/* of all days, but each an hour earlier: the hour itself is not among them */
	const RunningSums *former_end;
	const RunningSums *former_start;
	int32_t		former_hours;
} DayEnds;

/* HoursOf counts the observed hours from an earlier day's end to a later one. */
static inline int32_t
HoursOf(const DayEnds *ends, int later, int earlier)
{
	return ends->observed[later] - ends->observed[earlier];
}

/* IsCovered tells whether enough hours of a window were observed to speak of it. */
static inline bool
IsCovered(const DayEnds *ends, int later, int earlier)
{
	int32_t		hours = HoursOf(ends, later, earlier);

	return hours > 0 && hours >= ends->min_coverage * (DAY * (earlier - later));
}

/* MeanOf gives the mean of mentions over a window. */
static inline double
MeanOf(const DayEnds *ends, int later, int earlier)
{
	uint64_t	mentions = ends->sums[later]->mentions - ends->sums[earlier]->mentions;

	if (!IsCovered(ends, later, earlier))
		return NAN;
	return (double) mentions / HoursOf(ends, later, earlier);
}

/*
 * DeviationBetween gives the sample standard deviation of mentions over the hours
 * between two sums, of which there are at least two.
 */
static inline double
DeviationBetween(const RunningSums *later, const RunningSums *earlier, int32_t hours)
{
	usum128		mentions = later->mentions - earlier->mentions;
	usum128		squares = later->squares - earlier->squares;

	return sqrt((double) ((usum128) hours * squares - mentions * mentions) /
				((double) hours * (hours - 1)));
}

/* DistanceBetween gives how far mentions are from their mean over the hours between two sums. */
static inline double
DistanceBetween(int64_t mentions, const RunningSums *later, const RunningSums *earlier,
				int32_t hours)
{
	/* subtracted as integers, lest large numbers lose their difference */
	return (double) (hours * mentions - (int64_t) (later->mentions - earlier->mentions)) / hours;
}

/* DeviationOf gives the sample standard deviation of mentions over the latest days. */
static inline double
DeviationOf(const DayEnds *ends, int days)
{
	int32_t		hours = HoursOf(ends, 0, days);

	if (!IsCovered(ends, 0, days) || hours < 2)
		return NAN;
	return DeviationBetween(ends->sums[0], ends->sums[days], hours);
}

/* DistanceOf gives how far the hour's mentions are from their mean over all days. */
static inline double
DistanceOf(const DayEnds *ends)
{
	return DistanceBetween(ends->mentions, ends->sums[0], ends->sums[WINDOW_DAYS],
						   HoursOf(ends, 0, WINDOW_DAYS));
}

/* SpikeOf compares the hour's mentions with the 14 days before it, in their deviations. */
static inline double
SpikeOf(const DayEnds *ends)
{
	const RunningSums *end = ends->former_end;
	const RunningSums *start = ends->former_start;
	int32_t		hours = ends->former_hours;

	if (hours < MIN_SPIKE_HOURS)
		return NAN;
	return ratio(DistanceBetween(ends->mentions, end, start, hours),
				 DeviationBetween(end, start, hours));
}

/* SentimentOf gives the mention-weighted mean from an earlier day's end to a later one. */
static inline double
SentimentOf(const DayEnds *ends, int later, int earlier)
{
	const RunningSums *end = ends->sums[later];
	const RunningSums *start = ends->sums[earlier];

	if (!IsCovered(ends, later, earlier))
		return NAN;
	return mean_sentiment((sum128) (end->sentiment - start->sentiment),
						  end->weight - start->weight);
}

/* DeviationOfRoots gives the sample standard deviation of a few numbers. */
static double
DeviationOfRoots(const double *roots, int count, double mean)
{
	double		sum = 0;

	for (int i = 0; i < count; i++)
		sum += (roots[i] - mean) * (roots[i] - mean);
	return sqrt(sum / (count - 1));
}

/* SurgeOf compares the latest day's mentions, as a root, with the 13 days before. */
static double
SurgeOf(const DayEnds *ends)
{
	double		roots[WINDOW_DAYS];
	double		latest = 2 * sqrt(DAY * MeanOf(ends, 0, 1) + 0.375);
	double		mean = 0;
	int			count = 0;

	for (int k = 1; k < WINDOW_DAYS; k++)
	{
		double		root = 2 * sqrt(DAY * MeanOf(ends, k, k + 1) + 0.375);

		if (isnan(root))
			continue;
		roots[count++] = root;
		mean += root;
	}
	if (count < MIN_SURGE_DAYS)
		return NAN;
	mean /= count;
	return (latest - mean) / fmax(1, DeviationOfRoots(roots, count, mean));
}

/* SumsBefore gives the last sums before an hour, of the last ones not after it. */
static inline const RunningSums *
SumsBefore(const RunningSums *sums, int32_t hour)
{
	return sums->hour == hour ? sums - 1 : sums;
}

/* CollectDayEnds moves the walk's positions to an hour and notes what stands there. */
static void
CollectDayEnds(MetricsWalk *walk, int32_t hour, DayEnds *ends)
{
	int32_t		since = hour - walk->observed->first_hour;
	int32_t		of_day = (hour - SERIES_MIN_HOUR) % DAY;
	int32_t		day = since >= 0 ? since / DAY : -1;
	int32_t		at = 0;

	/* from the earliest day on, as each stands at or after the one before */
	for (int k = WINDOW_DAYS; k >= 0; k--)
	{
		if (at < walk->at[k])
			at = walk->at[k];
		while (walk->sums[at + 1].hour <= hour - DAY * k)
			at++;
		walk->at[k] = at;
		ends->sums[k] = &walk->sums[at];
		ends->observed[k] = observed_up_to(walk->observed, day - k, of_day);
	}
	ends->min_coverage = walk->min_coverage;
	ends->former_end = SumsBefore(ends->sums[0], hour);
	ends->former_start = SumsBefore(ends->sums[WINDOW_DAYS], hour - DAY * WINDOW_DAYS);
	ends->former_hours = observed_until(walk->observed, hour - 1) -
		observed_until(walk->observed, hour - 1 - DAY * WINDOW_DAYS);
}

/* FillHour gives the hour's own mentions and sentiment; a silent hour has none. */
static void
FillHour(DayEnds *ends, int32_t hour, Metrics *metrics)
{
	const RunningSums *sums = ends->sums[0];

	ends->mentions = 0;
	metrics->sentiment = NAN;
	if (sums->hour == hour)
	{
		ends->mentions = (int64_t) (sums->mentions - sums[-1].mentions);
		metrics->sentiment = mean_sentiment((sum128) (sums->sentiment - sums[-1].sentiment),
											sums->weight - sums[-1].weight);
	}
	metrics->mentions = ends->mentions;
}

/* TotalOf gives the plain sum of the mentions of the latest days. */
static inline int64_t
TotalOf(const DayEnds *ends, int days)
{
	return (int64_t) (ends->sums[0]->mentions - ends->sums[days]->mentions);
}

/* metrics_move gives all metrics of an hour not earlier than that of the call before. */
void
metrics_move(MetricsWalk *walk, int32_t hour, Metrics *metrics)
{
	Metrics    *m = metrics;
	DayEnds		ends;
	double		deviation;

	CollectDayEnds(walk, hour, &ends);
	FillHour(&ends, hour, m);

	m->sma_24h = MeanOf(&ends, 0, 1);
	m->sma_7d = MeanOf(&ends, 0, 7);
	m->sma_14d = MeanOf(&ends, 0, 14);
	m->sma_24h_prev = MeanOf(&ends, 1, 2);
	m->sma_7d_prev = MeanOf(&ends, 7, 14);
	m->change_24h = ratio(m->sma_24h, m->sma_24h_prev) - 1;
	m->change_7d = ratio(m->sma_7d, m->sma_7d_prev) - 1;

	m->mentions_24h = DAY * m->sma_24h;
	m->baseline_24h = DAY * MeanOf(&ends, 1, 14);
	m->trend_24h = (m->mentions_24h + DAY) / (m->baseline_24h + DAY) - 1;
	m->surge_14d = SurgeOf(&ends);

	deviation = DeviationOf(&ends, 14);
	m->deviation_14d = ratio((double) m->mentions, m->sma_14d) - 1;
	m->rsd_24h = ratio(DeviationOf(&ends, 1), m->sma_24h);
	m->rsd_7d = ratio(DeviationOf(&ends, 7), m->sma_7d);
	m->rsd_14d = ratio(deviation, m->sma_14d);
	m->zscore_14d = ratio(DistanceOf(&ends), deviation);

	m->spike_14d = SpikeOf(&ends);

	m->sentiment_24h = SentimentOf(&ends, 0, 1);
	m->sentiment_7d = SentimentOf(&ends, 0, 7);
	m->sentiment_change = m->sentiment_24h - SentimentOf(&ends, 1, WINDOW_DAYS);
	m->coverage_14d = HoursOf(&ends, 0, WINDOW_DAYS) / (double) (DAY * WINDOW_DAYS);
	m->total_24h = TotalOf(&ends, 1);
	m->total_14d = TotalOf(&ends, WINDOW_DAYS);
}
