/*
 * call_cache.h
 *
 * What functions over series keep from call to call.
 *
 * A query calls them once for each token, mostly with the same observed hours.
 * So what is made of those, and scratch room, is kept in the memory of the
 * function's own call site.
 */
#ifndef DEFIDATA_CALL_CACHE_H
#define DEFIDATA_CALL_CACHE_H

#include "observed.h"
#include "series.h"

#pragma GCC visibility push(hidden)

/* What one call site keeps between its calls. */
typedef struct CallCache
{
	MemoryContext context;
	ArrayType  *array;			/* that the observed hours were made of */
	ObservedHours observed;
	void	   *room;			/* scratch, its contents are of one call */
	Size		room_size;
} CallCache;

extern CallCache *GetCallCache(FunctionCallInfo fcinfo);
extern void *GetRoom(CallCache *cache, Size size);
extern const ObservedHours *GetObserved(CallCache *cache, ArrayType *array, bool keep_former);
extern const ObservedHours *ObserveSpan(CallCache *cache, const SeriesReader *reader);

#pragma GCC visibility pop

#endif							/* DEFIDATA_CALL_CACHE_H */
