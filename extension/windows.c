/*
 * windows.c
 *
 * The arithmetic of the metrics and of defidata_unroll over decoded entries.
 * Formulas are those of the table of metrics in the documentation; windows.h
 * tells how the sums are kept.
 */
#include "windows.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define DAY				HOURS_PER_DAY_WINDOW
#define WHOLE_DAY		UINT32_C(0xffffff)

/* surge_14d needs this many of the 13 days before */
#define MIN_SURGE_DAYS	7

/* Gives the day of an hour, counted from the first observed one. */
static inline int32_t
day_index(const ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	return since >= 0 ? since / DAY : -1;
}

/* Rounds an hour down to the start of its day. */
static int32_t
day_start(int32_t hour)
{
	return hour - (hour - SERIES_MIN_HOUR) % DAY;
}

/* Gives the bytes that observed_init needs for hours of the given range. */
size_t
observed_size(int32_t first_hour, int32_t last_hour)
{
	size_t		days = (size_t) ((last_hour - day_start(first_hour)) / DAY + 1);

	return days * sizeof(uint32_t) + (days + 1) * sizeof(int32_t);
}

/* Prepares an empty set of hours of the given range. */
void
observed_init(ObservedHours *observed, int32_t first_hour, int32_t last_hour, void *zeroed)
{
	observed->first_hour = day_start(first_hour);
	observed->days = (last_hour - observed->first_hour) / DAY + 1;
	observed->mask = zeroed;
	observed->before = (int32_t *) (observed->mask + observed->days);
}

/* Adds an hour of the range; the order and repetitions do not matter. */
void
observed_add(ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	observed->mask[since / DAY] |= UINT32_C(1) << since % DAY;
}

/* Makes the set ready for questions, once all hours are added. */
void
observed_count(ObservedHours *observed)
{
	observed->before[0] = 0;
	for (int32_t day = 0; day < observed->days; day++)
		observed->before[day + 1] = observed->before[day] +
			__builtin_popcount(observed->mask[day]);
}

/* Tells whether an hour was observed. */
bool
observed_has(const ObservedHours *observed, int32_t hour)
{
	int32_t		day = day_index(observed, hour);

	return day >= 0 && day < observed->days &&
		(observed->mask[day] >> (hour - observed->first_hour) % DAY & 1) != 0;
}

/* Counts a day's observed hours up to and including one of its 24. */
static inline int32_t
observed_in_day(const ObservedHours *observed, int32_t day, int32_t of_day)
{
	uint32_t	mask = observed->mask[day];

	/* the rule, and cheaper than to count the bits */
	if (mask == WHOLE_DAY)
		return of_day + 1;
	return __builtin_popcount(mask & ((UINT32_C(2) << of_day) - 1));
}

/* Counts the observed hours of days up to and including one of a day. */
static inline int32_t
observed_up_to(const ObservedHours *observed, int32_t day, int32_t of_day)
{
	if (day < 0)
		return 0;
	if (day >= observed->days)
		return observed->before[observed->days];
	return observed->before[day] + observed_in_day(observed, day, of_day);
}

/* Counts the observed hours up to and including the given one. */
int32_t
observed_until(const ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	return since < 0 ? 0 : observed_up_to(observed, since / DAY, since % DAY);
}

/* Divides, or gives no figure where the divisor is zero. */
static inline double
ratio(double dividend, double divisor)
{
	return divisor != 0 ? dividend / divisor : NAN;
}

/* Gives the mention-weighted mean sentiment, exact to the last rounding. */
double
mean_sentiment(sum128 sentiment, sum128 weight)
{
	return ratio((double) sentiment, (double) weight * (double) SERIES_NANO);
}

/* Starts a walk over a series whose entries are still to be added. */
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

/* Adds an entry to sums. */
static inline void
add_entry(RunningSums *sums, const SeriesEntry *entry)
{
	uint64_t	mentions = (uint64_t) entry->mentions;

	sums->mentions += mentions;
	sums->squares += (usum128) mentions * mentions;
	sums->sentiment += (usum128) entry->sentiment_sum;
	sums->weight += (uint64_t) entry->sentiment_weight;
}

/* Adds entries in ascending order of hours; outages hold no mentions. */
void
metrics_add(MetricsWalk *walk, const SeriesEntry *entries, int count)
{
	RunningSums sums = walk->sums[walk->count];

	for (int i = 0; i < count; i++)
	{
		if (!observed_has(walk->observed, entries[i].hour))
			continue;
		sums.hour = entries[i].hour;
		add_entry(&sums, &entries[i]);
		walk->sums[++walk->count] = sums;
	}
}

