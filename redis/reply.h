/*
 * reply.h
 *	  What hiredis calls while it reads a reply.
 *
 * hiredis would make an object of each element of a reply: a dozen allocations
 * for an entry, and a second copy of a field of 100 MB that is of no use.  Here
 * its reader calls functions of our own, which keep what is wanted.  They are
 * told where in the reply an element stands, and by privdata for whom.
 *
 * A function that runs out of memory leaves hiredis by longjmp; the connection,
 * and its reader with it, is then closed.
 */
#ifndef DEFIDATA_REDIS_REPLY_H
#define DEFIDATA_REDIS_REPLY_H

#include "postgres.h"

#include <hiredis/hiredis.h>

#pragma GCC visibility push(hidden)

#if HIREDIS_MAJOR >= 1
typedef size_t ElementCount;
#else
typedef int ElementCount;
#endif

/* how much of an error is kept */
#define MAX_ERROR_LENGTH 160

/* A reply of which only the outermost matters: its type, and the text of an error. */
typedef struct SimpleReply
{
	int			type;
	char		error[MAX_ERROR_LENGTH + 1];
} SimpleReply;

extern redisReplyObjectFunctions simple_reply_functions;

extern int	DepthOf(const redisReadTask *task);
extern void CopyPrintable(char *to, const char *from, size_t length);
extern void FreeNothing(void *object);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_REPLY_H */
