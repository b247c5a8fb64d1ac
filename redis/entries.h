/*
 * entries.h
 *	  Entries of a stream as they come in a reply.
 */
#ifndef DEFIDATA_REDIS_ENTRIES_H
#define DEFIDATA_REDIS_ENTRIES_H

#include "info.h"
#include "lib/stringinfo.h"

#pragma GCC visibility push(hidden)

/* What of an entry is of use. */
typedef enum Field
{
	FIELD_SYMBOL,
	FIELD_TIME,
	FIELD_COUNT,
	FIELD_SENTIMENT,
	FIELD_ID,
	FIELDS
} Field;

/* a value of more bytes is as long as this, and is not kept */
#define MAX_VALUE_LENGTH 512
#define VALUE_TOO_LONG (MAX_VALUE_LENGTH + 1)
#define VALUE_ABSENT (-1)

/* One entry: where its values begin in the batch's text, and how long they are. */
typedef struct StreamEntry
{
	EntryId		id;
	int			start[FIELDS];
	int			length[FIELDS];
} StreamEntry;

/* The entries of one reply. */
typedef struct EntryBatch
{
	const char *name[FIELDS];	/* of the fields in the stream */
	int			name_length[FIELDS];
	int			count;
	int			capacity;
	StreamEntry *entries;
	StringInfoData values;		/* the bytes of all values */
	Size		size;			/* bytes of the reply, kept or not */
	int			field;			/* that the next value belongs to; FIELDS: none */
	bool		malformed;
	char		error[MAX_ERROR_LENGTH + 1];	/* in place of entries */
} EntryBatch;

extern EntryBatch *MakeEntryBatch(char **names);
extern void RequestEntries(RedisConnection *connection, const char *key, EntryId after, int count);
extern void RequestEntry(RedisConnection *connection, const char *key, EntryId id);
extern void ReceiveEntries(RedisConnection *connection, EntryBatch *batch);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_ENTRIES_H */
