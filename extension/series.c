/*
 * series.c
 *
 * The type defidata.series in SQL: its text and binary form, and the
 * replacement of single hours.  The bytes are made and checked by
 * series_codec.c; aggregates that build a series are in rolling.c, figures
 * drawn from one in unroll.c.
 */
#include "series.h"
#include "windows.h"

#include <limits.h>

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* 2000-01-01, from which the server counts, in hours since 1970-01-01 */
#define POSTGRES_EPOCH_HOUR ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * HOURS_PER_DAY)

#define INTERVAL_HINT	"Use a whole number of hours or days, such as '36 hours' or '30 days'."

/* what a user sees of a wrong token */
#define SHOWN_TOKEN		40

PG_FUNCTION_INFO_V1(defidata_series_in);
PG_FUNCTION_INFO_V1(defidata_series_out);
PG_FUNCTION_INFO_V1(defidata_series_recv);
PG_FUNCTION_INFO_V1(defidata_series_send);
PG_FUNCTION_INFO_V1(defidata_replace_hours);

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
				 errmsg("%s must not be given in months or years, as these differ in length", argument),
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

/* TokenLength gives the length of the text up to white space or a brace. */
static int
TokenLength(const char *text)
{
	return (int) strcspn(text, " \t\n\v\f\r{}");
}

/* SkipSpace moves past white space. */
static void
SkipSpace(const char **at)
{
	*at += strspn(*at, " \t\n\v\f\r");
}

/* TextErrorCode gives the SQLSTATE for a fault of an entry's text. */
static int
TextErrorCode(SeriesStatus status)
{
	switch (status)
	{
		case SERIES_SYNTAX:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
		case SERIES_HOUR_RANGE:
			return ERRCODE_DATETIME_VALUE_OUT_OF_RANGE;
		default:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	}
}

/* FailInText raises an error that shows the token it is about. */
static void
FailInText(const char *text, const char *token, int sqlstate, const char *fault)
{
	int			length = Min(TokenLength(token), INT_MAX - 1);

	/* a brace is shown as itself, the end as nothing */
	if (length == 0 && *token != '\0')
		length = 1;
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("invalid input for type defidata.series at character %d: \"%.*s\"",
					(int) (token - text) + 1,
					pg_mbcliplen(token, length, SHOWN_TOKEN), token),
			 errdetail("%s.", fault)));
}

/* ParseToken parses one entry of the text, which must be later than the one before. */
static void
ParseToken(const char *text, const char **at, SeriesEntry *entry, const SeriesEntry *before)
{
	const char *token = *at;
	SeriesStatus status = series_parse_entry(at, entry);

	/* an entry ends where its token ends */
	if (status == SERIES_OK && TokenLength(*at) > 0)
		status = SERIES_SYNTAX;
	if (status != SERIES_OK)
	{
		char	   *fault = pstrdup(series_status_text(status));

		fault[0] = pg_ascii_toupper((unsigned char) fault[0]);
		FailInText(text, token, TextErrorCode(status), fault);
	}
	if (before != NULL && entry->hour <= before->hour)
		FailInText(text, token, ERRCODE_INVALID_TEXT_REPRESENTATION,
				   "Hours must ascend");
}

/* CountTokens counts the entries that a text can hold at most. */
static int
CountTokens(const char *text)
{
	Size		count = 0;

	for (SkipSpace(&text); *text != '\0'; SkipSpace(&text))
	{
		CHECK_FOR_INTERRUPTS();
		text += Max(TokenLength(text), 1);
		count++;
	}
	CheckSeriesLength(count);
	return (int) count;
}

/* series_in parses {hour:mentions[:sum:weight] ...}. */
Datum
defidata_series_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *at = text;
	SeriesEntry *entries = palloc(CountTokens(text) * sizeof(SeriesEntry) + 1);
	int			count = 0;

	SkipSpace(&at);
	if (*at++ != '{')
		FailInText(text, at - 1, ERRCODE_INVALID_TEXT_REPRESENTATION, "Expected \"{\"");
	for (SkipSpace(&at); *at != '}'; SkipSpace(&at))
	{
		CHECK_FOR_INTERRUPTS();
		if (*at == '\0')
			FailInText(text, at, ERRCODE_INVALID_TEXT_REPRESENTATION, "Expected \"}\"");
		ParseToken(text, &at, &entries[count], count > 0 ? &entries[count - 1] : NULL);
		count++;
	}
	at++;
	SkipSpace(&at);
	if (*at != '\0')
		FailInText(text, at, ERRCODE_INVALID_TEXT_REPRESENTATION,
				   "Expected nothing after \"}\"");
	PG_RETURN_POINTER(MakeSeries(entries, count));
}

/* series_out prints what series_in parses. */
Datum
defidata_series_out(PG_FUNCTION_ARGS)
{
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	StringInfoData text;
	int			count;

	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	while ((count = ReadSeries(&reader, entries, SERIES_BATCH)) > 0)
		for (int i = 0; i < count; i++)
		{
			enlargeStringInfo(&text, SERIES_TEXT_SIZE);
			if (text.len > 1)
				appendStringInfoChar(&text, ' ');
			text.len += series_print_entry(&entries[i], text.data + text.len);
		}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/* CheckReceived refuses bytes from another process that are no series from end to end. */
void
CheckReceived(const uint8 *bytes, Size size)
{
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];

	series_open(&reader, bytes, size);
	while (series_read(&reader, entries, SERIES_BATCH) > 0)
		CHECK_FOR_INTERRUPTS();
	CheckSeriesBytes(reader.status, ERRCODE_INVALID_BINARY_REPRESENTATION);
}

