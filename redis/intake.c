/*
 * intake.c
 *	  What becomes of entries: sums of events or hourly rows, or a reject with its
 *	  reason.  They come together here until there is enough for a statement.
 */
#include "intake.h"

#include <math.h>

#include "miscadmin.h"
#include "rows.h"
#include "sums.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* sums, rows or rejects that are stored by one statement */
#define STORE_AT 20000

#define MAX_COUNT 1e9

/* 2006-01-01 in minutes since 1970: nobody tweeted before */
#define FIRST_MINUTE INT64CONST(18934560)

/* the year 10000 in milliseconds since 1970 */
#define END_OF_TIME UINT64CONST(253402300800000)

#define MINUTES_PER_HOUR 60

struct Intake
{
	Datum		name;
	const Stream *stream;
	const EntryBatch *batch;	/* the reply that is worked on */
	MinuteSums *sums;
	RowSet	   *rows;
	RowSet	   *rejects;
	MemoryContext scratch;		/* of one reply */
	int64		end_minute;		/* that of the hour after this one */
	int64		rejected;
};

/* Reject counts an entry that cannot be used, with its id and the reason. */
static void
Reject(Intake *intake, EntryId id, const char *reason)
{
	char		text[ENTRY_ID_LENGTH];

	FormatEntryId(id, text);
	AddReject(intake->rejects, cstring_to_text(text), cstring_to_text(reason));
	intake->rejected++;
}

/* ReadMinute gives the minute of an entry: that of its time, or else of its id. */
static bool
ReadMinute(const Intake *intake, const StreamEntry *entry, int64 *minute)
{
	int			length = entry->length[FIELD_TIME];
	int64		microseconds;

	if (length == VALUE_ABSENT && entry->id.ms < END_OF_TIME)
		*minute = (int64) (entry->id.ms / 60000);
	else if (length >= 0 && length <= MAX_VALUE_LENGTH &&
			 ReadTime(intake->batch->values.data + entry->start[FIELD_TIME], length,
					  intake->stream->units_a_second, &microseconds))
		*minute = microseconds / USECS_PER_MINUTE;
	else
		return false;
	return *minute >= FIRST_MINUTE;
}

/* ReadCount gives how many tweets an entry stands for. */
static bool
ReadCount(const Intake *intake, const StreamEntry *entry, double *count)
{
	int			length = entry->length[FIELD_COUNT];

	*count = 1;
	if (length == VALUE_ABSENT)
		return true;
	return length <= MAX_VALUE_LENGTH &&
		ReadNumber(intake->batch->values.data + entry->start[FIELD_COUNT], length, count);
}

/* HasSentiment gives the sentiment of an entry, where it has a usable one. */
static bool
HasSentiment(const Intake *intake, const StreamEntry *entry, double *sentiment)
{
	int			length = entry->length[FIELD_SENTIMENT];

	*sentiment = 0;
	return length >= 0 && length <= MAX_VALUE_LENGTH &&
		ReadSentiment(&intake->stream->scale, intake->batch->values.data + entry->start[FIELD_SENTIMENT], length, sentiment);
}

/* WasCounted says whether an entry was counted before a step back and its sum is still there. */
static bool
WasCounted(const Stream *stream, EntryId id, int64 minute)
{
	return minute < stream->recount_from && CompareEntryIds(id, stream->recount_until) <= 0;
}

/* TakeEvent adds an entry to the sums; the reason where it cannot be used. */
static const char *
TakeEvent(Intake *intake, const StreamEntry *entry)
{
	int			length = entry->length[FIELD_SYMBOL];
	int64		minute;
	double		count;
	double		sentiment;
	bool		has_sentiment;

	if (length == VALUE_ABSENT)
		return "symbol";
	if (length > MAX_VALUE_LENGTH)
		return "long symbol";
	if (!ReadMinute(intake, entry, &minute) || minute >= intake->end_minute)
		return "hour";
	if (!ReadCount(intake, entry, &count) || count < 0 || count > MAX_COUNT || count != floor(count))
		return "mentions";
	if (WasCounted(intake->stream, entry->id, minute))
		return NULL;
	has_sentiment = HasSentiment(intake, entry, &sentiment);
	if (!AddEvent(intake->sums, minute, intake->batch->values.data + entry->start[FIELD_SYMBOL], length,
				  (int64) count, has_sentiment, sentiment))
		return "encoding";
	return NULL;
}

