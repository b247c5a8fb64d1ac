/*
 * row.c
 *
 * The check of a row type, and the rows of a result; see row.h.
 */
#include "row.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/typcache.h"

/* SchemaVersion gives the version of the extension that the schema has. */
static char *
SchemaVersion(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	Datum		version = 0;
	bool		null = true;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("defidata"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(row = systable_getnext(scan)))
		version = heap_getattr(row, Anum_pg_extension_extversion,
							   RelationGetDescr(extensions), &null);
	version = null ? CStringGetDatum("unknown") : CStringGetDatum(TextDatumGetCString(version));
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return DatumGetCString(version);
}

/* ReportColumn says that a column of a function's row type is not the library's. */
static void
ReportColumn(FunctionCallInfo fcinfo, int number, Oid type, const char *given, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("rows of function %s do not fit the library that is loaded",
					format_procedure(fcinfo->flinfo->fn_oid)),
			 errdetail("Column %d of %s is %s; in the library it is %s. "
					   "Extension defidata is of version %s, the library of version %s.",
					   number, type == RECORDOID ? "its rows" : format_type_be_qualified(type),
					   given, expected,
					   SchemaVersion(), DEFIDATA_VERSION),
			 errhint("If the extension was updated after this session began, reconnect. "
					 "If the library is the newer one, call ALTER EXTENSION defidata UPDATE. "
					 "If both are of one version, undo what altered the type.")));
}

/* DescribeColumn names a column of a row type, or says that there is none. */
static char *
DescribeColumn(RowColumn column)
{
	return column.name == NULL ? pstrdup("not there") :
		psprintf("\"%s\" of type %s", column.name, format_type_be(column.type));
}

/* CheckColumn refuses a column that is not the one of a shape at its place. */
static void
CheckColumn(FunctionCallInfo fcinfo, TupleDesc row, const RowShape *shape, int at)
{
	const RowColumn none = {NULL, InvalidOid};
	RowColumn	given = none;
	RowColumn	expected = at < shape->most ? shape->columns[at] : none;

	/* one that was dropped is still there, without a type */
	if (at < row->natts && !TupleDescAttr(row, at)->attisdropped)
	{
		given.name = NameStr(TupleDescAttr(row, at)->attname);
		given.type = TupleDescAttr(row, at)->atttypid;
	}
	if (given.name == NULL || expected.name == NULL || given.type != expected.type ||
		strcmp(given.name, expected.name) != 0)
		ReportColumn(fcinfo, at + 1, row->tdtypeid,
					 DescribeColumn(given), DescribeColumn(expected));
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

/* A row type that was checked, and by what the server tells it from what it becomes. */
typedef struct CheckedRow
{
	TupleDesc	row;
	uint64		identifier;
} CheckedRow;

/* CheckResultType looks a function's row type up and checks it, for as long as its call site. */
static void
CheckResultType(FunctionCallInfo fcinfo, const RowShape *shape, CheckedRow *checked)
{
	MemoryContext caller;
	TupleDesc	row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	CheckRowType(fcinfo, row, shape);
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	checked->row = BlessTupleDesc(CreateTupleDescCopy(row));
	checked->identifier = assign_record_type_identifier(checked->row->tdtypeid,
														checked->row->tdtypmod);
	MemoryContextSwitchTo(caller);
}

/*
 * GetRowType gives the type of the one row that a function returns.  It is kept
 * in fn_extra and checked anew when the type was altered: that an open cursor
 * does not prevent.
 */
TupleDesc
GetRowType(FunctionCallInfo fcinfo, const RowShape *shape)
{
	FmgrInfo   *site = fcinfo->flinfo;
	CheckedRow *checked = site->fn_extra;

	if (checked == NULL)
		checked = site->fn_extra = MemoryContextAllocZero(site->fn_mcxt, sizeof(CheckedRow));
	if (checked->row == NULL ||
		assign_record_type_identifier(checked->row->tdtypeid,
									  checked->row->tdtypmod) != checked->identifier)
		CheckResultType(fcinfo, shape, checked);
	return checked->row;
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
