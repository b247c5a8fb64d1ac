/*
 * series_reader.h
 *
 * Reads the bytes of a series: entry by entry, or as sums over hours.
 *
 * What is read may come from anywhere: series_open checks that the entries are
 * just as long as the bytes, and series_read each number and, at the end, the
 * widths.  series_sum_until checks no number: it is for bytes that were read once.
 */
#ifndef DEFIDATA_SERIES_READER_H
#define DEFIDATA_SERIES_READER_H

#include "series_codec.h"

#pragma GCC visibility push(hidden)

/* Sums over the mentions of some entries. */
typedef struct MentionSums
{
	usum128		mentions;
	usum128		squares;
} MentionSums;

/* Sums over the sentiment of some entries; that of sentiment may wrap around. */
typedef struct SentimentSums
{
	usum128		sentiment;
	usum128		weight;
} SentimentSums;

/* One number of each entry. */
typedef struct SeriesColumn
{
	const uint8_t *oldest;		/* where it is in the oldest entry, the last */
	size_t		step;			/* from there back to the next one's */
	unsigned	width;
} SeriesColumn;

/* Where a reader stands in a series. */
typedef struct SeriesReader
{
	const uint8_t *end;
	SeriesColumn gaps;
	SeriesColumn mentions;
	SeriesColumn missing;
	SeriesColumn sums;
	int32_t		count;			/* of all entries */
	int32_t		next;			/* position of the entry to be read */
	int32_t		first;
	int32_t		last;
	int32_t		hour;			/* of the entry before it */
	SeriesStatus status;

	/* bits of all numbers read, by which their widths are checked */
	usum128		sum_bits;
	uint64_t	gap_bits;
	uint64_t	mention_bits;
	uint64_t	missing_bits;
} SeriesReader;

extern SeriesStatus series_open(SeriesReader *reader, const uint8_t *bytes, size_t size);
/* of one reader either reads, or sums */
extern int	series_read(SeriesReader *reader, SeriesEntry *entries, int max);
extern int	series_sum_until(SeriesReader *reader, int32_t hour, MentionSums *mentions,
							 SentimentSums *sentiment);
extern size_t series_body_size(const SeriesReader *reader);

#pragma GCC visibility pop

#endif							/* DEFIDATA_SERIES_READER_H */
