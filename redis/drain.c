/*
 * drain.c
 *	  Reading a stream on from its position: entries in, sums or rows out, the new
 *	  position with them in one transaction.
 *
 * Whether entries were lost unread is asked after they were read, never before:
 *
 *	  XINFO		   the newest id, where to stop
 *	  XRANGE (p +  entries after the position p
 *	  XRANGE p p   is the position's own entry still there?
 *	  XINFO		   how many entries the stream ever had
 *
 * A stream loses entries from its old end.  So while the position's own entry is
 * there, all that came after it was there when it was read.  Where it is gone, the
 * number of entries that the stream ever had tells: it has to be that of the
 * position and those read since.
 */
#include "intake.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "store.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(defidata_drain_stream);
PG_FUNCTION_INFO_V1(defidata_probe_stream);

/* bytes that one reply aims at, and the number of entries that it has at most */
#define REPLY_SIZE (2 * 1024 * 1024)
#define MAX_REPLY_ENTRIES 10000
#define FIRST_REPLY_ENTRIES 64

/* how often a drain reads on, to see whether what is gone had been read */
#define MAX_ROUNDS 20

typedef struct Drain
{
	Stream	   *stream;
	RedisConnection *connection;
	StreamInfo	info;
	EntryBatch *batch;
	EntryBatch *own;			/* the position's own entry */
	Intake	   *intake;
	int64		most;			/* entries to read */
	bool		rest;			/* the stream had more of them */
	bool		gone;			/* an entry at a position was not there any more */
	Reading		reading;
} Drain;

/* Request asks for entries after the position, and then whether its own is still there. */
static void
Request(Drain *drain, int wanted)
{
	RequestEntries(drain->connection, drain->stream->key, drain->reading.position, wanted);
	RequestEntry(drain->connection, drain->stream->key, drain->reading.position);
	FlushCommands(drain->connection);
}

/* NoteGap notes where entries between the position and those that came may be missing. */
static void
NoteGap(Drain *drain)
{
	Reading    *reading = &drain->reading;

	if (reading->held ? drain->own->count > 0 : reading->ordinal == ORDINAL_UNKNOWN)
		return;
	if (!drain->gone)
		reading->loss.after = reading->position;
	drain->gone = true;
	reading->loss.before = drain->batch->count > 0 ? drain->batch->entries[0].id : drain->info.last;
}

/* NextWanted gives the number of entries to ask for, from the size of the last. */
static int
NextWanted(const EntryBatch *batch, int wanted)
{
	int64		fitting = (int64) REPLY_SIZE * batch->count / Max(batch->size, 1);

	return (int) Max(1, Min(Min(fitting, 8 * (int64) wanted), MAX_REPLY_ENTRIES));
}

/* MoveOn moves the position to the last entry of a reply. */
static void
MoveOn(Drain *drain)
{
	Reading    *reading = &drain->reading;

	if (drain->batch->count == 0)
		return;
	reading->position = drain->batch->entries[drain->batch->count - 1].id;
	reading->held = true;
	reading->read += drain->batch->count;
}

/*
 * ReadOn reads up to what the stream had at the last XINFO, or as many entries as
 * are to be read.  The next reply is on its way while the last one is worked on.
 */
static void
ReadOn(Drain *drain)
{
	Reading    *reading = &drain->reading;
	int			wanted = FIRST_REPLY_ENTRIES;
	bool		more;

	Request(drain, wanted);
	do
	{
		ReceiveEntries(drain->connection, drain->batch);
		ReceiveEntries(drain->connection, drain->own);
		NoteGap(drain);
		MoveOn(drain);
		drain->rest = drain->batch->count == wanted && CompareEntryIds(reading->position, drain->info.last) < 0;
		more = drain->rest && reading->read < drain->most;
		wanted = NextWanted(drain->batch, wanted);
		if (more)
			Request(drain, wanted);
		TakeEntries(drain->intake, drain->batch);
	} while (more);
}

