/*
 * quotes.c
 *
 * What the quotes of one asset say at an instant: the aggregate price_figures.
 * Which asset stands for a token, and which currency counts, is decided in SQL.
 *
 * It takes a day at a time, as quote_series has them, in any order:
 *
 *     days     [q q q q][q q q q][q q q q]
 *                                  ^ until; what is later is left out
 *     state     q q q q  q q q q  q            sorted once, in the end
 */
#include "row.h"

#include <math.h>

#include "miscadmin.h"
#include "series.h"
#include "utils/timestamp.h"

/* hours whose returns make the volatility, how many of them it needs at least, and a year's */
#define VOLATILITY_HOURS	168
#define LEAST_RETURNS		24
#define HOURS_OF_YEAR		8760

/* a ratio whose logarithm is beyond this is not what float8 can hold */
#define MAX_LOG_RATIO		700

/* a week of hourly quotes and a day at either end */
#define INITIAL_QUOTES		216

typedef struct Quote
{
	TimestampTz at;
	double		price;
} Quote;

typedef struct QuoteState
{
	TimestampTz until;
	bool		sorted;
	size_t		count;
	size_t		capacity;
	Quote	   *quotes;
} QuoteState;

static const RowColumn figure_columns[] = {
	{"price_change_1h", FLOAT8OID},
	{"price_change_24h", FLOAT8OID},
	{"price_change_7d", FLOAT8OID},
	{"price_volatility_7d", FLOAT8OID}
};

#define FIGURE_COLUMNS	((int) lengthof(figure_columns))

static const RowShape figure_rows = {figure_columns, FIGURE_COLUMNS, FIGURE_COLUMNS};

PG_FUNCTION_INFO_V1(defidata_price_figures_accum);
PG_FUNCTION_INFO_V1(defidata_price_figures_final);

/* AssertCheckState verifies what every function may rely on. */
static void
AssertCheckState(const QuoteState *state)
{
#ifdef USE_ASSERT_CHECKING
	Assert(state->count <= state->capacity);
	for (size_t i = 0; i < state->count; i++)
	{
		Assert(state->quotes[i].at <= state->until);
		Assert(!state->sorted || i == 0 || state->quotes[i - 1].at <= state->quotes[i].at);
	}
#else
	(void) state;
#endif
}

/* MakeState makes a state without quotes. */
static QuoteState *
MakeState(MemoryContext context, TimestampTz until)
{
	QuoteState *state = MemoryContextAllocZero(context, sizeof(QuoteState));

	state->until = until;
	state->sorted = true;
	state->capacity = INITIAL_QUOTES;
	state->quotes = MemoryContextAlloc(context, INITIAL_QUOTES * sizeof(Quote));
	return state;
}

/* ReserveQuotes makes room for some more quotes. */
static void
ReserveQuotes(QuoteState *state, size_t more)
{
	if (state->count + more <= state->capacity)
		return;
	state->capacity = Max(2 * state->capacity, state->count + more);
	state->quotes = repalloc_huge(state->quotes, state->capacity * sizeof(Quote));
}

/* AddQuotes adds those that are not later than the state's instant. */
static void
AddQuotes(QuoteState *state, const TimestampTz *at, const double *price, int count)
{
	ReserveQuotes(state, count);
	for (int i = 0; i < count && at[i] <= state->until; i++)
	{
		if (state->count > 0 && at[i] < state->quotes[state->count - 1].at)
			state->sorted = false;
		state->quotes[state->count].at = at[i];
		state->quotes[state->count++].price = price[i];
	}
	AssertCheckState(state);
}

/* price_figures_accum(state, at, price, until) adds the quotes of a day. */
Datum
defidata_price_figures_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	QuoteState *state = PG_ARGISNULL(0) ? NULL : (QuoteState *) PG_GETARG_POINTER(0);
	const TimestampTz *at;
	const double *price;
	int			times;
	int			prices;

	CHECK_FOR_INTERRUPTS();
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("quotes must not be null")));
	at = ArrayGetTimes(PG_GETARG_ARRAYTYPE_P(1), &times);
	price = ArrayGetFigures(PG_GETARG_ARRAYTYPE_P(2), &prices);
	if (times != prices)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("quotes must have as many prices as times")));
	if (state == NULL)
		state = MakeState(context, PG_GETARG_TIMESTAMPTZ(3));
	AddQuotes(state, at, price, times);
	PG_RETURN_POINTER(state);
}