/* Adds a part's entries of the observed hours after one until another. */
static void
add_observed(const ObservedHours *observed, SeriesReader *part, int32_t after, int32_t until,
			 MentionSums *mentions, SentimentSums *sentiment)
{
	if (observed_until(observed, until) - observed_until(observed, after) == until - after)
		series_sum_until(part, until, mentions, sentiment);
	else
		for (int32_t hour = after + 1; hour <= until; hour++)
			if (observed_has(observed, hour))
				series_sum_until(part, hour, mentions, sentiment);
			else
				series_sum_until(part, hour, NULL, NULL);
}

/* Gives the span that a day belongs to. */
static inline int
span_of(int day)
{
	return (day >= 1) + (day >= 7);
}

/* Adds what windows ending at the hour hold of a part, opened but not yet read; parts in any order. */
void
days_add(DaySums *sums, const ObservedHours *observed, SeriesReader *part)
{
	int32_t		after = sums->hour - DAY * WINDOW_DAYS;

	series_sum_until(part, after, NULL, NULL);
	for (int k = WINDOW_DAYS - 1; k >= 0 && part->next < part->count; k--)
	{
		int32_t		until = k > 0 ? sums->hour - DAY * k : sums->hour - 1;
		int			span = span_of(k);
		MentionSums day = {0};

		if (part->hour < until)
		{
			add_observed(observed, part, after, until, &day,
						 span < WINDOW_SPANS - 1 ? &sums->sentiment[span] : NULL);
			sums->mentions[k] += (uint64_t) day.mentions;
			sums->squares[span] += day.squares;
		}
		after = until;
	}
	if (observed_has(observed, sums->hour))
		sums->has_own |= series_sum_until(part, sums->hour, &sums->own, &sums->own_sentiment) > 0;
}

/* Adds the sentiment of some entries to running sums. */
static inline void
add_sentiment(RunningSums *sums, const SentimentSums *more)
{
	sums->sentiment += more->sentiment;
	sums->weight += (uint64_t) more->weight;
}

/*
 * Adds sums to a walk, as of an hour.  The caller keeps the sums: to read back
 * what was just stored is slow.
 */
static inline void
append_sums(MetricsWalk *walk, RunningSums *sums, int32_t hour)
{
	sums->hour = hour;
	walk->sums[++walk->count] = *sums;
}

/*
 * Starts a walk that is to move to the hour of the sums only, and is ready.  Squares
 * and sentiment of a span stand at the end of its first day, as no window ends
 * within it; sentiment of the oldest one is in no window.
 */
void
metrics_start_days(MetricsWalk *walk, const ObservedHours *observed, double min_coverage,
				   const DaySums *days, RunningSums room[DAY_SUMS_ROOM])
{
	RunningSums sums = {0};

	metrics_start(walk, observed, min_coverage, room);
	for (int k = WINDOW_DAYS - 1; k >= 0; k--)
	{
		int			span = span_of(k);

		sums.mentions += days->mentions[k];
		if (k == WINDOW_DAYS - 1 || span != span_of(k + 1))
		{
			sums.squares += days->squares[span];
			if (span < WINDOW_SPANS - 1)
				add_sentiment(&sums, &days->sentiment[span]);
		}
		append_sums(walk, &sums, k > 0 ? days->hour - DAY * k : days->hour - 1);
	}
	if (days->has_own)
	{
		sums.mentions += (uint64_t) days->own.mentions;
		sums.squares += days->own.squares;
		add_sentiment(&sums, &days->own_sentiment);
		append_sums(walk, &sums, days->hour);
	}
	metrics_ready(walk);
}

/* Closes the series, so that the walk can begin. */
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
} DayEnds;

/* Counts the observed hours from an earlier day's end to a later one. */
static inline int32_t
hours_of(const DayEnds *ends, int later, int earlier)
{
	return ends->observed[later] - ends->observed[earlier];
}

/* Tells whether enough hours of a window were observed to speak of it. */
static inline bool
is_covered(const DayEnds *ends, int later, int earlier)
{
	int32_t		hours = hours_of(ends, later, earlier);

	return hours > 0 && hours >= ends->min_coverage * (DAY * (earlier - later));
}

/* Gives the mean of mentions over a window. */
static inline double
mean_of(const DayEnds *ends, int later, int earlier)
{
	uint64_t	mentions = ends->sums[later]->mentions - ends->sums[earlier]->mentions;

	if (!is_covered(ends, later, earlier))
		return NAN;
	return (double) mentions / hours_of(ends, later, earlier);
}

/* Gives the sample standard deviation of mentions over the latest days. */
static inline double
deviation_of(const DayEnds *ends, int days)
{
	usum128		mentions = ends->sums[0]->mentions - ends->sums[days]->mentions;
	usum128		squares = ends->sums[0]->squares - ends->sums[days]->squares;
	int32_t		hours = hours_of(ends, 0, days);

	if (!is_covered(ends, 0, days) || hours < 2)
		return NAN;
	return sqrt((double) ((usum128) hours * squares - mentions * mentions) /
				((double) hours * (hours - 1)));
}

