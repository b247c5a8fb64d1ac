/*
 * info.c
 *	  Ids of entries, and what XINFO STREAM tells of a stream.
 */
#include "info.h"

/* ParseNumber reads an unsigned number of digits alone. */
static bool
ParseNumber(const char *text, Size length, uint64 *number)
{
	*number = 0;
	if (length == 0 || length > 20)
		return false;
	for (Size i = 0; i < length; i++)
	{
		uint64		digit = (uint64) (text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || *number > (PG_UINT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return true;
}

/* ParseEntryId reads MILLISECONDS-NUMBER, where the number may be left out. */
bool
ParseEntryId(const char *text, Size length, EntryId *id)
{
	const char *dash = memchr(text, '-', length);

	id->seq = 0;
	if (dash == NULL)
		return ParseNumber(text, length, &id->ms);
	return ParseNumber(text, dash - text, &id->ms) &&
		ParseNumber(dash + 1, length - (dash - text) - 1, &id->seq);
}

/* FormatEntryId writes an id as text. */
void
FormatEntryId(EntryId id, char *text)
{
	snprintf(text, ENTRY_ID_LENGTH, UINT64_FORMAT "-" UINT64_FORMAT, id.ms, id.seq);
}

/* CompareEntryIds says which id is the smaller: below, at or above 0. */
int
CompareEntryIds(EntryId a, EntryId b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return (a.seq > b.seq) - (a.seq < b.seq);
}

/* RequestInfo asks for what ReceiveInfo reads. */
void
RequestInfo(RedisConnection *connection, const char *key)
{
	const char *command[] = {"XINFO", "STREAM", key};

	SendCommand(connection, lengthof(command), command);
}

/* What is known while a reply to XINFO STREAM is read. */
typedef struct InfoReader
{
	StreamInfo *info;
	bool		has_last;
	char		name[32];		/* of the value to come */
	char		error[MAX_ERROR_LENGTH + 1];
} InfoReader;

/* IsNamed says whether the present value is the one of this name. */
static bool
IsNamed(const InfoReader *reader, const char *name)
{
	return strcmp(reader->name, name) == 0;
}

/* TakeName keeps the name of the value to come. */
static void
TakeName(InfoReader *reader, const char *name, size_t length)
{
	size_t		kept = Min(length, sizeof(reader->name) - 1);

	memcpy(reader->name, name, kept);
	reader->name[kept] = '\0';
}

/* TakeString takes a name, an id, or an error in place of all. */
static void *
TakeString(const redisReadTask *task, char *text, size_t length)
{
	InfoReader *reader = task->privdata;
	StreamInfo *info = reader->info;
	int			depth = DepthOf(task);

	if (depth == 0 && task->type == REDIS_REPLY_ERROR)
		CopyPrintable(reader->error, text, length);
	else if (depth == 1 && task->idx % 2 == 0)
		TakeName(reader, text, length);
	else if (depth == 1 && IsNamed(reader, "last-generated-id"))
		reader->has_last = ParseEntryId(text, length, &info->last);
	else if (depth == 1 && IsNamed(reader, "max-deleted-entry-id"))
		(void) ParseEntryId(text, length, &info->max_deleted);
	else if (depth == 2 && task->idx == 0 && IsNamed(reader, "first-entry"))
		info->has_first = ParseEntryId(text, length, &info->first);
	return reader;
}

/* TakeInteger takes a count. */
static void *
TakeInteger(const redisReadTask *task, long long value)
{
	InfoReader *reader = task->privdata;

	if (DepthOf(task) == 1 && IsNamed(reader, "length"))
		reader->info->length = value;
	else if (DepthOf(task) == 1 && IsNamed(reader, "entries-added"))
		reader->info->entries_added = value;
	return reader;
}

/* TakeArray takes the begin of an array. */
static void *
TakeArray(const redisReadTask *task, ElementCount elements)
{
	(void) elements;
	return task->privdata;
}

/* TakeNil takes a nil. */
static void *
TakeNil(const redisReadTask *task)
{
	return task->privdata;
}

static redisReplyObjectFunctions info_functions = {
	.createString = TakeString,
	.createArray = TakeArray,
	.createInteger = TakeInteger,
	.createNil = TakeNil,
	.freeObject = FreeNothing
};

/* ReceiveInfo reads what Redis tells of a stream; one that does not exist is no error. */
void
ReceiveInfo(RedisConnection *connection, StreamInfo *info)
{
	InfoReader	reader = {.info = info};

	memset(info, 0, sizeof(*info));
	info->length = info->entries_added = -1;
	ReceiveWith(connection, &info_functions, &reader);
	if (strncmp(reader.error, "ERR no such key", 15) == 0)
		return;
	if (reader.error[0] != '\0')
		ReportErrorReply(connection, reader.error);
	info->exists = reader.has_last && info->length >= 0;
	if (!info->exists)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("server \"%s\" does not answer XINFO STREAM as Redis does", connection->server.name)));
}
