/*
 * unroll.c
 *
 * A series as rows: its entries, and the figures of a window of any width
 * (defidata_unroll).  The arithmetic is that of sliding.c; here are arguments,
 * memory and rows.  The metrics are the business of metrics.c.
 */
#include "call_cache.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "figures.h"
#include "row.h"
#include "sliding.h"

PG_FUNCTION_INFO_V1(defidata_entries);
PG_FUNCTION_INFO_V1(defidata_unroll);

static const RowColumn entry_columns[] = {
	{"hour", TIMESTAMPTZOID},
	{"mentions", INT8OID},
	{"sentiment", FLOAT8OID},
	{"sentiment_weight", INT8OID}
};

static const RowShape entry_rows = FIXED_SHAPE(entry_columns);

/* hour, mentions, and the figures in the order of UnrollFigure */
static const RowColumn unroll_columns[2 + UNROLL_FIGURES] = {
	{"hour", TIMESTAMPTZOID},
	{"mentions", INT8OID},
	[2 + UNROLL_SENTIMENT] = {"sentiment", FLOAT8OID},
	[2 + UNROLL_SMA] = {"sma", FLOAT8OID},
	[2 + UNROLL_SMA_PREV] = {"sma_prev", FLOAT8OID},
	[2 + UNROLL_CHANGE] = {"change", FLOAT8OID},
	[2 + UNROLL_STDDEV] = {"stddev", FLOAT8OID},
	[2 + UNROLL_RSD] = {"rsd", FLOAT8OID},
	[2 + UNROLL_ZSCORE] = {"zscore", FLOAT8OID},
	[2 + UNROLL_EMA] = {"ema", FLOAT8OID},
	[2 + UNROLL_SENTIMENT_AVG] = {"sentiment_avg", FLOAT8OID}
};

static const RowShape unroll_rows = FIXED_SHAPE(unroll_columns);

/* entries gives a series as rows. */
Datum
defidata_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = StartRows(fcinfo, &entry_rows);
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	int			count;

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
	ReturnSetInfo *result = StartRows(fcinfo, &unroll_rows);
	CallCache  *cache = GetCallCache(fcinfo);
	const ObservedHours *observed;
	SeriesReader reader;
	SeriesEntry *entries;
	UnrollWalk	walk;
	int			width;
	int32		end;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("window_width must not be null")));
	width = IntervalGetHours(PG_GETARG_INTERVAL_P(1), "window_width");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	if (!PG_ARGISNULL(2))
		observed = GetObserved(cache, PG_GETARG_ARRAYTYPE_P(2), false);
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
