/*
 * follow.h
 *	  The worker that follows a database's streams.
 */
#ifndef DEFIDATA_REDIS_FOLLOW_H
#define DEFIDATA_REDIS_FOLLOW_H

#include "postgres.h"

#define LIBRARY "defidata_redis"
#define FOLLOWER "defidata_redis follower"

extern PGDLLEXPORT void defidata_redis_follow(Datum main_arg);

#endif							/* DEFIDATA_REDIS_FOLLOW_H */
