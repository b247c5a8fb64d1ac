/*
 * mentions.c
 *	  How often a token was mentioned in a span of time: the plain sum of its
 *	  series, whatever was observed.  Figures of windows are unroll.c's.
 */
#include "series.h"

#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(defidata_mentions_between);

/* defidata_mentions_between(series, from_hour, until_hour): bigint, 0 without an entry. */
Datum
defidata_mentions_between(PG_FUNCTION_ARGS)
{
	int32		from_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(1));
	int32		until_hour = RoundUpToHour(PG_GETARG_TIMESTAMPTZ(2));
	SeriesReader reader;
	SeriesSums	sums = {0};

	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	series_sum_until(&reader, from_hour - 1, NULL);
	series_sum_until(&reader, until_hour - 1, &sums);
	if (sums.mentions > PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("sum of mentions is out of range")));
	PG_RETURN_INT64((int64) sums.mentions);
}
