/*
 * narrow_query.c
 *
 * The conditions of a query that rows of a call of metrics_over must meet, wherever
 * they stand in it, and the conditions on the table of its limits that follow; see
 * narrow.c.
 */
#include "narrow.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

/* HoldsTable tells whether a table stands somewhere below a node of the join tree. */
static bool
HoldsTable(Node *node, Index table)
{
	ListCell   *cell;

	if (IsA(node, RangeTblRef))
		return ((RangeTblRef *) node)->rtindex == (int) table;
	if (IsA(node, JoinExpr))
		return HoldsTable(((JoinExpr *) node)->larg, table) ||
			HoldsTable(((JoinExpr *) node)->rarg, table);
	foreach(cell, castNode(FromExpr, node)->fromlist)
		if (HoldsTable(lfirst(cell), table))
			return true;
	return false;
}

/* AddList notes conditions that are in their final form, a list. */
static void
AddList(HourCall *call, Node **conditions)
{
	if (call->joined && *conditions != NULL && IsA(*conditions, List))
		call->lists = lappend(call->lists, conditions);
}

/*
 * AddInner notes the conditions of an inner join with the call below it, from where
 * the table of start comes in.
 */
static void
AddInner(HourCall *call, Node *node, Node **conditions)
{
	if (!call->joined && !call->parted)
		call->joined = HoldsTable(node, call->start->varno);
	AddList(call, conditions);
}

/*
 * AddOuter notes the conditions of an outer or semi-join with the call below it,
 * on the left or not: where it can be missing, only rows that meet them have a
 * part in the result; where its rows stay without a partner, all have.
 */
static void
AddOuter(HourCall *call, JoinExpr *join, bool left)
{
	call->parted = !call->joined;
	if (left ? join->jointype == JOIN_RIGHT : join->jointype != JOIN_FULL)
		AddList(call, &join->quals);
}

/*
 * FindLists notes the lists of conditions that each row of the call must meet to
 * have a part in the result, from where it is joined with the table of start
 * upwards.  Returns whether the call stands below the node.
 */
static bool
FindLists(HourCall *call, Node *node)
{
	FromExpr   *from = (FromExpr *) node;
	JoinExpr   *join = (JoinExpr *) node;
	bool		left;
	bool		found = false;
	ListCell   *cell;

	check_stack_depth();
	if (IsA(node, RangeTblRef))
		return ((RangeTblRef *) node)->rtindex == (int) call->hour.varno;
	if (IsA(node, FromExpr))
	{
		foreach(cell, from->fromlist)
			found |= FindLists(call, lfirst(cell));
		if (found)
			AddInner(call, node, &from->quals);
		return found;
	}
	left = FindLists(call, join->larg);
	found = left || FindLists(call, join->rarg);
	if (found && join->jointype == JOIN_INNER)
		AddInner(call, node, &join->quals);
	else if (found)
		AddOuter(call, join, left);
	return found;
}

/* AddHaving notes conditions on groups: those on a column that is grouped by hold for rows too. */
static void
AddHaving(HourCall *call)
{
	Query	   *query = call->terms.root->parse;

	if (query->groupClause == NIL || query->groupingSets != NIL)
		return;
	call->having = query->havingQual;
#if PG_VERSION_NUM >= 180000
	/* there a column that is grouped by is still one of the groups' */
	if (query->hasGroupRTE)
		call->having = flatten_group_exprs(call->terms.root, query, copyObject(call->having));
#endif
	AddList(call, &call->having);
}

/* Compare makes a comparison of a column with a time. */
static Node *
Compare(const HourCall *call, const Var *column, int strategy, Node *time)
{
	Oid			op = get_opfamily_member(call->terms.family, TIMESTAMPTZOID, TIMESTAMPTZOID, strategy);
	OpExpr	   *comparison;

	comparison = (OpExpr *) make_opclause(op, BOOLOID, false, copyObject((Expr *) column),
										  (Expr *) time, InvalidOid, InvalidOid);
	set_opfuncid(comparison);
	return (Node *) comparison;
}

/*
 * LimitColumn makes the conditions on a column under which a span begins less than
 * a width after it.
 */
List *
LimitColumn(const HourCall *call, const Var *column, const HourSpan *span, int64 width)
{
	List	   *conditions = NIL;

	if (span->from != NULL)
		conditions = lappend(conditions,
							 Compare(call, column, BTGreaterStrategyNumber,
									 ShiftTime(&call->terms, copyObject(span->from), -width)));
	if (span->until != NULL)
		conditions = lappend(conditions,
							 Compare(call, column, BTLessStrategyNumber, copyObject(span->until)));
	return conditions;
}

