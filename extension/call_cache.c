/*
 * call_cache.c
 *
 * The set of observed hours and the scratch room of a call site; see
 * call_cache.h.
 */
#include "call_cache.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* GetCallCache finds or makes what this call site keeps. */
CallCache *
GetCallCache(FunctionCallInfo fcinfo)
{
	CallCache  *cache = fcinfo->flinfo->fn_extra;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallCache));
		cache->context = fcinfo->flinfo->fn_mcxt;
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

/* GetRoom gives scratch memory of at least the given size. */
void *
GetRoom(CallCache *cache, Size size)
{
	if (cache->room_size < size)
	{
		if (cache->room != NULL)
			pfree(cache->room);
		cache->room = NULL;
		cache->room_size = 0;
		cache->room = MemoryContextAlloc(cache->context, size);
		cache->room_size = size;
	}
	return cache->room;
}

/* FillObserved makes a set of the hours of an array. */
static void
FillObserved(ObservedHours *observed, const TimestampTz *times, int count,
			 MemoryContext context)
{
	TimestampTz first = times[0];
	TimestampTz last = times[0];
	int32		first_hour;
	int32		last_hour;

	for (int i = 1; i < count; i++)
	{
		first = Min(first, times[i]);
		last = Max(last, times[i]);
	}
	first_hour = TimestampTzGetHour(first);
	last_hour = TimestampTzGetHour(last);
	observed_init(observed, first_hour, last_hour,
				  MemoryContextAllocZero(context, observed_size(first_hour, last_hour)));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		observed_add(observed, TimestampTzGetHour(times[i]));
	}
	observed_count(observed);
}

/* ForgetObserved frees the set, so that an error leaves none half-made. */
static void
ForgetObserved(CallCache *cache)
{
	if (cache->array != NULL)
		pfree(cache->array);
	if (cache->observed.mask != NULL)
		pfree(cache->observed.mask);
	cache->array = NULL;
	memset(&cache->observed, 0, sizeof(cache->observed));
}

/*
 * GetObserved gives the set for an array, mostly that of the call before.  If
 * it is another, the former set is freed, or kept for whoever still uses it.
 */
const ObservedHours *
GetObserved(CallCache *cache, ArrayType *array, bool keep_former)
{
	const TimestampTz *times;
	int			count;

	if (cache->array != NULL && VARSIZE(cache->array) == VARSIZE(array) &&
		memcmp(cache->array, array, VARSIZE(array)) == 0)
		return &cache->observed;

	if (keep_former)
		cache->observed.mask = NULL;
	ForgetObserved(cache);
	times = ArrayGetTimes(array, &count);
	if (count > 0)
		FillObserved(&cache->observed, times, count, cache->context);
	else
		observed_init(&cache->observed, SERIES_MIN_HOUR, SERIES_MIN_HOUR,
					  MemoryContextAllocZero(cache->context,
											 observed_size(SERIES_MIN_HOUR, SERIES_MIN_HOUR)));
	cache->array = MemoryContextAlloc(cache->context, VARSIZE(array));
	memcpy(cache->array, array, VARSIZE(array));
	return &cache->observed;
}

/* ObserveSpan makes a set of each hour from the first to the last of a series. */
const ObservedHours *
ObserveSpan(CallCache *cache, const SeriesReader *reader)
{
	ForgetObserved(cache);
	observed_init(&cache->observed, reader->first, reader->last,
				  MemoryContextAllocZero(cache->context,
										 observed_size(reader->first, reader->last)));
	for (int32 hour = reader->first; hour <= reader->last; hour++)
	{
		CHECK_FOR_INTERRUPTS();
		observed_add(&cache->observed, hour);
	}
	observed_count(&cache->observed);
	return &cache->observed;
}
