/*
 * values.h
 *	  What the text of a field means: a number, a time, a text of this database.
 */
#ifndef DEFIDATA_REDIS_VALUES_H
#define DEFIDATA_REDIS_VALUES_H

#include "postgres.h"

#include "datatype/timestamp.h"

#pragma GCC visibility push(hidden)

/* How a stream's sentiment is to be read. */
typedef struct SentimentScale
{
	int			words;			/* 0: it is a number */
	char	  **word;
	double	   *value;			/* of each word */
	bool		scaled;			/* whether it is brought from one range to another */
	double		from[2];
	double		to[2];
} SentimentScale;

extern bool ReadNumber(const char *text, int length, double *number);
extern bool ReadTime(const char *text, int length, double units_a_second, int64 *microseconds);
extern bool ReadSentiment(const SentimentScale *scale, const char *text, int length, double *sentiment);
extern TimestampTz UnixToTimestampTz(int64 microseconds);
extern text *MakeText(const char *bytes, int length);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_VALUES_H */
