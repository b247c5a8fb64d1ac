/*
 * observed.c
 *
 * Makes a set of observed hours; observed.h tells how it is kept and answers.
 */
#include "observed.h"

/* DayStart rounds an hour down to the start of its day. */
static int32_t
DayStart(int32_t hour)
{
	return hour - (hour - SERIES_MIN_HOUR) % OBSERVED_DAY;
}

/* observed_size gives the bytes that observed_init needs for hours of the given range. */
size_t
observed_size(int32_t first_hour, int32_t last_hour)
{
	size_t		days = (size_t) ((last_hour - DayStart(first_hour)) / OBSERVED_DAY + 1);

	return days * sizeof(uint32_t) + (days + 1) * sizeof(int32_t);
}

/* observed_init prepares an empty set of hours of the given range. */
void
observed_init(ObservedHours *observed, int32_t first_hour, int32_t last_hour, void *zeroed)
{
	observed->first_hour = DayStart(first_hour);
	observed->days = (last_hour - observed->first_hour) / OBSERVED_DAY + 1;
	observed->mask = zeroed;
	observed->before = (int32_t *) (observed->mask + observed->days);
}

/* observed_add adds an hour of the range; the order and repetitions do not matter. */
void
observed_add(ObservedHours *observed, int32_t hour)
{
	int32_t		since = hour - observed->first_hour;

	observed->mask[since / OBSERVED_DAY] |= UINT32_C(1) << since % OBSERVED_DAY;
}

/* observed_count makes the set ready for questions, once all hours are added. */
void
observed_count(ObservedHours *observed)
{
	observed->before[0] = 0;
	for (int32_t day = 0; day < observed->days; day++)
		observed->before[day + 1] = observed->before[day] +
			__builtin_popcount(observed->mask[day]);
}
