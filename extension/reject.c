/*
 * reject.c
 *
 * Why a row of a source is rejected: its hour, its symbol, its figures.
 */
#include "clean.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define MAX_MENTIONS 1e9
#define MAX_SENTIMENT 1000.0
#define FIRST_HOUR \
	((TimestampTz) (date2j(2006, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(defidata_reject_reason);

/* HourReason judges an hour; without as_of no hour is in the future. */
static const char *
HourReason(FunctionCallInfo fcinfo)
{
	TimestampTz hour = PG_GETARG_TIMESTAMPTZ(0);

	if (PG_ARGISNULL(0) || TIMESTAMP_NOT_FINITE(hour) || hour < FIRST_HOUR)
		return "hour";
	if (!PG_ARGISNULL(4) && hour > PG_GETARG_TIMESTAMPTZ(4))
		return "hour";
	return NULL;
}

/* SymbolReason judges a raw symbol. */
static const char *
SymbolReason(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		return "symbol";
	switch (Clean(PG_GETARG_DATUM(1)).rule)
	{
		case RULE_LIST:
		case RULE_PATTERN:
			return NULL;
		case RULE_DISABLED:
			return "disabled";
		default:
			return "symbol";
	}
}

/* MentionsReason judges a count of mentions; NaN fails every comparison. */
static const char *
MentionsReason(FunctionCallInfo fcinfo)
{
	float8		mentions = PG_GETARG_FLOAT8(2);

	if (PG_ARGISNULL(2) || !(mentions >= 0 && mentions <= MAX_MENTIONS) ||
		mentions != floor(mentions))
		return "mentions";
	return NULL;
}

/* SentimentReason judges a sentiment; none at all is fine. */
static const char *
SentimentReason(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(3) || fabs(PG_GETARG_FLOAT8(3)) <= MAX_SENTIMENT)
		return NULL;
	return "sentiment";
}

/* reject_reason(hour, symbol, mentions, sentiment, as_of) gives NULL if acceptable. */
Datum
defidata_reject_reason(PG_FUNCTION_ARGS)
{
	const char *reason = HourReason(fcinfo);

	if (reason == NULL)
		reason = SymbolReason(fcinfo);
	if (reason == NULL)
		reason = MentionsReason(fcinfo);
	if (reason == NULL)
		reason = SentimentReason(fcinfo);
	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}
