/*
 * series_codec.c
 *
 * Reads, writes and checks the bytes and the text of a series.  The layout is
 * told in series_codec.h.
 *
 * What is read may come from anywhere: series_open checks that the entries are
 * just as long as the bytes, and series_read each number and, at the end, the
 * widths.  series_sum_until checks no number: it is for bytes that were read once.
 */
#include "series_codec.h"

#include <stdio.h>
#include <string.h>

#define FORMAT			3

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

/* Reads a varint of at most four bytes, the last of which may be zero only alone. */
static SeriesStatus
read_varint(const uint8_t **at, const uint8_t *end, uint32_t *number)
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

/* Reads the first and the last hour and checks them. */
static SeriesStatus
read_bounds(SeriesReader *reader, const uint8_t **at)
{
	uint32_t	zigzag;
	uint32_t	span;
	int32_t		first;
	SeriesStatus status;

	if ((status = read_varint(at, reader->end, &zigzag)) != SERIES_OK ||
		(status = read_varint(at, reader->end, &span)) != SERIES_OK)
		return status;
	first = (int32_t) (zigzag >> 1) ^ -(int32_t) (zigzag & 1);
	if (first < SERIES_MIN_HOUR || first > SERIES_MAX_HOUR ||
		(int64_t) span > (int64_t) SERIES_MAX_HOUR - first)
		return SERIES_HOUR_RANGE;
	reader->first = first;
	reader->last = first + (int32_t) span;
	return SERIES_OK;
}

/* Reads the widths and places the columns of the entries, which fill the rest of the bytes. */
static SeriesStatus
read_widths(SeriesReader *reader, const uint8_t *at)
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
 * Reads the header, so that the reader stands before the first entry.  No entry
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
	if (*at++ != FORMAT)
		return reader->status = SERIES_BAD_FORMAT;
	if ((reader->status = read_varint(&at, reader->end, &count)) != SERIES_OK)
		return reader->status;
	if (count > SERIES_MAX_ENTRIES)
		return reader->status = SERIES_TOO_LONG;
	if (count == 0)
		return reader->status = at < reader->end ? SERIES_TRAILING : SERIES_OK;
	reader->count = (int32_t) count;
	if ((reader->status = read_bounds(reader, &at)) == SERIES_OK)
		reader->status = read_widths(reader, at);
	reader->hour = reader->first - 1;
	if (reader->status != SERIES_OK)
		reader->count = 0;
	return reader->status;
}

/* Gives the bytes that the entries take. */
size_t
series_body_size(const SeriesReader *reader)
{
	return (size_t) reader->count * reader->mentions.step;
}

/* Loads the bytes of a number that is near the end.  Apart, lest the usual case go through memory. */
static __attribute__((noinline)) uint64_t
load_last_bytes(const uint8_t *at, unsigned width)
{
	uint64_t	number = 0;

	for (unsigned i = 0; i < width; i++)
		number |= (uint64_t) at[i] << 8 * i;
	return number;
}

/* Loads a number of up to 8 bytes: a whole word, cut, where there are enough bytes. */
static inline uint64_t
load_number(const uint8_t *at, unsigned width, const uint8_t *end)
{
	uint64_t	word;

	if (width == 0)
		return 0;
	if (end - at < (ptrdiff_t) sizeof(word))
		return load_last_bytes(at, width);
	memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word & UINT64_MAX >> (64 - 8 * width);
}

/* Gives where the number of a column is in the entry at a position, the oldest being 0. */
static inline const uint8_t *
get_place(const SeriesColumn *column, int32_t position)
{
	return column->oldest - (size_t) position * column->step;
}

/* Gives the unsigned number of a column at a position. */
static inline uint64_t
get_unsigned(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	return load_number(get_place(column, position), column->width, end);
}

/* Loads a signed number of up to 8 bytes. */
static inline int64_t
load_signed(const uint8_t *at, unsigned width, const uint8_t *end)
{
	uint64_t	sign = width == 0 ? 0 : UINT64_C(1) << (8 * width - 1);

	return (int64_t) ((load_number(at, width, end) ^ sign) - sign);
}

/* Gives the signed number of a column of at most 8 bytes at a position. */
static inline int64_t
get_signed(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	return load_signed(get_place(column, position), column->width, end);
}

/* Gives the signed number of a column of any width at a position. */
static inline sum128
get_wide(const SeriesColumn *column, int32_t position, const uint8_t *end)
{
	const uint8_t *at = get_place(column, position);
	unsigned	word = sizeof(uint64_t);

	if (column->width <= word)
		return load_signed(at, column->width, end);
	return (sum128) ((usum128) load_signed(at + word, column->width - word, end) << 64 |
					 load_number(at, word, end));
}

/* Folds a signed number so that its bits are those that two's complement needs. */
static inline usum128
fold_sign(sum128 number)
{
	return (usum128) number << 1 ^ (usum128) (number >> 127);
}

