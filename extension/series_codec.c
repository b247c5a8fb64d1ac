/*
 * series_codec.c
 *
 * The limits of an entry, and what is wrong with a series; see series_codec.h.
 */
#include "series_codec.h"

/* series_status_text says what is wrong, to stand after "invalid series: " or "series: ". */
const char *
series_status_text(SeriesStatus status)
{
	switch (status)
	{
		case SERIES_OK:
			return "no error";
		case SERIES_SYNTAX:
			return "expected YYYY-MM-DDTHHZ:mentions or YYYY-MM-DDTHHZ:mentions:sum:weight";
		case SERIES_BAD_FORMAT:
			return "unknown format";
		case SERIES_TRUNCATED:
			return "unexpected end";
		case SERIES_NOT_CANONICAL:
			return "not in canonical form";
		case SERIES_TRAILING:
			return "data after the last entry";
		case SERIES_HOUR_RANGE:
			return "hour out of range";
		case SERIES_MENTIONS_RANGE:
			return "mentions of an hour out of range";
		case SERIES_WEIGHT_RANGE:
			return "sentiment weight of an hour out of range";
		case SERIES_SUM_RANGE:
			return "sentiment sum of an hour out of range";
		case SERIES_TOO_LONG:
			return "too many hours";
		case SERIES_VARIANCE_RANGE:
			return "variance of a window out of range";
	}
	return "unknown error";
}

/* series_entry_check checks that an entry is within the limits and consistent in itself. */
SeriesStatus
series_entry_check(const SeriesEntry *entry)
{
	sum128		limit = (sum128) SERIES_MAX_SENTIMENT * entry->sentiment_weight;

	if (entry->hour < SERIES_MIN_HOUR || entry->hour > SERIES_MAX_HOUR)
		return SERIES_HOUR_RANGE;
	if (entry->mentions < 0 || entry->mentions > SERIES_MAX_MENTIONS)
		return SERIES_MENTIONS_RANGE;
	if (entry->sentiment_weight < 0 || entry->sentiment_weight > SERIES_MAX_MENTIONS)
		return SERIES_WEIGHT_RANGE;
	if (entry->sentiment_sum < -limit || entry->sentiment_sum > limit)
		return SERIES_SUM_RANGE;
	return SERIES_OK;
}

/* series_entry_add adds an entry of the same hour; both are valid, so no sum can overflow. */
SeriesStatus
series_entry_add(SeriesEntry *to, const SeriesEntry *from)
{
	to->mentions += from->mentions;
	to->sentiment_weight += from->sentiment_weight;
	to->sentiment_sum += from->sentiment_sum;
	return series_entry_check(to);
}