/* GetInfo asks what the stream has. */
static void
GetInfo(Drain *drain)
{
	RequestInfo(drain->connection, drain->stream->key);
	ReceiveInfo(drain->connection, &drain->info);
}

/*
 * PassDeleted moves the position over entries that were deleted: all that were
 * there up to what the last XINFO told, before these were read, have been read.
 */
static void
PassDeleted(Drain *drain)
{
	Reading    *reading = &drain->reading;

	if (drain->rest || CompareEntryIds(reading->position, drain->info.last) >= 0)
		return;
	reading->position = drain->info.last;
	reading->held = false;
}

/* IsCaughtUp says whether all has been read that the stream ever had. */
static bool
IsCaughtUp(const Drain *drain)
{
	return drain->info.exists && CompareEntryIds(drain->reading.position, drain->info.last) == 0;
}

/* WasLost decides, of entries that are gone, whether some were not read. */
static bool
WasLost(const Drain *drain)
{
	const StreamInfo *info = &drain->info;
	int64		expected = drain->stream->ordinal + drain->reading.read;

	/* only entries in the midst were deleted, none after the position */
	if (info->exists && info->has_first && CompareEntryIds(info->first, drain->stream->position) <= 0 &&
		CompareEntryIds(info->max_deleted, drain->stream->position) <= 0)
		return false;
	if (!info->exists || info->entries_added < 0 || drain->stream->ordinal == ORDINAL_UNKNOWN)
		return true;
	if (IsCaughtUp(drain))
		return info->entries_added != expected;
	return !info->has_first || CompareEntryIds(info->first, drain->reading.position) <= 0 ||
		info->entries_added != expected + info->length;
}

/* Conclude works out what is known after the last entry was read. */
static void
Conclude(Drain *drain)
{
	Reading    *reading = &drain->reading;
	int64		added = drain->info.entries_added;

	reading->missing = !drain->info.exists;
	if (drain->gone && WasLost(drain))
	{
		reading->loss.found = true;
		reading->loss.cause = "gone from the stream before it was read";
	}
	if (IsCaughtUp(drain))
		reading->ordinal = added;
	else if (drain->stream->ordinal != ORDINAL_UNKNOWN && !reading->loss.found)
		reading->ordinal = drain->stream->ordinal + reading->read;
	else
		reading->ordinal = ORDINAL_UNKNOWN;
	reading->lag = IsCaughtUp(drain) ? 0 :
		added >= 0 && reading->ordinal != ORDINAL_UNKNOWN ? Max(added - reading->ordinal, 0) : -1;
}

/* Trim lets Redis forget what was read by a transaction that is over, but for the position's entry. */
static void
Trim(Drain *drain)
{
	char		position[ENTRY_ID_LENGTH];
	const char *command[] = {"XTRIM", drain->stream->key, "MINID", position};
	const SimpleReply *reply;

	if (!drain->stream->trim || !drain->stream->held || !drain->stream->committed)
		return;
	FormatEntryId(drain->stream->position, position);
	SendCommand(drain->connection, lengthof(command), command);
	reply = ReceiveReply(drain->connection);
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->error, "WRONGTYPE", 9) != 0)
		ereport(WARNING,
				(errmsg("stream \"%s\" could not be trimmed", drain->stream->name),
				 errdetail("Redis says: %s", reply->error)));
}

/* CheckPosition refuses a stream that ends before the position. */
static void
CheckPosition(const Drain *drain)
{
	char		newest[ENTRY_ID_LENGTH];
	char		position[ENTRY_ID_LENGTH];

	if (!drain->info.exists || CompareEntryIds(drain->info.last, drain->stream->position) >= 0)
		return;
	FormatEntryId(drain->info.last, newest);
	FormatEntryId(drain->stream->position, position);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("stream \"%s\" ends at %s, before %s, up to which it was read", drain->stream->name, newest, position),
			 errdetail("It is another server, or one that was restored from a backup or lost its newest entries."),
			 errhint("SELECT defidata_reset_stream('%s', '%s'); reads on from there, and drops the sums of what was read after it.",
					 drain->stream->name, newest)));
}

