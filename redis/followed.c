/*
 * followed.c
 *	  What the follower does with one stream.
 *
 * It drains the stream by the same function as everybody else, then asks Redis to
 * tell when there is more:
 *
 *	  DRAIN --nothing more--> LISTEN --XREAD BLOCK--> WAIT --entries--> DRAIN
 *								  ^					   |
 *								  +-----nothing yet----+
 *
 * A stream that fails is drained again after a while; the others do not notice.
 */
#include "followed.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* milliseconds */
#define REST 100				/* between two drains of a stream */
#define BLOCK 5000				/* how long Redis waits for an entry */
#define IDLE_DRAIN 60000		/* between two drains of a stream without entries */
#define BUSY_RETRY 500			/* somebody else drains the stream */
#define FIRST_RETRY 500			/* after a failure, doubled with each */
#define LAST_RETRY 8000

/* entries that one transaction takes */
#define MOST 100000

MemoryContext step_context;

/* After gives the time so many milliseconds from now. */
TimestampTz
After(int milliseconds)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
}

/* Commit ends a transaction. */
void
Commit(void)
{
	CommitTransactionCommand();
	MemoryContextSwitchTo(step_context);
}

/* Begin starts a transaction in which SPI can be used. */
void
Begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* Finish commits it. */
void
Finish(void)
{
	SPI_finish();
	PopActiveSnapshot();
	Commit();
}

static const Oid failure_types[] = {TEXTOID, TEXTOID, TEXTOID};
static StoredCall note_failure = {
	"SELECT defidata.note_stream_error($1, $2, $3)", lengthof(failure_types), failure_types, NULL
};

/* NoteFailure keeps the error of a stream where status finds it. */
static void
NoteFailure(const Followed *stream, const ErrorData *error)
{
	PG_TRY();
	{
		Datum		values[lengthof(failure_types)];

		Begin();
		values[0] = CStringGetTextDatum(stream->name);
		values[1] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
		values[2] = CStringGetTextDatum(error->message);
		CallStored(&note_failure, values, NULL);
		Finish();
	}
	PG_CATCH();
	{
		/* the first error is the one that matters, and it is in the log */
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(step_context);
	}
	PG_END_TRY();
}

/* Fail takes the error that a stream has met, and lets it rest for a while. */
static void
Fail(Followed *stream)
{
	ErrorData  *error;
	int			retry = FIRST_RETRY;

	MemoryContextSwitchTo(step_context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(step_context);
	for (int i = 0; i < stream->failures && retry < LAST_RETRY; i++)
		retry *= 2;
	if (stream->failures++ == 0)
		ereport(LOG, (errmsg("stream \"%s\" cannot be followed: %s", stream->name, error->message)));
	stream->state = FOLLOW_DRAIN;
	stream->due = After(retry);
	NoteFailure(stream, error);
}

/* Drained sets what comes after a drain: entries read (-1: somebody else was at it), and whether there are more. */
static void
Drained(Followed *stream, int64 entries, bool more)
{
	if (stream->failures > 0)
		ereport(LOG, (errmsg("stream \"%s\" is followed again", stream->name)));
	stream->failures = 0;
	stream->drained = GetCurrentTimestamp();
	stream->state = more || entries < 0 ? FOLLOW_DRAIN : FOLLOW_LISTEN;
	stream->due = After(entries < 0 ? BUSY_RETRY : more || entries == 0 ? 0 : REST);
}

static const Oid drain_types[] = {TEXTOID, INT8OID};
static StoredCall drain_stream = {
	"SELECT read, more FROM defidata.drain_stream($1, $2)", lengthof(drain_types), drain_types, NULL
};

/* Drain drains a stream in a transaction. */
static void
Drain(Followed *stream)
{
	Datum		values[lengthof(drain_types)];
	Datum		read;
	Datum		more;
	bool		busy;
	bool		null;

	Begin();
	values[0] = CStringGetTextDatum(stream->name);
	values[1] = Int64GetDatum(MOST);
	CallStored(&drain_stream, values, NULL);
	read = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &busy);
	more = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);
	Finish();
	Drained(stream, busy ? -1 : DatumGetInt64(read), !busy && DatumGetBool(more));
}

/* Listen asks Redis to tell when there are entries after the position. */
static void
Listen(Followed *stream)
{
	RedisConnection *connection = FindConnection(stream->name);
	char		block[16];
	const char *command[] = {"XREAD", "COUNT", "1", "BLOCK", block, "STREAMS", NULL, NULL};

	if (connection == NULL)
	{
		stream->state = FOLLOW_DRAIN;
		return;
	}
	snprintf(block, sizeof(block), "%d", BLOCK);
	command[6] = connection->key;
	command[7] = connection->position;
	SendCommand(connection, lengthof(command), command);
	FlushCommands(connection);
	stream->state = FOLLOW_WAIT;
	stream->due = After(BLOCK + connection->server.read_timeout);
}

/* Look looks whether Redis has answered. */
static void
Look(Followed *stream)
{
	RedisConnection *connection = FindConnection(stream->name);

	if (connection == NULL || HasReply(connection))
	{
		bool		idle = connection != NULL && connection->reply.type == REDIS_REPLY_NIL &&
			!TimestampDifferenceExceeds(stream->drained, GetCurrentTimestamp(), IDLE_DRAIN);

		stream->state = idle ? FOLLOW_LISTEN : FOLLOW_DRAIN;
		stream->due = GetCurrentTimestamp();
	}
	else if (stream->due <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("Redis server \"%s\" does not answer any more", connection->server.name)));
}

/* Use makes a connection end with the transaction, should that fail. */
static void
Use(const char *name)
{
	RedisConnection *connection = FindConnection(name);

	if (connection != NULL)
		connection->used_in = GetCurrentSubTransactionId();
}

/* Advance does with a stream what is due. */
void
Advance(Followed *stream)
{
	PG_TRY();
	{
		if (stream->state != FOLLOW_DRAIN)
		{
			StartTransactionCommand();
			Use(stream->name);
			if (stream->state == FOLLOW_WAIT)
				Look(stream);
			else
				Listen(stream);
			Commit();
		}
		if (stream->state == FOLLOW_DRAIN && stream->due <= GetCurrentTimestamp())
			Drain(stream);
	}
	PG_CATCH();
	{
		Fail(stream);
	}
	PG_END_TRY();
}
