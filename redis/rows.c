/*
 * rows.c
 *	  Hourly rows that a stream delivers, and entries that are rejected, until
 *	  they go to a table: as the arrays that a statement takes.
 */
#include "rows.h"

#include "catalog/pg_type.h"
#include "store.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_COLUMNS 5

/* A kind of rows: its columns, and the call that stores them. */
typedef struct RowKind
{
	int			columns;
	Oid			types[MAX_COLUMNS];
	StoredCall	call;
} RowKind;

static const Oid row_types[] = {TEXTOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
static RowKind hourly_rows = {
	5, {TIMESTAMPTZOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID},
	{"SELECT defidata.store_rows($1, $2, $3, $4, $5, $6)", lengthof(row_types), row_types, NULL}
};

static const Oid reject_types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID};
static RowKind rejects = {
	2, {TEXTOID, TEXTOID},
	{"SELECT defidata.store_rejects($1, $2, $3)", lengthof(reject_types), reject_types, NULL}
};

struct RowSet
{
	RowKind    *kind;
	MemoryContext context;
	int			count;
	ArrayBuildState *column[MAX_COLUMNS];
};

/* Empty begins a set anew. */
static void
Empty(RowSet *set)
{
	MemoryContextReset(set->context);
	set->count = 0;
	for (int i = 0; i < set->kind->columns; i++)
		set->column[i] = initArrayResult(set->kind->types[i], set->context, false);
}

/* MakeSet makes an empty set in the current memory context. */
static RowSet *
MakeSet(RowKind *kind)
{
	RowSet	   *set = palloc0(sizeof(RowSet));

	set->kind = kind;
	set->context = AllocSetContextCreate(CurrentMemoryContext, "Redis rows", ALLOCSET_DEFAULT_SIZES);
	Empty(set);
	return set;
}

/* MakeHourlyRows makes a set for hourly rows. */
RowSet *
MakeHourlyRows(void)
{
	return MakeSet(&hourly_rows);
}

/* MakeRejects makes a set for rejected entries. */
RowSet *
MakeRejects(void)
{
	return MakeSet(&rejects);
}

/* Put puts a value behind the others of a column. */
static void
Put(RowSet *set, int column, Datum value, bool null)
{
	(void) accumArrayResult(set->column[column], value, null, set->kind->types[column], set->context);
}

/* AddHourlyRow adds a row. */
void
AddHourlyRow(RowSet *set, const HourlyRow *row)
{
	Put(set, 0, TimestampTzGetDatum(row->hour), false);
	Put(set, 1, PointerGetDatum(row->id), false);
	Put(set, 2, PointerGetDatum(row->symbol), row->symbol == NULL);
	Put(set, 3, Float8GetDatum(row->mentions), !row->has_mentions);
	Put(set, 4, Float8GetDatum(row->sentiment), !row->has_sentiment);
	set->count++;
}

/* AddReject adds a rejected entry. */
void
AddReject(RowSet *set, text *entry, text *reason)
{
	Put(set, 0, PointerGetDatum(entry), false);
	Put(set, 1, PointerGetDatum(reason), false);
	set->count++;
}

/* CountRows counts the rows of a set. */
int
CountRows(const RowSet *set)
{
	return set->count;
}

/* StoreRowSet hands the rows to the statement that stores them, and empties the set. */
void
StoreRowSet(RowSet *set, Datum stream)
{
	Datum		values[1 + MAX_COLUMNS] = {stream};

	if (set->count == 0)
		return;
	for (int i = 0; i < set->kind->columns; i++)
		values[1 + i] = makeArrayResult(set->column[i], set->context);
	RunStored(&set->kind->call, values, NULL);
	Empty(set);
}
