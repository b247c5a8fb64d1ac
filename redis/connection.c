/*
 * connection.c
 *	  Commands out and replies in, on a connection that is open.
 *
 * What Redis answers is somebody else's: it is checked before it is shown.
 */
#include "connection.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

/* How an error reply that begins with a word is reported. */
typedef struct ErrorKind
{
	const char *word;
	int			sqlstate;
	const char *message;
	const char *hint;
} ErrorKind;

static const ErrorKind error_kinds[] = {
	{"NOAUTH", ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
		"requires a password", "Give username and password in a user mapping of the server."},
	{"WRONGPASS", ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
		"refused user name or password", "Correct them in the user mapping of the server."},
	{"NOPERM", ERRCODE_INSUFFICIENT_PRIVILEGE,
		"does not permit a command", "There, the user needs +xinfo +xrange +xread +xtrim +select on the stream's key."},
	{"WRONGTYPE", ERRCODE_WRONG_OBJECT_TYPE,
		"holds something under this key that is not a stream", "Attach the stream under its right name."},
	{"MOVED", ERRCODE_FEATURE_NOT_SUPPORTED,
		"is part of a cluster, which is not supported", "Attach a server that is not in cluster mode."},
	{"ASK", ERRCODE_FEATURE_NOT_SUPPORTED,
		"is part of a cluster, which is not supported", "Attach a server that is not in cluster mode."},
	{"CLUSTERDOWN", ERRCODE_FEATURE_NOT_SUPPORTED,
		"is part of a cluster, which is not supported", "Attach a server that is not in cluster mode."},
	{"LOADING", ERRCODE_CONNECTION_FAILURE, "is not ready yet", "Try again later."},
	{"MASTERDOWN", ERRCODE_CONNECTION_FAILURE, "is not ready", "Try again later."},
	{"BUSY", ERRCODE_CONNECTION_FAILURE, "is busy with a script", "Try again later."}
};

/* ReportErrorReply raises what an error reply says. */
void
ReportErrorReply(RedisConnection *connection, const char *text)
{
	for (int i = 0; i < (int) lengthof(error_kinds); i++)
	{
		const ErrorKind *kind = &error_kinds[i];
		Size		word = strlen(kind->word);

		if (strncmp(text, kind->word, word) == 0 && (text[word] == '\0' || text[word] == ' '))
			ereport(ERROR,
					(errcode(kind->sqlstate),
					 errmsg("Redis server \"%s\" %s", connection->server.name, kind->message),
					 errdetail("Stream %s: %s", connection->stream, text),
					 errhint("%s", kind->hint)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_EXCEPTION),
			 errmsg("Redis server \"%s\" reports an error: %s", connection->server.name, text),
			 errhint("Redis 6.2 or newer is needed, 7.0 or newer to tell what was trimmed unread.")));
}

/* ReportBroken raises what has happened to a connection. */
static void pg_attribute_noreturn()
ReportBroken(RedisConnection *connection)
{
	redisContext *context = connection->context;
	char		reason[MAX_ERROR_LENGTH + 1];

	CopyPrintable(reason, context->errstr, strlen(context->errstr));
	if (context->err == REDIS_ERR_PROTOCOL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("server \"%s\" does not answer as Redis does", connection->server.name),
				 errdetail("%s", reason)));
	if (context->err == REDIS_ERR_OOM)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to Redis server \"%s\" was lost: %s", connection->server.name, reason)));
}

/* WaitForSocket waits until the socket is ready or so many milliseconds are over; false for the latter. */
bool
WaitForSocket(RedisConnection *connection, int event, int timeout)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);

	for (;;)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		int			occurred;

		occurred = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT | event,
									 connection->context->fd, left, PG_WAIT_EXTENSION);
		if (occurred & WL_LATCH_SET)
			ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (occurred & event)
			return true;
		if (left <= 0)
			return false;
	}
}

/* WaitForTraffic waits as long as the server may take to answer. */
static void
WaitForTraffic(RedisConnection *connection, int event)
{
	int			timeout = connection->server.read_timeout;

	if (!WaitForSocket(connection, event, timeout))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("Redis server \"%s\" did not answer within %g s", connection->server.name, timeout / 1000.0),
				 errhint("The option read_timeout of the server says how long to wait.")));
}

/* FlushCommands sends what has been put together. */
void
FlushCommands(RedisConnection *connection)
{
	int			done = 0;

	for (;;)
	{
		if (redisBufferWrite(connection->context, &done) != REDIS_OK)
			ReportBroken(connection);
		if (done)
			return;
		WaitForTraffic(connection, WL_SOCKET_WRITEABLE);
	}
}

/* SendCommand puts a command behind those that are to be sent with the next wait. */
void
SendCommand(RedisConnection *connection, int words, const char **word)
{
	if (redisAppendCommandArgv(connection->context, words, word, NULL) != REDIS_OK)
		ReportBroken(connection);
}

/* ReadSome takes what has come on the socket; false where nothing has. */
static bool
ReadSome(RedisConnection *connection)
{
	redisContext *context = connection->context;
	size_t		before = context->reader->len;

	if (redisBufferRead(context) != REDIS_OK)
		ReportBroken(connection);
	return context->reader->len != before;
}

/*
 * ReceiveObject waits for the next reply, which the reader's functions take.  The
 * limit is one on silence: a long reply may take its time.
 */
static void
ReceiveObject(RedisConnection *connection)
{
	void	   *object = NULL;

	FlushCommands(connection);
	for (;;)
	{
		if (redisGetReplyFromReader(connection->context, &object) != REDIS_OK)
			ReportBroken(connection);
		if (object != NULL)
			return;
		CHECK_FOR_INTERRUPTS();
		if (!ReadSome(connection))
			WaitForTraffic(connection, WL_SOCKET_READABLE);
	}
}

/* UseFunctions makes the reader of a connection call these functions. */
void
UseFunctions(RedisConnection *connection, redisReplyObjectFunctions *functions, void *data)
{
	connection->context->reader->fn = functions;
	connection->context->reader->privdata = data;
}

/* ReceiveWith waits for the next reply, whose elements these functions take. */
void
ReceiveWith(RedisConnection *connection, redisReplyObjectFunctions *functions, void *data)
{
	UseFunctions(connection, functions, data);
	ReceiveObject(connection);
	UseFunctions(connection, &simple_reply_functions, &connection->reply);
}

/* ReceiveReply waits for the next reply of which only the outermost matters. */
const SimpleReply *
ReceiveReply(RedisConnection *connection)
{
	ReceiveObject(connection);
	return &connection->reply;
}

/* HasReply says, without waiting, whether such a reply has come; an error is raised. */
bool
HasReply(RedisConnection *connection)
{
	void	   *object = NULL;

	for (;;)
	{
		if (redisGetReplyFromReader(connection->context, &object) != REDIS_OK)
			ReportBroken(connection);
		if (object != NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		if (!ReadSome(connection))
			return false;
	}
	if (connection->reply.type == REDIS_REPLY_ERROR)
		ReportErrorReply(connection, connection->reply.error);
	return true;
}