/* Gives how far the hour's mentions are from their mean over all days. */
static inline double
distance_of(const DayEnds *ends)
{
	uint64_t	mentions = ends->sums[0]->mentions - ends->sums[WINDOW_DAYS]->mentions;
	int32_t		hours = hours_of(ends, 0, WINDOW_DAYS);

	/* subtracted as integers, lest large numbers lose their difference */
	return (double) (hours * ends->mentions - (int64_t) mentions) / hours;
}

/* Gives the mention-weighted mean sentiment over the latest days. */
static inline double
sentiment_of(const DayEnds *ends, int days)
{
	uint64_t	weight = ends->sums[0]->weight - ends->sums[days]->weight;

	if (!is_covered(ends, 0, days))
		return NAN;
	return mean_sentiment((sum128) (ends->sums[0]->sentiment - ends->sums[days]->sentiment),
						  weight);
}

/* Gives the sample standard deviation of a few numbers. */
static double
deviation_of_roots(const double *roots, int count, double mean)
{
	double		sum = 0;

	for (int i = 0; i < count; i++)
		sum += (roots[i] - mean) * (roots[i] - mean);
	return sqrt(sum / (count - 1));
}

/* Compares the latest day's mentions, as a root, with the 13 days before. */
static double
surge_of(const DayEnds *ends)
{
	double		roots[WINDOW_DAYS];
	double		latest = 2 * sqrt(DAY * mean_of(ends, 0, 1) + 0.375);
	double		mean = 0;
	int			count = 0;

	for (int k = 1; k < WINDOW_DAYS; k++)
	{
		double		root = 2 * sqrt(DAY * mean_of(ends, k, k + 1) + 0.375);

		if (isnan(root))
			continue;
		roots[count++] = root;
		mean += root;
	}
	if (count < MIN_SURGE_DAYS)
		return NAN;
	mean /= count;
	return (latest - mean) / fmax(1, deviation_of_roots(roots, count, mean));
}

/* Moves the walk's positions to an hour and notes what stands there. */
static void
collect_day_ends(MetricsWalk *walk, int32_t hour, DayEnds *ends)
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
}

/* Gives the hour's own mentions and sentiment; a silent hour has none. */
static void
fill_hour(DayEnds *ends, int32_t hour, Metrics *metrics)
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

/* Gives the plain sum of the mentions of the latest days. */
static inline int64_t
total_of(const DayEnds *ends, int days)
{
	return (int64_t) (ends->sums[0]->mentions - ends->sums[days]->mentions);
}

/* Gives all metrics of an hour not earlier than that of the call before. */
void
metrics_move(MetricsWalk *walk, int32_t hour, Metrics *metrics)
{
	Metrics    *m = metrics;
	DayEnds		ends;
	double		deviation;

	collect_day_ends(walk, hour, &ends);
	fill_hour(&ends, hour, m);

	m->sma_24h = mean_of(&ends, 0, 1);
	m->sma_7d = mean_of(&ends, 0, 7);
	m->sma_14d = mean_of(&ends, 0, 14);
	m->sma_24h_prev = mean_of(&ends, 1, 2);
	m->sma_7d_prev = mean_of(&ends, 7, 14);
	m->change_24h = ratio(m->sma_24h, m->sma_24h_prev) - 1;
	m->change_7d = ratio(m->sma_7d, m->sma_7d_prev) - 1;

	m->mentions_24h = DAY * m->sma_24h;
	m->baseline_24h = DAY * mean_of(&ends, 1, 14);
	m->trend_24h = (m->mentions_24h + DAY) / (m->baseline_24h + DAY) - 1;
	m->surge_14d = surge_of(&ends);

	deviation = deviation_of(&ends, 14);
	m->deviation_14d = ratio((double) m->mentions, m->sma_14d) - 1;
	m->rsd_24h = ratio(deviation_of(&ends, 1), m->sma_24h);
	m->rsd_7d = ratio(deviation_of(&ends, 7), m->sma_7d);
	m->rsd_14d = ratio(deviation, m->sma_14d);
	m->zscore_14d = ratio(distance_of(&ends), deviation);

	m->sentiment_24h = sentiment_of(&ends, 1);
	m->sentiment_7d = sentiment_of(&ends, 7);
	m->coverage_14d = hours_of(&ends, 0, WINDOW_DAYS) / (double) (DAY * WINDOW_DAYS);
	m->total_24h = total_of(&ends, 1);
	m->total_14d = total_of(&ends, WINDOW_DAYS);
}

/* Starts a walk over entries that were observed. */
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

