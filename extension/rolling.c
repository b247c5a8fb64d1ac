/*
 * rolling.c
 *
 * The aggregates that build a series: defidata_rolling from rows, and
 * defidata.merge from series.  They share their state and everything after
 * the first step.  What is computed from a series is the business of unroll.c.
 */
#include "series.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(defidata_rolling_add);
PG_FUNCTION_INFO_V1(defidata_merge_add);
PG_FUNCTION_INFO_V1(defidata_rolling_combine);
PG_FUNCTION_INFO_V1(defidata_rolling_serialize);
PG_FUNCTION_INFO_V1(defidata_rolling_deserialize);
PG_FUNCTION_INFO_V1(defidata_rolling_finish);

/* most groups of a query over one hour have one row */
#define FIRST_CAPACITY	4

/* above it an array is a block of its own, which is freed when outgrown */
#define FEW_STEPS_BELOW	200

/*
 * The state is an array of entries.  Its head is sorted by hour, one entry an
 * hour; its tail is in order of arrival, and hours may come again there and
 * in the head.
 *
 *	 | 01 02 03 05 06 | 04 04 01 . . . . |
 *	   sorted = 5	   used = 8		   capacity
 *
 * Rows mostly arrive in order.  Then there is no tail, and a row costs one
 * comparison.  Where they do not, the array is sorted and entries of one hour
 * are added up as soon as it is full, and at the end; it grows only if that
 * freed less than half of it.  So the memory is that of the distinct hours,
 * and each row is sorted a bounded number of times however they arrive.
 *
 * Sums are exact integers: neither the order of rows nor the way in which
 * parallel workers divide them shows in the result.
 */
typedef struct RollingState
{
	MemoryContext context;
	SeriesEntry *entries;
	int			used;
	int			sorted;
	int			capacity;
} RollingState;

/* AssertCheckRolling checks that the head is valid and ascends. */
static void
AssertCheckRolling(const RollingState *state)
{
#ifdef USE_ASSERT_CHECKING
	Assert(state->sorted >= 0 && state->sorted <= state->used);
	Assert(state->used <= state->capacity);
	for (int i = 0; i < state->used; i++)
	{
		Assert(series_entry_check(&state->entries[i]) == SERIES_OK);
		Assert(i == 0 || i >= state->sorted ||
			   state->entries[i - 1].hour < state->entries[i].hour);
	}
#endif
	(void) state;
}

/* MakeState makes an empty state. */
static RollingState *
MakeState(MemoryContext context, int capacity)
{
	RollingState *state = MemoryContextAlloc(context, sizeof(RollingState));

	state->context = context;
	state->entries = MemoryContextAlloc(context, (Size) capacity * sizeof(SeriesEntry));
	state->used = 0;
	state->sorted = 0;
	state->capacity = capacity;
	return state;
}

/* CompareEntries orders entries by hour for qsort. */
static int
CompareEntries(const void *a, const void *b)
{
	const SeriesEntry *x = a;
	const SeriesEntry *y = b;

	CHECK_FOR_INTERRUPTS();
	return (x->hour > y->hour) - (x->hour < y->hour);
}

/* AddTo adds an entry of the same hour. */
static void
AddTo(SeriesEntry *to, const SeriesEntry *from)
{
	CheckSeriesSums(series_entry_add(to, from), to->hour);
}

/* SortState turns the tail into head. */
static void
SortState(RollingState *state)
{
	SeriesEntry *entries = state->entries;
	int			last = 0;

	if (state->sorted == state->used)
		return;
	qsort(entries, state->used, sizeof(SeriesEntry), CompareEntries);
	for (int i = 1; i < state->used; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (entries[i].hour == entries[last].hour)
			AddTo(&entries[last], &entries[i]);
		else
			entries[++last] = entries[i];
	}
	state->used = state->sorted = last + 1;
	AssertCheckRolling(state);
}

/* Reserve makes room for more entries. */
static void
Reserve(RollingState *state, int more)
{
	int			needed;
	int			growth;

	if (state->used + more <= state->capacity)
		return;
	SortState(state);
	CheckSeriesLength(state->used);
	needed = state->used + more;
	if (needed <= state->capacity / 2)
		return;

	/* small arrays leave what they outgrow in the context: take few steps */
	growth = state->capacity < FEW_STEPS_BELOW ? 4 : 2;
	state->capacity = Max(needed, Min(growth * state->capacity, 2 * SERIES_MAX_ENTRIES));
	state->entries = repalloc(state->entries,
							  (Size) state->capacity * sizeof(SeriesEntry));
}

/* NoteAppended takes entries that were put after the used ones. */
static void
NoteAppended(RollingState *state, int count)
{
	bool		in_order = state->sorted == state->used &&
		(state->used == 0 ||
		 state->entries[state->used].hour > state->entries[state->used - 1].hour);

	state->used += count;
	if (in_order)
		state->sorted = state->used;
}

/* AddEntry adds one row's entry. */
static void
AddEntry(RollingState *state, const SeriesEntry *entry)
{
	if (state->used > 0 && state->entries[state->used - 1].hour == entry->hour)
	{
		AddTo(&state->entries[state->used - 1], entry);
		return;
	}
	Reserve(state, 1);
	state->entries[state->used] = *entry;
	NoteAppended(state, 1);
}

