/*
 * entries.c
 *	  Entries of a stream, taken from a reply while hiredis reads it.
 *
 * The wanted values, up to 512 bytes of each, are kept in one buffer.
 *
 *	  depth 0	 the reply, an array of entries
 *	  depth 1	   an entry, an array of two
 *	  depth 2		 its id; its fields, an array of names and values
 *	  depth 3		   a name, a value, a name, ...
 */
#include "entries.h"

/* FindField finds the field of a name. */
static int
FindField(const EntryBatch *batch, const char *name, size_t length)
{
	for (int field = 0; field < FIELDS; field++)
		if (batch->name_length[field] == (int) length && memcmp(batch->name[field], name, length) == 0)
			return field;
	return FIELDS;
}

/* PutValue keeps the value of the field whose name came before it. */
static void
PutValue(EntryBatch *batch, const char *value, size_t length)
{
	StreamEntry *entry = &batch->entries[batch->count - 1];

	if (batch->field == FIELDS)
		return;
	entry->start[batch->field] = batch->values.len;
	entry->length[batch->field] = length > MAX_VALUE_LENGTH ? VALUE_TOO_LONG : (int) length;
	if (length <= MAX_VALUE_LENGTH)
		appendBinaryStringInfo(&batch->values, value, (int) length);
}

/* BeginEntry makes room for an entry, without any values yet. */
static void
BeginEntry(EntryBatch *batch)
{
	StreamEntry *entry;

	if (batch->count == batch->capacity)
	{
		batch->capacity *= 2;
		batch->entries = repalloc_huge(batch->entries, batch->capacity * sizeof(StreamEntry));
	}
	entry = &batch->entries[batch->count++];
	memset(entry, 0, sizeof(*entry));
	for (int field = 0; field < FIELDS; field++)
		entry->length[field] = VALUE_ABSENT;
}

/* CreateString takes an id, a name or a value. */
static void *
CreateString(const redisReadTask *task, char *text, size_t length)
{
	EntryBatch *batch = task->privdata;
	int			depth = DepthOf(task);

	batch->size += length + 16;
	if (depth == 0 && task->type == REDIS_REPLY_ERROR)
		CopyPrintable(batch->error, text, length);
	else if (depth == 2 && task->idx == 0)
		batch->malformed |= !ParseEntryId(text, length, &batch->entries[batch->count - 1].id);
	else if (depth == 3 && task->idx % 2 == 0)
		batch->field = FindField(batch, text, length);
	else if (depth == 3)
		PutValue(batch, text, length);
	else
		batch->malformed = true;
	return batch;
}

/* CreateArray takes the begin of the reply, of an entry or of its fields. */
static void *
CreateArray(const redisReadTask *task, ElementCount elements)
{
	EntryBatch *batch = task->privdata;
	int			depth = DepthOf(task);

	batch->size += 16;
	if (depth == 1)
		BeginEntry(batch);
	batch->malformed |= depth > 2 || (depth == 1 && elements != 2) || (depth == 2 && task->idx != 1);
	return batch;
}

/* CreateInteger refuses an integer: there is none in entries. */
static void *
CreateInteger(const redisReadTask *task, long long value)
{
	EntryBatch *batch = task->privdata;

	(void) value;
	batch->malformed = true;
	return batch;
}

/* CreateNil takes the nil that stands for no entry, or for the fields of none. */
static void *
CreateNil(const redisReadTask *task)
{
	return task->privdata;
}

static redisReplyObjectFunctions entry_functions = {
	.createString = CreateString,
	.createArray = CreateArray,
	.createInteger = CreateInteger,
	.createNil = CreateNil,
	.freeObject = FreeNothing
};

/* MakeEntryBatch makes room for entries whose fields have these names; NULL: there is no such field. */
EntryBatch *
MakeEntryBatch(char **names)
{
	EntryBatch *batch = palloc0(sizeof(EntryBatch));

	for (int field = 0; field < FIELDS; field++)
	{
		batch->name[field] = names[field];
		batch->name_length[field] = names[field] != NULL ? (int) strlen(names[field]) : -1;
	}
	batch->capacity = 64;
	batch->entries = palloc(batch->capacity * sizeof(StreamEntry));
	initStringInfo(&batch->values);
	return batch;
}

/* RequestEntries asks for entries after an id. */
void
RequestEntries(RedisConnection *connection, const char *key, EntryId after, int count)
{
	char		from[ENTRY_ID_LENGTH + 1] = "(";
	char		limit[16];
	const char *command[] = {"XRANGE", key, from, "+", "COUNT", limit};

	FormatEntryId(after, from + 1);
	snprintf(limit, sizeof(limit), "%d", count);
	SendCommand(connection, lengthof(command), command);
}

/* RequestEntry asks for one entry. */
void
RequestEntry(RedisConnection *connection, const char *key, EntryId id)
{
	char		text[ENTRY_ID_LENGTH];
	const char *command[] = {"XRANGE", key, text, text, "COUNT", "1"};

	FormatEntryId(id, text);
	SendCommand(connection, lengthof(command), command);
}

/* ReceiveEntries waits for a reply of entries, in place of those that the batch has. */
void
ReceiveEntries(RedisConnection *connection, EntryBatch *batch)
{
	batch->count = 0;
	batch->size = 0;
	batch->malformed = false;
	batch->error[0] = '\0';
	resetStringInfo(&batch->values);
	ReceiveWith(connection, &entry_functions, batch);
	if (batch->error[0] != '\0')
		ReportErrorReply(connection, batch->error);
	if (batch->malformed)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("server \"%s\" does not answer XRANGE as Redis does", connection->server.name)));
}
