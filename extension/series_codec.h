/*
 * series_codec.h
 *
 * The encoded form of a series: one token's hours, each with its mentions and
 * the exact sum of its sentiment.  Here are its limits and its entries; its bytes
 * are read by series_reader.h and written by series_writer.h, its text is
 * series_text.h's.
 *
 * It needs no server, so that a fuzzer can run it alone: functions return a
 * status, allocate nothing and never abort.  What the entries mean over time
 * is the business of windows.h.
 *
 * Layout of the bytes:
 *
 *	 format | count | first hour | last - first | widths | newest entry | ... | oldest entry
 *
 * where an empty series ends after its count.  The numbers before the widths
 * are varints of 7 bits a byte, low bits first, the first hour zigzag-coded.
 * An entry is four numbers, low byte first, each of the same number of bytes
 * in all entries.  So a series can be entered at any entry, and sums over hours
 * need no look at each byte.
 *
 *	 gap		hours skipped since the entry before; 0 to 4 bytes
 *	 mentions	1 to 7 bytes
 *	 missing	mentions less sentiment weight, signed; 0 to 7 bytes
 *	 sum		of sentiment, signed; 0 to 14 bytes
 *
 * Most series have no gap and a sentiment for all mentions: two of the numbers
 * take no room.  The widths are two bytes, four bits for each number.  They are
 * as small as the numbers allow: one series has exactly one encoding, so that
 * equal series have equal bytes.
 *
 * The newest entry stands first since hours come at that end: what was there
 * stays the end of the bytes, and an UPDATE of a row that ends with a series
 * writes no more than what is new to the WAL.
 */
#ifndef DEFIDATA_SERIES_CODEC_H
#define DEFIDATA_SERIES_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* palloc aligns to 8 bytes only, so the wide integers must ask for no more */
__extension__ typedef __int128 sum128 __attribute__((aligned(8)));
__extension__ typedef unsigned __int128 usum128 __attribute__((aligned(8)));

/* hours since 1970-01-01T00Z of 0001-01-01T00Z and 9999-12-31T23Z */
#define SERIES_MIN_HOUR		(-17259888)
#define SERIES_MAX_HOUR		70389527

#define SERIES_MAX_MENTIONS INT64_C(1000000000000000)

/* a sentiment is counted in billionths and is itself at most a billion */
#define SERIES_NANO			INT64_C(1000000000)
#define SERIES_MAX_SENTIMENT (SERIES_NANO * SERIES_NANO)

/* ten years; sums over more could outgrow 128 bits */
#define MAX_WINDOW_HOURS	87672

/* keeps every buffer below the server's limit of 1 GB for one allocation */
#define SERIES_MAX_ENTRIES	10000000

#define SERIES_FORMAT	3			/* the first byte */
#define SERIES_HEADER_SIZE	16	/* at most: 1 + 4 + 4 + 4 + 2 bytes */
#define SERIES_ENTRY_SIZE	32	/* at most: 4 + 7 + 7 + 14 bytes */

typedef enum SeriesStatus
{
	SERIES_OK,
	SERIES_SYNTAX,				/* text that is not an entry */
	SERIES_BAD_FORMAT,			/* first byte is no known format */
	SERIES_TRUNCATED,			/* ends within a number or an entry */
	SERIES_NOT_CANONICAL,		/* would be encoded otherwise */
	SERIES_TRAILING,			/* goes on after its last entry */
	SERIES_HOUR_RANGE,
	SERIES_MENTIONS_RANGE,
	SERIES_WEIGHT_RANGE,
	SERIES_SUM_RANGE,
	SERIES_TOO_LONG,			/* more than SERIES_MAX_ENTRIES */
	SERIES_VARIANCE_RANGE		/* see sliding.h */
} SeriesStatus;

/*
 * One hour.  The weight is the mentions of those rows that had a sentiment;
 * the sum is of sentiment in billionths times mentions.
 */
typedef struct SeriesEntry
{
	sum128		sentiment_sum;
	int64_t		mentions;
	int64_t		sentiment_weight;
	int32_t		hour;
} SeriesEntry;

extern const char *series_status_text(SeriesStatus status);

extern SeriesStatus series_entry_check(const SeriesEntry *entry);
extern SeriesStatus series_entry_add(SeriesEntry *to, const SeriesEntry *from);

/* series_fold_sign folds a signed number so that its bits are those that two's complement needs. */
static inline usum128
series_fold_sign(sum128 number)
{
	return (usum128) number << 1 ^ (usum128) (number >> 127);
}

/* series_count_bytes counts the bytes that the bits of some numbers need. */
static inline unsigned
series_count_bytes(usum128 bits)
{
	unsigned	bytes = 0;

	for (; bits != 0; bits >>= 8)
		bytes++;
	return bytes;
}

/* series_count_mention_bytes counts at least one, lest a long series take none. */
static inline unsigned
series_count_mention_bytes(uint64_t bits)
{
	return bits == 0 ? 1 : series_count_bytes(bits);
}

#pragma GCC visibility pop

#endif							/* DEFIDATA_SERIES_CODEC_H */
