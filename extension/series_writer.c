/*
 * series_writer.c
 *
 * Encodes entries, and adds some to bytes that are there; see series_writer.h.
 */
#include "series_writer.h"

#include <string.h>

/* The widths of the numbers of an entry. */
typedef struct Widths
{
	unsigned	gaps;
	unsigned	mentions;
	unsigned	missing;
	unsigned	sums;
} Widths;

/* MeasureEntries gives the widths that entries need which follow the given hour. */
static Widths
MeasureEntries(int32_t hour, const SeriesEntry *entries, int count)
{
	uint64_t	gaps = 0;
	uint64_t	mentions = 0;
	usum128		missing = 0;
	usum128		sums = 0;

	for (int i = 0; i < count; i++)
	{
		gaps |= (uint64_t) (entries[i].hour - hour - 1);
		mentions |= (uint64_t) entries[i].mentions;
		missing |= series_fold_sign(entries[i].mentions - entries[i].sentiment_weight);
		sums |= series_fold_sign(entries[i].sentiment_sum);
		hour = entries[i].hour;
	}
	return (Widths) {
		series_count_bytes(gaps), series_count_mention_bytes(mentions),
		series_count_bytes(missing), series_count_bytes(sums)
	};
}

/* WriteVarint writes a varint and returns where the next byte goes. */
static uint8_t *
WriteVarint(uint8_t *out, uint32_t number)
{
	for (; number >= 0x80; number >>= 7)
		*out++ = (uint8_t) number | 0x80;
	*out++ = (uint8_t) number;
	return out;
}

/* WriteHeader writes everything that stands before the entries. */
static uint8_t *
WriteHeader(uint8_t *out, int count, int32_t first, int32_t last, Widths widths)
{
	*out++ = SERIES_FORMAT;
	out = WriteVarint(out, (uint32_t) count);
	if (count == 0)
		return out;
	out = WriteVarint(out, (uint32_t) series_fold_sign(first));
	out = WriteVarint(out, (uint32_t) (last - first));
	*out++ = (uint8_t) (widths.gaps | widths.mentions << 4);
	*out++ = (uint8_t) (widths.missing | widths.sums << 4);
	return out;
}

/* WriteBytes writes the low bytes of a number and returns where the next one goes. */
static inline uint8_t *
WriteBytes(uint8_t *out, usum128 number, unsigned width)
{
	for (unsigned i = 0; i < width; i++, number >>= 8)
		*out++ = (uint8_t) number;
	return out;
}

/* WriteEntries writes entries that follow an hour, the last first, and returns where it ended. */
static uint8_t *
WriteEntries(uint8_t *out, int32_t hour, const SeriesEntry *entries, int count, Widths widths)
{
	for (int i = count - 1; i >= 0; i--)
	{
		int32_t		before = i > 0 ? entries[i - 1].hour : hour;
		int64_t		missing = entries[i].mentions - entries[i].sentiment_weight;

		out = WriteBytes(out, (usum128) (entries[i].hour - before - 1), widths.gaps);
		out = WriteBytes(out, (usum128) entries[i].mentions, widths.mentions);
		out = WriteBytes(out, (usum128) (sum128) missing, widths.missing);
		out = WriteBytes(out, (usum128) entries[i].sentiment_sum, widths.sums);
	}
	return out;
}

/*
 * series_encode encodes valid entries with strictly increasing hours and returns the size.
 * The buffer holds SERIES_HEADER_SIZE + count * SERIES_ENTRY_SIZE.
 */
size_t
series_encode(const SeriesEntry *entries, int count, uint8_t *out)
{
	int32_t		first = count > 0 ? entries[0].hour : 0;
	Widths		widths = MeasureEntries(first - 1, entries, count);
	int32_t		last = count > 0 ? entries[count - 1].hour : 0;
	uint8_t    *at = WriteHeader(out, count, first, last, widths);

	at = WriteEntries(at, first - 1, entries, count, widths);
	return (size_t) (at - out);
}

/*
 * series_append encodes a series, opened but not yet read, with entries after its last hour.
 * Its own entries are copied as bytes; the buffer has room for them besides.
 * Returns zero where the new ones are wider: then it has to be encoded anew.
 */
size_t
series_append(const SeriesReader *head, const SeriesEntry *entries, int count, uint8_t *out)
{
	Widths		widths = {
		head->gaps.width, head->mentions.width, head->missing.width, head->sums.width
	};
	Widths		needed = MeasureEntries(head->last, entries, count);
	size_t		body = series_body_size(head);
	uint8_t    *at;

	if (head->count == 0 || count == 0 ||
		needed.gaps > widths.gaps || needed.mentions > widths.mentions ||
		needed.missing > widths.missing || needed.sums > widths.sums)
		return 0;
	at = WriteHeader(out, head->count + count, head->first, entries[count - 1].hour, widths);
	at = WriteEntries(at, head->last, entries, count, widths);
	memcpy(at, head->end - body, body);
	return (size_t) (at - out) + body;
}
