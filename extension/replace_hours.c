/*
 * replace_hours.c
 *
 * A stored series with single hours as they are in a fresh one.
 */
#include "series.h"

#include "miscadmin.h"

#include "series_writer.h"

PG_FUNCTION_INFO_V1(defidata_replace_hours);

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

/* AppendSeries adds later entries without decoding a series; NULL where these are too wide. */
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
