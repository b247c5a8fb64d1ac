/*
 * hour_span.c
 *
 * The hours that a condition on a time leaves, as far as it says so by comparisons
 * with what is known before the query runs; see hour_span.h.
 */
#include "hour_span.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "series.h"

/* a list of more single hours than this counts as the span from its first to its last */
#define MAX_SPANS		32

/*
 * All hours of a series lie between these, with room for any time zone: what is
 * beyond them can be moved here, where it can be shifted without an overflow.
 */
#define EARLIEST		(HourGetTimestampTz(SERIES_MIN_HOUR) - 2 * USECS_PER_DAY)
#define LATEST			(HourGetTimestampTz(SERIES_MAX_HOUR + 1) + 2 * USECS_PER_DAY)

/* IsColumn tells whether a node is a certain column, whatever outer joins made of it. */
bool
IsColumn(const Node *node, const Var *column)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varno == column->varno &&
		var->varattno == column->varattno && var->varlevelsup == column->varlevelsup;
}

/* IsKnown tells whether an expression has one value, known before a table is read. */
static bool
IsKnown(PlannerInfo *root, Node *node)
{
	return !contain_volatile_functions(node) && !contain_subplans(node) &&
		!contain_agg_clause(node) && bms_is_empty(pull_varnos(root, node));
}

/* MakeTime makes a constant of a time. */
static Node *
MakeTime(Datum time)
{
	return (Node *) makeConst(TIMESTAMPTZOID, -1, InvalidOid, sizeof(TimestampTz),
							  time, false, FLOAT8PASSBYVAL);
}

/* GetTime gives the value of a constant time, if a node is one. */
bool
GetTime(const Node *node, TimestampTz *time)
{
	const Const *constant = (const Const *) node;

	if (node == NULL || !IsA(node, Const) || constant->constisnull ||
		constant->consttype != TIMESTAMPTZOID)
		return false;
	*time = DatumGetTimestampTz(constant->constvalue);
	return true;
}

/* MakeExtreme gives the greatest or the least of expressions of one type. */
Node *
MakeExtreme(MinMaxOp op, Oid type, List *of)
{
	MinMaxExpr *extreme = makeNode(MinMaxExpr);

	extreme->minmaxtype = type;
	extreme->op = op;
	extreme->args = of;
	extreme->location = -1;
	return (Node *) extreme;
}

/* CombineTimes gives the greater or the lesser of two times, of which NULL is none. */
static Node *
CombineTimes(MinMaxOp op, Node *a, Node *b)
{
	TimestampTz x;
	TimestampTz y;

	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	if (GetTime(a, &x) && GetTime(b, &y))
		return (x > y) == (op == IS_GREATEST) ? a : b;
	return MakeExtreme(op, TIMESTAMPTZOID, list_make2(a, b));
}

/* ShiftTime adds microseconds to a time, by the operator of the terms. */
Node *
ShiftTime(const TimeTerms *terms, Node *node, int64 by)
{
	Interval   *interval;
	OpExpr	   *sum;
	TimestampTz time;

	if (GetTime(node, &time))
		return MakeTime(TimestampTzGetDatum(time + by));
	interval = palloc0(sizeof(Interval));
	interval->time = by;
	sum = makeNode(OpExpr);
	*sum = *terms->plus;
	sum->args = list_make2(node, makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval),
										   IntervalPGetDatum(interval), false, false));
	return (Node *) sum;
}

/* MakeLimit makes a constant of a type out of a time. */
static Node *
MakeLimit(Oid type, TimestampTz time)
{
	if (type == DATEOID)
		return (Node *) makeConst(DATEOID, -1, InvalidOid, sizeof(DateADT),
								  DateADTGetDatum((DateADT) (time / USECS_PER_DAY)), false, true);
	return (Node *) makeConst(type, -1, InvalidOid, sizeof(Timestamp),
							  TimestampGetDatum(time), false, FLOAT8PASSBYVAL);
}

/*
 * ConvertTime makes an expression that the hour is compared with a timestamptz
 * within the limits, as the operators for date and timestamp convert it.
 */
