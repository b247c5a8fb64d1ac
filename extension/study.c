/*
 * study.c
 *
 * The arithmetic of an event study; study.h tells what it is.  Every sum is
 * taken in a fixed order, and shifts come from a generator that is written here:
 * the same events, figures and seed give the same bits everywhere.
 */
#include "study.h"

#include <math.h>
#include <stdlib.h>

/* NextRandom gives the next number of the generator splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t
NextRandom(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* RandomBelow gives a random number below a limit; what it is off evenness is below 2^-32. */
static int32_t
RandomBelow(uint64_t *state, int32_t limit)
{
	return (int32_t) (((unsigned __int128) NextRandom(state) * (uint32_t) limit) >> 64);
}

/* study_possible_shifts counts the shifts by at least the horizon, either way around. */
int32_t
study_possible_shifts(int32_t hours, int32_t horizon)
{
	return horizon > hours / 2 ? 0 : hours - 2 * horizon + 1;
}

/* study_draw_shifts draws the sets' shifts without replacement; possible has room for all. */
void
study_draw_shifts(Study *study, uint64_t seed, int32_t *possible)
{
	int32_t		count = study_possible_shifts(study->hours, study->horizon);

	for (int32_t i = 0; i < count; i++)
		possible[i] = study->horizon + i;
	for (int32_t i = 0; i < study->sets; i++)
	{
		int32_t		drawn = i + RandomBelow(&seed, count - i);

		study->shifts[i] = possible[drawn];
		possible[drawn] = possible[i];
	}
}

/*
 * study_fill_changes turns figures by the hour, of which times tells when each was
 * known, into changes over the horizon.  An hour without a figure has INT64_MIN for
 * its time, and at its end that of an hour before, where it is not too old.
 */
void
study_fill_changes(const Study *study, const int64_t *times, const double *figures,
				   int64_t first_end, int64_t hour_length, int64_t max_age,
				   StudyChanges *changes)
{
	int64_t		time = INT64_MIN;
	double		figure = NAN;

	for (int32_t i = 0; i < study->hours; i++)
	{
		int64_t		end = first_end + hour_length * i;

		if (times[i] != INT64_MIN)
		{
			time = times[i];
			figure = figures[i];
		}
		changes->change[i] = NAN;
		changes->age[i] = time != INT64_MIN ? end - time : INT64_MAX;
		if (changes->age[i] > max_age)
			continue;
		changes->change[i] = figure;
	}
	for (int32_t i = 0; i < study->hours; i++)
		changes->change[i] = i < study->hours - study->horizon ?
			changes->change[i + study->horizon] - changes->change[i] : NAN;
}

/*
 * study_add_event adds what the outcome did after an event to each set, where the
 * event stands a shift later, and returns what it did in truth, or a NaN.  The
 * event's hour is the first whole one after it, counted from the span's first; the
 * first figure has to be younger at that hour's end than the event.
 */
double
study_add_event(Study *study, const StudyChanges *changes, int32_t hour, int64_t max_age)
{
	for (int32_t set = 0; set < study->sets; set++)
	{
		int32_t		moved = hour + study->shifts[set];

		if (moved >= study->hours)
			moved -= study->hours;
		if (isnan(changes->change[moved]) || changes->age[moved] >= max_age)
			continue;
		study->sums[set] += changes->change[moved];
		study->counts[set]++;
	}
	return changes->age[hour] < max_age ? changes->change[hour] : NAN;
}

/* CompareNumbers compares numbers for qsort. */
static int
CompareNumbers(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Quantile gives a quantile of ascending numbers, between two of them by proportion. */
static double
Quantile(const double *numbers, int64_t count, double share)
{
	double		place = share * (double) (count - 1);
	int64_t		below = (int64_t) place;

	if (below + 1 >= count)
		return numbers[count - 1];
	return numbers[below] + (place - (double) below) * (numbers[below + 1] - numbers[below]);
}

/* MeanOfNumbers gives the mean of some numbers. */
static double
MeanOfNumbers(const double *numbers, int64_t count)
{
	double		sum = 0;

	for (int64_t i = 0; i < count; i++)
		sum += numbers[i];
	return sum / (double) count;
}

/* CollectSetMeans turns the sums of the sets that met a change into their means. */
static int32_t
CollectSetMeans(Study *study)
{
	int32_t		count = 0;

	for (int32_t set = 0; set < study->sets; set++)
		if (study->counts[set] > 0)
			study->sums[count++] = study->sums[set] / (double) study->counts[set];
	return count;
}

/* FillTruth says what the true changes were; they are put in order. */
static void
FillTruth(double *changes, int64_t count, double *figures)
{
	int64_t		above = 0;

	/* the mean first: its bits stand for the order of the events */
	figures[STUDY_MEAN] = MeanOfNumbers(changes, count);
	for (int64_t i = 0; i < count; i++)
		above += changes[i] > 0;
	figures[STUDY_SHARE_ABOVE] = (double) above / (double) count;
	qsort(changes, (size_t) count, sizeof(double), CompareNumbers);
	figures[STUDY_MEDIAN] = Quantile(changes, count, 0.5);
}

/* FillComparison compares the true mean with those of the sets. */
static void
FillComparison(double *means, int32_t count, double *figures)
{
	double		mean = figures[STUDY_MEAN];
	double		placebo_mean = MeanOfNumbers(means, count);
	int32_t		as_far = 0;

	figures[STUDY_PLACEBO_MEAN] = placebo_mean;
	figures[STUDY_DIFFERENCE] = mean - placebo_mean;
	if (count < MIN_PLACEBO_SETS)
		return;
	for (int32_t i = 0; i < count; i++)
		as_far += fabs(means[i] - placebo_mean) >= fabs(mean - placebo_mean);
	figures[STUDY_P] = (1.0 + as_far) / (1.0 + count);
	/* the sets' mean cancels out: mean - m - (set - m) */
	qsort(means, (size_t) count, sizeof(double), CompareNumbers);
	figures[STUDY_DIFFERENCE_LOW] = mean - Quantile(means, count, 0.975);
	figures[STUDY_DIFFERENCE_HIGH] = mean - Quantile(means, count, 0.025);
}

/*
 * study_finish says what the study found and returns the number of sets that met a change.
 * Changes are the true ones, in the order of events.
 */
int32_t
study_finish(Study *study, double *changes, int64_t count, double figures[STUDY_FIGURES])
{
	int32_t		sets = CollectSetMeans(study);

	for (int i = 0; i < STUDY_FIGURES; i++)
		figures[i] = NAN;
	if (count > 0)
		FillTruth(changes, count, figures);
	if (count > 0 && sets > 0)
		FillComparison(study->sums, sets, figures);
	return sets;
}