/* ReadText gives a value as a text, NULL where it is absent; false where it cannot be one. */
static bool
ReadText(const Intake *intake, const StreamEntry *entry, Field field, text **value)
{
	int			length = entry->length[field];

	*value = NULL;
	if (length != VALUE_ABSENT)
		*value = MakeText(intake->batch->values.data + entry->start[field], length);
	return length == VALUE_ABSENT || *value != NULL;
}

/* TakeRow adds an entry to the hourly rows; the reason where it cannot be used. */
static const char *
TakeRow(Intake *intake, const StreamEntry *entry)
{
	HourlyRow	row = {0};
	int64		minute;

	if (entry->length[FIELD_ID] == VALUE_ABSENT)
		return "null id";
	if (entry->length[FIELD_ID] > MAX_VALUE_LENGTH)
		return "long id";
	if (entry->length[FIELD_SYMBOL] > MAX_VALUE_LENGTH)
		return "long symbol";
	/* what is of tomorrow waits for its hour, what is later is none */
	if (entry->length[FIELD_TIME] == VALUE_ABSENT || !ReadMinute(intake, entry, &minute) ||
		minute >= intake->end_minute + HOURS_PER_DAY * MINUTES_PER_HOUR)
		return "hour";
	if (!ReadText(intake, entry, FIELD_ID, &row.id) || !ReadText(intake, entry, FIELD_SYMBOL, &row.symbol))
		return "encoding";
	row.hour = UnixToTimestampTz(minute / MINUTES_PER_HOUR * USECS_PER_HOUR);
	row.has_mentions = entry->length[FIELD_COUNT] != VALUE_ABSENT && ReadCount(intake, entry, &row.mentions);
	row.has_sentiment = HasSentiment(intake, entry, &row.sentiment);
	AddHourlyRow(intake->rows, &row);
	return NULL;
}

/* StoreFull stores what has come together, where that is enough for a statement. */
static void
StoreFull(Intake *intake)
{
	if (CountSums(intake->sums) >= STORE_AT)
		StoreSums(intake->sums, intake->name);
	if (CountRows(intake->rows) >= STORE_AT)
		StoreRowSet(intake->rows, intake->name);
	if (CountRows(intake->rejects) >= STORE_AT)
		StoreRowSet(intake->rejects, intake->name);
}

/* TakeEntries takes all entries of a reply. */
void
TakeEntries(Intake *intake, const EntryBatch *batch)
{
	MemoryContext former = MemoryContextSwitchTo(intake->scratch);

	intake->batch = batch;
	for (int i = 0; i < batch->count; i++)
	{
		const StreamEntry *entry = &batch->entries[i];
		const char *reason = intake->stream->events ? TakeEvent(intake, entry) : TakeRow(intake, entry);

		CHECK_FOR_INTERRUPTS();
		if (reason != NULL)
			Reject(intake, entry->id, reason);
		StoreFull(intake);
	}
	MemoryContextSwitchTo(former);
	MemoryContextReset(intake->scratch);
}

/* FinishIntake stores what is left and gives the number of entries that could not be used. */
int64
FinishIntake(Intake *intake)
{
	StoreSums(intake->sums, intake->name);
	StoreRowSet(intake->rows, intake->name);
	StoreRowSet(intake->rejects, intake->name);
	return intake->rejected;
}

/* MakeIntake makes one for a stream, in the current memory context. */
Intake *
MakeIntake(Datum name, const Stream *stream)
{
	Intake	   *intake = palloc0(sizeof(Intake));
	int64		now = GetCurrentTimestamp() - UnixToTimestampTz(0);

	intake->name = name;
	intake->stream = stream;
	intake->sums = MakeMinuteSums();
	intake->rows = MakeHourlyRows();
	intake->rejects = MakeRejects();
	intake->scratch = AllocSetContextCreate(CurrentMemoryContext, "Redis reply", ALLOCSET_DEFAULT_SIZES);
	intake->end_minute = (now / USECS_PER_HOUR + 1) * MINUTES_PER_HOUR;
	return intake;
}
