/*
 * series_reader.c
 *
 * Reads and checks the bytes of a series; see series_reader.h.
 */
#include "series_reader.h"

#include <string.h>

/* ReadVarint reads a varint of at most four bytes, the last of which may be zero only alone. */
static SeriesStatus
ReadVarint(const uint8_t **at, const uint8_t *end, uint32_t *number)
{
	*number = 0;
	for (unsigned shift = 0; shift < 28; shift += 7)
	{
		uint8_t		byte;

		if (*at == end)
			return SERIES_TRUNCATED;
		byte = *(*at)++;
		*number |= (uint32_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return byte == 0 && shift > 0 ? SERIES_NOT_CANONICAL : SERIES_OK;
	}
	return SERIES_NOT_CANONICAL;
}

/* ReadBounds reads the first and the last hour and checks them. */
static SeriesStatus
ReadBounds(SeriesReader *reader, const uint8_t **at)
{
	uint32_t	zigzag;
	uint32_t	span;
	int32_t		first;
	SeriesStatus status;

	if ((status = ReadVarint(at, reader->end, &zigzag)) != SERIES_OK ||
		(status = ReadVarint(at, reader->end, &span)) != SERIES_OK)
		return status;
	first = (int32_t) (zigzag >> 1) ^ -(int32_t) (zigzag & 1);
	if (first < SERIES_MIN_HOUR || first > SERIES_MAX_HOUR ||
		(int64_t) span > (int64_t) SERIES_MAX_HOUR - first)
		return SERIES_HOUR_RANGE;
	reader->first = first;
	reader->last = first + (int32_t) span;
	return SERIES_OK;
}

/* ReadWidths reads the widths and places the columns in the entries, which fill the rest. */
static SeriesStatus
ReadWidths(SeriesReader *reader, const uint8_t *at)
{
	SeriesColumn *columns[] = {&reader->gaps, &reader->mentions, &reader->missing, &reader->sums};
	unsigned	low;
	unsigned	high;
	size_t		step;
	size_t		body;

	if (reader->end - at < 2)
		return SERIES_TRUNCATED;
	low = *at++;
	high = *at++;
	if ((low & 15) > 4 || low >> 4 < 1 || low >> 4 > 7 || (high & 15) > 7 || high >> 4 > 14)
		return SERIES_NOT_CANONICAL;
	step = (low & 15) + (low >> 4) + (high & 15) + (high >> 4);
	body = (size_t) reader->count * step;
	if (body != (size_t) (reader->end - at))
		return body > (size_t) (reader->end - at) ? SERIES_TRUNCATED : SERIES_TRAILING;
	reader->gaps.width = low & 15;
	reader->mentions.width = low >> 4;
	reader->missing.width = high & 15;
	reader->sums.width = high >> 4;
	at = reader->end - step;
	for (int i = 0; i < 4; i++)
	{
		columns[i]->oldest = at;
		columns[i]->step = step;
		at += columns[i]->width;
	}
	return SERIES_OK;
}

/*
 * series_open reads the header, so that the reader stands before the first entry.  No entry
 * is shorter than a byte: buffers can be sized by the count.
 */
SeriesStatus
series_open(SeriesReader *reader, const uint8_t *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t	count;

	memset(reader, 0, sizeof(*reader));
	reader->end = bytes + size;
	if (size == 0)
		return reader->status = SERIES_TRUNCATED;
	if (*at++ != SERIES_FORMAT)
		return reader->status = SERIES_BAD_FORMAT;
	if ((reader->status = ReadVarint(&at, reader->end, &count)) != SERIES_OK)
		return reader->status;
	if (count > SERIES_MAX_ENTRIES)
		return reader->status = SERIES_TOO_LONG;
	if (count == 0)
		return reader->status = at < reader->end ? SERIES_TRAILING : SERIES_OK;
	reader->count = (int32_t) count;
	if ((reader->status = ReadBounds(reader, &at)) == SERIES_OK)
		reader->status = ReadWidths(reader, at);
	reader->hour = reader->first - 1;
	if (reader->status != SERIES_OK)
		reader->count = 0;
	return reader->status;
}

/* series_body_size gives the bytes that the entries take. */
size_t
series_body_size(const SeriesReader *reader)
{
	return (size_t) reader->count * reader->mentions.step;
}

/*
 * LoadLastBytes loads the bytes of a number that is near the end.  Apart, lest the
 * usual case go through memory.
 */
static __attribute__((noinline)) uint64_t
LoadLastBytes(const uint8_t *at, unsigned width)
{
	uint64_t	number = 0;

	for (unsigned i = 0; i < width; i++)
		number |= (uint64_t) at[i] << 8 * i;
	return number;
}

/* LoadNumber loads a number of up to 8 bytes: a whole word, cut, where there are enough bytes. */
static inline uint64_t
LoadNumber(const uint8_t *at, unsigned width, const uint8_t *end)
{
	uint64_t	word;

	if (width == 0)
		return 0;
	if (end - at < (ptrdiff_t) sizeof(word))
		return LoadLastBytes(at, width);
	memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word & UINT64_MAX >> (64 - 8 * width);
}

/* GetPlace gives where the number of a column is in the entry at a position, the oldest being 0. */
static inline const uint8_t *
GetPlace(const SeriesColumn *column, int32_t position)
{
	return column->oldest - (size_t) position * column->step;
}

/* GetUnsigned gives the unsigned number of a column at a position. */
static inline uint64_t
GetUnsigned(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	return LoadNumber(GetPlace(column, position), column->width, end);
}

/* LoadSigned loads a signed number of up to 8 bytes. */
static inline int64_t
LoadSigned(const uint8_t *at, unsigned width, const uint8_t *end)
{
	uint64_t	sign = width == 0 ? 0 : UINT64_C(1) << (8 * width - 1);

	return (int64_t) ((LoadNumber(at, width, end) ^ sign) - sign);
}

/* GetSigned gives the signed number of a column of at most 8 bytes at a position. */
static inline int64_t
GetSigned(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	return LoadSigned(GetPlace(column, position), column->width, end);
}

/* GetWide gives the signed number of a column of any width at a position. */
static inline sum128
GetWide(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	const uint8_t *at = GetPlace(column, position);
	unsigned	word = sizeof(uint64_t);

	if (column->width <= word)
		return LoadSigned(at, column->width, end);
	return (sum128) ((usum128) LoadSigned(at + word, column->width - word, end) << 64 |
					 LoadNumber(at, word, end));
}

/* ReadEntry reads the next entry, which the caller knows to be there. */
static inline bool
ReadEntry(SeriesReader *reader, SeriesEntry *entry)
{
	uint64_t	gap = GetUnsigned(&reader->gaps, reader->next, reader->end);
	uint64_t	mentions = GetUnsigned(&reader->mentions, reader->next, reader->end);
	int64_t		missing = GetSigned(&reader->missing, reader->next, reader->end);

	if ((int64_t) gap >= (int64_t) reader->last - reader->hour)
	{
		reader->status = SERIES_HOUR_RANGE;
		return false;
	}
	entry->hour = reader->hour + 1 + (int32_t) gap;
	entry->mentions = (int64_t) mentions;
	entry->sentiment_weight = entry->mentions - missing;
	entry->sentiment_sum = GetWide(&reader->sums, reader->next, reader->end);

	/* what is small cannot be beyond a limit, unless it has no weight */
	if (reader->mentions.width > 6 || missing != 0 || reader->sums.width > 7 || mentions == 0)
		reader->status = series_entry_check(entry);
	reader->hour = entry->hour;
	reader->gap_bits |= gap;
	reader->mention_bits |= mentions;
	reader->missing_bits |= (uint64_t) series_fold_sign(missing);
	reader->sum_bits |= series_fold_sign(entry->sentiment_sum);
	return reader->status == SERIES_OK;
}

/* IsCanonical tells whether all entries, now read, are encoded as they would be. */
static bool
IsCanonical(const SeriesReader *reader)
{
	return reader->hour == reader->last &&
		/* the first entry skips no hour */
		GetUnsigned(&reader->gaps, 0, reader->end) == 0 &&
		reader->gaps.width == series_count_bytes(reader->gap_bits) &&
		reader->mentions.width == series_count_mention_bytes(reader->mention_bits) &&
		reader->missing.width == series_count_bytes(reader->missing_bits) &&
		reader->sums.width == series_count_bytes(reader->sum_bits);
}

/*
 * series_read reads up to max entries and returns their number; zero at the end and at an
 * error, which the reader's status tells apart.
 */
int
series_read(SeriesReader *reader, SeriesEntry *entries, int max)
{
	SeriesReader local = *reader;	/* in registers for the loop */
	int			n = 0;

	if (local.status != SERIES_OK)
		return 0;
	while (n < max && local.next < local.count && ReadEntry(&local, &entries[n]))
	{
		local.next++;
		n++;
	}
	if (n > 0 && local.status == SERIES_OK && local.next == local.count && !IsCanonical(&local))
		local.status = SERIES_NOT_CANONICAL;
	*reader = local;
	return reader->status == SERIES_OK ? n : 0;
}

/* CountUntil counts the entries from the next one up to an hour, to which it moves. */
static int32_t
CountUntil(SeriesReader *reader, int32_t hour)
{
	int32_t		available = reader->count - reader->next;
	int32_t		n = 0;

	if (reader->gaps.width == 0)
	{
		n = hour <= reader->hour ? 0 : hour - reader->hour;
		n = n < available ? n : available;
		reader->hour += n;
		return n;
	}
	while (n < available)
	{
		int64_t		at = (int64_t) reader->hour + 1 +
			(int64_t) GetUnsigned(&reader->gaps, reader->next + n, reader->end);

		if (at > hour)
			break;
		reader->hour = (int32_t) at;
		n++;
	}
	return n;
}

/* IsNarrow tells whether sums of numbers of a column over a stretch of positions fit a word. */
static bool
IsNarrow(const SeriesColumn *column, unsigned width, int32_t from, int32_t until)
{
	return column->width <= width && until - from <= 1 << 12;
}

/* AddMentions adds the mentions from one position until another to sums. */
static void
AddMentions(const SeriesReader *reader, int32_t from, int32_t until, MentionSums *sums)
{
	const SeriesColumn *column = &reader->mentions;
	MentionSums wide = {0};
	uint64_t	mentions = 0;
	uint64_t	squares = 0;

	/* the usual case, in registers */
	if (IsNarrow(column, 3, from, until))
		for (int32_t i = from; i < until; i++)
		{
			uint64_t	number = GetUnsigned(column, i, reader->end);

			mentions += number;
			squares += number * number;
		}
	else
		for (int32_t i = from; i < until; i++)
		{
			uint64_t	number = GetUnsigned(column, i, reader->end);

			wide.mentions += number;
			wide.squares += (usum128) number * number;
		}
	sums->mentions += wide.mentions + mentions;
	sums->squares += wide.squares + squares;
}

/* SumSigned gives the sum of a column's signed numbers from one position until another. */
static usum128
SumSigned(const SeriesReader *reader, const SeriesColumn *column, int32_t from, int32_t until)
{
	usum128		wide = 0;
	int64_t		sum = 0;

	if (column->width == 0)
		return 0;
	if (IsNarrow(column, 6, from, until))
	{
		for (int32_t i = from; i < until; i++)
			sum += GetSigned(column, i, reader->end);
		return (usum128) (sum128) sum;
	}
	for (int32_t i = from; i < until; i++)
		wide += (usum128) GetWide(column, i, reader->end);
	return wide;
}

/*
 * series_sum_until moves past the entries up to and including an hour, adds them to sums, those
 * that are not NULL, and returns their number.
 */
int
series_sum_until(SeriesReader *reader, int32_t hour, MentionSums *mentions,
				 SentimentSums *sentiment)
{
	int32_t		from = reader->next;
	int32_t		n = CountUntil(reader, hour);
	MentionSums own = {0};

	reader->next += n;
	if (n == 0 || (mentions == NULL && sentiment == NULL))
		return n;
	AddMentions(reader, from, from + n, &own);
	if (mentions != NULL)
	{
		mentions->mentions += own.mentions;
		mentions->squares += own.squares;
	}
	if (sentiment != NULL)
	{
		sentiment->sentiment += SumSigned(reader, &reader->sums, from, from + n);
		sentiment->weight += own.mentions - SumSigned(reader, &reader->missing, from, from + n);
	}
	return n;
}
