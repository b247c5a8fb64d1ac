/*
 * values.c
 *	  What the text of a field means.  A stream's bytes are taken for UTF-8; the
 *	  rules for numbers are those of defidata.parse_number.
 */
#include "values.h"

#include <ctype.h>
#include <math.h>

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
#include "varatt_compat.h"

#define MAX_NUMBER_LENGTH 400

/* the largest sentiment either way that base and streams take */
#define MAX_SENTIMENT 1000.0

/* ReadNumber reads a decimal number, with white space around it or not. */
bool
ReadNumber(const char *text, int length, double *number)
{
	char		copy[MAX_NUMBER_LENGTH + 1];
	char	   *rest;

	while (length > 0 && isspace((unsigned char) text[0]))
		text++, length--;
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	if (length == 0 || length > MAX_NUMBER_LENGTH)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	/* no hexadecimal figures, no words */
	if ((int) strspn(copy, "0123456789.eE+-") != length)
		return false;
	*number = strtod(copy, &rest);
	return *rest == '\0' && rest != copy && isfinite(*number);
}

/* Digits reads so many digits, or says that they are none. */
static bool
Digits(const char **text, const char *end, int count, int *number)
{
	*number = 0;
	for (int i = 0; i < count; i++, (*text)++)
	{
		if (*text >= end || **text < '0' || **text > '9')
			return false;
		*number = *number * 10 + (**text - '0');
	}
	return true;
}

/* ReadFraction reads the digits behind the seconds, as microseconds. */
static int
ReadFraction(const char **text, const char *end)
{
	int			fraction = 0;
	int			weight = 100000;

	if (*text >= end || **text != '.')
		return 0;
	for ((*text)++; *text < end && **text >= '0' && **text <= '9'; (*text)++, weight /= 10)
		fraction += weight * (**text - '0');
	return fraction;
}

/* Separator takes one of some characters. */
static bool
Separator(const char **text, const char *end, const char *these)
{
	if (*text >= end || strchr(these, **text) == NULL || **text == '\0')
		return false;
	(*text)++;
	return true;
}

/* ReadIsoTime reads YYYY-MM-DDTHH:MM:SS in UTC, a Z behind it or not. */
static bool
ReadIsoTime(const char *text, const char *end, int64 *microseconds)
{
	int			year,
				month,
				day,
				hour,
				minute,
				second,
				fraction;

	if (!Digits(&text, end, 4, &year) || !Separator(&text, end, "-") ||
		!Digits(&text, end, 2, &month) || !Separator(&text, end, "-") ||
		!Digits(&text, end, 2, &day) || !Separator(&text, end, "T ") ||
		!Digits(&text, end, 2, &hour) || !Separator(&text, end, ":") ||
		!Digits(&text, end, 2, &minute) || !Separator(&text, end, ":") ||
		!Digits(&text, end, 2, &second))
		return false;
	fraction = ReadFraction(&text, end);
	(void) Separator(&text, end, "Z");
	if (text != end || year < 1970 || month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1] || hour > 23 || minute > 59 || second > 59)
		return false;
	*microseconds = ((int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY +
					 hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second) * USECS_PER_SEC + fraction;
	return true;
}

/* ReadTime reads a Unix time in some unit, or one form of ISO 8601; 1970 to 9999. */
bool
ReadTime(const char *text, int length, double units_a_second, int64 *microseconds)
{
	double		number;

	if (!ReadNumber(text, length, &number))
		return ReadIsoTime(text, text + length, microseconds);
	number = number / units_a_second * USECS_PER_SEC;
	if (!(number >= 0 && number < 253402300800.0 * USECS_PER_SEC))
		return false;
	*microseconds = (int64) number;
	return true;
}

/* ReadSentiment reads a sentiment by the stream's scale; false where it is none. */
bool
ReadSentiment(const SentimentScale *scale, const char *text, int length, double *sentiment)
{
	for (int i = 0; i < scale->words; i++)
		if ((int) strlen(scale->word[i]) == length && memcmp(scale->word[i], text, length) == 0)
		{
			*sentiment = scale->value[i];
			return true;
		}
	if (scale->words > 0 || !ReadNumber(text, length, sentiment))
		return false;
	if (scale->scaled)
		*sentiment = scale->to[0] + (*sentiment - scale->from[0]) *
			(scale->to[1] - scale->to[0]) / (scale->from[1] - scale->from[0]);
	return fabs(*sentiment) <= MAX_SENTIMENT;
}

/* UnixToTimestampTz turns microseconds since 1970 into a time. */
TimestampTz
UnixToTimestampTz(int64 microseconds)
{
	return microseconds - (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* Convert turns UTF-8 into another encoding; NULL where that cannot hold it. */
static text *
Convert(const char *bytes, int length, int encoding)
{
	Oid			function = FindDefaultConversionProc(PG_UTF8, encoding);
	int			room = length * MAX_CONVERSION_GROWTH + 1;
	text	   *result;
	int			used;

	if (!OidIsValid(function))
		return NULL;
	result = palloc(VARHDRSZ + room);
	used = pg_do_encoding_conversion_buf(function, PG_UTF8, encoding, (unsigned char *) unconstify(char *, bytes), length,
										 (unsigned char *) VARDATA(result), room, true);
	if (used != length)
		return NULL;
	SET_VARSIZE(result, VARHDRSZ + strlen(VARDATA(result)));
	return result;
}

/* MakeText makes a text of this database's encoding; NULL where it cannot be one. */
text *
MakeText(const char *bytes, int length)
{
	int			encoding = GetDatabaseEncoding();
	int			checked = encoding == PG_SQL_ASCII ? PG_SQL_ASCII : PG_UTF8;
	text	   *result;

	if (!pg_verify_mbstr(checked, bytes, length, true))
		return NULL;
	if (encoding != checked)
		return Convert(bytes, length, encoding);
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), bytes, length);
	return result;
}
