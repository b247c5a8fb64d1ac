/*
 * sums.c
 *	  Sums of events by minute and raw symbol.
 *
 * Thousands of entries become one row of a statement for each minute and symbol.
 * Sums are exact: a sentiment is rounded once to billionths, as the base does
 * with a row's, and added up as an integer.
 */
#include "sums.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "miscadmin.h"
#include "store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "values.h"

#define NANO 1e9

/* What is known of a minute and symbol, and the sums. */
typedef struct SumKey
{
	int64		minute;			/* since 1970 */
	const char *symbol;			/* as it came */
	int			length;
} SumKey;

typedef struct MinuteSum
{
	SumKey		key;
	char		status;
	text	   *symbol;			/* the same as a text; NULL where it cannot be one */
	int64		mentions;
	int64		weight;			/* mentions with a sentiment */
	int128		sentiment;		/* sum of billionths, by mentions */
} MinuteSum;

#define SH_PREFIX sumhash
#define SH_ELEMENT_TYPE MinuteSum
#define SH_KEY_TYPE SumKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) \
	(hash_bytes((const unsigned char *) (key).symbol, (key).length) ^ murmurhash32((uint32) (key).minute))
#define SH_EQUAL(table, a, b) \
	((a).minute == (b).minute && (a).length == (b).length && memcmp((a).symbol, (b).symbol, (a).length) == 0)
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

struct MinuteSums
{
	MemoryContext context;
	sumhash_hash *table;
	int			usable;			/* sums whose symbol is a text */
};

/* MakeMinuteSums makes an empty set of sums in the current memory context. */
MinuteSums *
MakeMinuteSums(void)
{
	MinuteSums *sums = palloc0(sizeof(MinuteSums));

	sums->context = AllocSetContextCreate(CurrentMemoryContext, "Redis minute sums", ALLOCSET_DEFAULT_SIZES);
	sums->table = sumhash_create(sums->context, 1024, NULL);
	return sums;
}

/* BeginSum fills a new sum's symbol in. */
static void
BeginSum(MinuteSums *sums, MinuteSum *sum)
{
	MemoryContext former = MemoryContextSwitchTo(sums->context);
	char	   *copy = palloc(sum->key.length + 1);

	memcpy(copy, sum->key.symbol, sum->key.length);
	sum->key.symbol = copy;
	sum->symbol = MakeText(copy, sum->key.length);
	sum->mentions = sum->weight = 0;
	sum->sentiment = 0;
	sums->usable += sum->symbol != NULL;
	MemoryContextSwitchTo(former);
}

/* AddEvent adds an event; false where its symbol is no text of this database. */
bool
AddEvent(MinuteSums *sums, int64 minute, const char *symbol, int length,
		 int64 mentions, bool has_sentiment, double sentiment)
{
	SumKey		key = {minute, symbol, length};
	bool		found;
	MinuteSum  *sum = sumhash_insert(sums->table, key, &found);

	if (!found)
		BeginSum(sums, sum);
	if (sum->symbol == NULL)
		return false;
	if (pg_add_s64_overflow(sum->mentions, mentions, &sum->mentions))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("sum of mentions is out of range")));
	if (has_sentiment)
	{
		/* not more than the mentions, so it does not overflow */
		sum->weight += mentions;
		sum->sentiment += (int128) (int64) rint(sentiment * NANO) * mentions;
	}
	return true;
}

/* CountSums counts the minutes and symbols. */
int
CountSums(const MinuteSums *sums)
{
	return (int) sums->table->members;
}

/* SumGetNumeric turns an exact sum into a numeric. */
static Datum
SumGetNumeric(int128 sum)
{
	char		digits[48];
	char	   *digit = digits + sizeof(digits);
	bool		negative = sum < 0;

	if (sum >= PG_INT64_MIN && sum <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) sum));
	*--digit = '\0';
	for (; sum != 0; sum /= 10)
		*--digit = (char) ('0' + (negative ? -(int) (sum % 10) : (int) (sum % 10)));
	if (negative)
		*--digit = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(digit), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* The columns of the sums, as arrays are made of them. */
typedef struct SumColumns
{
	int			count;
	Datum	   *minute;
	Datum	   *symbol;
	Datum	   *mentions;
	Datum	   *weight;
	Datum	   *sentiment;
} SumColumns;

/* PutSum puts a sum behind the others. */
static void
PutSum(SumColumns *columns, const MinuteSum *sum)
{
	int			i = columns->count++;

	columns->minute[i] = TimestampTzGetDatum(UnixToTimestampTz(sum->key.minute * USECS_PER_MINUTE));
	columns->symbol[i] = PointerGetDatum(sum->symbol);
	columns->mentions[i] = Int64GetDatum(sum->mentions);
	columns->weight[i] = Int64GetDatum(sum->weight);
	columns->sentiment[i] = SumGetNumeric(sum->sentiment);
}

/* CollectSums gives the sums as columns. */
static void
CollectSums(MinuteSums *sums, SumColumns *columns)
{
	Size		size = Max(sums->usable, 1) * sizeof(Datum);
	sumhash_iterator iterator;
	MinuteSum  *sum;

	columns->count = 0;
	columns->minute = palloc(size);
	columns->symbol = palloc(size);
	columns->mentions = palloc(size);
	columns->weight = palloc(size);
	columns->sentiment = palloc(size);
	sumhash_start_iterate(sums->table, &iterator);
	while ((sum = sumhash_iterate(sums->table, &iterator)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (sum->symbol != NULL)
			PutSum(columns, sum);
	}
}

static const Oid store_types[] = {TEXTOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, NUMERICARRAYOID};
static StoredCall store_sums = {
	"SELECT defidata.store_sums($1, $2, $3, $4, $5, $6)", lengthof(store_types), store_types, NULL
};

/* StoreSums adds the sums to the table of a stream and empties them. */
void
StoreSums(MinuteSums *sums, Datum stream)
{
	MemoryContext former;
	SumColumns	columns;

	if (sums->usable > 0)
	{
		Datum		values[lengthof(store_types)];

		former = MemoryContextSwitchTo(sums->context);
		CollectSums(sums, &columns);
		values[0] = stream;
		values[1] = MakeArray(columns.minute, NULL, columns.count, TIMESTAMPTZOID);
		values[2] = MakeArray(columns.symbol, NULL, columns.count, TEXTOID);
		values[3] = MakeArray(columns.mentions, NULL, columns.count, INT8OID);
		values[4] = MakeArray(columns.weight, NULL, columns.count, INT8OID);
		values[5] = MakeArray(columns.sentiment, NULL, columns.count, NUMERICOID);
		MemoryContextSwitchTo(former);
		RunStored(&store_sums, values, NULL);
	}
	MemoryContextReset(sums->context);
	sums->table = sumhash_create(sums->context, 1024, NULL);
	sums->usable = 0;
}
