/*
 * unroll.c
 *
 * What SQL sees of a series: its entries, the figures of a window of any
 * width (defidata_unroll), and the metrics.  The arithmetic is that of
 * windows.c; here are arguments, memory and rows.
 *
 * A query calls these functions once for each token, mostly with the same
 * observed hours.  So what is made of those, and the room for sums, is kept
 * from call to call, in the memory of the function's own call site.
 */
#include "series.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "windows.h"

#define INTERVAL_HINT	"Use a whole number of hours or days, such as '36 hours' or '30 days'."

PG_FUNCTION_INFO_V1(defidata_entries);
PG_FUNCTION_INFO_V1(defidata_unroll);
PG_FUNCTION_INFO_V1(defidata_metrics_between);
PG_FUNCTION_INFO_V1(defidata_metrics_at);

/* What one call site keeps between its calls. */
typedef struct CallCache
{
	MemoryContext context;
	TupleDesc	row;			/* of metrics_at */
	ArrayType  *array;			/* that the observed hours were made of */
	ObservedHours observed;
	void	   *room;			/* scratch, its contents are of one call */
	Size		room_size;
} CallCache;

/* GetCallCache finds or makes what this call site keeps. */
static CallCache *
GetCallCache(FunctionCallInfo fcinfo)
{
	CallCache  *cache = fcinfo->flinfo->fn_extra;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallCache));
		cache->context = fcinfo->flinfo->fn_mcxt;
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

/* GetRoom gives scratch memory of at least the given size. */
static void *
GetRoom(CallCache *cache, Size size)
{
	if (cache->room_size < size)
	{
		if (cache->room != NULL)
			pfree(cache->room);
		cache->room = NULL;
		cache->room_size = 0;
		cache->room = MemoryContextAlloc(cache->context, size);
		cache->room_size = size;
	}
	return cache->room;
}

/* FillObserved makes a set of the hours of an array. */
static void
FillObserved(ObservedHours *observed, const TimestampTz *times, int count,
			 MemoryContext context)
{
	TimestampTz first = times[0];
	TimestampTz last = times[0];
	int32		first_hour;
	int32		last_hour;

	for (int i = 1; i < count; i++)
	{
		first = Min(first, times[i]);
		last = Max(last, times[i]);
	}
	first_hour = TimestampTzGetHour(first);
	last_hour = TimestampTzGetHour(last);
	observed_init(observed, first_hour, last_hour,
				  MemoryContextAllocZero(context, observed_size(first_hour, last_hour)));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		observed_add(observed, TimestampTzGetHour(times[i]));
	}
	observed_count(observed);
}

/* ForgetObserved frees the set, so that an error leaves none half-made. */
static void
ForgetObserved(CallCache *cache)
{
	if (cache->array != NULL)
		pfree(cache->array);
	if (cache->observed.mask != NULL)
		pfree(cache->observed.mask);
	cache->array = NULL;
	memset(&cache->observed, 0, sizeof(cache->observed));
}

/* GetObserved gives the set for an array, mostly that of the call before. */
static const ObservedHours *
GetObserved(CallCache *cache, ArrayType *array)
{
	const TimestampTz *times;
	int			count;

	if (cache->array != NULL && VARSIZE(cache->array) == VARSIZE(array) &&
		memcmp(cache->array, array, VARSIZE(array)) == 0)
		return &cache->observed;

	ForgetObserved(cache);
	times = ArrayGetTimes(array, &count);
	if (count > 0)
		FillObserved(&cache->observed, times, count, cache->context);
	else
		observed_init(&cache->observed, SERIES_MIN_HOUR, SERIES_MIN_HOUR,
					  MemoryContextAllocZero(cache->context,
											 observed_size(SERIES_MIN_HOUR, SERIES_MIN_HOUR)));
	cache->array = MemoryContextAlloc(cache->context, VARSIZE(array));
	memcpy(cache->array, array, VARSIZE(array));
	return &cache->observed;
}

/* ObserveSpan makes a set of each hour from the first to the last of a series. */
static const ObservedHours *
ObserveSpan(CallCache *cache, const SeriesReader *reader)
{
	ForgetObserved(cache);
	observed_init(&cache->observed, reader->first, reader->last,
				  MemoryContextAllocZero(cache->context,
										 observed_size(reader->first, reader->last)));
	for (int32 hour = reader->first; hour <= reader->last; hour++)
	{
		CHECK_FOR_INTERRUPTS();
		observed_add(&cache->observed, hour);
	}
	observed_count(&cache->observed);
	return &cache->observed;
}

/* SetFigures turns figures into column values; a NaN is NULL. */
static void
SetFigures(const double *figures, int count, Datum *values, bool *nulls)
{
	for (int i = 0; i < count; i++)
	{
		values[i] = Float8GetDatum(figures[i]);
		nulls[i] = isnan(figures[i]);
	}
}

