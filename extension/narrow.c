/*
 * narrow.c
 *
 * What a condition on the hour says about the facts that have to be read: the
 * planner's support function of metrics_over.
 *
 *	 SELECT ... FROM defidata.metrics WHERE hour >= X
 *
 * is planned as a join of weeks of facts with metrics_over(..., week, week + 168
 * hours, ...), which gives the hours between these two limits.  The planner does
 * not carry an inequality from what a function returns to its arguments: it would
 * compute every hour of every week and then look at X.  Here it is told that
 *
 *	 metrics_over(..., greatest(week, X), ...)	 computes no hour before X,
 *	 week > X - 168 hours						 leaves the weeks that can reach X,
 *
 * and that hours which no window reaches need not be collected.  Both follow from
 * the condition, which stays: the rows are the same, with it or without.
 *
 * A support function is asked to simplify each call while its query is planned.
 * Calls that refer to other tables are asked about once more after the views have
 * been put into the query and all its conditions have been brought into their
 * final form, a list of which all must hold, and before any of them is used for
 * planning.  That moment is the one that is of use here.  So it works for a view
 * over the view, a prepared statement, and a shard, in a session's first
 * statement, with nothing preloaded: to ask, the server loads the library.
 *
 * What is no comparison of the hour with something known before the query runs is
 * left as it is, which is never wrong.
 */
#include "narrow.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(defidata_metrics_over_support);

/* the arguments of metrics_over, and the column of its rows that matters here */
enum
{
	ARGUMENT_PARTS,
	ARGUMENT_OBSERVED,
	ARGUMENT_FROM,
	ARGUMENT_UNTIL,
	ARGUMENT_COVERAGE,
	ARGUMENTS
};
#define HOUR_COLUMN		1

/* how far before an hour its windows may look, in whole hours */
#define REACH			(337 * USECS_PER_HOUR)

/* hours that a call is expected to give at most, as SQL declares it: those of a week */
#define MOST_HOURS		168

/*
 * NarrowObserved leaves those of the observed hours to be collected that windows
 * of a span can reach, where they are collected by SELECT array_agg(column).
 */
static Node *
NarrowObserved(const HourCall *call, Node *observed, const HourSpan *span)
{
	SubLink    *link = (SubLink *) observed;
	Query	   *query;
	Aggref	   *collect;
	Var		   *hour;
	List	   *conditions;

	if (!IsA(observed, SubLink) || link->subLinkType != EXPR_SUBLINK)
		return observed;
	link = copyObject(link);
	query = (Query *) link->subselect;
	collect = (Aggref *) ((TargetEntry *) linitial(query->targetList))->expr;
	if (!IsA(collect, Aggref) || collect->aggfnoid != F_ARRAY_AGG_ANYNONARRAY ||
		query->groupClause != NIL || query->havingQual != NULL || query->setOperations != NULL)
		return observed;
	hour = (Var *) ((TargetEntry *) linitial(collect->args))->expr;
	if (!IsA(hour, Var) || hour->varlevelsup > 0)
		return observed;
	conditions = LimitColumn(call, hour, span, REACH);
	if (query->jointree->quals != NULL)
		conditions = lcons(query->jointree->quals, conditions);
	query->jointree->quals = (Node *) make_ands_explicit(conditions);
	return (Node *) link;
}

/* NarrowCall gives the call that computes the hours of a span only. */
static Node *
NarrowCall(const HourCall *call, const HourSpan *span)
{
	FuncExpr   *narrow = makeNode(FuncExpr);
	Node	   *from = (Node *) call->start;
	Node	   *until = (Node *) call->end;

	*narrow = *call->call;
	narrow->args = list_copy(call->call->args);
	if (span->from != NULL)
		from = MakeExtreme(IS_GREATEST, TIMESTAMPTZOID, list_make2(from, copyObject(span->from)));
	if (span->until != NULL)
		until = MakeExtreme(IS_LEAST, TIMESTAMPTZOID, list_make2(until, copyObject(span->until)));
	list_nth_cell(narrow->args, ARGUMENT_FROM)->ptr_value = from;
	list_nth_cell(narrow->args, ARGUMENT_UNTIL)->ptr_value = until;
	list_nth_cell(narrow->args, ARGUMENT_OBSERVED)->ptr_value =
		NarrowObserved(call, list_nth(narrow->args, ARGUMENT_OBSERVED), span);
	return (Node *) narrow;
}

/* IsSameCall tells whether an entry of the range table is a call with the same limits. */
static bool
IsSameCall(const RangeTblEntry *entry, const FuncExpr *call)
{
	FuncExpr   *function;

	if (entry->rtekind != RTE_FUNCTION || list_length(entry->functions) != 1)
		return false;
	function = (FuncExpr *) ((RangeTblFunction *) linitial(entry->functions))->funcexpr;
	return IsA(function, FuncExpr) && function->funcid == call->funcid &&
		equal(list_nth(function->args, ARGUMENT_FROM), list_nth(call->args, ARGUMENT_FROM)) &&
		equal(list_nth(function->args, ARGUMENT_UNTIL), list_nth(call->args, ARGUMENT_UNTIL));
}

