/*
 * hour_span.h
 *
 * What a condition says about the time that a column holds: spans of hours
 *
 *	 column > X				  (X, ...)
 *	 column IN (X, Y)		  [X, X] or [Y, Y]
 *	 column < X AND f(...)	  (..., X)
 *	 column < X OR f(...)	  any
 *
 * which hold all hours that meet it, and may hold more.
 */
#ifndef DEFIDATA_HOUR_SPAN_H
#define DEFIDATA_HOUR_SPAN_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pathnodes.h"

#pragma GCC visibility push(hidden)

/*
 * Hours that a condition leaves: at or after from, and before until, expressions
 * of type timestamptz, or NULL where it sets no such limit.  An expression that
 * turns out to be NULL sets none either, as then no row meets the condition.
 */
typedef struct HourSpan
{
	Node	   *from;
	Node	   *until;
} HourSpan;

/* What it takes to speak of times in a query. */
typedef struct TimeTerms
{
	PlannerInfo *root;
	Oid			family;			/* the operators that compare times */
	const OpExpr *plus;			/* a sum of a time and an interval */
	int64		near;			/* single hours no further apart are one span */
} TimeTerms;

extern bool IsColumn(const Node *node, const Var *column);
extern bool GetTime(const Node *node, TimestampTz *time);
extern int	GetStrategy(const TimeTerms *terms, Oid op, Oid *type);

extern Node *MakeExtreme(MinMaxOp op, Oid type, List *of);
extern Node *ShiftTime(const TimeTerms *terms, Node *node, int64 by);

extern List *SpansOf(const TimeTerms *terms, const Var *column, Node *condition);
extern List *BothSpans(List *a, List *b);
extern HourSpan CoverSpans(const List *spans);

#pragma GCC visibility pop

#endif							/* DEFIDATA_HOUR_SPAN_H */
