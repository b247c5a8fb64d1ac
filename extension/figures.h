/*
 * figures.h
 *
 * What figures have in common.  One that is not defined (a window with too few
 * observed hours, a division by zero) is a NaN, which the figures computed from
 * it inherit.
 */
#ifndef DEFIDATA_FIGURES_H
#define DEFIDATA_FIGURES_H

#include "series_codec.h"

#include <math.h>

/* ratio divides, or gives no figure where the divisor is zero. */
static inline double
ratio(double dividend, double divisor)
{
	return divisor != 0 ? dividend / divisor : NAN;
}

/* mean_sentiment gives the mention-weighted mean sentiment, exact to the last rounding. */
static inline double
mean_sentiment(sum128 sentiment, sum128 weight)
{
	return ratio((double) sentiment, (double) weight * (double) SERIES_NANO);
}

#endif							/* DEFIDATA_FIGURES_H */
