/*
 * series_codec.c
 *
 * Reads, writes and checks the bytes and the text of a series.  The layout is
 * told in series_codec.h.
 *
 * No number in a series takes more than 8 bytes, but for the sentiment sums,
 * which take up to 16.  So a number is decoded from one word, without a loop.
 */
#include "series_codec.h"

#include <stdio.h>
#include <string.h>

#define FORMAT			1

#define NO_SENTIMENT	0		/* no weight, no sum */
#define FULL_SENTIMENT	1		/* weight = mentions, left out */
#define PART_SENTIMENT	2		/* weight differs, stored */

/* bits that one word of a varint carries */
#define WORD_BITS		56

/* Says what is wrong, to stand after "invalid series: " or "series: ". */
const char *
series_status_text(SeriesStatus status)
{
	switch (status)
	{
		case SERIES_OK:
			return "no error";
		case SERIES_SYNTAX:
			return "expected YYYY-MM-DDTHHZ:mentions or YYYY-MM-DDTHHZ:mentions:sum:weight";
		case SERIES_BAD_FORMAT:
			return "unknown format";
		case SERIES_TRUNCATED:
			return "unexpected end";
		case SERIES_NOT_CANONICAL:
			return "not in canonical form";
		case SERIES_TRAILING:
			return "data after the last entry";
		case SERIES_HOUR_RANGE:
			return "hour out of range";
		case SERIES_MENTIONS_RANGE:
			return "mentions of an hour out of range";
		case SERIES_WEIGHT_RANGE:
			return "sentiment weight of an hour out of range";
		case SERIES_SUM_RANGE:
			return "sentiment sum of an hour out of range";
		case SERIES_TOO_LONG:
			return "too many hours";
		case SERIES_VARIANCE_RANGE:
			return "variance of a window out of range";
	}
	return "unknown error";
}

/* Checks that an entry is within the limits and consistent in itself. */
SeriesStatus
series_entry_check(const SeriesEntry *entry)
{
	sum128		limit = (sum128) SERIES_MAX_SENTIMENT * entry->sentiment_weight;

	if (entry->hour < SERIES_MIN_HOUR || entry->hour > SERIES_MAX_HOUR)
		return SERIES_HOUR_RANGE;
	if (entry->mentions < 0 || entry->mentions > SERIES_MAX_MENTIONS)
		return SERIES_MENTIONS_RANGE;
	if (entry->sentiment_weight < 0 || entry->sentiment_weight > SERIES_MAX_MENTIONS)
		return SERIES_WEIGHT_RANGE;
	if (entry->sentiment_sum < -limit || entry->sentiment_sum > limit)
		return SERIES_SUM_RANGE;
	return SERIES_OK;
}

/* Adds an entry of the same hour; both are valid, so no sum can overflow. */
SeriesStatus
series_entry_add(SeriesEntry *to, const SeriesEntry *from)
{
	to->mentions += from->mentions;
	to->sentiment_weight += from->sentiment_weight;
	to->sentiment_sum += from->sentiment_sum;
	return series_entry_check(to);
}

/* Squeezes the continuation bits out of a word of 7 bits a byte. */
static inline uint64_t
fold_word(uint64_t word)
{
	word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
	word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
	word = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
	return word;
}

