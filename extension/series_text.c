/*
 * series_text.c
 *
 * Prints and parses the entries of a series; see series_text.h.
 */
#include "series_text.h"

#include <stdio.h>
#include <string.h>

#include "ascii.h"

/* LeapDays counts the leap days from year 1 to the end of the given year. */
static int
LeapDays(int year)
{
	return year / 4 - year / 100 + year / 400;
}

/* DaysBeforeMonth counts the days of a year before the first of a month, 1 to 13. */
static int
DaysBeforeMonth(int year, int month)
{
	static const int days[] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	bool		leap = LeapDays(year) > LeapDays(year - 1);

	return days[month] + (leap && month > 2);
}

/* DaysBeforeYear counts the days from 0001-01-01 to the first of January of a year. */
static int
DaysBeforeYear(int year)
{
	return (year - 1) * 365 + LeapDays(year - 1);
}

/* PrintHour prints an hour as 2026-01-05T13Z. */
static char *
PrintHour(char *out, int32_t hour)
{
	int			since = hour - SERIES_MIN_HOUR;
	int			day = since / 24;
	int			year = day / 366 + 1;
	int			month = 1;

	/* at most 20 steps, as a leap day is missing in three years of four */
	while (DaysBeforeYear(year + 1) <= day)
		year++;
	day -= DaysBeforeYear(year);
	while (DaysBeforeMonth(year, month + 1) <= day)
		month++;
	day -= DaysBeforeMonth(year, month);
	return out + sprintf(out, "%04d-%02d-%02dT%02dZ", year, month, day + 1, since % 24);
}

/* PrintNumber prints a number of up to 128 bits. */
static char *
PrintNumber(char *out, sum128 number)
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

/* series_print_entry prints an entry without a terminator and returns its length. */
int
series_print_entry(const SeriesEntry *entry, char *out)
{
	char	   *at = PrintHour(out, entry->hour);

	*at++ = ':';
	at = PrintNumber(at, entry->mentions);
	if (entry->sentiment_weight > 0)
	{
		*at++ = ':';
		at = PrintNumber(at, entry->sentiment_sum);
		*at++ = ':';
		at = PrintNumber(at, entry->sentiment_weight);
	}
	return (int) (at - out);
}

/* ParseDigits parses exactly the given number of digits. */
static bool
ParseDigits(const char **at, int digits, int *number)
{
	*number = 0;
	for (int i = 0; i < digits; i++, (*at)++)
	{
		if (!ascii_is_digit(**at))
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return true;
}

/* ParseChar parses one character. */
static bool
ParseChar(const char **at, char expected)
{
	if (**at != expected)
		return false;
	(*at)++;
	return true;
}

/* ParseHour parses an hour as PrintHour writes it. */
static SeriesStatus
ParseHour(const char **at, int32_t *result)
{
	int			year,
				month,
				day,
				hour;

	if (!ParseDigits(at, 4, &year) || !ParseChar(at, '-') ||
		!ParseDigits(at, 2, &month) || !ParseChar(at, '-') ||
		!ParseDigits(at, 2, &day) || !ParseChar(at, 'T') ||
		!ParseDigits(at, 2, &hour) || !ParseChar(at, 'Z'))
		return SERIES_SYNTAX;
	if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 ||
		day > DaysBeforeMonth(year, month + 1) - DaysBeforeMonth(year, month))
		return SERIES_HOUR_RANGE;
	*result = SERIES_MIN_HOUR + hour +
		24 * (DaysBeforeYear(year) + DaysBeforeMonth(year, month) + day - 1);
	return SERIES_OK;
}

/* ParseNumber parses a decimal integer; one beyond 128 bits is told from a misspelt one. */
static SeriesStatus
ParseNumber(const char **at, bool may_be_negative, SeriesStatus range, sum128 *number)
{
	bool		negative = may_be_negative && ParseChar(at, '-');
	bool		overflow = false;

	if (!ascii_is_digit(**at))
		return SERIES_SYNTAX;
	*number = 0;
	for (; ascii_is_digit(**at); (*at)++)
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

/* ParseCount parses a count of mentions. */
static SeriesStatus
ParseCount(const char **at, SeriesStatus range, int64_t *count)
{
	sum128		number;
	SeriesStatus status = ParseNumber(at, false, range, &number);

	if (status == SERIES_OK && number > SERIES_MAX_MENTIONS)
		status = range;
	if (status == SERIES_OK)
		*count = (int64_t) number;
	return status;
}

/* series_parse_entry parses an entry as series_print_entry writes it and moves past it. */
SeriesStatus
series_parse_entry(const char **at, SeriesEntry *entry)
{
	SeriesStatus status;

	memset(entry, 0, sizeof(*entry));
	if ((status = ParseHour(at, &entry->hour)) != SERIES_OK)
		return status;
	if (!ParseChar(at, ':'))
		return SERIES_SYNTAX;
	if ((status = ParseCount(at, SERIES_MENTIONS_RANGE, &entry->mentions)) != SERIES_OK)
		return status;
	if (!ParseChar(at, ':'))
		return SERIES_OK;

	status = ParseNumber(at, true, SERIES_SUM_RANGE, &entry->sentiment_sum);
	if (status == SERIES_OK && !ParseChar(at, ':'))
		status = SERIES_SYNTAX;
	if (status == SERIES_OK)
		status = ParseCount(at, SERIES_WEIGHT_RANGE, &entry->sentiment_weight);
	if (status == SERIES_OK && entry->sentiment_weight == 0)
		status = SERIES_WEIGHT_RANGE;
	if (status == SERIES_OK)
		status = series_entry_check(entry);
	return status;
}
