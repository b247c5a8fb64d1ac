/*
 * observed.h
 *
 * Which hours were observed: a set that is made once and then asked at every
 * step.  It needs no server; its memory is its caller's.
 */
#ifndef DEFIDATA_OBSERVED_H
#define DEFIDATA_OBSERVED_H

#include "series_codec.h"

#pragma GCC visibility push(hidden)

/* hours of a day, and the mask of a day that was observed throughout */
#define OBSERVED_DAY		24
#define OBSERVED_WHOLE_DAY	UINT32_C(0xffffff)

/*
 * The observed hours, 24 bits a day, and for each day the number of observed
 * hours before it.  So the number of those in any window takes two look-ups,
 * and the size is bounded by the calendar, whatever the array it was made of.
 *
 *	 day		first_hour / 24		+1			+2
 *	 mask	   |111111111111110000000|111111111111|111000000000|
 *	 before    |0                    |14          |38          |41
 */
typedef struct ObservedHours
{
	int32_t		first_hour;		/* of the first day */
	int32_t		days;
	uint32_t   *mask;			/* one a day */
	int32_t    *before;			/* one a day, and the total */
} ObservedHours;

extern size_t observed_size(int32_t first_hour, int32_t last_hour);
extern void observed_init(ObservedHours *observed, int32_t first_hour, int32_t last_hour,
						  void *zeroed);
extern void observed_add(ObservedHours *observed, int32_t hour);
extern void observed_count(ObservedHours *observed);

/* observed_has tells whether an hour was observed. */
static inline bool
observed_has(const ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	return since >= 0 && since / OBSERVED_DAY < observed->days &&
		(observed->mask[since / OBSERVED_DAY] >> since % OBSERVED_DAY & 1) != 0;
}

/* observed_in_day counts a day's observed hours up to and including one of its 24. */
static inline int32_t
observed_in_day(const ObservedHours *observed, int32_t day, int32_t of_day)
{
	uint32_t	mask = observed->mask[day];

	/* the rule, and cheaper than to count the bits */
	if (mask == OBSERVED_WHOLE_DAY)
		return of_day + 1;
	return __builtin_popcount(mask & ((UINT32_C(2) << of_day) - 1));
}

/* observed_up_to counts the observed hours of days up to and including one of a day. */
static inline int32_t
observed_up_to(const ObservedHours *observed, int32_t day, int32_t of_day)
{
	if (day < 0)
		return 0;
	if (day >= observed->days)
		return observed->before[observed->days];
	return observed->before[day] + observed_in_day(observed, day, of_day);
}

/* observed_until counts the observed hours up to and including the given one. */
static inline int32_t
observed_until(const ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	return since < 0 ? 0 : observed_up_to(observed, since / OBSERVED_DAY, since % OBSERVED_DAY);
}

#pragma GCC visibility pop

#endif							/* DEFIDATA_OBSERVED_H */
