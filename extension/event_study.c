/*
 * event_study.c
 *
 * The aggregate defidata.study: one row is a token with its figures and its
 * events, the state is the sums of the placebo sets.  So no more than one token's
 * figures are in memory.  The arithmetic is that of study.c; here are arguments,
 * memory and the row.
 */
#include "row.h"
#include "series.h"
#include "study.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(defidata_study_add);
PG_FUNCTION_INFO_V1(defidata_study_finish);

/* a hundred years; no source delivers more, and shifts of all of it are kept */
#define MAX_STUDY_HOURS		876600
#define MAX_PLACEBO_SETS	100000

/* The state of one study: the sets, and what was true so far. */
typedef struct StudyState
{
	Study		study;
	TimestampTz first_end;		/* of the span's first hour */
	int64		max_age;		/* of a figure, in microseconds */
	double	   *changes;		/* after the events */
	int64		count;
	int64		room;
} StudyState;

/* The arguments after the state, as the aggregate is called. */
typedef enum StudyArgument
{
	ARG_TIMES = 1,
	ARG_FIGURES,
	ARG_EVENTS,
	ARG_FROM,
	ARG_UNTIL,
	ARG_HORIZON,
	ARG_MAX_AGE,
	ARG_PLACEBO,
	ARG_SEED
} StudyArgument;

/* CheckPlacebo refuses numbers of sets that say nothing or take for ever. */
static int32
CheckPlacebo(int32 placebo)
{
	if (placebo < 1 || placebo > MAX_PLACEBO_SETS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("placebo must be between 1 and %d: %d", MAX_PLACEBO_SETS, placebo)));
	return placebo;
}

