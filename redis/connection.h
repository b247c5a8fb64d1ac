/*
 * connection.h
 *	  A connection to Redis, and how commands go out and replies come in.
 *
 * hiredis speaks the protocol and never waits: all waiting is done here, on the
 * process's latch and the socket, with a limit.  A connection belongs to the
 * (sub)transaction that uses it and is closed where that is rolled back, since
 * nobody knows then what is still to come on it.
 */
#ifndef DEFIDATA_REDIS_CONNECTION_H
#define DEFIDATA_REDIS_CONNECTION_H

#include "postgres.h"

#include "lib/ilist.h"
#include "reply.h"

#pragma GCC visibility push(hidden)

/* Where a server is, and as whom it is asked. */
typedef struct RedisServer
{
	char	   *name;			/* of the foreign server */
	char	   *host;			/* or the path of a socket */
	int			port;
	int			dbnum;
	int			connect_timeout;	/* milliseconds */
	int			read_timeout;	/* milliseconds */
	char	   *username;		/* NULL: none */
	char	   *password;		/* NULL: none */
} RedisServer;

typedef struct RedisConnection
{
	dlist_node	node;
	char	   *stream;			/* the stream that it is for */
	char	   *identity;		/* every option, to see when one changes */
	RedisServer server;
	redisContext *context;
	SimpleReply reply;			/* the last one that nobody wanted more of */
	SubTransactionId used_in;	/* InvalidSubTransactionId: by none */
	char	   *key;			/* of the stream, and how far it was read: */
	char	   *position;		/* for whoever listens for more */
} RedisConnection;

/* whether connections outlive transactions, as in the worker */
extern bool keep_connections;

extern RedisServer *GetRedisServer(const char *name);
extern char *DescribeServer(const RedisServer *server);

extern RedisConnection *OpenConnection(const char *stream, const char *server);
extern RedisConnection *FindConnection(const char *stream);
extern void NotePosition(RedisConnection *connection, const char *key, const char *position);
extern void CloseConnection(RedisConnection *connection);

extern bool WaitForSocket(RedisConnection *connection, int event, int timeout);
extern void UseFunctions(RedisConnection *connection, redisReplyObjectFunctions *functions, void *data);
extern void SendCommand(RedisConnection *connection, int words, const char **word);
extern void FlushCommands(RedisConnection *connection);
extern void ReceiveWith(RedisConnection *connection, redisReplyObjectFunctions *functions, void *data);
extern const SimpleReply *ReceiveReply(RedisConnection *connection);
extern bool HasReply(RedisConnection *connection);
extern void ReportErrorReply(RedisConnection *connection, const char *text) pg_attribute_noreturn();

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_CONNECTION_H */
