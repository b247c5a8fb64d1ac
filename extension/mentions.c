/*
 * mentions.c
 *
 * How often tokens were mentioned in a span of time, whatever was observed:
 * one token in all of it, and many in each hour.  Figures of windows are
 * unroll.c's.
 */
#include "series.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "row.h"

PG_FUNCTION_INFO_V1(defidata_mentions_between);
PG_FUNCTION_INFO_V1(defidata_mentions_by_hour);

/* ReportSumRange says that a sum of mentions is more than a bigint. */
static void
ReportSumRange(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("sum of mentions is out of range")));
}

/* defidata_mentions_between(series, from_hour, until_hour): bigint, 0 without an entry. */
Datum
defidata_mentions_between(PG_FUNCTION_ARGS)
{
	int32		from_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(1));
	int32		until_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(2));
	SeriesReader reader;
	MentionSums sums = {0};

	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	series_sum_until(&reader, from_hour - 1, NULL, NULL);
	series_sum_until(&reader, until_hour - 1, &sums, NULL);
	if (sums.mentions > PG_INT64_MAX)
		ReportSumRange();
	PG_RETURN_INT64((int64) sums.mentions);
}

static const RowColumn hour_columns[] = {
	{"hour", TIMESTAMPTZOID}, {"mentions", INT8OID}, {"tokens", INT8OID}
};

static const RowShape hour_rows = FIXED_SHAPE(hour_columns);

/* What many series have of one hour. */
typedef struct HourTotal
{
	int64		mentions;
	int64		series;
} HourTotal;

/* AddHours adds a series' entries of the hours from from_hour on, of which there are hours. */
static void
AddHours(HourTotal *totals, int32 from_hour, int32 hours, const struct varlena *series)
{
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	int			count;

	OpenSeries(&reader, series);
	while ((count = ReadSeries(&reader, entries, SERIES_BATCH)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
		{
			int64		position = (int64) entries[i].hour - from_hour;

			if (position < 0 || position >= hours)
				continue;
			totals[position].series++;
			if (pg_add_s64_overflow(totals[position].mentions, entries[i].mentions,
									&totals[position].mentions))
				ReportSumRange();
		}
	}
}

/*
 * defidata_mentions_by_hour(series[], from_hour, until_hour): hour, sum of the
 * mentions, number of series with an entry; for each hour with one.
 */
Datum
defidata_mentions_by_hour(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = StartRows(fcinfo, &hour_rows);
	int32		from_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(1));
	int64		hours = Max((int64) RoundUpToHour(PG_GETARG_TIMESTAMPTZ(2)) - from_hour, 0);
	HourTotal  *totals;
	Datum	   *series;
	bool	   *nulls;
	int			count;

	if (hours > MAX_WINDOW_HOURS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("until_hour must be at most %d hours after from_hour", MAX_WINDOW_HOURS)));
	totals = palloc0((Size) hours * sizeof(HourTotal));
	DeconstructSeries(PG_GETARG_ARRAYTYPE_P(0), &series, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			AddHours(totals, from_hour, (int32) hours,
					 (struct varlena *) DatumGetPointer(series[i]));
	for (int32 i = 0; i < hours; i++)
	{
		Datum		values[] = {
			TimestampTzGetDatum(HourGetTimestampTz(from_hour + i)),
			Int64GetDatum(totals[i].mentions),
			Int64GetDatum(totals[i].series)
		};
		bool		no_nulls[lengthof(values)] = {false};

		if (totals[i].series > 0)
			PutRow(result, values, no_nulls);
	}
	PG_RETURN_NULL();
}
