/*
 * series_ops.c
 *
 * Comparison of series, for operators and operator classes.  A series has exactly
 * one encoding (series_codec.h), so equal ones have equal bytes.  The order is that
 * of the bytes: it serves sorts and indexes, and says nothing of the contents.
 */
#include "series.h"

#include "access/detoast.h"
#include "common/hashfn.h"

PG_FUNCTION_INFO_V1(defidata_series_eq);
PG_FUNCTION_INFO_V1(defidata_series_cmp);
PG_FUNCTION_INFO_V1(defidata_series_hash);
PG_FUNCTION_INFO_V1(defidata_series_hash_extended);

/* CompareSeries compares the bytes of the two arguments, and then their lengths. */
static int
CompareSeries(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_SERIES_PP(0);
	struct varlena *b = PG_GETARG_SERIES_PP(1);
	Size		a_size = VARSIZE_ANY_EXHDR(a);
	Size		b_size = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_size, b_size));

	/* an index scan compares very many in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* AreEqual compares lengths first, for which nothing has to be fetched. */
static bool
AreEqual(FunctionCallInfo fcinfo)
{
	return toast_raw_datum_size(PG_GETARG_DATUM(0)) == toast_raw_datum_size(PG_GETARG_DATUM(1)) &&
		CompareSeries(fcinfo) == 0;
}

/* series_eq tells whether two series hold the same. */
Datum
defidata_series_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(AreEqual(fcinfo));
}

/* series_cmp gives a number below, at or above zero, as the first is to the second. */
Datum
defidata_series_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(CompareSeries(fcinfo));
}

/* series_ne, _lt, _le, _gt and _ge serve the operators of those names. */
#define SERIES_OPERATOR(name, holds) \
	PG_FUNCTION_INFO_V1(defidata_series_##name); \
	Datum \
	defidata_series_##name(PG_FUNCTION_ARGS) \
	{ \
		PG_RETURN_BOOL(holds); \
	}

SERIES_OPERATOR(ne, !AreEqual(fcinfo))
SERIES_OPERATOR(lt, CompareSeries(fcinfo) < 0)
SERIES_OPERATOR(le, CompareSeries(fcinfo) <= 0)
SERIES_OPERATOR(gt, CompareSeries(fcinfo) > 0)
SERIES_OPERATOR(ge, CompareSeries(fcinfo) >= 0)

/* series_hash hashes the bytes. */
Datum
defidata_series_hash(PG_FUNCTION_ARGS)
{
	struct varlena *series = PG_GETARG_SERIES_PP(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(series), VARSIZE_ANY_EXHDR(series));

	PG_FREE_IF_COPY(series, 0);
	return hash;
}

/* series_hash_extended hashes the bytes to 64 bits, with a seed. */
Datum
defidata_series_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *series = PG_GETARG_SERIES_PP(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(series),
										 VARSIZE_ANY_EXHDR(series), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(series, 0);
	return hash;
}
