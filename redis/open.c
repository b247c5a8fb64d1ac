/*
 * open.c
 *	  Connections to Redis: opened, and closed whatever happens.
 *
 * A password goes into AUTH and nowhere else; servers that do not know AUTH repeat
 * its arguments, so nothing of that reply is shown.
 */
#include "connection.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"

bool		keep_connections = false;

static dlist_head connections = DLIST_STATIC_INIT(connections);

/* CloseConnection ends a connection. */
void
CloseConnection(RedisConnection *connection)
{
	dlist_delete(&connection->node);
	if (connection->context != NULL)
	{
		redisFree(connection->context);
		ReleaseExternalFD();
	}
	MemoryContextDelete(GetMemoryChunkContext(connection));
}

/* NotePosition notes how far a stream was read. */
void
NotePosition(RedisConnection *connection, const char *key, const char *position)
{
	MemoryContext context = GetMemoryChunkContext(connection);

	if (connection->key != NULL)
	{
		pfree(connection->key);
		pfree(connection->position);
	}
	connection->key = MemoryContextStrdup(context, key);
	connection->position = MemoryContextStrdup(context, position);
}

/* EndTransaction closes the connections that a transaction has used, or keeps them. */
static void
EndTransaction(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;
	bool		aborted = event == XACT_EVENT_ABORT;

	(void) arg;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE && !aborted)
		return;
	dlist_foreach_modify(iter, &connections)
	{
		RedisConnection *connection = dlist_container(RedisConnection, node, iter.cur);

		if (!keep_connections || (aborted && connection->used_in != InvalidSubTransactionId))
			CloseConnection(connection);
		else
			connection->used_in = InvalidSubTransactionId;
	}
}

/* EndSubtransaction closes the connections of one that is rolled back; others go to its parent. */
static void
EndSubtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent, void *arg)
{
	dlist_mutable_iter iter;

	(void) arg;
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	dlist_foreach_modify(iter, &connections)
	{
		RedisConnection *connection = dlist_container(RedisConnection, node, iter.cur);

		if (connection->used_in != sub)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			CloseConnection(connection);
		else
			connection->used_in = parent;
	}
}

/* RegisterCallbacks sees to it that no connection outlives its transaction unnoticed. */
static void
RegisterCallbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(EndTransaction, NULL);
	RegisterSubXactCallback(EndSubtransaction, NULL);
	registered = true;
}

/* FindConnection gives the connection of a stream, or NULL. */
RedisConnection *
FindConnection(const char *stream)
{
	dlist_iter	iter;

	dlist_foreach(iter, &connections)
	{
		RedisConnection *connection = dlist_container(RedisConnection, node, iter.cur);

		if (strcmp(connection->stream, stream) == 0)
			return connection;
	}
	return NULL;
}

/* MakeConnection makes one that is not connected yet, in a memory context of its own. */
static RedisConnection *
MakeConnection(const char *stream, const RedisServer *server)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "Redis connection", ALLOCSET_SMALL_SIZES);
	MemoryContext former = MemoryContextSwitchTo(context);
	RedisConnection *connection = palloc0(sizeof(RedisConnection));

	connection->stream = pstrdup(stream);
	connection->identity = DescribeServer(server);
	connection->server = *server;
	connection->server.name = pstrdup(server->name);
	connection->server.host = pstrdup(server->host);
	/* these are asked for once, and then not kept twice */
	connection->server.username = connection->server.password = NULL;
	dlist_push_tail(&connections, &connection->node);
	MemoryContextSwitchTo(former);
	return connection;
}

/* ReportUnreachable says that no connection came about. */
static void pg_attribute_noreturn()
ReportUnreachable(const RedisServer *server, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
			 errmsg("could not connect to Redis server \"%s\": %s", server->name, reason),
			 errdetail("Its address is %s, port %d.", server->host, server->port)));
}

/* Connect reaches the server, or says why not. */
static void
Connect(RedisConnection *connection)
{
	const RedisServer *server = &connection->server;
	int			error = 0;
	socklen_t	size = sizeof(error);

	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not connect to Redis server \"%s\": there are too many open files", server->name),
				 errhint("Raise max_files_per_process.")));
	connection->context = server->host[0] == '/' ? redisConnectUnixNonBlock(server->host) :
		redisConnectNonBlock(server->host, server->port);
	if (connection->context == NULL)
	{
		ReleaseExternalFD();
		ReportUnreachable(server, "out of memory");
	}
	if (connection->context->err)
		ReportUnreachable(server, connection->context->errstr);
	UseFunctions(connection, &simple_reply_functions, &connection->reply);
	if (!WaitForSocket(connection, WL_SOCKET_WRITEABLE, server->connect_timeout))
		ReportUnreachable(server, psprintf("no answer within %g s", server->connect_timeout / 1000.0));
	if (getsockopt(connection->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
		ReportUnreachable(server, strerror(error != 0 ? error : errno));
}

/* LogIn tells who asks, where that is known, without a word of the answer. */
static void
LogIn(RedisConnection *connection, const RedisServer *server)
{
	const char *with_name[] = {"AUTH", server->username, server->password};
	const char *without[] = {"AUTH", server->password};

	if (server->password == NULL)
		return;
	if (server->username != NULL)
		SendCommand(connection, lengthof(with_name), with_name);
	else
		SendCommand(connection, lengthof(without), without);
	if (ReceiveReply(connection)->type != REDIS_REPLY_STATUS)
		ereport(ERROR,
				(errcode(ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION),
				 errmsg("Redis server \"%s\" refused user name or password", server->name),
				 errhint("Correct them in the user mapping of the server.")));
}

/* SelectDatabase changes to the server's database, if not the first. */
static void
SelectDatabase(RedisConnection *connection, const RedisServer *server)
{
	char		number[16];
	const char *command[] = {"SELECT", number};
	const SimpleReply *reply;

	if (server->dbnum == 0)
		return;
	snprintf(number, sizeof(number), "%d", server->dbnum);
	SendCommand(connection, lengthof(command), command);
	reply = ReceiveReply(connection);
	if (reply->type == REDIS_REPLY_ERROR)
		ReportErrorReply(connection, reply->error);
}

/* OpenConnection gives the connection of a stream, made anew where an option has changed. */
RedisConnection *
OpenConnection(const char *stream, const char *server_name)
{
	RedisServer *server = GetRedisServer(server_name);
	RedisConnection *connection = FindConnection(stream);

	RegisterCallbacks();
	if (connection != NULL && strcmp(connection->identity, DescribeServer(server)) != 0)
	{
		CloseConnection(connection);
		connection = NULL;
	}
	if (connection != NULL && connection->used_in == InvalidSubTransactionId)
		connection->used_in = GetCurrentSubTransactionId();
	if (connection != NULL)
		return connection;
	connection = MakeConnection(stream, server);
	connection->used_in = GetCurrentSubTransactionId();
	Connect(connection);
	LogIn(connection, server);
	SelectDatabase(connection, server);
	return connection;
}
