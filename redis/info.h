/*
 * info.h
 *	  Ids of entries, and what XINFO STREAM tells of a stream.
 */
#ifndef DEFIDATA_REDIS_INFO_H
#define DEFIDATA_REDIS_INFO_H

#include "connection.h"

#pragma GCC visibility push(hidden)

/* The id of an entry: its time in milliseconds since 1970, and a number. */
typedef struct EntryId
{
	uint64		ms;
	uint64		seq;
} EntryId;

/* room for an id as text, and a '(' before it */
#define ENTRY_ID_LENGTH 44

extern bool ParseEntryId(const char *text, Size length, EntryId *id);
extern void FormatEntryId(EntryId id, char *text);
extern int	CompareEntryIds(EntryId a, EntryId b);

/* What is known of a stream; counts are -1 where an old server does not tell. */
typedef struct StreamInfo
{
	bool		exists;
	int64		length;
	int64		entries_added;
	bool		has_first;
	EntryId		first;			/* the oldest entry that is there */
	EntryId		last;			/* the newest that ever was */
	EntryId		max_deleted;
} StreamInfo;

extern void RequestInfo(RedisConnection *connection, const char *key);
extern void ReceiveInfo(RedisConnection *connection, StreamInfo *info);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_INFO_H */