/*
 * AddConditions adds to a list what the spans of one of its conditions, which has
 * the hour as it stands there, say about start.
 */
static void
AddConditions(const HourCall *call, const Var *hour, const List *spans, Node **list)
{
	Var		   *start = copyObject(call->start);
	List	   *arms = NIL;
	ListCell   *cell;

#if PG_VERSION_NUM >= 160000
	/* outer joins above both make the same of both */
	start->varnullingrels = bms_union(start->varnullingrels, hour->varnullingrels);
#else
	(void) hour;
#endif
	if (list == &call->having)
		list = &call->terms.root->parse->jointree->quals;
	foreach(cell, spans)
	{
		List	   *conditions = LimitColumn(call, start, lfirst(cell), call->width);

		if (list_length(spans) == 1)
			*list = (Node *) list_concat((List *) *list, conditions);
		else
			arms = lappend(arms, make_ands_explicit(conditions));
	}
	if (arms != NIL)
		*list = (Node *) lappend((List *) *list, make_orclause(arms));
}

/* FindColumn is a walker that finds a column in an expression. */
typedef struct FindColumnContext
{
	const Var  *column;
	Var		   *found;
} FindColumnContext;

static bool
FindColumn(Node *node, FindColumnContext *context)
{
	if (node == NULL)
		return false;
	if (IsColumn(node, context->column))
	{
		context->found = (Var *) node;
		return true;
	}
	return expression_tree_walker(node, FindColumn, context);
}

/*
 * GetEqual gives the column that a condition says to be equal to the hour, and
 * the hour's own as it stands there, if it says that.
 */
static Var *
GetEqual(const HourCall *call, Node *condition, Var **hour)
{
	OpExpr	   *comparison = (OpExpr *) condition;
	Oid			type;
	Node	   *other;

	if (!IsA(condition, OpExpr) || list_length(comparison->args) != 2 ||
		GetStrategy(&call->terms, comparison->opno, &type) != BTEqualStrategyNumber ||
		type != TIMESTAMPTZOID)
		return NULL;
	*hour = linitial(comparison->args);
	other = lsecond(comparison->args);
	if (!IsColumn((Node *) *hour, &call->hour))
	{
		*hour = lsecond(comparison->args);
		other = linitial(comparison->args);
	}
	if (!IsColumn((Node *) *hour, &call->hour) || !IsA(other, Var) || ((Var *) other)->varlevelsup > 0)
		return NULL;
	return (Var *) other;
}

/*
 * NarrowByColumn gives the spans that all lists leave for a column, and adds to
 * the list what they say about start: to that of the condition where the column
 * is the hour, else to that of the equality which makes it the hour.
 */
static List *
NarrowByColumn(HourCall *call, const Var *column, const Var *hour, Node **target)
{
	List	   *all = NIL;
	ListCell   *cell;
	ListCell   *member;

	foreach(cell, call->lists)
	{
		Node	  **list = lfirst(cell);
		List	   *conditions = list_copy((List *) *list);

		foreach(member, conditions)
		{
			FindColumnContext context = {column, NULL};
			List	   *spans = SpansOf(&call->terms, column, lfirst(member));

			if (spans == NIL || contain_agg_clause(lfirst(member)))
				continue;
			FindColumn(lfirst(member), &context);
			AddConditions(call, hour ? hour : context.found, spans, target ? target : list);
			all = BothSpans(all, spans);
		}
	}
	return all;
}

/* NarrowQuery adds to a query what it says about start, and gives the hours that this leaves. */
List *
NarrowQuery(HourCall *call)
{
	List	   *all;
	ListCell   *cell;
	ListCell   *member;

	FindLists(call, (Node *) call->terms.root->parse->jointree);
	AddHaving(call);
	all = NarrowByColumn(call, &call->hour, NULL, NULL);
	foreach(cell, call->lists)
	{
		Node	  **list = lfirst(cell);
		List	   *conditions = list_copy((List *) *list);

		foreach(member, conditions)
		{
			Var		   *hour;
			Var		   *equal = GetEqual(call, lfirst(member), &hour);

			if (equal != NULL)
				all = BothSpans(all, NarrowByColumn(call, equal, hour, list));
		}
	}
	return all;
}
