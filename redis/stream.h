/*
 * stream.h
 *	  A stream as it stands in defidata.stream: what it is, and how far it was read.
 */
#ifndef DEFIDATA_REDIS_STREAM_H
#define DEFIDATA_REDIS_STREAM_H

#include "entries.h"
#include "values.h"

#pragma GCC visibility push(hidden)

#define ORDINAL_UNKNOWN (-1)

typedef struct Stream
{
	char	   *name;
	char	   *server;
	char	   *key;
	bool		events;			/* the mode: events, or rows */
	bool		trim;
	bool		committed;		/* whether another transaction has left it like this */

	/* how far it was read */
	EntryId		position;
	bool		held;			/* there was an entry of this id */
	int64		ordinal;		/* entries that the stream ever had up to there */

	/* after a step back: entries up to here that are of minutes before were counted */
	EntryId		recount_until;
	int64		recount_from;

	/* how its entries are read */
	char	   *names[FIELDS];
	double		units_a_second;
	SentimentScale scale;
} Stream;

/* Lost entries, or such as may be: times of the last before and the first after. */
typedef struct Loss
{
	bool		found;
	EntryId		after;
	EntryId		before;
	const char *cause;
} Loss;

/* What a drain has found. */
typedef struct Reading
{
	EntryId		position;
	bool		held;
	int64		ordinal;
	int64		read;
	int64		rejected;
	int64		lag;			/* entries that are still to be read; -1: unknown */
	bool		missing;		/* the stream does not exist */
	Loss		loss;
} Reading;

extern Stream *LockStream(Datum name);
extern void UnlockStream(Datum name, const Reading *reading);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_STREAM_H */
