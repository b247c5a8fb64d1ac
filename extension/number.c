/*
 * number.c
 *
 * Figures that a source delivers as text.
 *
 * Collectors store prices and supplies as text, and some of it is "n/a".  The
 * cast of the server would fail the statement, and with it the row's
 * neighbours; here a text that is no number is NULL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "ascii.h"
#include "compat.h"

/* longer than any number that means something */
#define MAX_NUMBER_LENGTH 400

PG_FUNCTION_INFO_V1(defidata_parse_number);

/* HasNumberCharacters refuses hexadecimal and words, which strtod takes and no collector writes. */
static bool
HasNumberCharacters(const char *figure)
{
	if (pg_strcasecmp(figure, "nan") == 0)
		return true;
	if (*figure == '+' || *figure == '-')
		figure++;
	return pg_strcasecmp(figure, "infinity") == 0 || pg_strcasecmp(figure, "inf") == 0 ||
		(*figure != '\0' && strspn(figure, "0123456789.eE+-") == strlen(figure));
}

/* defidata_parse_number(figure): float8, or NULL where the text is no number. */
Datum
defidata_parse_number(PG_FUNCTION_ARGS)
{
	text	   *figure = PG_GETARG_TEXT_PP(0);
	const char *start = VARDATA_ANY(figure);
	const char *end = start + VARSIZE_ANY_EXHDR(figure);
	char		number[MAX_NUMBER_LENGTH + 1];
	char	   *rest;
	double		value;

	while (start < end && ascii_is_space(*start))
		start++;
	while (start < end && ascii_is_space(end[-1]))
		end--;
	if (end - start > MAX_NUMBER_LENGTH)
		PG_RETURN_NULL();
	memcpy(number, start, end - start);
	number[end - start] = '\0';
	if (!HasNumberCharacters(number))
		PG_RETURN_NULL();
	value = strtod(number, &rest);
	if (rest == number || *rest != '\0')
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}
