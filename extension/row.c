/*
 * row.c
 *
 * The check of a row type, and the rows of a result; see row.h.
 */
#include "row.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/regproc.h"

/* ReportShape says which column of a function's row type is not the library's. */
static void
ReportShape(FunctionCallInfo fcinfo, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the rows of function %s are not those of the loaded library of extension defidata",
					format_procedure(fcinfo->flinfo->fn_oid)),
			 errdetail_internal("%s", detail),
			 errhint("If the extension was updated after this session began, reconnect. "
					 "Otherwise library and schema are of different versions, or the type was altered: "
					 "install the library of the version in pg_extension, or call ALTER EXTENSION defidata UPDATE.")));
}

/* DescribeColumn names a column of a row type, or says that there is none. */
static char *
DescribeColumn(const char *name, Oid type)
{
	return name == NULL ? pstrdup("none") :
		psprintf("\"%s\" of type %s", name, format_type_be(type));
}

/* CheckColumn refuses a column that is not the one of a shape at its place. */
static void
CheckColumn(FunctionCallInfo fcinfo, TupleDesc row, const RowShape *shape, int at)
{
	const char *name = NULL;
	const char *expected = NULL;
	Oid			type = InvalidOid;
	Oid			expected_type = InvalidOid;

	if (at < row->natts)
	{
		name = NameStr(TupleDescAttr(row, at)->attname);
		type = TupleDescAttr(row, at)->atttypid;
	}
	if (at < shape->most)
	{
		expected = shape->columns[at].name;
		expected_type = shape->columns[at].type;
	}
	if (name == NULL || expected == NULL || type != expected_type || strcmp(name, expected) != 0)
		ReportShape(fcinfo,
					psprintf("Column %d of %s is %s in the schema and %s in the library.",
							 at + 1, format_type_be_qualified(row->tdtypeid),
							 DescribeColumn(name, type), DescribeColumn(expected, expected_type)));
}

/* CheckRowType refuses a row type that has not the columns of a shape. */
static void
CheckRowType(FunctionCallInfo fcinfo, TupleDesc row, const RowShape *shape)
{
	for (int at = 0; at < Max(row->natts, shape->least); at++)
		CheckColumn(fcinfo, row, shape, at);
}

/* StartRows makes the result of a set-returning function, which is still empty. */
ReturnSetInfo *
StartRows(FunctionCallInfo fcinfo, const RowShape *shape)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	CheckRowType(fcinfo, result->setDesc, shape);
	return result;
}

/* GetRowType gives the type of the one row that a function returns, in the caller's memory. */
TupleDesc
GetRowType(FunctionCallInfo fcinfo, const RowShape *shape)
{
	TupleDesc	row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	CheckRowType(fcinfo, row, shape);
	return BlessTupleDesc(row);
}

/* SetFigures turns figures into column values; a NaN is NULL. */
void
SetFigures(const double *figures, int count, Datum *values, bool *nulls)
{
	for (int i = 0; i < count; i++)
	{
		values[i] = Float8GetDatum(figures[i]);
		nulls[i] = isnan(figures[i]);
	}
}

/* PutRow adds a row to the result of a set-returning function. */
void
PutRow(ReturnSetInfo *result, Datum *values, bool *nulls)
{
	CHECK_FOR_INTERRUPTS();
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
