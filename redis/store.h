/*
 * store.h
 *	  Calls of this extension's own SQL functions with arrays, through SPI.
 */
#ifndef DEFIDATA_REDIS_STORE_H
#define DEFIDATA_REDIS_STORE_H

#include "postgres.h"

#include "executor/spi.h"

#pragma GCC visibility push(hidden)

/* A statement that is planned once in a session. */
typedef struct StoredCall
{
	const char *query;
	int			arguments;
	const Oid  *types;
	SPIPlanPtr	plan;
} StoredCall;

extern void CallStored(StoredCall *call, Datum *values, const char *nulls);
extern void RunStored(StoredCall *call, Datum *values, const char *nulls);
extern Datum MakeArray(Datum *values, const bool *nulls, int count, Oid type);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_STORE_H */