/* AddEntries adds entries that ascend. */
static void
AddEntries(RollingState *state, const SeriesEntry *entries, int count)
{
	if (count == 0)
		return;
	Reserve(state, count);
	memcpy(state->entries + state->used, entries, (Size) count * sizeof(SeriesEntry));
	NoteAppended(state, count);
}

/* AddSeries decodes a series right into the state. */
static void
AddSeries(RollingState *state, SeriesReader *reader)
{
	int			count;

	/* all at once, as to grow is to sort */
	Reserve(state, reader->count);
	while ((count = ReadSeries(reader, state->entries + state->used,
							   state->capacity - state->used)) > 0)
		NoteAppended(state, count);
}

/* CheckCount refuses a negative number of tweets. */
static int64
CheckCount(int64 count, const char *name)
{
	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative: " INT64_FORMAT, name, count)));
	if (count > SERIES_MAX_MENTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must not be above " INT64_FORMAT ": " INT64_FORMAT,
						name, SERIES_MAX_MENTIONS, count)));
	return count;
}

/* RoundSentiment rounds a sentiment, once and for all, to billionths. */
static int64
RoundSentiment(float8 sentiment)
{
	if (isnan(sentiment) || isinf(sentiment))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sentiment must be a finite number")));
	if (fabs(sentiment) > SERIES_NANO)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("sentiment must be between -1e9 and 1e9: %.15g", sentiment)));
	return (int64) rint(sentiment * SERIES_NANO);
}

/* ReadRow turns the arguments of a row into an entry. */
static void
ReadRow(FunctionCallInfo fcinfo, SeriesEntry *entry)
{
	bool		has_weight = PG_NARGS() > 4 && !PG_ARGISNULL(4);

	memset(entry, 0, sizeof(*entry));
	entry->hour = TimestampTzGetHour(PG_GETARG_TIMESTAMPTZ(1));
	entry->mentions = CheckCount(PG_GETARG_INT64(2), "mentions");
	if (has_weight)
		entry->sentiment_weight = CheckCount(PG_GETARG_INT64(4), "sentiment weight");
	else
		entry->sentiment_weight = entry->mentions;
	if (PG_ARGISNULL(3))
		entry->sentiment_weight = 0;
	else
		entry->sentiment_sum = (sum128) RoundSentiment(PG_GETARG_FLOAT8(3)) *
			entry->sentiment_weight;
}

/* rolling_add adds a row; one without hour or mentions says nothing. */
Datum
defidata_rolling_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	RollingState *state = PG_ARGISNULL(0) ? NULL : (RollingState *) PG_GETARG_POINTER(0);
	SeriesEntry entry;

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
	{
		ReadRow(fcinfo, &entry);
		if (state == NULL)
			state = MakeState(context, FIRST_CAPACITY);
		AddEntry(state, &entry);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* merge_add adds a series; NULL says nothing. */
Datum
defidata_merge_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	RollingState *state = PG_ARGISNULL(0) ? NULL : (RollingState *) PG_GETARG_POINTER(0);
	SeriesReader reader;

	if (!PG_ARGISNULL(1))
	{
		OpenSeries(&reader, PG_GETARG_SERIES_PP(1));
		if (state == NULL)
			state = MakeState(context, Max(reader.count, FIRST_CAPACITY));
		AddSeries(state, &reader);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* rolling_combine adds the second state to the first. */
Datum
defidata_rolling_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	RollingState *into = PG_ARGISNULL(0) ? NULL : (RollingState *) PG_GETARG_POINTER(0);
	RollingState *from = PG_ARGISNULL(1) ? NULL : (RollingState *) PG_GETARG_POINTER(1);

	if (from != NULL)
	{
		SortState(from);
		if (into == NULL)
			into = MakeState(context, Max(from->used, FIRST_CAPACITY));
		AddEntries(into, from->entries, from->used);
	}
	if (into == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(into);
}

/* FinishState encodes a state as a series. */
static struct varlena *
FinishState(RollingState *state)
{
	SortState(state);
	CheckSeriesLength(state->used);
	return MakeSeries(state->entries, state->used);
}

/* rolling_serialize hands a state to another process: as a series. */
Datum
defidata_rolling_serialize(PG_FUNCTION_ARGS)
{
	(void) GetAggregateContext(fcinfo);
	PG_RETURN_POINTER(FinishState((RollingState *) PG_GETARG_POINTER(0)));
}

/* rolling_deserialize takes a state from another process, and checks it. */
Datum
defidata_rolling_deserialize(PG_FUNCTION_ARGS)
{
	struct varlena *bytes = PG_GETARG_SERIES_PP(0);
	RollingState *state;
	SeriesReader reader;

	(void) GetAggregateContext(fcinfo);
	/* on Citus whoever calls coord_combine_agg() chooses them */
	CheckReceived((const uint8 *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	OpenSeries(&reader, bytes);
	state = MakeState(CurrentMemoryContext, Max(reader.count, FIRST_CAPACITY));
	AddSeries(state, &reader);
	PG_RETURN_POINTER(state);
}

/*
 * rolling_finish gives the series; of no rows, NULL.  The state is sorted, and rows
 * can be added to it as before.
 */
Datum
defidata_rolling_finish(PG_FUNCTION_ARGS)
{
	(void) GetAggregateContext(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(FinishState((RollingState *) PG_GETARG_POINTER(0)));
}
