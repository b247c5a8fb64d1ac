/*
 * series_fuzz.c
 *
 * A libFuzzer harness for the parts of the engine that need no server: the
 * files of the headers below, with which test/run.sh links it.  The input's first
 * byte chooses the target:
 *
 *	 0	any bytes as an encoded series: reading them does no harm, and what is
 *		accepted is encoded to the same bytes again;
 *	 1	any text as an entry: what is accepted prints and parses to the same;
 *	 2	entries and observed hours drawn from the input: every figure equals
 *		that of a plain loop over the hours of its window.  The code walks over
 *		all hours; the loop is slow and compares some of them, which ones the
 *		input decides;
 *	 3	entries drawn from the input: they are read from their encoding as they
 *		were, and sums over stretches of hours are right.  Then some of its bytes
 *		are changed, which is as target 0, but never far from a valid series.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "day_sums.h"
#include "observed.h"
#include "series_codec.h"
#include "series_reader.h"
#include "series_text.h"
#include "series_writer.h"
#include "sliding.h"
#include "windows.h"

#define MAX_ENTRIES 4096
#define MAX_HOURS	450			/* the longest window and some days */
#define COMPARED_EVERY 29		/* coprime to a day: all times of day have their turn */

/* The plain loops are no code under test: counting their branches costs more than they. */
#define UNCOUNTED __attribute__((no_sanitize("coverage")))