/* FindHour finds the column of the call's rows in the query; there must be just one such call. */
static bool
FindHour(HourCall *call)
{
	ListCell   *cell;
	Index		index = 0;
	Index		found = 0;

	foreach(cell, call->terms.root->parse->rtable)
	{
		index++;
		if (!IsSameCall(lfirst(cell), call->call))
			continue;
		if (found > 0)
			return false;
		found = index;
	}
	call->hour.varno = found;
	call->hour.varattno = HOUR_COLUMN;
	return found > 0;
}

/* GetWidth gives the length of the interval that an expression adds to a column, if it is fixed. */
static bool
GetWidth(const OpExpr *sum, const Var *column, int64 *width)
{
	const Const *constant;
	const Interval *interval;

	if (!IsA(sum, OpExpr) || sum->opfuncid != F_TIMESTAMPTZ_PL_INTERVAL ||
		!IsColumn(linitial(sum->args), column))
		return false;
	constant = lsecond(sum->args);
	if (!IsA(constant, Const) || constant->constisnull)
		return false;
	interval = DatumGetIntervalP(constant->constvalue);
	*width = interval->time;
	/* a day or a month has another length where clocks are put forward */
	return interval->month == 0 && interval->day == 0;
}

/*
 * GetLimits takes the limits of a call: a column, and the same with an interval of
 * fixed length added.
 */
static bool
GetLimits(HourCall *call)
{
	if (list_length(call->call->args) != ARGUMENTS)
		return false;
	call->start = list_nth(call->call->args, ARGUMENT_FROM);
	call->end = list_nth(call->call->args, ARGUMENT_UNTIL);
	return IsA(call->start, Var) && call->start->varlevelsup == 0 &&
		GetWidth(call->end, call->start, &call->width) && call->width > 0;
}

/* Simplify narrows a call by the conditions of its query; NULL where they leave all hours. */
static Node *
Simplify(PlannerInfo *root, FuncExpr *function)
{
	HourCall	call = {.terms = {.root = root},.call = function};
	List	   *spans;
	HourSpan	cover;

	if (root == NULL || root->parse->jointree == NULL || !GetLimits(&call) || !FindHour(&call))
		return NULL;
	call.terms.family = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	call.terms.plus = call.end;
	call.terms.near = call.width;
	spans = NarrowQuery(&call);
	if (spans == NIL)
		return NULL;
	cover = CoverSpans(spans);
	return NarrowCall(&call, &cover);
}

/* EstimateLimit gives the constant that narrows a limit of a call, if it can be told, or NULL. */
static const Const *
EstimateLimit(PlannerInfo *root, Node *limit)
{
	MinMaxExpr *extreme = (MinMaxExpr *) limit;
	Node	   *value;
	TimestampTz time;

	if (!IsA(limit, MinMaxExpr) || list_length(extreme->args) != 2)
		return NULL;
	value = estimate_expression_value(root, lsecond(extreme->args));
	return GetTime(value, &time) ? (Const *) value : NULL;
}

/* EstimateRows gives the hours between the limits of a call, where both are narrowed; else 0. */
static double
EstimateRows(PlannerInfo *root, const FuncExpr *call)
{
	const Const *from;
	const Const *until;
	double		hours;

	if (root == NULL || call == NULL || !IsA(call, FuncExpr) || list_length(call->args) != ARGUMENTS)
		return 0;
	from = EstimateLimit(root, list_nth(call->args, ARGUMENT_FROM));
	until = EstimateLimit(root, list_nth(call->args, ARGUMENT_UNTIL));
	if (from == NULL || until == NULL)
		return 0;
	hours = ((double) DatumGetTimestampTz(until->constvalue) -
			 DatumGetTimestampTz(from->constvalue)) / USECS_PER_HOUR;
	return Max(1, Min(hours, MOST_HOURS));
}

/* metrics_over_support answers the planner's questions about calls of metrics_over. */
Datum
defidata_metrics_over_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *answer = NULL;

	if (IsA(request, SupportRequestSimplify))
	{
		SupportRequestSimplify *simplify = (SupportRequestSimplify *) request;

		answer = Simplify(simplify->root, simplify->fcall);
	}
	else if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *estimate = (SupportRequestRows *) request;

		estimate->rows = EstimateRows(estimate->root, (FuncExpr *) estimate->node);
		if (estimate->rows > 0)
			answer = request;
	}
	PG_RETURN_POINTER(answer);
}