/* NoteBegin notes that a stream which is read for the first time has lost its oldest entries before. */
static void
NoteBegin(Drain *drain)
{
	const Stream *stream = drain->stream;
	Loss	   *loss = &drain->reading.loss;

	if (stream->held || stream->position.ms != 0 || !drain->info.has_first ||
		drain->info.entries_added <= drain->info.length)
		return;
	loss->found = true;
	loss->after = loss->before = drain->info.first;
	loss->cause = "begun when older entries were gone";
}

/* DrainStream reads a locked stream on. */
static void
DrainStream(Drain *drain)
{
	char		position[ENTRY_ID_LENGTH];
	int			rounds = 0;

	drain->connection = OpenConnection(drain->stream->name, drain->stream->server);
	Trim(drain);
	GetInfo(drain);
	CheckPosition(drain);
	NoteBegin(drain);
	if (drain->info.exists)
		do
		{
			ReadOn(drain);
			PassDeleted(drain);
			GetInfo(drain);
		} while (drain->gone && drain->info.exists && !IsCaughtUp(drain) && drain->reading.read < drain->most &&
				 ++rounds < MAX_ROUNDS);
	Conclude(drain);
	drain->reading.rejected = FinishIntake(drain->intake);
	FormatEntryId(drain->reading.position, position);
	NotePosition(drain->connection, drain->stream->key, position);
}

/* MakeDrain makes what a drain of a stream needs. */
static Drain *
MakeDrain(Datum name, Stream *stream, int64 most)
{
	Drain	   *drain = palloc0(sizeof(Drain));

	drain->stream = stream;
	drain->most = most;
	drain->batch = MakeEntryBatch(stream->names);
	drain->own = MakeEntryBatch(stream->names);
	drain->intake = MakeIntake(name, stream);
	drain->reading.position = stream->position;
	drain->reading.held = stream->held;
	drain->reading.ordinal = stream->ordinal;
	drain->reading.lag = -1;
	return drain;
}

/* MakeResult makes the row that a drain returns. */
static Datum
MakeResult(FunctionCallInfo fcinfo, const Drain *drain)
{
	const Reading *reading = &drain->reading;
	TupleDesc	descriptor;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != lengthof(values))
		elog(ERROR, "drain_stream must return a row of %d columns", (int) lengthof(values));
	values[0] = Int64GetDatum(reading->read);
	values[1] = Int64GetDatum(reading->rejected);
	values[2] = Int64GetDatum(reading->lag);
	nulls[2] = reading->lag < 0;
	values[3] = BoolGetDatum(drain->rest);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

/*
 * defidata_drain_stream(name, most): entries read and rejected, lag, and whether
 * there are more; NULL where another transaction drains the stream.
 */
Datum
defidata_drain_stream(PG_FUNCTION_ARGS)
{
	Datum		name = PG_GETARG_DATUM(0);
	int64		most = PG_GETARG_INT64(1);
	MemoryContext context = CurrentMemoryContext;
	Stream	   *stream;
	Drain	   *drain;
	Datum		result;

	SPI_connect();
	stream = LockStream(name);
	if (stream == NULL)
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	drain = MakeDrain(name, stream, most);
	DrainStream(drain);
	UnlockStream(name, &drain->reading);
	MemoryContextSwitchTo(context);
	result = MakeResult(fcinfo, drain);
	SPI_finish();
	PG_RETURN_DATUM(result);
}

/*
 * defidata_probe_stream(name, server, key): the newest id that a stream ever had,
 * NULL where there is none.
 */
Datum
defidata_probe_stream(PG_FUNCTION_ARGS)
{
	RedisConnection *connection = OpenConnection(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	char		newest[ENTRY_ID_LENGTH];
	StreamInfo	info;

	RequestInfo(connection, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ReceiveInfo(connection, &info);
	if (!info.exists)
		PG_RETURN_NULL();
	FormatEntryId(info.last, newest);
	PG_RETURN_TEXT_P(cstring_to_text(newest));
}