#define REQUIRE(condition) \
	do { if (!(condition)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tells whether two entries are the same. */
static bool
same_entry(const SeriesEntry *a, const SeriesEntry *b)
{
	return a->hour == b->hour && a->mentions == b->mentions &&
		a->sentiment_weight == b->sentiment_weight && a->sentiment_sum == b->sentiment_sum;
}

/* Requires that an entry survives its text. */
static void
check_text_of(const SeriesEntry *entry)
{
	char		text[SERIES_TEXT_SIZE];
	const char *at = text;
	SeriesEntry parsed;

	text[series_print_entry(entry, text)] = '\0';
	REQUIRE(series_parse_entry(&at, &parsed) == SERIES_OK);
	REQUIRE(*at == '\0' && same_entry(entry, &parsed));
}

/* Requires that entries are encoded to the given bytes, in one go or in two. */
static void
check_encoding(const SeriesEntry *entries, int count, const uint8_t *bytes, size_t size)
{
	uint8_t    *whole = malloc(SERIES_HEADER_SIZE + (size_t) count * SERIES_ENTRY_SIZE);
	uint8_t    *head = malloc(SERIES_HEADER_SIZE + (size_t) count * SERIES_ENTRY_SIZE);
	int			half = count / 2;
	size_t		body;
	size_t		appended;
	SeriesReader reader;

	REQUIRE(series_encode(entries, count, whole) == size);
	REQUIRE(memcmp(whole, bytes, size) == 0);
	REQUIRE(series_open(&reader, whole, size) == SERIES_OK);
	body = series_body_size(&reader);
	if (half > 0)
	{
		REQUIRE(series_open(&reader, head, series_encode(entries, half, head)) == SERIES_OK);
		memset(whole, 0, size);
		appended = series_append(&reader, entries + half, count - half, whole);
		/* entry by entry as wide, or too narrow */
		REQUIRE(appended == (series_body_size(&reader) / (size_t) half == body / (size_t) count ? size : 0));
		REQUIRE(appended == 0 || memcmp(whole, bytes, size) == 0);
	}
	free(whole);
	free(head);
}

/* Requires that sums over stretches of hours are those of the entries in them. */
static void
check_sums(const SeriesEntry *entries, int count, const uint8_t *bytes, size_t size, int stretch)
{
	SeriesReader reader;
	int			at = 0;

	REQUIRE(series_open(&reader, bytes, size) == SERIES_OK);
	while (at < count)
	{
		bool		skipped = at % 2 > 0;
		int32_t		until = entries[at].hour + stretch;
		MentionSums mentions = {0};
		SentimentSums sentiment = {0};
		MentionSums expected = {0};
		SentimentSums expected_sentiment = {0};
		int			n = 0;

		REQUIRE(series_sum_until(&reader, entries[at].hour - 1, &mentions, &sentiment) == 0);
		for (; at < count && entries[at].hour <= until; at++, n++)
			if (!skipped)
			{
				expected.mentions += (usum128) entries[at].mentions;
				expected.squares += (usum128) entries[at].mentions * (usum128) entries[at].mentions;
				expected_sentiment.sentiment += (usum128) entries[at].sentiment_sum;
				expected_sentiment.weight += (usum128) entries[at].sentiment_weight;
			}
		REQUIRE(series_sum_until(&reader, until, skipped ? NULL : &mentions,
								 skipped ? NULL : &sentiment) == n);
		REQUIRE(memcmp(&mentions, &expected, sizeof(expected)) == 0);
		REQUIRE(memcmp(&sentiment, &expected_sentiment, sizeof(expected_sentiment)) == 0);
	}
	REQUIRE(series_sum_until(&reader, SERIES_MAX_HOUR, NULL, NULL) == 0);
}

/* Reads any bytes as a series, in batches of the given size. */
static void
fuzz_bytes(const uint8_t *bytes, size_t size, int batch)
{
	static SeriesEntry entries[MAX_ENTRIES];
	SeriesReader reader;
	int			count = 0;
	int			n;

	series_open(&reader, bytes, size);
	while (count + batch <= MAX_ENTRIES && (n = series_read(&reader, entries + count, batch)) > 0)
		count += n;
	if (reader.status != SERIES_OK || count + batch > MAX_ENTRIES)
	{
		REQUIRE(series_status_text(reader.status) != NULL);
		return;
	}
	for (int i = 0; i < count; i++)
	{
		REQUIRE(series_entry_check(&entries[i]) == SERIES_OK);
		REQUIRE(i == 0 || entries[i].hour > entries[i - 1].hour);
		check_text_of(&entries[i]);
	}
	check_encoding(entries, count, bytes, size);
	check_sums(entries, count, bytes, size, batch);
}

/* Draws an entry from four bytes: numbers of every size, and every sort of weight. */
static SeriesEntry
draw_entry(int32_t hour, const uint8_t *bytes)
{
	SeriesEntry entry = {.hour = hour};
	sum128		factor = 1;

	entry.mentions = (int64_t) bytes[1] << bytes[2] % 42;
	entry.sentiment_weight = bytes[2] < 64 ? 0 : bytes[2] < 128 ? entry.mentions / 2 :
		bytes[2] < 192 ? entry.mentions + bytes[3] : entry.mentions;
	for (int i = bytes[3] % 16; i > 0; i--)
		factor *= 10;
	entry.sentiment_sum = ((sum128) bytes[3] - 128) * factor * entry.sentiment_weight;
	return entry;
}

/* Encodes drawn entries, reads them, and then bytes that differ a little. */
static void
fuzz_encoding(const uint8_t *bytes, size_t size, int choice)
{
	static SeriesEntry entries[UINT8_MAX];
	static SeriesEntry again[UINT8_MAX];
	static uint8_t encoded[SERIES_HEADER_SIZE + UINT8_MAX * SERIES_ENTRY_SIZE];
	int			most = size > 0 ? bytes[0] : 0;
	int			count = 0;
	int64_t		hour = SERIES_MIN_HOUR + choice * INT64_C(340000);
	uint8_t    *copy;
	size_t		length;
	SeriesReader reader;

	for (bytes++; count < most && size > 4 && hour <= SERIES_MAX_HOUR; bytes += 4, size -= 4)
	{
		entries[count++] = draw_entry((int32_t) hour, bytes);
		/* most hours have no gap before them */
		hour += bytes[0] < 224 ? 1 : INT64_C(1) << bytes[0] % 32;
	}
	length = series_encode(entries, count, encoded);
	/* a copy of just its size, so that a read beyond its end is seen */
	copy = malloc(length);
	memcpy(copy, encoded, length);
	REQUIRE(series_open(&reader, copy, length) == SERIES_OK);
	REQUIRE(series_read(&reader, again, UINT8_MAX) == count && reader.status == SERIES_OK);
	for (int i = 0; i < count; i++)
		REQUIRE(same_entry(&entries[i], &again[i]));
	check_encoding(entries, count, copy, length);
	check_sums(entries, count, copy, length, choice % 50);

	for (; size > 2; bytes += 2, size -= 2)
		copy[bytes[0] % length] ^= bytes[1];
	fuzz_bytes(copy, length, choice % 64 + 1);
	free(copy);
}

/* Reads any text as an entry. */
static void
fuzz_text(const uint8_t *bytes, size_t size)
{
	char	   *text = malloc(size + 1);
	const char *at = text;
	SeriesEntry entry;

	memcpy(text, bytes, size);
	text[size] = '\0';
	if (series_parse_entry(&at, &entry) == SERIES_OK)
	{
		REQUIRE(series_entry_check(&entry) == SERIES_OK);
		check_text_of(&entry);
	}
	free(text);
}

/* Hours one by one, as the plain loops read them. */
typedef struct Plain
{
	int			hours;
	int32_t		first;
	bool		observed[MAX_HOURS];
	bool		present[MAX_HOURS];
	SeriesEntry entry[MAX_HOURS];	/* zero where there is none */
	__int128	square[MAX_HOURS];	/* of the mentions */
} Plain;

/* Sums over one window, by a plain loop. */
typedef struct PlainSums
{
	int			n;
	__int128	c;
	__int128	squares;
	__int128	sentiment;
	__int128	weight;
} PlainSums;

/* Adds up the observed hours in (until - width, until]. */
UNCOUNTED static PlainSums
sum_window(const Plain *plain, int until, int width)
{
	PlainSums	sums = {0};

	for (int i = until - width + 1; i <= until; i++)
		if (i >= 0 && i < plain->hours && plain->observed[i])
		{
			sums.n++;
			sums.c += plain->entry[i].mentions;
			sums.squares += plain->square[i];
			sums.sentiment += plain->entry[i].sentiment_sum;
			sums.weight += plain->entry[i].sentiment_weight;
		}
	return sums;
}

/* Draws the hours: two bytes each say what is there. */
UNCOUNTED static void
draw_hours(Plain *plain, const uint8_t *bytes, size_t size, size_t most)
{
	memset(plain, 0, sizeof(*plain));
	plain->first = SERIES_MIN_HOUR + (size > 1 ? bytes[0] * 7 + bytes[1] % 2 * 17000000 : 0);
	plain->hours = size / 2 < most ? (int) (size / 2) : most;
	for (int i = 0; i < plain->hours; i++)
	{
		SeriesEntry *entry = &plain->entry[i];
		uint8_t		what = bytes[2 * i];
		uint8_t		much = bytes[2 * i + 1];

		plain->observed[i] = what % 8 != 0;
		plain->present[i] = what / 8 % 4 != 0;
		if (!plain->present[i])
			continue;
		entry->mentions = what / 32 % 4 == 0 ? (int64_t) much << much % 40 : much;
		plain->square[i] = (__int128) entry->mentions * entry->mentions;
		entry->sentiment_weight = what % 3 == 0 ? 0 : what % 5 == 0 ? much / 2 : entry->mentions;
		entry->sentiment_sum = ((__int128) much * 7654321 - 900000000) * entry->sentiment_weight;
	}
}

/* Tells whether this run compares an hour. */
static bool
is_compared(int t, int choice)
{
	return (t + choice) % COMPARED_EVERY == 0;
}

/* Requires that a figure is as the plain loop has it; NAN says there is none. */
static void
check_figure(double figure, long double plain, long double scale)
{
	REQUIRE(isnan(figure) == isnan(plain));
	if (!isnan(figure))
		REQUIRE(fabsl(figure - plain) <= 1e-12L * fmaxl(scale, fmaxl(1, fabsl(plain))));
}

/* Gives the mean over a window where enough of it was observed. */
static long double
plain_mean(PlainSums sums, int width, double share)
{
	return sums.n > 0 && sums.n >= share * width ? (long double) sums.c / sums.n : NAN;
}

/* Gives the sample standard deviation over a window. */
static long double
plain_deviation(PlainSums sums, int width, double share)
{
	if (isnan(plain_mean(sums, width, share)) || sums.n < 2)
		return NAN;
	return sqrtl((long double) (sums.n * sums.squares - sums.c * sums.c) / sums.n / (sums.n - 1));
}

/* Gives the mean sentiment over a window. */
static long double
plain_sentiment(PlainSums sums, int width, double share)
{
	if (isnan(plain_mean(sums, width, share)) || sums.weight == 0)
		return NAN;
	return (long double) sums.sentiment / sums.weight / 1e9L;
}

/* Divides where that is possible. */
static long double
plain_ratio(long double a, long double b)
{
	return b == 0 ? NAN : a / b;
}

/* Gives surge_14d by its definition. */
static long double
plain_surge(const Plain *plain, int t, double share, long double *scale)
{
	long double roots[14];
	long double mean = 0;
	long double sum = 0;
	int			n = 0;

	for (int k = 0; k < 14; k++)
		roots[k] = 2 * sqrtl(24 * plain_mean(sum_window(plain, t - 24 * k, 24), 24, share) + 0.375L);
	for (int k = 1; k < 14; k++)
		if (!isnan(roots[k]))
		{
			n++;
			mean += roots[k];
			*scale = fmaxl(*scale, roots[k]);
		}
	if (isnan(roots[0]) || n < 7)
		return NAN;
	mean /= n;
	*scale = fmaxl(*scale, roots[0]);
	for (int k = 1; k < 14; k++)
		if (!isnan(roots[k]))
			sum += (roots[k] - mean) * (roots[k] - mean);
	return (roots[0] - mean) / fmaxl(1, sqrtl(sum / (n - 1)));
}

/* Compares all metrics of one hour. */
static void
check_metrics(const Plain *plain, int t, double share, const Metrics *m)
{
	PlainSums	day = sum_window(plain, t, 24);
	PlainSums	week = sum_window(plain, t, 168);
	PlainSums	fortnight = sum_window(plain, t, 336);
	long double sma_24h = plain_mean(day, 24, share);
	long double sma_7d = plain_mean(week, 168, share);
	long double sma_14d = plain_mean(fortnight, 336, share);
	long double prev_24h = plain_mean(sum_window(plain, t - 24, 24), 24, share);
	long double prev_7d = plain_mean(sum_window(plain, t - 168, 168), 168, share);
	long double base = 24 * plain_mean(sum_window(plain, t - 24, 312), 312, share);
	long double deviation = plain_deviation(fortnight, 336, share);
	long double scale = 1;
	PlainSums	hour = sum_window(plain, t, 1);

	check_figure(m->mentions, (long double) hour.c, 1);
	check_figure(m->sentiment, hour.weight == 0 ? NAN : plain_sentiment(hour, 1, 1), 1);
	check_figure(m->sma_24h, sma_24h, 1);
	check_figure(m->sma_7d, sma_7d, 1);
	check_figure(m->sma_14d, sma_14d, 1);
	check_figure(m->sma_24h_prev, prev_24h, 1);
	check_figure(m->sma_7d_prev, prev_7d, 1);
	check_figure(m->change_24h, plain_ratio(sma_24h, prev_24h) - 1, 1);
	check_figure(m->change_7d, plain_ratio(sma_7d, prev_7d) - 1, 1);
	check_figure(m->mentions_24h, 24 * sma_24h, 1);
	check_figure(m->baseline_24h, base, 1);
	check_figure(m->trend_24h, (24 * sma_24h + 24) / (base + 24) - 1, 1);
	check_figure(m->surge_14d, plain_surge(plain, t, share, &scale), scale);
	check_figure(m->deviation_14d, plain_ratio(hour.c, sma_14d) - 1, 1);
	check_figure(m->rsd_24h, plain_ratio(plain_deviation(day, 24, share), sma_24h), 1);
	check_figure(m->rsd_7d, plain_ratio(plain_deviation(week, 168, share), sma_7d), 1);
	check_figure(m->rsd_14d, plain_ratio(deviation, sma_14d), 1);
	check_figure(m->zscore_14d,
				 plain_ratio((long double) (hour.c * fortnight.n - fortnight.c) / fmaxl(1, fortnight.n), deviation), 1);
	check_figure(m->sentiment_24h, plain_sentiment(day, 24, share), 1);
	check_figure(m->sentiment_7d, plain_sentiment(week, 168, share), 1);
	check_figure(m->coverage_14d, fortnight.n / 336.0L, 1);
	REQUIRE(m->total_24h == day.c && m->total_14d == fortnight.c);
}

/* Requires the same bits. */
static void
check_same(const Metrics *a, const Metrics *b)
{
#define METRIC(name, type, places, meaning) \
	REQUIRE(a->name == b->name || (isnan((double) a->name) && isnan((double) b->name)));
#include "metric_list.h"
}

/* Adds entries to sums by day as a part, encoded. */
static void
add_part(DaySums *days, const ObservedHours *observed, const SeriesEntry *entries, int count)
{
	uint8_t    *bytes = malloc(SERIES_HEADER_SIZE + (size_t) count * SERIES_ENTRY_SIZE);
	SeriesReader part;

	REQUIRE(series_open(&part, bytes, series_encode(entries, count, bytes)) == SERIES_OK);
	days_add(days, observed, &part);
	free(bytes);
}

/*
 * Walks over all hours, jumps into the middle, and puts one hour together from
 * its days: the bits must be the same.
 */
UNCOUNTED static void
fuzz_metrics(const Plain *plain, const ObservedHours *observed,
			 const SeriesEntry *entries, int count, int choice)
{
	static RunningSums room[MAX_HOURS + 2];
	static RunningSums room_of_jump[MAX_HOURS + 2];
	double		share = choice % 5 / 4.0;
	Metrics		metrics;
	Metrics		again;
	RunningSums room_of_days[DAY_SUMS_ROOM];
	DaySums		days;
	MetricsWalk walk;
	MetricsWalk jump;

	metrics_start(&walk, observed, share, room);
	metrics_add(&walk, entries, count / 3);
	metrics_add(&walk, entries + count / 3, count - count / 3);
	metrics_ready(&walk);
	/* hour by hour, or by leaps */
	for (int t = choice % 7; t < plain->hours; t += 1 + choice % 7)
	{
		int			from = 0;

		metrics_move(&walk, plain->first + t, &metrics);
		if (!is_compared(t, choice))
			continue;
		check_metrics(plain, t, share, &metrics);

		/* from no more than the entries that the windows reach: spike_14d has one hour more */
		while (from < count && entries[from].hour < plain->first + t - 336)
			from++;
		metrics_start(&jump, observed, share, room_of_jump);
		metrics_add(&jump, entries + from, count - from);
		metrics_ready(&jump);
		metrics_move(&jump, plain->first + t, &again);
		check_same(&metrics, &again);

		/* from sums by day, whose parts come in any order */
		memset(&days, 0, sizeof(days));
		days.hour = plain->first + t;
		add_part(&days, observed, entries + from / 2, count - from / 2);
		add_part(&days, observed, entries, from / 2);
		metrics_start_days(&jump, observed, share, &days, room_of_days);
		metrics_move(&jump, plain->first + t, &again);
		check_same(&metrics, &again);
	}
}

/* Walks one window over all observed hours. */
UNCOUNTED static void
fuzz_unroll(const Plain *plain, const ObservedHours *observed,
			const SeriesEntry *entries, int count, int choice)
{
	int			width = choice % 61 + 1;
	UnrollWalk	walk;
	double		figures[UNROLL_FIGURES];
	int64_t		mentions;
	long double ema = 0;
	long double largest = 1;
	int			before = -1;

	unroll_start(&walk, observed, entries, count, width);
	for (int t = 0; t < plain->hours; t++)
	{
		PlainSums	sums;
		long double mean;
		long double prev;
		long double deviation;
		long double c = plain->entry[t].mentions;

		if (!plain->observed[t])
			continue;
		REQUIRE(unroll_move(&walk, plain->first + t, &mentions, figures) == SERIES_OK);
		REQUIRE(mentions == plain->entry[t].mentions);
		ema = before < 0 ? c : ema + (1 - powl(1 - 2.0L / (width + 1), t - before)) * (c - ema);
		before = t;
		largest = fmaxl(largest, c);
		if (!is_compared(t, choice))
			continue;

		sums = sum_window(plain, t, width);
		mean = plain_mean(sums, width, 0.75);
		prev = plain_mean(sum_window(plain, t - width, width), width, 0.75);
		deviation = plain_deviation(sums, width, 0.75);
		check_figure(figures[UNROLL_SMA], mean, 1);
		check_figure(figures[UNROLL_SMA_PREV], prev, 1);
		check_figure(figures[UNROLL_CHANGE], plain_ratio(mean, prev) - 1, 1);
		check_figure(figures[UNROLL_STDDEV], deviation, 1);
		check_figure(figures[UNROLL_RSD], plain_ratio(deviation, mean), 1);
		check_figure(figures[UNROLL_ZSCORE],
					 plain_ratio((long double) ((__int128) plain->entry[t].mentions * sums.n - sums.c) / sums.n, deviation), 1);
		check_figure(figures[UNROLL_EMA], ema, largest);
		check_figure(figures[UNROLL_SENTIMENT_AVG], plain_sentiment(sums, width, 0.75), 1);
	}
}

/* Draws hours and compares all figures. */
UNCOUNTED static void
fuzz_figures(const uint8_t *bytes, size_t size, int choice)
{
	static Plain plain;
	static SeriesEntry entries[MAX_HOURS];
	ObservedHours observed;
	int			count = 0;
	void	   *memory;

	/* one run in four is long enough for all windows, the others are quicker */
	draw_hours(&plain, bytes, size, MAX_HOURS >> choice % 4);
	if (plain.hours == 0)
		return;
	memory = calloc(1, observed_size(plain.first, plain.first + plain.hours - 1));
	observed_init(&observed, plain.first, plain.first + plain.hours - 1, memory);
	for (int i = 0; i < plain.hours; i++)
	{
		plain.entry[i].hour = plain.first + i;
		if (plain.present[i])
			entries[count++] = plain.entry[i];
		if (plain.observed[i])
			observed_add(&observed, plain.first + i);
	}
	observed_count(&observed);
	for (int i = 0; i < plain.hours; i++)
		REQUIRE(observed_has(&observed, plain.first + i) == plain.observed[i]);

	fuzz_metrics(&plain, &observed, entries, count, choice);

	/* what was not observed is the caller's to leave out */
	count = 0;
	for (int i = 0; i < plain.hours; i++)
		if (plain.present[i] && plain.observed[i])
			entries[count++] = plain.entry[i];
	fuzz_unroll(&plain, &observed, entries, count, choice);
	free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] % 4 == 0)
		fuzz_bytes(data + 2, size - 2, data[1] % 64 + 1);
	else if (data[0] % 4 == 1)
		fuzz_text(data + 2, size - 2);
	else if (data[0] % 4 == 3)
		fuzz_encoding(data + 2, size - 2, data[1]);
	else
		fuzz_figures(data + 2, size - 2, data[1]);
	return 0;
}
