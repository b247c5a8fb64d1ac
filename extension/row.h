/*
 * row.h
 *
 * The rows that functions return.  A tuple is formed by what its type says, and
 * the type is SQL's: declared by another version of the extension than the
 * library's, or altered, it has other columns than the C function fills, and
 * what would be read for those is whatever lies there.  So a function names the
 * columns that it can fill, and nothing but StartRows and GetRowType, which check
 * them, gives it a type to form tuples of.  GetRowType keeps that in fn_extra, where
 * its caller then has nothing else.
 */
#ifndef DEFIDATA_ROW_H
#define DEFIDATA_ROW_H

#include "postgres.h"

#include "funcapi.h"

#pragma GCC visibility push(hidden)

/* A column that a function fills. */
typedef struct RowColumn
{
	const char *name;
	Oid			type;
} RowColumn;

/*
 * The columns of a function's rows.  A declaration may lack the last ones, down
 * to the number that the first version had.
 */
typedef struct RowShape
{
	const RowColumn *columns;
	int			most;
	int			least;
} RowShape;

/* the shape of rows that always had the same columns */
#define FIXED_SHAPE(columns) {columns, lengthof(columns), lengthof(columns)}

extern ReturnSetInfo *StartRows(FunctionCallInfo fcinfo, const RowShape *shape);
extern TupleDesc GetRowType(FunctionCallInfo fcinfo, const RowShape *shape);

extern void SetFigures(const double *figures, int count, Datum *values, bool *nulls);
extern void PutRow(ReturnSetInfo *result, Datum *values, bool *nulls);

#pragma GCC visibility pop

#endif							/* DEFIDATA_ROW_H */
