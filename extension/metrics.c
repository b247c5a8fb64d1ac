/*
 * metrics.c
 *
 * The metrics in SQL: at each hour of a series (metrics_over), and of many
 * series at one hour, silent ones too, as an aggregate over their parts
 * (metrics_at).  The arithmetic is that of windows.c; here are arguments, memory
 * and rows.
 */
#include "call_cache.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "day_sums.h"
#include "row.h"

PG_FUNCTION_INFO_V1(defidata_metrics_over);
PG_FUNCTION_INFO_V1(defidata_metrics_each);
PG_FUNCTION_INFO_V1(defidata_metrics_between);
PG_FUNCTION_INFO_V1(defidata_metrics_at_add);
PG_FUNCTION_INFO_V1(defidata_metrics_at_finish);
PG_FUNCTION_INFO_V1(defidata_metrics_at_finish_1_1);

/* the columns of version 1.0: of metrics_between, and of metrics_row */
#define METRICS_BETWEEN_1_0 20
#define METRICS_ROW_1_0 24

/* what the types of metric_list.h are called here */
#define METRIC_TYPE_float8 FLOAT8OID
#define METRIC_TYPE_bigint INT8OID

static const RowColumn metrics_columns[] = {
	{"hour", TIMESTAMPTZOID},
#define METRIC(name, type, places, meaning) {#name, METRIC_TYPE_##type},
#include "metric_list.h"
};

#define METRICS_COLUMNS ((int) lengthof(metrics_columns))

static const RowShape metrics_between_rows = {
	metrics_columns, METRICS_COLUMNS, METRICS_BETWEEN_1_0
};
static const RowShape metrics_rows = {
	metrics_columns, METRICS_COLUMNS, METRICS_ROW_1_0
};

/* CheckCoverage refuses a share that is none. */
static double
CheckCoverage(double min_coverage)
{
	if (!(min_coverage >= 0 && min_coverage <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_coverage must be between 0 and 1: %g", min_coverage)));
	return min_coverage;
}

/* CompareParts orders parts of a series by their hours for qsort. */
static int
CompareParts(const void *a, const void *b)
{
	const SeriesReader *x = a;
	const SeriesReader *y = b;

	CHECK_FOR_INTERRUPTS();
	return (x->first > y->first) - (x->first < y->first);
}

/*
 * OpenParts opens the parts of a series, in the order of their hours, and
 * tells the number of their entries; a NULL part has none.  A token's facts are
 * stored in parts; to merge them first would cost more than what is computed
 * from them.
 */
static SeriesReader *
OpenParts(ArrayType *array, int *nparts, int *entries)
{
	int			items;
	Datum	   *parts;
	bool	   *nulls;
	SeriesReader *readers;

	DeconstructSeries(array, &parts, &nulls, &items);
	CheckSeriesLength(items);
	readers = palloc((Size) Max(items, 1) * sizeof(SeriesReader));
	*nparts = *entries = 0;
	for (int i = 0; i < items; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		OpenSeries(&readers[*nparts], (struct varlena *) DatumGetPointer(parts[i]));
		*entries += readers[*nparts].count;
		CheckSeriesLength(*entries);
		*nparts += readers[*nparts].count > 0;
	}
	qsort(readers, *nparts, sizeof(SeriesReader), CompareParts);
	for (int i = 1; i < *nparts; i++)
		if (readers[i].first <= readers[i - 1].last)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parts of a series must not overlap"),
					 errhint("Use defidata.merge() to add up series of the same hours.")));
	return readers;
}

/* SumPart adds those entries of a part that windows in a range can hold. */
static void
SumPart(MetricsWalk *walk, SeriesReader *reader, int32 reach, int32 until_hour)
{
	SeriesEntry entries[SERIES_BATCH];
	int			count;

	if (reader->last <= reach || reader->first >= until_hour)
		return;
	while ((count = ReadSeries(reader, entries, SERIES_BATCH)) > 0)
	{
		int			first = 0;

		while (first < count && entries[first].hour <= reach)
			first++;
		while (count > first && entries[count - 1].hour >= until_hour)
			count--;
		metrics_add(walk, entries + first, count - first);
	}
}