static Node *
ConvertTime(Oid type, Node *node)
{
	TimestampTz time;

	if (GetTime(node, &time))
		return MakeTime(TimestampTzGetDatum(Max(EARLIEST, Min(time, LATEST))));
	node = MakeExtreme(IS_GREATEST, type, list_make2(node, MakeLimit(type, EARLIEST)));
	node = MakeExtreme(IS_LEAST, type, list_make2(node, MakeLimit(type, LATEST)));
	if (type == TIMESTAMPTZOID)
		return node;
	return (Node *) makeFuncExpr(type == DATEOID ? F_TIMESTAMPTZ_DATE : F_TIMESTAMPTZ_TIMESTAMP,
								 TIMESTAMPTZOID, list_make1(node), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CAST);
}

/* MakeSpan makes a list of one span. */
static List *
MakeSpan(Node *from, Node *until)
{
	HourSpan   *span = palloc(sizeof(HourSpan));

	span->from = from;
	span->until = until;
	return list_make1(span);
}

/* CompareBy gives the span of a comparison with a time by a strategy of btree. */
static List *
CompareBy(const TimeTerms *terms, int strategy, Oid type, Node *other)
{
	Node	   *time = ConvertTime(type, other);

	switch (strategy)
	{
		case BTLessStrategyNumber:
			return MakeSpan(NULL, time);
		case BTLessEqualStrategyNumber:
			return MakeSpan(NULL, ShiftTime(terms, time, 1));
		case BTEqualStrategyNumber:
			return MakeSpan(time, ShiftTime(terms, time, 1));
		case BTGreaterEqualStrategyNumber:
			return MakeSpan(time, NULL);
		case BTGreaterStrategyNumber:
			return MakeSpan(ShiftTime(terms, time, 1), NULL);
		default:
			return NIL;
	}
}

/* GetStrategy gives how an operator compares a timestamptz with which type; 0 if it does not. */
int
GetStrategy(const TimeTerms *terms, Oid op, Oid *type)
{
	int			strategy;
	Oid			left;

	if (!OidIsValid(op) || get_op_opfamily_strategy(op, terms->family) == 0)
		return 0;
	get_op_opfamily_properties(op, terms->family, false, &strategy, &left, type);
	if (left != TIMESTAMPTZOID ||
		(*type != TIMESTAMPTZOID && *type != TIMESTAMPOID && *type != DATEOID))
		return 0;
	return strategy;
}

/* CompareSpans gives the span of a comparison of a column with something known. */
static List *
CompareSpans(const TimeTerms *terms, const Var *column, const OpExpr *comparison)
{
	Node	   *left = linitial(comparison->args);
	Node	   *right = list_length(comparison->args) == 2 ? lsecond(comparison->args) : NULL;
	Oid			op = comparison->opno;
	Oid			type;
	int			strategy;

	if (right == NULL)
		return NIL;
	if (!IsColumn(left, column))
	{
		Node	   *other = left;

		left = right;
		right = other;
		op = get_commutator(op);
	}
	if (!IsColumn(left, column) || !IsKnown(terms->root, right))
		return NIL;
	strategy = GetStrategy(terms, op, &type);
	return strategy == 0 ? NIL : CompareBy(terms, strategy, type, right);
}

/* CompareTimes orders times for qsort. */
static int
CompareTimes(const void *a, const void *b)
{
	TimestampTz x = DatumGetTimestampTz(*(const Datum *) a);
	TimestampTz y = DatumGetTimestampTz(*(const Datum *) b);

	return (x > y) - (x < y);
}

/* GetTimes gives the elements of a constant timestamptz[] in order, without NULLs. */
static Datum *
GetTimes(const Const *array, int *count)
{
	Datum	   *times;
	bool	   *nulls;
	int			items;

	deconstruct_array(DatumGetArrayTypeP(array->constvalue), TIMESTAMPTZOID, sizeof(TimestampTz),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &times, &nulls, &items);
	*count = 0;
	for (int i = 0; i < items; i++)
		if (!nulls[i])
			times[(*count)++] = times[i];
	qsort(times, *count, sizeof(Datum), CompareTimes);
	return times;
}

/*
 * ArraySpans gives the spans of the elements of a constant array, those together
 * that are near one another, or all.
 */
static List *
ArraySpans(const TimeTerms *terms, const Const *array, bool all)
{
	List	   *spans = NIL;
	int			count;
	Datum	   *times = GetTimes(array, &count);

	for (int first = 0, last = 0; first < count; first = ++last)
	{
		while (last + 1 < count &&
			   (all || (double) DatumGetTimestampTz(times[last + 1]) -
				DatumGetTimestampTz(times[last]) <= terms->near))
			last++;
		spans = list_concat(spans,
							MakeSpan(ConvertTime(TIMESTAMPTZOID, MakeTime(times[first])),
									 ShiftTime(terms, ConvertTime(TIMESTAMPTZOID, MakeTime(times[last])), 1)));
	}
	return list_length(spans) > MAX_SPANS ? ArraySpans(terms, array, true) : spans;
}