/* Counts the bytes that the bits of some numbers need. */
static unsigned
count_bytes(usum128 bits)
{
	unsigned	bytes = 0;

	for (; bits != 0; bits >>= 8)
		bytes++;
	return bytes;
}

/* Counts the bytes of mentions, of which there are some, lest a long series take none. */
static unsigned
count_mention_bytes(uint64_t bits)
{
	return bits == 0 ? 1 : count_bytes(bits);
}

/* Reads the next entry, which the caller knows to be there. */
static inline bool
read_entry(SeriesReader *reader, SeriesEntry *entry)
{
	uint64_t	gap = get_unsigned(&reader->gaps, reader->next, reader->end);
	uint64_t	mentions = get_unsigned(&reader->mentions, reader->next, reader->end);
	int64_t		missing = get_signed(&reader->missing, reader->next, reader->end);

	if ((int64_t) gap >= (int64_t) reader->last - reader->hour)
	{
		reader->status = SERIES_HOUR_RANGE;
		return false;
	}
	entry->hour = reader->hour + 1 + (int32_t) gap;
	entry->mentions = (int64_t) mentions;
	entry->sentiment_weight = entry->mentions - missing;
	entry->sentiment_sum = get_wide(&reader->sums, reader->next, reader->end);

	/* what is small cannot be beyond a limit, unless it has no weight */
	if (reader->mentions.width > 6 || missing != 0 || reader->sums.width > 7 || mentions == 0)
		reader->status = series_entry_check(entry);
	reader->hour = entry->hour;
	reader->gap_bits |= gap;
	reader->mention_bits |= mentions;
	reader->missing_bits |= (uint64_t) fold_sign(missing);
	reader->sum_bits |= fold_sign(entry->sentiment_sum);
	return reader->status == SERIES_OK;
}

/* Tells whether all entries, now read, are encoded as they would be. */
static bool
is_canonical(const SeriesReader *reader)
{
	return reader->hour == reader->last &&
		/* the first entry skips no hour */
		get_unsigned(&reader->gaps, 0, reader->end) == 0 &&
		reader->gaps.width == count_bytes(reader->gap_bits) &&
		reader->mentions.width == count_mention_bytes(reader->mention_bits) &&
		reader->missing.width == count_bytes(reader->missing_bits) &&
		reader->sums.width == count_bytes(reader->sum_bits);
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
	while (n < max && local.next < local.count && read_entry(&local, &entries[n]))
	{
		local.next++;
		n++;
	}
	if (n > 0 && local.status == SERIES_OK && local.next == local.count && !is_canonical(&local))
		local.status = SERIES_NOT_CANONICAL;
	*reader = local;
	return reader->status == SERIES_OK ? n : 0;
}

/* Counts the entries up to and including an hour from the next one on, and moves the hour. */
static int32_t
count_until(SeriesReader *reader, int32_t hour)
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
			(int64_t) get_unsigned(&reader->gaps, reader->next + n, reader->end);

		if (at > hour)
			break;
		reader->hour = (int32_t) at;
		n++;
	}
	return n;
}

/* Tells whether sums of numbers of a column over a stretch of positions fit a word. */
static bool
is_narrow(const SeriesColumn *column, unsigned width, int32_t from, int32_t until)
{
	return column->width <= width && until - from <= 1 << 12;
}

/* Adds the mentions from one position until another to sums. */
static void
add_mentions(const SeriesReader *reader, int32_t from, int32_t until, MentionSums *sums)
{
	const SeriesColumn *column = &reader->mentions;
	MentionSums wide = {0};
	uint64_t	mentions = 0;
	uint64_t	squares = 0;

	/* the usual case, in registers */
	if (is_narrow(column, 3, from, until))
		for (int32_t i = from; i < until; i++)
		{
			uint64_t	number = get_unsigned(column, i, reader->end);

			mentions += number;
			squares += number * number;
		}
	else
		for (int32_t i = from; i < until; i++)
		{
			uint64_t	number = get_unsigned(column, i, reader->end);

			wide.mentions += number;
			wide.squares += (usum128) number * number;
		}
	sums->mentions += wide.mentions + mentions;
	sums->squares += wide.squares + squares;
}

/* Gives the sum of a column's signed numbers from one position until another. */
static usum128
sum_signed(const SeriesReader *reader, const SeriesColumn *column, int32_t from, int32_t until)
{
	usum128		wide = 0;
	int64_t		sum = 0;

	if (column->width == 0)
		return 0;
	if (is_narrow(column, 6, from, until))
	{
		for (int32_t i = from; i < until; i++)
			sum += get_signed(column, i, reader->end);
		return (usum128) (sum128) sum;
	}
	for (int32_t i = from; i < until; i++)
		wide += (usum128) get_wide(column, i, reader->end);
	return wide;
}

/*
 * Moves past the entries up to and including an hour, adds them to sums, those
 * that are not NULL, and returns their number.
 */