/* SumHours starts a walk over the entries that windows in a range can hold. */
static void
SumHours(MetricsWalk *walk, CallCache *cache, SeriesReader *readers, int nparts, int entries,
		 const ObservedHours *observed, double min_coverage, int32 from_hour, int32 until_hour)
{
	metrics_start(walk, observed, min_coverage,
				  GetRoom(cache, (Size) (entries + 2) * sizeof(RunningSums)));
	for (int i = 0; i < nparts; i++)
		SumPart(walk, &readers[i], from_hour - WINDOW_DAYS * HOURS_PER_DAY - 1, until_hour);
	metrics_ready(walk);
}

/* SumHour starts a walk to one hour: sums by day do for it, as for metrics_at. */
static void
SumHour(MetricsWalk *walk, CallCache *cache, SeriesReader *readers, int nparts,
		const ObservedHours *observed, double min_coverage, int32 hour)
{
	DaySums		sums = {.hour = hour};

	for (int i = 0; i < nparts; i++)
		days_add(&sums, observed, &readers[i]);
	metrics_start_days(walk, observed, min_coverage, &sums,
					   GetRoom(cache, DAY_SUMS_ROOM * sizeof(RunningSums)));
}

/* SumSeries starts a walk from the first to the last hour of a range. */
static void
SumSeries(MetricsWalk *walk, CallCache *cache, ArrayType *parts,
		  const ObservedHours *observed, double min_coverage,
		  int32 from_hour, int32 until_hour)
{
	int			nparts;
	int			entries;
	SeriesReader *readers = OpenParts(parts, &nparts, &entries);

	if (until_hour - from_hour == 1)
		SumHour(walk, cache, readers, nparts, observed, min_coverage, from_hour);
	else
		SumHours(walk, cache, readers, nparts, entries, observed, min_coverage,
				 from_hour, until_hour);
	pfree(readers);
}

/* SetMetric_TYPE turns a metric into a column value; a NaN is NULL. */
static inline void
SetMetric_float8(double metric, Datum *value, bool *null)
{
	*value = Float8GetDatum(metric);
	*null = isnan(metric);
}

static inline void
SetMetric_bigint(int64 metric, Datum *value, bool *null)
{
	*value = Int64GetDatum(metric);
	*null = false;
}

/* SetMetrics turns the metrics of an hour into column values. */
static void
SetMetrics(int32 hour, const Metrics *metrics, Datum *values, bool *nulls)
{
	*values++ = TimestampTzGetDatum(HourGetTimestampTz(hour));
	*nulls++ = false;
#define METRIC(name, type, places, meaning) SetMetric_##type(metrics->name, values++, nulls++);
#include "metric_list.h"
}

/* PutMetricsAt adds the metrics at an hour, not earlier than the one before. */
static void
PutMetricsAt(ReturnSetInfo *result, MetricsWalk *walk, int32 hour, bool silent)
{
	Metrics		metrics;
	Datum		values[METRICS_COLUMNS];
	bool		nulls[METRICS_COLUMNS];

	metrics_move(walk, hour, &metrics);
	if (silent && metrics.total_14d == 0)
		return;
	SetMetrics(hour, &metrics, values, nulls);
	PutRow(result, values, nulls);
}

/*
 * PutMetrics adds the metrics at each of the series' hours in a range, or at each
 * observed hour, where the series has a mention in the days up to it.
 */
static Datum
PutMetrics(FunctionCallInfo fcinfo, const RowShape *shape, bool each)
{
	ReturnSetInfo *result = StartRows(fcinfo, shape);
	CallCache  *cache = GetCallCache(fcinfo);
	const ObservedHours *observed = GetObserved(cache, PG_GETARG_ARRAYTYPE_P(1), false);
	int32		from_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(2));
	int32		until_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(3));
	double		min_coverage = CheckCoverage(PG_GETARG_FLOAT8(4));
	MetricsWalk walk;

	SumSeries(&walk, cache, PG_GETARG_ARRAYTYPE_P(0), observed, min_coverage,
			  from_hour, until_hour);
	if (each)
	{
		int32		first = Max(from_hour, observed->first_hour);
		int32		last = Min(until_hour, observed->first_hour + observed->days * HOURS_PER_DAY);

		for (int32 hour = first; hour < last; hour++)
		{
			CHECK_FOR_INTERRUPTS();
			if (observed_has(observed, hour))
				PutMetricsAt(result, &walk, hour, true);
		}
	}
	else
		for (int i = 1; i <= walk.count; i++)
			if (walk.sums[i].hour >= from_hour)
				PutMetricsAt(result, &walk, walk.sums[i].hour, false);
	PG_RETURN_NULL();
}

