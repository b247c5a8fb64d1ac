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
	TimestampTz newest;			/* time of the newest quote */
	double		change_24h;		/* what else that says; NaN where nothing */
	double		market_cap;
	bool		sorted;
	size_t		count;
	size_t		capacity;
	Quote	   *quotes;
} QuoteState;

static const RowColumn figure_columns[] = {
	{"price", FLOAT8OID},
	{"price_change_1h", FLOAT8OID},
	{"price_change_24h", FLOAT8OID},
	{"price_change_7d", FLOAT8OID},
	{"price_volatility_7d", FLOAT8OID},
	{"market_cap", FLOAT8OID},
	{"price_at", TIMESTAMPTZOID}
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
		Assert(state->quotes[i].at <= state->newest && state->newest <= state->until);
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
	state->newest = DT_NOBEGIN;
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

/* GetQuoteFigures gives the elements of an array of figures, as many as there are times. */
static const double *
GetQuoteFigures(ArrayType *array, int expected)
{
	int			count;
	const double *figures = ArrayGetFigures(array, &count);

	if (count != expected)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("quotes must have as many figures as times")));
	return figures;
}

/* AddQuote adds a quote and tells whether it is the newest. */
static bool
AddQuote(QuoteState *state, TimestampTz at, double price)
{
	state->quotes[state->count].at = at;
	state->quotes[state->count++].price = price;
	if (at < state->newest)
	{
		state->sorted = false;
		return false;
	}
	state->newest = at;
	return true;
}

/* price_figures_accum(state, at, price, change_24h, market_cap, until) adds quotes. */
Datum
defidata_price_figures_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	QuoteState *state = PG_ARGISNULL(0) ? NULL : (QuoteState *) PG_GETARG_POINTER(0);
	const TimestampTz *at;
	const double *figures[3];
	int			count;

	CHECK_FOR_INTERRUPTS();
	for (int i = 1; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("quotes must not be null")));
	if (state == NULL)
		state = MakeState(context, PG_GETARG_TIMESTAMPTZ(5));
	at = ArrayGetTimes(PG_GETARG_ARRAYTYPE_P(1), &count);
	for (int i = 0; i < 3; i++)
		figures[i] = GetQuoteFigures(PG_GETARG_ARRAYTYPE_P(2 + i), count);
	ReserveQuotes(state, count);
	for (int i = 0; i < count; i++)
		if (at[i] <= state->until && AddQuote(state, at[i], figures[0][i]))
		{
			state->change_24h = figures[1][i];
			state->market_cap = figures[2][i];
		}
	AssertCheckState(state);
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
	double		figures[FIGURE_COLUMNS - 1];
	Datum		values[FIGURE_COLUMNS];
	bool		nulls[FIGURE_COLUMNS] = {false};

	if (state == NULL || state->count == 0)
		PG_RETURN_NULL();
	SortQuotes(state);
	figures[0] = state->quotes[state->count - 1].price;
	figures[1] = PriceChange(state, 1, 30);
	figures[2] = PriceChange(state, 24, 3 * 60);
	if (isnan(figures[2]))
		figures[2] = state->change_24h;
	figures[3] = PriceChange(state, 168, 12 * 60);
	figures[4] = Volatility(state);
	figures[5] = state->market_cap;
	SetFigures(figures, FIGURE_COLUMNS - 1, values, nulls);
	values[FIGURE_COLUMNS - 1] = TimestampTzGetDatum(state->newest);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(GetRowType(fcinfo, &figure_rows),
													  values, nulls)));
}