/* CompareQuotes orders by time. */
static int
CompareQuotes(const void *a, const void *b)
{
	const Quote *left = a;
	const Quote *right = b;

	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	/* in the setting currency by name and by default */
	return left->price < right->price ? -1 : left->price > right->price;
}

/* FirstSince gives the place of the first quote at or after an instant. */
static size_t
FirstSince(const QuoteState *state, TimestampTz at)
{
	size_t		low = 0;
	size_t		high = state->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (state->quotes[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* FindNearest gives the quote nearest to an instant, of two the earlier; NULL beyond a distance. */
static const Quote *
FindNearest(const QuoteState *state, TimestampTz at, int64 distance)
{
	size_t		after = FirstSince(state, at);
	const Quote *nearest = NULL;

	if (after < state->count && state->quotes[after].at - at <= distance)
	{
		nearest = &state->quotes[after];
		distance = nearest->at - at;
	}
	if (after > 0 && at - state->quotes[after - 1].at <= distance)
		nearest = &state->quotes[after - 1];
	return nearest;
}

/*
 * PriceChange gives the newest price against the one nearest to some hours before,
 * as a fraction; NaN where none is so near, or the ratio is too large.
 */
static double
PriceChange(const QuoteState *state, int hours, int minutes)
{
	const Quote *newest = &state->quotes[state->count - 1];
	const Quote *former = FindNearest(state, newest->at - hours * USECS_PER_HOUR,
									  minutes * USECS_PER_MINUTE);

	if (former == NULL ||
		!(fabs(log(newest->price) - log(former->price)) < MAX_LOG_RATIO))
		return NAN;
	return newest->price / former->price - 1;
}

/*
 * CollectReturns gives the log returns between the last quotes of consecutive
 * hours of those that end with the state's instant, and their number.
 */
static int
CollectReturns(const QuoteState *state, double *returns)
{
	int			count = 0;
	int64		former_hour = -1;
	double		former_log = 0;

	for (size_t i = FirstSince(state, state->until - VOLATILITY_HOURS * USECS_PER_HOUR);
		 i < state->count && state->quotes[i].at < state->until; i++)
	{
		const Quote *quote = &state->quotes[i];
		int64		hour = quote->at / USECS_PER_HOUR;
		double		price_log;

		CHECK_FOR_INTERRUPTS();
		if (i + 1 < state->count && quote[1].at / USECS_PER_HOUR == hour)
			continue;
		price_log = log(quote->price);
		if (hour == former_hour + 1)
			returns[count++] = price_log - former_log;
		former_hour = hour;
		former_log = price_log;
	}
	return count;
}

/* Volatility gives the deviation of the returns of a week, for a year; NaN: too few. */
static double
Volatility(const QuoteState *state)
{
	double		returns[VOLATILITY_HOURS];
	int			count = CollectReturns(state, returns);
	double		mean = 0;
	double		squares = 0;

	if (count < LEAST_RETURNS)
		return NAN;
	for (int i = 0; i < count; i++)
		mean += returns[i] / count;
	for (int i = 0; i < count; i++)
		squares += (returns[i] - mean) * (returns[i] - mean);
	return sqrt(squares / (count - 1)) * sqrt(HOURS_OF_YEAR);
}

/* SortQuotes puts the quotes in the order of time, where they came in another. */
static void
SortQuotes(QuoteState *state)
{
	if (!state->sorted)
		qsort(state->quotes, state->count, sizeof(Quote), CompareQuotes);
	state->sorted = true;
	AssertCheckState(state);
}

/* price_figures_final(state) gives the figures, NULL where there is no quote. */
Datum
defidata_price_figures_final(PG_FUNCTION_ARGS)
{
	QuoteState *state = PG_ARGISNULL(0) ? NULL : (QuoteState *) PG_GETARG_POINTER(0);
	double		figures[FIGURE_COLUMNS];
	Datum		values[FIGURE_COLUMNS];
	bool		nulls[FIGURE_COLUMNS];

	if (state == NULL || state->count == 0)
		PG_RETURN_NULL();
	SortQuotes(state);
	figures[0] = PriceChange(state, 1, 30);
	figures[1] = PriceChange(state, 24, 3 * 60);
	figures[2] = PriceChange(state, 168, 12 * 60);
	figures[3] = Volatility(state);
	SetFigures(figures, FIGURE_COLUMNS, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(GetRowType(fcinfo, &figure_rows),
													  values, nulls)));
}
