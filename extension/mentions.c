/*
 * mentions.c
 *	  How often a token was mentioned in a span of time: the plain sum of its
 *	  series, whatever was observed.  Figures of windows are unroll.c's.
 */
#include "series.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(defidata_mentions_between);

/* defidata_mentions_between(series, from_hour, until_hour): bigint, 0 without an entry. */
Datum
defidata_mentions_between(PG_FUNCTION_ARGS)
{
	struct varlena *series = PG_GETARG_SERIES_PP(0);
	TimestampTz from = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(2);
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	int64		sum = 0;
	int			count;

	OpenSeries(&reader, series);
	while ((count = ReadSeries(&reader, entries, SERIES_BATCH)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
		{
			TimestampTz hour = HourGetTimestampTz(entries[i].hour);

			if (hour >= from && hour < until && pg_add_s64_overflow(sum, entries[i].mentions, &sum))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("sum of mentions is out of range")));
		}
	}
	PG_RETURN_INT64(sum);
}
