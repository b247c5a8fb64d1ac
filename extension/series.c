/*
 * series.c
 *
 * Datums of defidata.series, hours and arrays of both; see series.h.  The bytes
 * are checked by series_reader.c and made by series_writer.c.
 */
#include "series.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "series_writer.h"

/* 2000-01-01, from which the server counts, in hours since 1970-01-01 */
#define POSTGRES_EPOCH_HOUR ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * HOURS_PER_DAY)

#define INTERVAL_HINT	"Use a whole number of hours or days, such as '36 hours' or '30 days'."

/* CheckSeriesBytes raises an error unless the encoding is right. */
void
CheckSeriesBytes(SeriesStatus status, int sqlstate)
{
	if (unlikely(status != SERIES_OK))
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("invalid series: %s", series_status_text(status))));
}

/* CheckSeriesSums raises an error where sums have outgrown their limits. */
void
CheckSeriesSums(SeriesStatus status, int32 hour)
{
	if (unlikely(status != SERIES_OK))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s", series_status_text(status)),
				 errdetail("The hour is %s.",
						   timestamptz_to_str(HourGetTimestampTz(hour)))));
}

/* CheckSeriesLength refuses what would need more than the server's limit for one allocation. */
void
CheckSeriesLength(Size entries)
{
	if (entries > SERIES_MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("series cannot have more than %d hours", SERIES_MAX_ENTRIES)));
}

/* OpenSeries starts to read a datum, which may have a short header. */
void
OpenSeries(SeriesReader *reader, const struct varlena *series)
{
	CheckSeriesBytes(series_open(reader, (const uint8 *) VARDATA_ANY(series),
								  VARSIZE_ANY_EXHDR(series)),
					  ERRCODE_DATA_CORRUPTED);
}

/* ReadSeries reads the next entries of a datum; zero says that it ended. */
int
ReadSeries(SeriesReader *reader, SeriesEntry *entries, int max)
{
	int			count = series_read(reader, entries, Min(max, SERIES_BATCH));

	CHECK_FOR_INTERRUPTS();
	CheckSeriesBytes(reader->status, ERRCODE_DATA_CORRUPTED);
	return count;
}

/* MakeSeries encodes entries, which are valid and ascend, as a datum. */
struct varlena *
MakeSeries(const SeriesEntry *entries, int count)
{
	struct varlena *series = palloc(VARHDRSZ + SERIES_HEADER_SIZE +
									(Size) count * SERIES_ENTRY_SIZE);

	SET_VARSIZE(series, VARHDRSZ +
				series_encode(entries, count, (uint8 *) VARDATA(series)));
	return series;
}

/* GetAggregateContext gives the memory of the states, or refuses the call. */
MemoryContext
GetAggregateContext(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function %u can be called by an aggregate only",
						fcinfo->flinfo->fn_oid)));
	return context;
}

/* TimestampTzGetHour truncates to the hour in UTC, within the legal years. */
int32
TimestampTzGetHour(TimestampTz time)
{
	int64		hour = time / USECS_PER_HOUR;

	if (time < 0 && time % USECS_PER_HOUR != 0)
		hour--;
	hour += POSTGRES_EPOCH_HOUR;
	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("hour must be finite")));
	if (hour < SERIES_MIN_HOUR || hour > SERIES_MAX_HOUR)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("hour out of range: \"%s\"", timestamptz_to_str(time)),
				 errdetail("Hours of a series are of the years 1 to 9999.")));
	return (int32) hour;
}

/* HourGetTimestampTz gives the start of an hour. */
TimestampTz
HourGetTimestampTz(int32 hour)
{
	return (TimestampTz) (hour - POSTGRES_EPOCH_HOUR) * USECS_PER_HOUR;
}

/* RoundUpToHour gives the first hour not before a time, within the legal years. */
int32
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

/* IntervalGetHours gives the width of a window, or refuses it by the argument's name. */
int
IntervalGetHours(const Interval *interval, const char *argument)
{
	sum128		time = (sum128) interval->day * USECS_PER_DAY + interval->time;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be given in months or years, as these differ in length",
						argument),
				 errhint(INTERVAL_HINT)));
	if (time > MAX_WINDOW_HOURS * USECS_PER_HOUR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be above %d days",
						argument, MAX_WINDOW_HOURS / HOURS_PER_DAY)));
	if (time <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", argument),
				 errhint(INTERVAL_HINT)));
	if (time % USECS_PER_HOUR != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a whole number of hours", argument),
				 errhint(INTERVAL_HINT)));
	return (int) (time / USECS_PER_HOUR);
}

/* ReportElements refuses an array of another type than SQL should let through. */
static void
ReportElements(ArrayType *array, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("array must be of type %s[], not %s[]",
					expected, format_type_be(ARR_ELEMTYPE(array)))));
}

/* ArrayGetTimes gives the elements of a timestamptz[] without copying them. */
const TimestampTz *
ArrayGetTimes(ArrayType *array, int *count)
{
	Size		offset = ARR_HASNULL(array) ? (Size) array->dataoffset :
		ARR_OVERHEAD_NONULLS(ARR_NDIM(array));

	if (ARR_ELEMTYPE(array) != TIMESTAMPTZOID)
		ReportElements(array, "timestamp with time zone");
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of hours must not contain nulls")));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const TimestampTz *) ((char *) array + offset);
}

/* ArrayGetFigures gives the elements of a float8[] without copying them. */
const double *
ArrayGetFigures(ArrayType *array, int *count)
{
	Size		offset = ARR_HASNULL(array) ? (Size) array->dataoffset :
		ARR_OVERHEAD_NONULLS(ARR_NDIM(array));

	if (ARR_ELEMTYPE(array) != FLOAT8OID)
		ReportElements(array, "double precision");
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of figures must not contain nulls")));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const double *) ((char *) array + offset);
}

/*
 * DeconstructSeries gives the elements of an array of series, which are NULL or
 * of variable length: what these hold is checked when they are opened.
 */
void
DeconstructSeries(ArrayType *array, Datum **series, bool **nulls, int *count)
{
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
	if (length != -1)
		ReportElements(array, "defidata.series");
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment,
					  series, nulls, count);
}