/* PutRow adds a row to the result of a set-returning function. */
static void
PutRow(ReturnSetInfo *result, Datum *values, bool *nulls)
{
	CHECK_FOR_INTERRUPTS();
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* entries gives a series as rows. */
Datum
defidata_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	int			count;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	while ((count = ReadSeries(&reader, entries, SERIES_BATCH)) > 0)
		for (int i = 0; i < count; i++)
		{
			double		sentiment = mean_sentiment(entries[i].sentiment_sum,
												   entries[i].sentiment_weight);
			Datum		values[4];
			bool		nulls[4] = {false};

			values[0] = TimestampTzGetDatum(HourGetTimestampTz(entries[i].hour));
			values[1] = Int64GetDatum(entries[i].mentions);
			SetFigures(&sentiment, 1, &values[2], &nulls[2]);
			values[3] = Int64GetDatum(entries[i].sentiment_weight);
			PutRow(result, values, nulls);
		}
	PG_RETURN_NULL();
}

/* IntervalGetHours gives the width of a window, or refuses it. */
static int
IntervalGetHours(const Interval *interval)
{
	sum128		time = (sum128) interval->day * USECS_PER_DAY + interval->time;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window_width must not be given in months or years, as these differ in length"),
				 errhint(INTERVAL_HINT)));
	if (time > MAX_WINDOW_HOURS * USECS_PER_HOUR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window_width must not be above %d days",
						MAX_WINDOW_HOURS / HOURS_PER_DAY)));
	if (time <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window_width must be positive"),
				 errhint(INTERVAL_HINT)));
	if (time % USECS_PER_HOUR != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window_width must be a whole number of hours"),
				 errhint(INTERVAL_HINT)));
	return (int) (time / USECS_PER_HOUR);
}

/* ReadObservedEntries decodes those entries whose hours were observed. */
static int
ReadObservedEntries(SeriesReader *reader, const ObservedHours *observed,
					SeriesEntry *entries)
{
	int			kept = 0;
	int			count;

	while ((count = ReadSeries(reader, entries + kept, SERIES_BATCH)) > 0)
	{
		SeriesEntry *batch = entries + kept;

		for (int i = 0; i < count; i++)
			if (observed_has(observed, batch[i].hour))
				entries[kept++] = batch[i];
	}
	return kept;
}

/* PutUnrolledRow adds the row of one observed hour. */
static void
PutUnrolledRow(ReturnSetInfo *result, UnrollWalk *walk, int32 hour)
{
	int64		mentions;
	double		figures[UNROLL_FIGURES];
	Datum		values[2 + UNROLL_FIGURES];
	bool		nulls[2 + UNROLL_FIGURES] = {false};

	CheckSeriesSums(unroll_move(walk, hour, &mentions, figures), hour);
	values[0] = TimestampTzGetDatum(HourGetTimestampTz(hour));
	values[1] = Int64GetDatum(mentions);
	SetFigures(figures, UNROLL_FIGURES, &values[2], &nulls[2]);
	PutRow(result, values, nulls);
}

/* unroll gives one row for each observed hour, with the figures of a window. */
Datum
defidata_unroll(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CallCache  *cache = GetCallCache(fcinfo);
	const ObservedHours *observed;
	SeriesReader reader;
	SeriesEntry *entries;
	UnrollWalk	walk;
	int			width;
	int32		end;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("window_width must not be null")));
	width = IntervalGetHours(PG_GETARG_INTERVAL_P(1));
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	if (!PG_ARGISNULL(2))
		observed = GetObserved(cache, PG_GETARG_ARRAYTYPE_P(2));
	else if (reader.count > 0)
		observed = ObserveSpan(cache, &reader);
	else
		PG_RETURN_NULL();

	entries = GetRoom(cache, (Size) (reader.count + 1) * sizeof(SeriesEntry));
	unroll_start(&walk, observed, entries,
				 ReadObservedEntries(&reader, observed, entries), width);
	end = observed->first_hour + observed->days * HOURS_PER_DAY;
	for (int32 hour = observed->first_hour; hour < end; hour++)
	{
		CHECK_FOR_INTERRUPTS();
		if (observed_has(observed, hour))
			PutUnrolledRow(result, &walk, hour);
	}
	PG_RETURN_NULL();
}

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

/* RoundUpToHour gives the first hour not before a time, within the legal years. */
static int32
RoundUpToHour(TimestampTz time)
{
	int32		hour;

	if (time <= HourGetTimestampTz(SERIES_MIN_HOUR))
		return SERIES_MIN_HOUR;
	if (time > HourGetTimestampTz(SERIES_MAX_HOUR))
		return SERIES_MAX_HOUR + 1;
	hour = TimestampTzGetHour(time);
	return HourGetTimestampTz(hour) < time ? hour + 1 : hour;
}