/* series_recv takes the bytes as series_send gives them, if they are valid. */
Datum
defidata_series_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	struct varlena *series;

	CheckReceived((const uint8 *) bytes, size);
	series = palloc(VARHDRSZ + size);
	SET_VARSIZE(series, VARHDRSZ + size);
	memcpy(VARDATA(series), bytes, size);
	PG_RETURN_POINTER(series);
}

/* series_send gives the bytes of the encoding. */
Datum
defidata_series_send(PG_FUNCTION_ARGS)
{
	struct varlena *series = PG_GETARG_SERIES_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(series), VARSIZE_ANY_EXHDR(series));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* CompareHours orders hours for qsort and bsearch. */
static int
CompareHours(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	CHECK_FOR_INTERRUPTS();
	return (x > y) - (x < y);
}

/* SortHours gives the hours of an array in ascending order. */
static int32 *
SortHours(ArrayType *array, int *count)
{
	const TimestampTz *times = ArrayGetTimes(array, count);
	int32	   *hours = palloc(*count * sizeof(int32) + 1);

	for (int i = 0; i < *count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		hours[i] = TimestampTzGetHour(times[i]);
	}
	qsort(hours, *count, sizeof(int32), CompareHours);
	return hours;
}

/*
 * KeepEntries reads the entries whose hours are listed, or those whose hours
 * are not.
 */
static int
KeepEntries(SeriesReader *reader, SeriesEntry *entries,
			const int32 *hours, int hour_count, bool listed)
{
	int			kept = 0;
	int			next = 0;
	int			count;

	while ((count = ReadSeries(reader, entries + kept, SERIES_BATCH)) > 0)
	{
		SeriesEntry *batch = entries + kept;

		for (int i = 0; i < count; i++)
		{
			while (next < hour_count && hours[next] < batch[i].hour)
				next++;
			if ((next < hour_count && hours[next] == batch[i].hour) == listed)
				entries[kept++] = batch[i];
		}
	}
	return kept;
}

/* MergeEntries merges two ascending lists without an hour in common. */
static int
MergeEntries(const SeriesEntry *a, int a_count, const SeriesEntry *b, int b_count,
			 SeriesEntry *merged)
{
	int			count = 0;

	while (a_count > 0 || b_count > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (b_count == 0 || (a_count > 0 && a->hour < b->hour))
		{
			merged[count++] = *a++;
			a_count--;
		}
		else
		{
			merged[count++] = *b++;
			b_count--;
		}
	}
	return count;
}

/* AppendSeries adds later entries to a series without decoding it; NULL where its entries are too narrow. */
static struct varlena *
AppendSeries(const SeriesReader *head, const SeriesEntry *entries, int count)
{
	struct varlena *series = palloc(VARHDRSZ + SERIES_HEADER_SIZE + series_body_size(head) +
									(Size) count * SERIES_ENTRY_SIZE);
	Size		size = series_append(head, entries, count, (uint8 *) VARDATA(series));

	if (size == 0)
		return NULL;
	SET_VARSIZE(series, VARHDRSZ + size);
	return series;
}

/* OpenArgument opens a series argument, where NULL stands for an empty one. */
static void
OpenArgument(FunctionCallInfo fcinfo, int argument, SeriesReader *reader)
{
	memset(reader, 0, sizeof(*reader));
	if (!PG_ARGISNULL(argument))
		OpenSeries(reader, PG_GETARG_SERIES_PP(argument));
}

/* replace_hours gives stored with the given hours as they are in fresh. */
Datum
defidata_replace_hours(PG_FUNCTION_ARGS)
{
	SeriesReader stored;
	SeriesReader fresh;
	SeriesEntry *kept;
	SeriesEntry *taken;
	SeriesEntry *merged;
	struct varlena *result;
	int32	   *hours;
	int			hour_count;
	int			kept_count;
	int			taken_count;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of hours must not be null")));
	OpenArgument(fcinfo, 0, &stored);
	OpenArgument(fcinfo, 1, &fresh);
	hours = SortHours(PG_GETARG_ARRAYTYPE_P(2), &hour_count);

	taken = palloc((Size) (fresh.count + 1) * sizeof(SeriesEntry));
	taken_count = KeepEntries(&fresh, taken, hours, hour_count, true);

	/* the usual case: an hour after all that is stored */
	if (stored.count > 0 && taken_count > 0 && hours[0] > stored.last &&
		stored.count + taken_count <= SERIES_MAX_ENTRIES &&
		(result = AppendSeries(&stored, taken, taken_count)) != NULL)
		PG_RETURN_POINTER(result);

	kept = palloc((Size) (stored.count + 1) * sizeof(SeriesEntry));
	kept_count = KeepEntries(&stored, kept, hours, hour_count, false);
	CheckSeriesLength(kept_count + taken_count);
	merged = palloc((Size) (kept_count + taken_count + 1) * sizeof(SeriesEntry));
	PG_RETURN_POINTER(MakeSeries(merged, MergeEntries(kept, kept_count,
													  taken, taken_count, merged)));
}
