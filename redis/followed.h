/*
 * followed.h
 *	  A stream that the follower follows, and the transactions in which it does.
 */
#ifndef DEFIDATA_REDIS_FOLLOWED_H
#define DEFIDATA_REDIS_FOLLOWED_H

#include "connection.h"

#include "datatype/timestamp.h"

#pragma GCC visibility push(hidden)

typedef enum FollowState
{
	FOLLOW_DRAIN,
	FOLLOW_LISTEN,
	FOLLOW_WAIT
} FollowState;

typedef struct Followed
{
	char	   *name;
	FollowState state;
	TimestampTz due;			/* when to act; in FOLLOW_WAIT, until when to wait */
	TimestampTz drained;		/* when it was last drained */
	int			failures;		/* since the last success */
	bool		listed;			/* still in the list of streams */
} Followed;

/* emptied at each turn of the follower's loop */
extern MemoryContext step_context;

extern TimestampTz After(int milliseconds);
extern void Begin(void);
extern void Finish(void);
extern void Commit(void);
extern void Advance(Followed *stream);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_FOLLOWED_H */