/* ComparePieces orders parts of a series by their hours for qsort. */
static int
ComparePieces(const void *a, const void *b)
{
	const SeriesReader *x = a;
	const SeriesReader *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/*
 * OpenPieces opens the parts of a series, in the order of their hours, and
 * tells the number of their entries.  A token's facts are stored in parts; to
 * merge them first would cost more than what is computed from them.
 */
static SeriesReader *
OpenPieces(ArrayType *array, int *pieces, int *entries)
{
	int			items = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	SeriesReader *readers = palloc((Size) Max(items, 1) * sizeof(SeriesReader));
	char	   *at = ARR_DATA_PTR(array);

	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("parts of a series must not be null")));
	*pieces = *entries = 0;
	for (int i = 0; i < items; i++)
	{
		CHECK_FOR_INTERRUPTS();
		OpenSeries(&readers[*pieces], (struct varlena *) at);
		*entries += readers[*pieces].count;
		*pieces += readers[*pieces].count > 0;
		at = att_addlength_pointer(at, -1, at);
		at = (char *) att_align_nominal(at, TYPALIGN_INT);
	}
	qsort(readers, *pieces, sizeof(SeriesReader), ComparePieces);
	for (int i = 1; i < *pieces; i++)
		if (readers[i].first <= readers[i - 1].last)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parts of a series must not overlap"),
					 errhint("Use defidata.merge() to add up series of the same hours.")));
	return readers;
}

/* SumPiece adds those entries of a part that windows in a range can hold. */
static void
SumPiece(MetricsWalk *walk, SeriesReader *reader, int32 reach, int32 until_hour)
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

/* SumSeries starts a walk over the entries that windows in a range can hold. */
static void
SumSeries(MetricsWalk *walk, CallCache *cache, ArrayType *parts,
		  const ObservedHours *observed, double min_coverage,
		  int32 from_hour, int32 until_hour)
{
	int			pieces;
	int			entries;
	SeriesReader *readers = OpenPieces(parts, &pieces, &entries);

	metrics_start(walk, observed, min_coverage,
				  GetRoom(cache, (Size) (entries + 2) * sizeof(RunningSums)));
	for (int i = 0; i < pieces; i++)
		SumPiece(walk, &readers[i], from_hour - WINDOW_DAYS * HOURS_PER_DAY, until_hour);
	metrics_ready(walk);
	pfree(readers);
}

/* metrics_between gives the metrics at each of the series' hours in a range. */
Datum
defidata_metrics_between(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CallCache  *cache = GetCallCache(fcinfo);
	const ObservedHours *observed = GetObserved(cache, PG_GETARG_ARRAYTYPE_P(1));
	int32		from_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(2));
	int32		until_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(3));
	double		min_coverage = CheckCoverage(PG_GETARG_FLOAT8(4));
	double		figures[METRICS_AND_LEVELS];
	Datum		values[1 + METRICS];
	bool		nulls[1 + METRICS] = {false};
	MetricsWalk walk;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SumSeries(&walk, cache, PG_GETARG_ARRAYTYPE_P(0), observed, min_coverage,
			  from_hour, until_hour);
	for (int i = 1; i <= walk.count; i++)
	{
		int32		hour = walk.sums[i].hour;

		if (hour < from_hour)
			continue;
		metrics_move(&walk, hour, figures);
		values[0] = TimestampTzGetDatum(HourGetTimestampTz(hour));
		SetFigures(figures, METRICS, &values[1], &nulls[1]);
		PutRow(result, values, nulls);
	}
	PG_RETURN_NULL();
}

/* GetRowDesc gives the row type of the result, looked up once. */
static TupleDesc
GetRowDesc(FunctionCallInfo fcinfo, CallCache *cache)
{
	TupleDesc	row;
	MemoryContext caller;

	if (cache->row != NULL)
		return cache->row;
	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	caller = MemoryContextSwitchTo(cache->context);
	cache->row = BlessTupleDesc(CreateTupleDescCopy(row));
	MemoryContextSwitchTo(caller);
	return cache->row;
}

/* metrics_at gives the metrics at one hour, where the series may be silent. */
Datum
defidata_metrics_at(PG_FUNCTION_ARGS)
{
	CallCache  *cache = GetCallCache(fcinfo);
	TupleDesc	row = GetRowDesc(fcinfo, cache);
	const ObservedHours *observed = GetObserved(cache, PG_GETARG_ARRAYTYPE_P(1));
	int32		hour = TimestampTzGetHour(PG_GETARG_TIMESTAMPTZ(2));
	double		min_coverage = CheckCoverage(PG_GETARG_FLOAT8(3));
	double		figures[METRICS_AND_LEVELS];
	Datum		values[1 + METRICS_AND_LEVELS + 2];
	bool		nulls[1 + METRICS_AND_LEVELS + 2] = {false};
	MetricsWalk walk;

	SumSeries(&walk, cache, PG_GETARG_ARRAYTYPE_P(0), observed, min_coverage, hour, hour + 1);
	metrics_move(&walk, hour, figures);
	values[0] = TimestampTzGetDatum(HourGetTimestampTz(hour));
	SetFigures(figures, METRICS_AND_LEVELS, &values[1], &nulls[1]);
	values[1 + METRICS_AND_LEVELS] = Int64GetDatum(metrics_mentions(&walk, 1));
	values[2 + METRICS_AND_LEVELS] = Int64GetDatum(metrics_mentions(&walk, WINDOW_DAYS));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(row, values, nulls)));
}