/* metrics_over gives the metrics at each of the series' hours in a range. */
Datum
defidata_metrics_over(PG_FUNCTION_ARGS)
{
	return PutMetrics(fcinfo, &metrics_rows, false);
}

/* metrics_each gives them at each observed hour, silent ones too. */
Datum
defidata_metrics_each(PG_FUNCTION_ARGS)
{
	return PutMetrics(fcinfo, &metrics_rows, true);
}

/* metrics_between is what version 1.0 has in the stead of metrics_over. */
Datum
defidata_metrics_between(PG_FUNCTION_ARGS)
{
	return PutMetrics(fcinfo, &metrics_between_rows, false);
}

/*
 * The state of metrics_at: a token's sums, whatever the number of its parts and
 * hours.  The set of observed hours belongs to the call site of metrics_at_add,
 * which outlives the states of its query.
 */
typedef struct MetricsAtState
{
	ObservedHours observed;
	double		min_coverage;
	DaySums		sums;
} MetricsAtState;

/* MakeMetricsAtState makes the state of a token of which no part was seen yet. */
static MetricsAtState *
MakeMetricsAtState(FunctionCallInfo fcinfo, MemoryContext context)
{
	MetricsAtState *state;

	if (PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("hour, observed hours and min_coverage must not be null")));
	state = MemoryContextAllocZero(context, sizeof(MetricsAtState));
	state->sums.hour = TimestampTzGetHour(PG_GETARG_TIMESTAMPTZ(3));
	state->min_coverage = CheckCoverage(PG_GETARG_FLOAT8(4));
	/* other states may still use a former set */
	state->observed = *GetObserved(GetCallCache(fcinfo), PG_GETARG_ARRAYTYPE_P(2), true);
	return state;
}

/* PrefetchBytes asks memory for all of a datum at once; it is read from its end on, in steps. */
static inline void
PrefetchBytes(const void *bytes, Size size)
{
	for (Size at = 0; at < size; at += PG_CACHE_LINE_SIZE)
		__builtin_prefetch((const char *) bytes + at);
}

/* metrics_at_add adds a part of a token's series; NULL has no hours. */
Datum
defidata_metrics_at_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = GetAggregateContext(fcinfo);
	MetricsAtState *state = PG_ARGISNULL(0) ? NULL : (MetricsAtState *) PG_GETARG_POINTER(0);
	SeriesReader reader;

	if (state == NULL)
		state = MakeMetricsAtState(fcinfo, context);
	if (!PG_ARGISNULL(1))
	{
		struct varlena *part = PG_GETARG_SERIES_PP(1);

		CHECK_FOR_INTERRUPTS();
		PrefetchBytes(part, VARSIZE_ANY(part));
		OpenSeries(&reader, part);
		days_add(&state->sums, &state->observed, &reader);
	}
	PG_RETURN_POINTER(state);
}

/* metrics_at_finish gives the metrics at the hour, where the series may be silent. */
Datum
defidata_metrics_at_finish(PG_FUNCTION_ARGS)
{
	const MetricsAtState *state;
	RunningSums room[DAY_SUMS_ROOM];
	MetricsWalk walk;
	Metrics		metrics;
	Datum		values[METRICS_COLUMNS];
	bool		nulls[METRICS_COLUMNS];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (MetricsAtState *) PG_GETARG_POINTER(0);
	metrics_start_days(&walk, &state->observed, state->min_coverage, &state->sums, room);
	metrics_move(&walk, state->sums.hour, &metrics);
	SetMetrics(state->sums.hour, &metrics, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(GetRowType(fcinfo, &metrics_rows),
													  values, nulls)));
}

/*
 * The same under the name that SQL uses from version 1.1 on: a session that still
 * has the library of 1.0, which checks no row type, does not find it.
 */
Datum
defidata_metrics_at_finish_1_1(PG_FUNCTION_ARGS)
{
	return defidata_metrics_at_finish(fcinfo);
}
