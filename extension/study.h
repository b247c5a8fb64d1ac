/*
 * study.h
 *
 * The statistics of an event study: what an outcome did after events, against
 * what it did at the same events moved in time.  Where events and figures come
 * from is the business of event_study.c, and memory that of the caller; nothing
 * here needs a server.
 *
 * A placebo set moves all events by one shift, around the end of the span and on
 * from its beginning.  So events keep their distances, and what clusters in truth
 * clusters in each set: the sets show how far a mean strays where nothing but the
 * instant is wrong.
 */
#ifndef DEFIDATA_STUDY_H
#define DEFIDATA_STUDY_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* fewer sets have no quantile of 2.5 % */
#define MIN_PLACEBO_SETS	39

/*
 * One outcome of one token: how the figure changes from an hour's end until a
 * horizon later, a NaN where either is unknown, and how old the first figure is
 * at that end, in microseconds.
 */
typedef struct StudyChanges
{
	double	   *change;
	int64_t    *age;
} StudyChanges;

/* The sums of one horizon over all tokens. */
typedef struct Study
{
	int32_t		hours;			/* of the span */
	int32_t		horizon;		/* in hours */
	int32_t		sets;
	int32_t    *shifts;			/* of each set, in hours */
	double	   *sums;			/* of the changes that a set met */
	int64_t    *counts;			/* how many these are */
} Study;

/* What a study says; a NaN where it says nothing. */
typedef enum StudyFigure
{
	STUDY_MEAN,
	STUDY_MEDIAN,
	STUDY_SHARE_ABOVE,
	STUDY_PLACEBO_MEAN,
	STUDY_DIFFERENCE,
	STUDY_DIFFERENCE_LOW,
	STUDY_DIFFERENCE_HIGH,
	STUDY_P,
	STUDY_FIGURES
} StudyFigure;

extern int32_t study_possible_shifts(int32_t hours, int32_t horizon);
extern void study_draw_shifts(Study *study, uint64_t seed, int32_t *possible);
extern void study_fill_changes(const Study *study, const int64_t *times, const double *figures,
							   int64_t first_end, int64_t hour_length, int64_t max_age,
							   StudyChanges *changes);
extern double study_add_event(Study *study, const StudyChanges *changes, int32_t hour,
							  int64_t max_age);
extern int32_t study_finish(Study *study, double *changes, int64_t count,
							double figures[STUDY_FIGURES]);

#pragma GCC visibility pop

#endif							/* DEFIDATA_STUDY_H */