/* Tells whether the entry at a position is not after an hour. */
static inline bool
has_entry_until(const UnrollWalk *walk, int32_t position, int32_t hour)
{
	return position < walk->count && walk->entries[position].hour <= hour;
}

/* Takes one entry into the window, or with sign -1 out of it. */
static inline void
slide_entry(UnrollWalk *walk, const SeriesEntry *entry, int sign)
{
	walk->mentions += sign * entry->mentions;
	walk->squares += sign * ((sum128) entry->mentions * entry->mentions);
	walk->sentiment += sign * entry->sentiment_sum;
	walk->weight += sign * entry->sentiment_weight;
}

/* Slides both windows so that they end at the hour and a width before. */
static void
slide_windows(UnrollWalk *walk, int32_t hour)
{
	/* leaving goes first, lest a sum outgrow that of a window */
	for (; has_entry_until(walk, walk->back, hour - 2 * walk->width); walk->back++)
		if (walk->back < walk->middle)
			walk->mentions_prev -= walk->entries[walk->back].mentions;
	for (; has_entry_until(walk, walk->middle, hour - walk->width); walk->middle++)
	{
		if (walk->middle < walk->front)
			slide_entry(walk, &walk->entries[walk->middle], -1);
		if (walk->middle >= walk->back)
			walk->mentions_prev += walk->entries[walk->middle].mentions;
	}
	for (; has_entry_until(walk, walk->front, hour); walk->front++)
		if (walk->front >= walk->middle)
			slide_entry(walk, &walk->entries[walk->front], 1);
}

/* Tells whether three quarters of a window were observed. */
static bool
is_window_covered(const UnrollWalk *walk, int32_t hours)
{
	return hours > 0 && 4 * (int64_t) hours >= 3 * (int64_t) walk->width;
}

/* Gives the sample standard deviation over the window. */
static SeriesStatus
window_deviation(const UnrollWalk *walk, int32_t hours, double *deviation)
{
	sum128		squares;
	sum128		square;
	sum128		difference;

	*deviation = NAN;
	if (!is_window_covered(walk, hours) || hours < 2)
		return SERIES_OK;
	if (__builtin_mul_overflow(walk->squares, (sum128) hours, &squares) ||
		__builtin_mul_overflow(walk->mentions, walk->mentions, &square))
		return SERIES_VARIANCE_RANGE;
	difference = squares - square;
	*deviation = sqrt((double) difference / ((double) hours * (hours - 1)));
	return SERIES_OK;
}

/* Moves the exponential mean on by the hours since its last value. */
static double
move_ema(UnrollWalk *walk, int32_t hour, double mentions)
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

/* Gives the figures of an observed hour later than that of the call before. */
SeriesStatus
unroll_move(UnrollWalk *walk, int32_t hour, int64_t *mentions, double figures[UNROLL_FIGURES])
{
	const SeriesEntry *entry;
	SeriesStatus status;
	int32_t		until_middle = observed_until(walk->observed, hour - walk->width);
	int32_t		until_back = observed_until(walk->observed, hour - 2 * walk->width);
	int32_t		hours = observed_until(walk->observed, hour) - until_middle;
	bool		covered = is_window_covered(walk, hours);
	double		distance;

	slide_windows(walk, hour);
	entry = walk->front > 0 ? &walk->entries[walk->front - 1] : NULL;
	if (entry != NULL && entry->hour != hour)
		entry = NULL;
	*mentions = entry != NULL ? entry->mentions : 0;

	figures[UNROLL_SENTIMENT] = entry == NULL ? NAN :
		mean_sentiment(entry->sentiment_sum, entry->sentiment_weight);
	figures[UNROLL_SMA] = covered ? (double) walk->mentions / hours : NAN;
	figures[UNROLL_SMA_PREV] = is_window_covered(walk, until_middle - until_back) ?
		(double) walk->mentions_prev / (until_middle - until_back) : NAN;
	figures[UNROLL_CHANGE] = ratio(figures[UNROLL_SMA], figures[UNROLL_SMA_PREV]) - 1;

	status = window_deviation(walk, hours, &figures[UNROLL_STDDEV]);
	figures[UNROLL_RSD] = ratio(figures[UNROLL_STDDEV], figures[UNROLL_SMA]);
	/* subtracted as integers, lest large numbers lose their difference */
	distance = (double) ((sum128) hours * *mentions - walk->mentions) / hours;
	figures[UNROLL_ZSCORE] = ratio(distance, figures[UNROLL_STDDEV]);
	figures[UNROLL_EMA] = move_ema(walk, hour, (double) *mentions);
	figures[UNROLL_SENTIMENT_AVG] = covered ?
		mean_sentiment(walk->sentiment, walk->weight) : NAN;
	return status;
}
