/*
 * stream.c
 *	  A stream's row in defidata.stream, read and locked, and written back.
 *
 * The row's lock is the lock of a drain.  It is not waited for: who finds it taken
 * leaves the stream to the one who drains it.
 */
#include "stream.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* The columns of defidata.lock_stream. */
enum
{
	LOCKED_SERVER = 1,
	LOCKED_KEY,
	LOCKED_MODE,
	LOCKED_TRIM,
	LOCKED_POSITION,
	LOCKED_HELD,
	LOCKED_ORDINAL,
	LOCKED_RECOUNT_UNTIL,
	LOCKED_RECOUNT_FROM,
	LOCKED_WRITER,
	LOCKED_NAMES,
	LOCKED_UNITS,
	LOCKED_WORDS,
	LOCKED_WORD_VALUES,
	LOCKED_SCALE
};

static const Oid lock_types[] = {TEXTOID};
static StoredCall lock_stream = {
	"SELECT server, key, mode, \"trim\", \"position\", held, ordinal, recount_until, recount_from, writer,"
	" names, units, words, word_values, scale FROM defidata.lock_stream($1)", lengthof(lock_types), lock_types, NULL
};

/* GetColumn gives a column of the row that SPI has found. */
static Datum
GetColumn(int column, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, null);
}

/* GetText gives a column of type text; NULL where it is null. */
static char *
GetText(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/* GetBool gives a column of type boolean, which is not null. */
static bool
GetBool(int column)
{
	bool		null;

	return DatumGetBool(GetColumn(column, &null));
}

/* GetId gives a column that holds an id; the smallest where it is null. */
static EntryId
GetId(int column)
{
	EntryId		id = {0, 0};
	char	   *text = GetText(column);

	if (text != NULL && !ParseEntryId(text, strlen(text), &id))
		elog(ERROR, "invalid id of a stream's entry: \"%s\"", text);
	return id;
}

/* GetNames gives the names of the fields, of which some may be null. */
static void
GetNames(char **names)
{
	bool		null;
	Datum		array = GetColumn(LOCKED_NAMES, &null);
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < FIELDS; i++)
		names[i] = i < count && !nulls[i] ? TextDatumGetCString(values[i]) : NULL;
}

/* GetFigures gives a column that is an array of float8 without nulls, and their number. */
static double *
GetFigures(int column, int *count)
{
	bool		null;
	Datum		array = GetColumn(column, &null);
	Datum	   *values;
	double	   *figures;

	*count = 0;
	if (null)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(array), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, NULL, count);
	figures = palloc((*count + 1) * sizeof(double));
	for (int i = 0; i < *count; i++)
		figures[i] = DatumGetFloat8(values[i]);
	return figures;
}

/* GetScale gives how a sentiment is read. */
static void
GetScale(SentimentScale *scale)
{
	bool		null;
	Datum		words = GetColumn(LOCKED_WORDS, &null);
	double	   *limits;
	int			count;

	limits = GetFigures(LOCKED_SCALE, &count);
	scale->scaled = count == 4;
	for (int i = 0; i < 2 && scale->scaled; i++)
	{
		scale->from[i] = limits[i];
		scale->to[i] = limits[2 + i];
	}
	scale->value = GetFigures(LOCKED_WORD_VALUES, &scale->words);
	if (!null)
	{
		Datum	   *values;

		deconstruct_array(DatumGetArrayTypeP(words), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &count);
		scale->words = Min(scale->words, count);
		scale->word = palloc((count + 1) * sizeof(char *));
		for (int i = 0; i < count; i++)
			scale->word[i] = TextDatumGetCString(values[i]);
	}
}

/* ReadLocked makes a stream of the row that SPI has found. */
static Stream *
ReadLocked(Datum name)
{
	Stream	   *stream = palloc0(sizeof(Stream));
	Datum		value;
	bool		null;

	stream->name = TextDatumGetCString(name);
	stream->server = GetText(LOCKED_SERVER);
	stream->key = GetText(LOCKED_KEY);
	stream->events = strcmp(GetText(LOCKED_MODE), "events") == 0;
	stream->trim = GetBool(LOCKED_TRIM);
	stream->position = GetId(LOCKED_POSITION);
	stream->held = GetBool(LOCKED_HELD);
	value = GetColumn(LOCKED_ORDINAL, &null);
	stream->ordinal = null ? ORDINAL_UNKNOWN : DatumGetInt64(value);
	stream->recount_until = GetId(LOCKED_RECOUNT_UNTIL);
	value = GetColumn(LOCKED_RECOUNT_FROM, &null);
	stream->recount_from = null ? 0 : DatumGetInt64(value);
	value = GetColumn(LOCKED_WRITER, &null);
	stream->committed = !TransactionIdIsCurrentTransactionId(DatumGetTransactionId(value));
	value = GetColumn(LOCKED_UNITS, &null);
	stream->units_a_second = null ? 1 : DatumGetFloat8(value);
	GetNames(stream->names);
	GetScale(&stream->scale);
	return stream;
}

/* LockStream locks a stream's row and reads it; NULL where somebody else has the lock, or there is none. */
Stream *
LockStream(Datum name)
{
	CallStored(&lock_stream, &name, NULL);
	return SPI_processed == 0 ? NULL : ReadLocked(name);
}

static const Oid unlock_types[] = {
	TEXTOID, TEXTOID, BOOLOID, INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID, INT8OID, INT8OID, TEXTOID
};
static StoredCall unlock_stream = {
	"SELECT defidata.unlock_stream($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	lengthof(unlock_types), unlock_types, NULL
};

/* UnlockStream writes back how far a stream was read; its lock goes with the transaction. */
void
UnlockStream(Datum name, const Reading *reading)
{
	const Loss *loss = &reading->loss;
	char		position[ENTRY_ID_LENGTH];
	char		nulls[lengthof(unlock_types) + 1] = "           ";
	Datum		values[lengthof(unlock_types)];

	FormatEntryId(reading->position, position);
	values[0] = name;
	values[1] = CStringGetTextDatum(position);
	values[2] = BoolGetDatum(reading->held);
	values[3] = Int64GetDatum(reading->ordinal);
	values[4] = Int64GetDatum(reading->read);
	values[5] = Int64GetDatum(reading->rejected);
	values[6] = Int64GetDatum(reading->lag);
	values[7] = BoolGetDatum(reading->missing);
	values[8] = Int64GetDatum((int64) loss->after.ms);
	values[9] = Int64GetDatum((int64) loss->before.ms);
	values[10] = loss->found ? CStringGetTextDatum(loss->cause) : (Datum) 0;
	nulls[3] = reading->ordinal == ORDINAL_UNKNOWN ? 'n' : ' ';
	nulls[6] = reading->lag < 0 ? 'n' : ' ';
	nulls[8] = nulls[9] = nulls[10] = loss->found ? ' ' : 'n';
	RunStored(&unlock_stream, values, nulls);
}
