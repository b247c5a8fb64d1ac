/*
 * reply.c
 *	  What hiredis calls while it reads a reply of which only the outermost matters.
 */
#include "reply.h"

/* DepthOf gives the depth at which an element stands: 0 for the reply itself. */
int
DepthOf(const redisReadTask *task)
{
	int			depth = 0;

	for (const redisReadTask *parent = task->parent; parent != NULL; parent = parent->parent)
		depth++;
	return depth;
}

/* CopyPrintable copies what a server sent so that it can be shown, up to MAX_ERROR_LENGTH bytes. */
void
CopyPrintable(char *to, const char *from, size_t length)
{
	size_t		kept = Min(length, MAX_ERROR_LENGTH);

	for (size_t i = 0; i < kept; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[kept] = '\0';
}

/* FreeNothing is what there is to free where no objects are made. */
void
FreeNothing(void *object)
{
	(void) object;
}

/* Take notes the type of the reply; hiredis takes a NULL for out of memory. */
static void *
Take(const redisReadTask *task)
{
	SimpleReply *reply = task->privdata;

	if (task->parent == NULL)
		reply->type = task->type;
	return reply;
}

static void *
TakeString(const redisReadTask *task, char *text, size_t length)
{
	SimpleReply *reply = task->privdata;

	if (task->parent == NULL && task->type == REDIS_REPLY_ERROR)
		CopyPrintable(reply->error, text, length);
	return Take(task);
}

static void *
TakeArray(const redisReadTask *task, ElementCount elements)
{
	(void) elements;
	return Take(task);
}

static void *
TakeInteger(const redisReadTask *task, long long value)
{
	(void) value;
	return Take(task);
}

redisReplyObjectFunctions simple_reply_functions = {
	.createString = TakeString,
	.createArray = TakeArray,
	.createInteger = TakeInteger,
	.createNil = Take,
	.freeObject = FreeNothing
};