/* CheckSpan gives the number of hours that end from the first of two instants to the second. */
static int32
CheckSpan(TimestampTz from, TimestampTz until)
{
	int64		hours = (int64) TimestampTzGetHour(until) - RoundUpToHour(from) + 1;

	if (hours > MAX_STUDY_HOURS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a study must not span more than %d hours", MAX_STUDY_HOURS)));
	return (int32) Max(hours, 0);
}

/* GetMaxAge gives the age at which a figure is too old. */
static int64
GetMaxAge(const Interval *interval)
{
	if (interval->month != 0 || interval->day != 0 || interval->time < 0 ||
		interval->time > USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_age must be given in hours, from none to 24")));
	return interval->time;
}

/* DrawShifts gives the study its sets, in the aggregate's memory. */
static void
DrawShifts(Study *study, int32 placebo, uint64 seed, MemoryContext context)
{
	int32		possible = study_possible_shifts(study->hours, study->horizon);
	int32	   *shifts = palloc((Size) Max(possible, 1) * sizeof(int32));

	study->sets = Min(placebo, possible);
	study->shifts = MemoryContextAlloc(context, (Size) Max(study->sets, 1) * sizeof(int32));
	study->sums = MemoryContextAllocZero(context, (Size) Max(study->sets, 1) * sizeof(double));
	study->counts = MemoryContextAllocZero(context, (Size) Max(study->sets, 1) * sizeof(int64));
	study_draw_shifts(study, seed, shifts);
	pfree(shifts);
}

/* MakeStudyState makes the state before the first token. */
static StudyState *
MakeStudyState(FunctionCallInfo fcinfo, MemoryContext context)
{
	StudyState *state = MemoryContextAllocZero(context, sizeof(StudyState));
	TimestampTz from;

	for (int i = ARG_FROM; i <= ARG_SEED; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("span, horizon, max_age, placebo and seed of a study must not be null")));
	from = PG_GETARG_TIMESTAMPTZ(ARG_FROM);
	state->study.hours = CheckSpan(from, PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	state->study.horizon = IntervalGetHours(PG_GETARG_INTERVAL_P(ARG_HORIZON), "horizon");
	state->first_end = HourGetTimestampTz(RoundUpToHour(from));
	state->max_age = GetMaxAge(PG_GETARG_INTERVAL_P(ARG_MAX_AGE));
	DrawShifts(&state->study, CheckPlacebo(PG_GETARG_INT32(ARG_PLACEBO)),
			   (uint64) PG_GETARG_INT64(ARG_SEED), context);
	return state;
}

/*
 * FillNewest puts each hour's newest figure where its hour is: the order of the
 * arrays does not matter, nor which of two figures of one instant comes first.
 */
static void
FillNewest(const StudyState *state, ArrayType *time_array, ArrayType *figure_array,
		   int64 *newest, double *newest_figures)
{
	int			count;
	int			figure_count;
	const TimestampTz *times = ArrayGetTimes(time_array, &count);
	const double *figures = ArrayGetFigures(figure_array, &figure_count);

	if (figure_count != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a study needs as many figures as times: %d, %d", figure_count, count)));
	for (int32 i = 0; i < state->study.hours; i++)
		newest[i] = PG_INT64_MIN;
	for (int i = 0; i < count; i++)
	{
		int64		hour = RoundUpToHour(times[i]) - (int64) TimestampTzGetHour(state->first_end);

		CHECK_FOR_INTERRUPTS();
		if (hour < 0 || hour >= state->study.hours)
			continue;
		if (times[i] > newest[hour] ||
			(times[i] == newest[hour] && figures[i] > newest_figures[hour]))
		{
			newest[hour] = times[i];
			newest_figures[hour] = figures[i];
		}
	}
}

/* GetChanges turns a token's figures into changes, in this call's memory. */
static StudyChanges
GetChanges(const StudyState *state, ArrayType *times, ArrayType *figures)
{
	Size		hours = (Size) Max(state->study.hours, 1);
	int64	   *newest = palloc(hours * sizeof(int64));
	double	   *newest_figures = palloc(hours * sizeof(double));
	StudyChanges changes;

	changes.change = palloc(hours * sizeof(double));
	changes.age = palloc(hours * sizeof(int64));
	FillNewest(state, times, figures, newest, newest_figures);
	study_fill_changes(&state->study, newest, newest_figures, state->first_end,
					   USECS_PER_HOUR, state->max_age, &changes);
	return changes;
}

/* KeepChange keeps what came after an event. */
static void
KeepChange(StudyState *state, double change, MemoryContext context)
{
	Size		room = (Size) Max(64, 2 * state->room);

	if (state->count == state->room)
	{
		state->changes = state->changes == NULL ?
			MemoryContextAllocHuge(context, room * sizeof(double)) :
			repalloc_huge(state->changes, room * sizeof(double));
		state->room = (int64) room;
	}
	state->changes[state->count++] = change;
}

/* AddEvents adds a token's events; those outside the span are in no set either. */
static void
AddEvents(StudyState *state, const StudyChanges *changes, ArrayType *array, MemoryContext context)
{
	int			count;
	const TimestampTz *events = ArrayGetTimes(array, &count);

	for (int i = 0; i < count; i++)
	{
		int32		start = RoundUpToHour(events[i]);
		int64		hour = start + INT64CONST(1) - TimestampTzGetHour(state->first_end);
		double		change;

		CHECK_FOR_INTERRUPTS();
		if (TIMESTAMP_NOT_FINITE(events[i]) || hour < 0 || hour >= state->study.hours)
			continue;
		change = study_add_event(&state->study, changes, (int32) hour,
								 HourGetTimestampTz(start + 1) - events[i]);
		if (!isnan(change))
			KeepChange(state, change, context);
	}
}

/*
 * study_add(state, times, figures, events, from, until, horizon, max_age, placebo,
 * seed) adds a token; one without figures or events adds nothing.
 */
Datum
defidata_study_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	StudyState *state = PG_ARGISNULL(0) ? NULL : (StudyState *) PG_GETARG_POINTER(0);
	StudyChanges changes;

	if (state == NULL)
		state = MakeStudyState(fcinfo, context);
	if (!PG_ARGISNULL(ARG_TIMES) && !PG_ARGISNULL(ARG_FIGURES) && !PG_ARGISNULL(ARG_EVENTS))
	{
		changes = GetChanges(state, PG_GETARG_ARRAYTYPE_P(ARG_TIMES),
							 PG_GETARG_ARRAYTYPE_P(ARG_FIGURES));
		AddEvents(state, &changes, PG_GETARG_ARRAYTYPE_P(ARG_EVENTS), context);
	}
	PG_RETURN_POINTER(state);
}

/* the columns of defidata.study_figures */
static const RowColumn study_columns[] = {
	{"events", INT8OID},
	{"placebos", INT4OID},
	{"mean", FLOAT8OID},
	{"median", FLOAT8OID},
	{"share_above", FLOAT8OID},
	{"placebo_mean", FLOAT8OID},
	{"difference", FLOAT8OID},
	{"difference_low", FLOAT8OID},
	{"difference_high", FLOAT8OID},
	{"p", FLOAT8OID}
};

static const RowShape study_figures = FIXED_SHAPE(study_columns);

/*
 * study_finish gives the figures of the study, or NULL where it had no token.  Sums
 * become means and changes are put in order in the state itself, which is then of no
 * use: FINALFUNC_MODIFY says so.
 */
Datum
defidata_study_finish(PG_FUNCTION_ARGS)
{
	StudyState *state;
	double		figures[STUDY_FIGURES];
	Datum		values[lengthof(study_columns)];
	bool		nulls[lengthof(study_columns)] = {false};
	HeapTuple	row;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (StudyState *) PG_GETARG_POINTER(0);
	values[0] = Int64GetDatum(state->count);
	values[1] = Int32GetDatum(study_finish(&state->study, state->changes, state->count, figures));
	SetFigures(figures, STUDY_FIGURES, &values[2], &nulls[2]);
	row = heap_form_tuple(GetRowType(fcinfo, &study_figures), values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(row));
}