int
series_sum_until(SeriesReader *reader, int32_t hour, MentionSums *mentions, SentimentSums *sentiment)
{
	int32_t		from = reader->next;
	int32_t		n = count_until(reader, hour);
	MentionSums own = {0};

	reader->next += n;
	if (n == 0 || (mentions == NULL && sentiment == NULL))
		return n;
	add_mentions(reader, from, from + n, &own);
	if (mentions != NULL)
	{
		mentions->mentions += own.mentions;
		mentions->squares += own.squares;
	}
	if (sentiment != NULL)
	{
		sentiment->sentiment += sum_signed(reader, &reader->sums, from, from + n);
		sentiment->weight += own.mentions - sum_signed(reader, &reader->missing, from, from + n);
	}
	return n;
}

/* The widths of the numbers of an entry. */
typedef struct Widths
{
	unsigned	gaps;
	unsigned	mentions;
	unsigned	missing;
	unsigned	sums;
} Widths;

/* Gives the widths that entries need which follow the given hour. */
static Widths
measure_entries(int32_t hour, const SeriesEntry *entries, int count)
{
	uint64_t	gaps = 0;
	uint64_t	mentions = 0;
	usum128		missing = 0;
	usum128		sums = 0;

	for (int i = 0; i < count; i++)
	{
		gaps |= (uint64_t) (entries[i].hour - hour - 1);
		mentions |= (uint64_t) entries[i].mentions;
		missing |= fold_sign(entries[i].mentions - entries[i].sentiment_weight);
		sums |= fold_sign(entries[i].sentiment_sum);
		hour = entries[i].hour;
	}
	return (Widths) {count_bytes(gaps), count_mention_bytes(mentions), count_bytes(missing), count_bytes(sums)};
}

/* Writes a varint and returns where the next byte goes. */
static uint8_t *
write_varint(uint8_t *out, uint32_t number)
{
	for (; number >= 0x80; number >>= 7)
		*out++ = (uint8_t) number | 0x80;
	*out++ = (uint8_t) number;
	return out;
}

/* Writes everything that stands before the entries. */
static uint8_t *
write_header(uint8_t *out, int count, int32_t first, int32_t last, Widths widths)
{
	*out++ = FORMAT;
	out = write_varint(out, (uint32_t) count);
	if (count == 0)
		return out;
	out = write_varint(out, (uint32_t) fold_sign(first));
	out = write_varint(out, (uint32_t) (last - first));
	*out++ = (uint8_t) (widths.gaps | widths.mentions << 4);
	*out++ = (uint8_t) (widths.missing | widths.sums << 4);
	return out;
}

/* Writes the low bytes of a number and returns where the next one goes. */
static inline uint8_t *
write_bytes(uint8_t *out, usum128 number, unsigned width)
{
	for (unsigned i = 0; i < width; i++, number >>= 8)
		*out++ = (uint8_t) number;
	return out;
}

/* Writes entries that follow an hour, the last one first, and returns where the next byte goes. */
static uint8_t *
write_entries(uint8_t *out, int32_t hour, const SeriesEntry *entries, int count, Widths widths)
{
	for (int i = count - 1; i >= 0; i--)
	{
		int32_t		before = i > 0 ? entries[i - 1].hour : hour;
		int64_t		missing = entries[i].mentions - entries[i].sentiment_weight;

		out = write_bytes(out, (usum128) (entries[i].hour - before - 1), widths.gaps);
		out = write_bytes(out, (usum128) entries[i].mentions, widths.mentions);
		out = write_bytes(out, (usum128) (sum128) missing, widths.missing);
		out = write_bytes(out, (usum128) entries[i].sentiment_sum, widths.sums);
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
	int32_t		first = count > 0 ? entries[0].hour : 0;
	Widths		widths = measure_entries(first - 1, entries, count);
	uint8_t    *at = write_header(out, count, first, count > 0 ? entries[count - 1].hour : 0, widths);

	at = write_entries(at, first - 1, entries, count, widths);
	return (size_t) (at - out);
}

/*
 * Encodes a series, opened but not yet read, with entries after its last hour.
 * Its own entries are copied as bytes; the buffer has room for them besides.
 * Returns zero where the new ones are wider: then it has to be encoded anew.
 */
size_t
series_append(const SeriesReader *head, const SeriesEntry *entries, int count, uint8_t *out)
{
	Widths		widths = {head->gaps.width, head->mentions.width, head->missing.width, head->sums.width};
	Widths		needed = measure_entries(head->last, entries, count);
	size_t		body = series_body_size(head);
	uint8_t    *at;

	if (head->count == 0 || count == 0 || needed.gaps > widths.gaps || needed.mentions > widths.mentions ||
		needed.missing > widths.missing || needed.sums > widths.sums)
		return 0;
	at = write_header(out, head->count + count, head->first, entries[count - 1].hour, widths);
	at = write_entries(at, head->last, entries, count, widths);
	memcpy(at, head->end - body, body);
	return (size_t) (at - out) + body;
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
