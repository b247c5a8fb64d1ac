/*
 * series.h
 *
 * The server's view of defidata.series: how its datums are read and made, how
 * hours turn into timestamps, and where the states of aggregates live.  The
 * bytes are series_reader.h's and series_writer.h's.
 */
#ifndef DEFIDATA_SERIES_H
#define DEFIDATA_SERIES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/array.h"

#include "compat.h"
#include "series_reader.h"

#pragma GCC visibility push(hidden)

/* entries read at a time, between two looks at interrupts */
#define SERIES_BATCH	256

#define PG_GETARG_SERIES_PP(n) ((struct varlena *) PG_GETARG_VARLENA_PP(n))

extern void CheckSeriesBytes(SeriesStatus status, int sqlstate);
extern void CheckSeriesSums(SeriesStatus status, int32 hour);
extern void CheckSeriesLength(Size entries);
extern void OpenSeries(SeriesReader *reader, const struct varlena *series);
extern int	ReadSeries(SeriesReader *reader, SeriesEntry *entries, int max);
extern void CheckReceived(const uint8 *bytes, Size size);
extern struct varlena *MakeSeries(const SeriesEntry *entries, int count);

extern MemoryContext GetAggregateContext(FunctionCallInfo fcinfo);

extern int32 TimestampTzGetHour(TimestampTz time);
extern TimestampTz HourGetTimestampTz(int32 hour);
extern int32 RoundUpToHour(TimestampTz time);
extern int	IntervalGetHours(const Interval *interval, const char *argument);
extern const TimestampTz *ArrayGetTimes(ArrayType *array, int *count);
extern const double *ArrayGetFigures(ArrayType *array, int *count);
extern void DeconstructSeries(ArrayType *array, Datum **series, bool **nulls, int *count);

#pragma GCC visibility pop

#endif							/* DEFIDATA_SERIES_H */
