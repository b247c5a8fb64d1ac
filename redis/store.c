/*
 * store.c
 *	  Calls of this extension's own SQL functions with arrays, through SPI.
 */
#include "store.h"

#include "utils/array.h"
#include "utils/lsyscache.h"

/* CallStored runs a query. */
void
CallStored(StoredCall *call, Datum *values, const char *nulls)
{
	int			result;

	if (call->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(call->query, call->arguments, unconstify(Oid *, call->types));

		if (plan == NULL)
			elog(ERROR, "could not plan \"%s\": %s", call->query, SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		call->plan = plan;
	}
	result = SPI_execute_plan(call->plan, values, nulls, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of \"%s\"", call->query);
}

/* RunStored runs a statement whose result does not matter. */
void
RunStored(StoredCall *call, Datum *values, const char *nulls)
{
	CallStored(call, values, nulls);
	SPI_freetuptable(SPI_tuptable);
}

/* MakeArray makes an array of a dimension; nulls may be NULL. */
Datum
MakeArray(Datum *values, const bool *nulls, int count, Oid type)
{
	int			dimensions[] = {count};
	int			low[] = {1};
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(values, unconstify(bool *, nulls), 1, dimensions, low,
											  type, length, by_value, alignment));
}
