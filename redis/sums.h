/*
 * sums.h
 *	  Sums of events by minute and raw symbol, until they go to a table.
 */
#ifndef DEFIDATA_REDIS_SUMS_H
#define DEFIDATA_REDIS_SUMS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#pragma GCC visibility push(hidden)

typedef struct MinuteSums MinuteSums;

extern MinuteSums *MakeMinuteSums(void);
extern bool AddEvent(MinuteSums *sums, int64 minute, const char *symbol, int length,
					 int64 mentions, bool has_sentiment, double sentiment);
extern int	CountSums(const MinuteSums *sums);
extern void StoreSums(MinuteSums *sums, Datum stream);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_SUMS_H */
