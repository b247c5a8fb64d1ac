/*
 * rows.h
 *	  Hourly rows that a stream delivers, and entries that are rejected, until
 *	  they go to a table.
 */
#ifndef DEFIDATA_REDIS_ROWS_H
#define DEFIDATA_REDIS_ROWS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#pragma GCC visibility push(hidden)

/* An hourly row as it is stored. */
typedef struct HourlyRow
{
	TimestampTz hour;
	text	   *id;
	text	   *symbol;			/* or NULL */
	bool		has_mentions;
	double		mentions;
	bool		has_sentiment;
	double		sentiment;
} HourlyRow;

typedef struct RowSet RowSet;

extern RowSet *MakeHourlyRows(void);
extern RowSet *MakeRejects(void);
extern void AddHourlyRow(RowSet *set, const HourlyRow *row);
extern void AddReject(RowSet *set, text *entry, text *reason);
extern int	CountRows(const RowSet *set);
extern void StoreRowSet(RowSet *set, Datum stream);

#pragma GCC visibility pop

#endif							/* DEFIDATA_REDIS_ROWS_H */
