/*
 * narrow.h
 *
 * A call of metrics_over in a query, and what the query's conditions say about it.
 * narrow.c tells what it is for.
 */
#ifndef DEFIDATA_NARROW_H
#define DEFIDATA_NARROW_H

#include "hour_span.h"

#pragma GCC visibility push(hidden)

/* One call of metrics_over in a query. */
typedef struct HourCall
{
	TimeTerms	terms;
	FuncExpr   *call;
	Var			hour;			/* the column of its rows */
	Var		   *start;			/* argument from_hour, a column of a table */
	OpExpr	   *end;			/* argument until_hour: start + an interval */
	int64		width;			/* of that interval, whole microseconds */
	bool		joined;			/* by inner joins with the table of start, as far as was looked */
	bool		parted;			/* from it by an outer join */
	Node	   *having;			/* conditions on groups of rows */
	List	   *lists;			/* of Node **, conditions that each row of the call must meet */
} HourCall;

extern List *NarrowQuery(HourCall *call);
extern List *LimitColumn(const HourCall *call, const Var *column, const HourSpan *span,
						 int64 width);

#pragma GCC visibility pop

#endif							/* DEFIDATA_NARROW_H */