/* Loads the next 8 bytes, the first one lowest, with zeros after the end. */
static inline uint64_t
load_word(const uint8_t *at, size_t available)
{
	uint64_t	word = 0;

	if (available >= sizeof(word))
		memcpy(&word, at, sizeof(word));
	else
		memcpy(&word, at, available);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* Reads a number of at most 8 bytes, the last of which may be zero only alone. */
static inline bool
read_number(SeriesReader *reader, uint64_t *number)
{
	size_t		available = (size_t) (reader->end - reader->at);
	uint64_t	word;
	uint64_t	stops;
	unsigned	length;

	/* most numbers are small */
	if (available > 0 && *reader->at < 0x80)
	{
		*number = *reader->at++;
		return true;
	}

	word = load_word(reader->at, available);
	stops = ~word & UINT64_C(0x8080808080808080);
	length = stops == 0 ? 9 : (unsigned) __builtin_ctzll(stops) / 8 + 1;
	if (length > available)
	{
		reader->status = SERIES_TRUNCATED;
		return false;
	}
	if (stops == 0 || reader->at[length - 1] == 0)
	{
		reader->status = SERIES_NOT_CANONICAL;
		return false;
	}
	reader->at += length;
	/* the bits up to the first byte that ends a number */
	*number = fold_word(word & (stops ^ (stops - 1)));
	return true;
}

/* Reads a sentiment sum: one word, or two where the first has no end. */
static inline bool
read_sum(SeriesReader *reader, sum128 *sum)
{
	size_t		available = (size_t) (reader->end - reader->at);
	uint64_t	word = load_word(reader->at, available);
	uint64_t	number;
	usum128		zigzag;

	if ((~word & UINT64_C(0x8080808080808080)) != 0)
	{
		if (!read_number(reader, &number))
			return false;
		zigzag = number;
	}
	else
	{
		reader->at += sizeof(word);
		if (!read_number(reader, &number))
			return false;
		if (number == 0)
		{
			reader->status = SERIES_NOT_CANONICAL;
			return false;
		}
		zigzag = (usum128) number << WORD_BITS | fold_word(word);
	}
	*sum = (sum128) (zigzag >> 1) ^ -(sum128) (zigzag & 1);
	return true;
}

/* Reads the first and the last hour and checks them. */
static bool
read_bounds(SeriesReader *reader)
{
	uint64_t	zigzag;
	uint64_t	span;
	int64_t		first;

	if (!read_number(reader, &zigzag) || !read_number(reader, &span))
		return false;
	first = (int64_t) (zigzag >> 1) ^ -(int64_t) (zigzag & 1);
	if (first < SERIES_MIN_HOUR || first > SERIES_MAX_HOUR ||
		span > (uint64_t) (SERIES_MAX_HOUR - first))
	{
		reader->status = SERIES_HOUR_RANGE;
		return false;
	}
	reader->first = (int32_t) first;
	reader->last = (int32_t) (first + (int64_t) span);

	/* the first entry skips no hour */
	if (reader->at < reader->end && *reader->at >> 2 != 0)
	{
		reader->status = SERIES_NOT_CANONICAL;
		return false;
	}
	return true;
}

/* Reads the header, so that the reader stands before the first entry. */
SeriesStatus
series_open(SeriesReader *reader, const uint8_t *bytes, size_t size)
{
	uint64_t	count;

	memset(reader, 0, sizeof(*reader));
	reader->at = bytes;
	reader->end = bytes + size;

	if (size == 0)
		return reader->status = SERIES_TRUNCATED;
	if (*reader->at++ != FORMAT)
		return reader->status = SERIES_BAD_FORMAT;
	if (!read_number(reader, &count))
		return reader->status;
	if (count > SERIES_MAX_ENTRIES)
		return reader->status = SERIES_TOO_LONG;

	/* no entry is shorter than two bytes: buffers can be sized by the count */
	if (count > size / 2)
		return reader->status = SERIES_TRUNCATED;
	if (count == 0)
	{
		if (reader->at < reader->end)
			reader->status = SERIES_TRAILING;
		return reader->status;
	}
	if (!read_bounds(reader))
		return reader->status;
	reader->count = reader->remaining = (int32_t) count;
	reader->hour = reader->first - 1;
	return SERIES_OK;
}

/* Reads the next entry, which the caller knows to be there. */
static inline bool
read_entry(SeriesReader *reader, SeriesEntry *entry)
{
	uint64_t	head;
	uint64_t	mentions;
	uint64_t	weight = 0;
	unsigned	kind;

	entry->sentiment_sum = 0;
	if (!read_number(reader, &head) || !read_number(reader, &mentions))
		return false;
	kind = head & 3;
	if (kind > PART_SENTIMENT)
	{
		reader->status = SERIES_NOT_CANONICAL;
		return false;
	}
	if (kind == FULL_SENTIMENT)
		weight = mentions;
	else if (kind == PART_SENTIMENT && !read_number(reader, &weight))
		return false;
	if (kind != NO_SENTIMENT && !read_sum(reader, &entry->sentiment_sum))
		return false;

	if (head >> 2 >= (uint64_t) (reader->last - reader->hour))
	{
		reader->status = SERIES_HOUR_RANGE;
		return false;
	}
	entry->hour = reader->hour + 1 + (int32_t) (head >> 2);
	entry->mentions = (int64_t) mentions;
	entry->sentiment_weight = (int64_t) weight;

	reader->status = series_entry_check(entry);
	if (reader->status == SERIES_OK &&
		((kind != NO_SENTIMENT && weight == 0) ||
		 (kind == PART_SENTIMENT && weight == mentions)))
		reader->status = SERIES_NOT_CANONICAL;
	reader->hour = entry->hour;
	return reader->status == SERIES_OK;
}

/*
 * Reads an entry as nearly all are: a sentiment of all mentions or of none,
 * numbers of few bytes, and enough bytes after it to load words without a look
 * at the end.  Returns false, having read nothing, for any other
 * entry: that is read_entry's, which also tells what is wrong.
 */
static inline bool
read_short_entry(SeriesReader *reader, SeriesEntry *entry)
{
	const uint8_t *at = reader->at;
	uint64_t	word;
	uint64_t	stops;
	uint64_t	zigzag;
	unsigned	length;
	unsigned	kind = at[0] & 3;
	int32_t		gap = at[0] >> 2;
	uint32_t	mentions = at[1];

	if (at[0] >= 0x80 || (kind != NO_SENTIMENT && kind != FULL_SENTIMENT) ||
		gap >= reader->last - reader->hour)
		return false;
	at += 2;
	if (mentions >= 0x80)
	{
		if (*at - 1U >= 0x7f)
			return false;
		mentions = (mentions & 0x7f) | (uint32_t) *at++ << 7;
	}

	entry->sentiment_sum = 0;
	entry->sentiment_weight = 0;
	if (kind == FULL_SENTIMENT)
	{
		word = load_word(at, sizeof(word));
		stops = ~word & UINT64_C(0x8080808080808080);
		if (stops == 0 || mentions == 0)
			return false;
		length = (unsigned) __builtin_ctzll(stops) / 8 + 1;
		if (length > 1 && at[length - 1] == 0)
			return false;
		at += length;
		/* of 56 bits at most, within the limit for any weight */
		zigzag = fold_word(word & (stops ^ (stops - 1)));
		entry->sentiment_sum = (int64_t) (zigzag >> 1) ^ -(int64_t) (zigzag & 1);
		entry->sentiment_weight = mentions;
	}
	entry->mentions = mentions;
	entry->hour = reader->hour += 1 + gap;
	reader->at = at;
	return true;
}

/*
 * Reads up to max entries and returns their number; zero at the end and at an
 * error, which the reader's status tells apart.
 */
int
series_read(SeriesReader *reader, SeriesEntry *entries, int max)
{
	SeriesReader local = *reader;	/* in registers for the loop */
	int			n = 0;

	if (local.status != SERIES_OK)
		return 0;
	while (n < max && local.remaining > 0)
	{
		if ((local.end - local.at < SERIES_ENTRY_SIZE || !read_short_entry(&local, &entries[n])) &&
			!read_entry(&local, &entries[n]))
			break;
		local.remaining--;
		n++;
	}
	if (local.status == SERIES_OK && local.remaining == 0 && local.count > 0)
	{
		if (local.at != local.end)
			local.status = SERIES_TRAILING;
		else if (local.hour != local.last)
			local.status = SERIES_NOT_CANONICAL;
	}
	*reader = local;
	return reader->status == SERIES_OK ? n : 0;
}

/* Writes a number and returns where the next one goes. */
static inline uint8_t *
write_number(uint8_t *out, usum128 number)
{
	while (number >= 0x80)
	{
		*out++ = (uint8_t) number | 0x80;
		number >>= 7;
	}
	*out++ = (uint8_t) number;
	return out;
}

/* Writes a number that may be negative, small ones of either sign short. */
static inline uint8_t *
write_signed(uint8_t *out, sum128 number)
{
	return write_number(out, (usum128) number << 1 ^ (usum128) (number >> 127));
}

/* Writes everything that stands before the first entry. */
static uint8_t *
write_header(uint8_t *out, int count, int32_t first, int32_t last)
{
	*out++ = FORMAT;
	out = write_number(out, (usum128) count);
	if (count > 0)
	{
		out = write_signed(out, first);
		out = write_number(out, (usum128) ((int64_t) last - first));
	}
	return out;
}

/* Writes entries that follow the given hour. */
static uint8_t *
write_entries(uint8_t *out, int32_t hour, const SeriesEntry *entries, int count)
{
	for (int i = 0; i < count; i++)
	{
		const SeriesEntry *entry = &entries[i];
		unsigned	kind = entry->sentiment_weight == 0 ? NO_SENTIMENT :
			entry->sentiment_weight == entry->mentions ? FULL_SENTIMENT : PART_SENTIMENT;

		out = write_number(out, (usum128) (entry->hour - hour - 1) << 2 | kind);
		out = write_number(out, (usum128) entry->mentions);
		if (kind == PART_SENTIMENT)
			out = write_number(out, (usum128) entry->sentiment_weight);
		if (kind != NO_SENTIMENT)
			out = write_signed(out, entry->sentiment_sum);
		hour = entry->hour;
	}
	return out;
}

/*
 * Encodes valid entries with strictly increasing hours and returns the size.
 * The buffer holds SERIES_HEADER_SIZE + count * SERIES_ENTRY_SIZE.
 */
size_t
series_encode(const SeriesEntry *entries, int count, uint8_t *out)
{
	uint8_t    *at;

	if (count == 0)
		return (size_t) (write_header(out, 0, 0, 0) - out);
	at = write_header(out, count, entries[0].hour, entries[count - 1].hour);
	at = write_entries(at, entries[0].hour - 1, entries, count);
	return (size_t) (at - out);
}

/*
 * Encodes a series, opened but not yet read, with entries after its last hour.
 * Its own entries are copied as bytes; the buffer has room for them besides.
 */
size_t
series_append(const SeriesReader *head, const SeriesEntry *entries, int count, uint8_t *out)
{
	size_t		body = (size_t) (head->end - head->at);
	uint8_t    *at;

	if (head->count == 0 || count == 0)
		return 0;
	at = write_header(out, head->count + count, head->first, entries[count - 1].hour);
	memcpy(at, head->at, body);
	at = write_entries(at + body, head->last, entries, count);
	return (size_t) (at - out);
}

/* Counts the leap days from year 1 to the end of the given year. */
static int
leap_days(int year)
{
	return year / 4 - year / 100 + year / 400;
}

/* Counts the days of a year before the first of a month, 1 to 13. */
static int
days_before_month(int year, int month)
{
	static const int days[] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	bool		leap = leap_days(year) > leap_days(year - 1);

	return days[month] + (leap && month > 2);
}

/* Counts the days from 0001-01-01 to the first of January of a year. */
static int
days_before_year(int year)
{
	return (year - 1) * 365 + leap_days(year - 1);
}

/* Prints an hour as 2026-01-05T13Z. */
static char *
print_hour(char *out, int32_t hour)
{
	int			since = hour - SERIES_MIN_HOUR;
	int			day = since / 24;
	int			year = day / 366 + 1;
	int			month = 1;

	/* at most 20 steps, as a leap day is missing in three years of four */
	while (days_before_year(year + 1) <= day)
		year++;
	day -= days_before_year(year);
	while (days_before_month(year, month + 1) <= day)
		month++;
	day -= days_before_month(year, month);
	return out + sprintf(out, "%04d-%02d-%02dT%02dZ", year, month, day + 1, since % 24);
}

/* Prints a number of up to 128 bits. */
static char *
print_number(char *out, sum128 number)
{
	char		digits[40];
	int			n = 0;
	usum128		rest = number < 0 ? -(usum128) number : (usum128) number;

	do
	{
		digits[n++] = (char) ('0' + (int) (rest % 10));
		rest /= 10;
	} while (rest > 0);
	if (number < 0)
		*out++ = '-';
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

/* Prints an entry without a terminator and returns its length. */
int
series_print_entry(const SeriesEntry *entry, char *out)
{
	char	   *at = print_hour(out, entry->hour);

	*at++ = ':';
	at = print_number(at, entry->mentions);
	if (entry->sentiment_weight > 0)
	{
		*at++ = ':';
		at = print_number(at, entry->sentiment_sum);
		*at++ = ':';
		at = print_number(at, entry->sentiment_weight);
	}
	return (int) (at - out);
}

/* Parses exactly the given number of digits. */
static bool
parse_digits(const char **at, int digits, int *number)
{
	*number = 0;
	for (int i = 0; i < digits; i++, (*at)++)
	{
		if (**at < '0' || **at > '9')
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return true;
}

/* Parses one character. */
static bool
parse_char(const char **at, char expected)
{
	if (**at != expected)
		return false;
	(*at)++;
	return true;
}

/* Parses an hour as print_hour writes it. */
static SeriesStatus
parse_hour(const char **at, int32_t *result)
{
	int			year,
				month,
				day,
				hour;

	if (!parse_digits(at, 4, &year) || !parse_char(at, '-') ||
		!parse_digits(at, 2, &month) || !parse_char(at, '-') ||
		!parse_digits(at, 2, &day) || !parse_char(at, 'T') ||
		!parse_digits(at, 2, &hour) || !parse_char(at, 'Z'))
		return SERIES_SYNTAX;
	if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 ||
		day > days_before_month(year, month + 1) - days_before_month(year, month))
		return SERIES_HOUR_RANGE;
	*result = SERIES_MIN_HOUR + hour +
		24 * (days_before_year(year) + days_before_month(year, month) + day - 1);
	return SERIES_OK;
}

/* Parses a decimal integer; one beyond 128 bits is told from a misspelt one. */
static SeriesStatus
parse_number(const char **at, bool may_be_negative, SeriesStatus range, sum128 *number)
{
	bool		negative = may_be_negative && parse_char(at, '-');
	bool		overflow = false;

	if (**at < '0' || **at > '9')
		return SERIES_SYNTAX;
	*number = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++)
	{
		overflow |= __builtin_mul_overflow(*number, (sum128) 10, number);
		overflow |= __builtin_add_overflow(*number, (sum128) (**at - '0'), number);
	}
	if (overflow)
		return range;
	if (negative)
		*number = -*number;
	return SERIES_OK;
}

/* Parses a count of mentions. */
static SeriesStatus
parse_count(const char **at, SeriesStatus range, int64_t *count)
{
	sum128		number;
	SeriesStatus status = parse_number(at, false, range, &number);

	if (status == SERIES_OK && number > SERIES_MAX_MENTIONS)
		status = range;
	if (status == SERIES_OK)
		*count = (int64_t) number;
	return status;
}

/* Parses an entry as series_print_entry writes it and moves past it. */
SeriesStatus
series_parse_entry(const char **at, SeriesEntry *entry)
{
	SeriesStatus status;

	memset(entry, 0, sizeof(*entry));
	if ((status = parse_hour(at, &entry->hour)) != SERIES_OK)
		return status;
	if (!parse_char(at, ':'))
		return SERIES_SYNTAX;
	if ((status = parse_count(at, SERIES_MENTIONS_RANGE, &entry->mentions)) != SERIES_OK)
		return status;
	if (!parse_char(at, ':'))
		return SERIES_OK;

	status = parse_number(at, true, SERIES_SUM_RANGE, &entry->sentiment_sum);
	if (status == SERIES_OK && !parse_char(at, ':'))
		status = SERIES_SYNTAX;
	if (status == SERIES_OK)
		status = parse_count(at, SERIES_WEIGHT_RANGE, &entry->sentiment_weight);
	if (status == SERIES_OK && entry->sentiment_weight == 0)
		status = SERIES_WEIGHT_RANGE;
	if (status == SERIES_OK)
		status = series_entry_check(entry);
	return status;
}
