/*
 * day_sums.c
 *
 * Sums the parts of a series by day, and starts a walk over the sums; see
 * day_sums.h.
 */
#include "day_sums.h"

#define DAY				OBSERVED_DAY

/* AddObserved adds a part's entries of the observed hours after one until another. */
static void
AddObserved(const ObservedHours *observed, SeriesReader *part, int32_t after, int32_t until,
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

/* SpanOf gives the span that a day belongs to. */
static inline int
SpanOf(int day)
{
	return (day >= 1) + (day >= 7);
}

/*
 * days_add adds what windows ending at the hour hold of a part, opened but not yet
 * read; parts come in any order.
 */
void
days_add(DaySums *sums, const ObservedHours *observed, SeriesReader *part)
{
	int32_t		after = sums->hour - DAY * WINDOW_DAYS;

	series_sum_until(part, after - 1, NULL, NULL);
	series_sum_until(part, after, observed_has(observed, after) ? &sums->oldest : NULL, NULL);
	for (int k = WINDOW_DAYS - 1; k >= 0 && part->next < part->count; k--)
	{
		int32_t		until = k > 0 ? sums->hour - DAY * k : sums->hour - 1;
		int			span = SpanOf(k);
		MentionSums day = {0};

		if (part->hour < until)
		{
			AddObserved(observed, part, after, until, &day, &sums->sentiment[span]);
			sums->mentions[k] += (uint64_t) day.mentions;
			sums->squares[span] += day.squares;
		}
		after = until;
	}
	if (observed_has(observed, sums->hour))
		sums->has_own |= series_sum_until(part, sums->hour, &sums->own, &sums->own_sentiment) > 0;
}

/* AddSentiment adds the sentiment of some entries to running sums. */
static inline void
AddSentiment(RunningSums *sums, const SentimentSums *more)
{
	sums->sentiment += more->sentiment;
	sums->weight += (uint64_t) more->weight;
}

/*
 * AppendSums adds sums to a walk, as of an hour.  The caller keeps the sums: to read back
 * what was just stored is slow.
 */
static inline void
AppendSums(MetricsWalk *walk, RunningSums *sums, int32_t hour)
{
	sums->hour = hour;
	walk->sums[++walk->count] = *sums;
}

/*
 * metrics_start_days starts a walk that is to move to the hour of the sums only,
 * and is ready.  Squares and sentiment of a span stand at the end of its first day,
 * as no window ends within it.
 */
void
metrics_start_days(MetricsWalk *walk, const ObservedHours *observed, double min_coverage,
				   const DaySums *days, RunningSums room[DAY_SUMS_ROOM])
{
	RunningSums sums = {0};

	metrics_start(walk, observed, min_coverage, room);
	sums.mentions = (uint64_t) days->oldest.mentions;
	sums.squares = days->oldest.squares;
	AppendSums(walk, &sums, days->hour - DAY * WINDOW_DAYS);
	for (int k = WINDOW_DAYS - 1; k >= 0; k--)
	{
		int			span = SpanOf(k);

		sums.mentions += days->mentions[k];
		if (k == WINDOW_DAYS - 1 || span != SpanOf(k + 1))
		{
			sums.squares += days->squares[span];
			AddSentiment(&sums, &days->sentiment[span]);
		}
		AppendSums(walk, &sums, k > 0 ? days->hour - DAY * k : days->hour - 1);
	}
	if (days->has_own)
	{
		sums.mentions += (uint64_t) days->own.mentions;
		sums.squares += days->own.squares;
		AddSentiment(&sums, &days->own_sentiment);
		AppendSums(walk, &sums, days->hour);
	}
	metrics_ready(walk);
}