/* ListSpans gives the spans of the elements of an array that is written as a list. */
static List *
ListSpans(const TimeTerms *terms, const List *elements, Oid type)
{
	List	   *spans = NIL;
	ListCell   *cell;

	foreach(cell, elements)
	{
		if (!IsKnown(terms->root, lfirst(cell)))
			return NIL;
		spans = list_concat(spans, CompareBy(terms, BTEqualStrategyNumber, type, lfirst(cell)));
	}
	return list_length(spans) > MAX_SPANS ? NIL : spans;
}

/* AnySpans gives the spans of column = ANY (array). */
static List *
AnySpans(const TimeTerms *terms, const Var *column, const ScalarArrayOpExpr *any)
{
	Node	   *array = lsecond(any->args);
	Oid			type;

	if (!any->useOr || !IsColumn(linitial(any->args), column) ||
		GetStrategy(terms, any->opno, &type) != BTEqualStrategyNumber)
		return NIL;
	if (IsA(array, Const) && !((Const *) array)->constisnull && type == TIMESTAMPTZOID)
		return ArraySpans(terms, (Const *) array, false);
	if (IsA(array, ArrayExpr) && !((ArrayExpr *) array)->multidims)
		return ListSpans(terms, ((ArrayExpr *) array)->elements, type);
	return NIL;
}

/* BothSpans gives hours that are in one of each of two lists of spans, or more; NIL has all. */
List *
BothSpans(List *a, List *b)
{
	List	   *many = list_length(a) > list_length(b) ? a : b;
	List	   *few = many == a ? b : a;
	List	   *both = NIL;
	HourSpan   *limit;
	ListCell   *cell;

	if (list_length(few) != 1)
		return many;
	limit = linitial(few);
	foreach(cell, many)
	{
		HourSpan   *span = lfirst(cell);

		both = list_concat(both, MakeSpan(CombineTimes(IS_GREATEST, span->from, limit->from),
										  CombineTimes(IS_LEAST, span->until, limit->until)));
	}
	return both;
}

/* AndSpans gives the spans of conditions that all must hold. */
static List *
AndSpans(const TimeTerms *terms, const Var *column, List *conditions)
{
	List	   *spans = NIL;
	ListCell   *cell;

	foreach(cell, conditions)
		spans = BothSpans(spans, SpansOf(terms, column, lfirst(cell)));
	return spans;
}

/* OrSpans gives the spans of conditions of which one must hold. */
static List *
OrSpans(const TimeTerms *terms, const Var *column, List *conditions)
{
	List	   *spans = NIL;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		List	   *more = SpansOf(terms, column, lfirst(cell));

		if (more == NIL)
			return NIL;
		spans = list_concat(spans, more);
	}
	return list_length(spans) > MAX_SPANS ? NIL : spans;
}

/*
 * SpansOf gives spans that hold all hours of a column that meet a condition; NIL
 * where they may be any.
 */
List *
SpansOf(const TimeTerms *terms, const Var *column, Node *condition)
{
	check_stack_depth();
	if (IsA(condition, OpExpr))
		return CompareSpans(terms, column, (OpExpr *) condition);
	if (IsA(condition, ScalarArrayOpExpr))
		return AnySpans(terms, column, (ScalarArrayOpExpr *) condition);
	if (is_andclause(condition))
		return AndSpans(terms, column, ((BoolExpr *) condition)->args);
	if (is_orclause(condition))
		return OrSpans(terms, column, ((BoolExpr *) condition)->args);
	return NIL;
}

/* CoverSpans gives the one span that covers all of a list. */
HourSpan
CoverSpans(const List *spans)
{
	HourSpan	cover = *(HourSpan *) linitial(spans);
	ListCell   *cell;

	for_each_from(cell, spans, 1)
	{
		const HourSpan *span = lfirst(cell);

		cover.from = cover.from && span->from ?
			CombineTimes(IS_LEAST, cover.from, span->from) : NULL;
		cover.until = cover.until && span->until ?
			CombineTimes(IS_GREATEST, cover.until, span->until) : NULL;
	}
	return cover;
}

