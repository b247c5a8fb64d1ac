/*
 * pattern.c
 *
 * What a pattern may cost, its compilation and its matching; see pattern.h.  The
 * regex engine is the server's.
 */
#include "pattern.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "ascii.h"
#include "compat.h"

#define MAX_PATTERN_BYTES 200	/* also once its bounds are written out */
#define MAX_PATTERN_OPERATORS 16	/* quantifiers, constraints, escapes, the same */
#define MAX_BOUND 255			/* the regex engine's own limit */

PG_FUNCTION_INFO_V1(defidata_check_pattern);

/* ReportPattern raises what the regex engine has to say. */
static void
ReportPattern(int result, const regex_t *pattern)
{
	char		reason[100];

	/* before version 16 the engine returns a cancel as an error */
	CHECK_FOR_INTERRUPTS();
	pg_regerror(result, pattern, reason, sizeof(reason));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
			 errmsg("invalid symbol pattern: %s", reason)));
}

/* FreePattern frees what the engine of older versions holds by malloc. */
static void
FreePattern(void *pattern)
{
	pg_regfree(pattern);
}

/* CheckPatternLength keeps the compile time of a pattern within bounds. */
static void
CheckPatternLength(int length)
{
	if (length > MAX_PATTERN_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("symbol pattern is longer than %d bytes",
						MAX_PATTERN_BYTES)));
}

/* ReadBound gives the largest number of a bound {m,n}, of which it reads the rest. */
static int
ReadBound(const char **at, const char *end)
{
	int			most = 1;
	int			number = 0;

	for (; *at < end && (ascii_is_digit(**at) || **at == ','); (*at)++)
	{
		number = **at == ',' ? 0 : Min(number * 10 + (**at - '0'), MAX_BOUND);
		most = Max(most, number);
	}
	/* expanded syntax allows white space and comments in it: assume the worst */
	if (*at < end && (ascii_is_space(**at) || **at == '#'))
		most = MAX_BOUND;
	return most;
}

/*
 * CheckPatternCost refuses what would take long to compile, of which the
 * regex engine lets nobody cancel every part.  It compiles a bound by writing
 * its operand out as often; what takes long is many copies, and above all
 * many parts that can be left out, as each of them then leads to each other,
 * and constraints (^, $, \y) among them.
 *
 * It does not parse: a bound after a parenthesis is taken to repeat all that
 * was before, and a literal bracket or brace for what it could be, so that
 * no spelling is counted too low.
 */
static void
CheckPatternCost(const char *source, int length)
{
	const char *end = source + length;
	int			copies = 0;
	int			operators = 0;

	for (const char *at = source; at < end;)
	{
		char		before = at > source ? at[-1] : '\0';
		char		here = *at++;
		int			times = 1;

		/* quantifiers of a basic regular expression */
		if (before == '\\' && at - source > 2)
			before = at[-3];
		copies++;
		operators += strchr("*+?{^$\\", here) != NULL;
		/* an empty alternative or group is as good as a quantifier */
		if (here == '|' || here == ')')
			operators += strchr("(|:=!", before) != NULL || ascii_is_space(before);
		if (here == '{')
			times = ReadBound(&at, end);
		/* the engine makes x*x of x+ and x{1,} if x is a group */
		if (here == '+' || here == '{')
			times = Max(times, 2);

		if (before != ')' && !ascii_is_space(before))
			copies += times - 1;
		else
		{
			copies *= times;
			operators *= times;
		}
		if (copies > MAX_PATTERN_BYTES || operators > MAX_PATTERN_OPERATORS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
					 errmsg("invalid symbol pattern: regular expression is too complex"),
					 errdetail("With its bounds {m,n} written out it may have at most %d bytes "
							   "and %d quantifiers, constraints and escapes.",
							   MAX_PATTERN_BYTES, MAX_PATTERN_OPERATORS),
					 errhint("A bound after a parenthesis counts for all that stands before it.")));
	}
}

/* CheckBackReferences refuses what can take exponential time to match. */
static void
CheckBackReferences(const regex_t *pattern)
{
	if (pattern->re_info & REG_UBACKREF)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("symbol pattern has a back-reference")));
}

/* CompilePattern compiles into the given context, whose end frees all. */
regex_t *
CompilePattern(MemoryContext context, const char *source, int length)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	regex_t    *pattern = palloc(sizeof(regex_t));
	pg_wchar	wide[MAX_PATTERN_BYTES + 1];
	int			result;

	CheckPatternLength(length);
	CheckPatternCost(source, length);
	result = pg_regcomp(pattern, wide,
						pg_mb2wchar_with_len(source, wide, length),
						REG_ADVANCED | REG_NOSUB, C_COLLATION_OID);
	if (result != REG_OKAY)
		ReportPattern(result, pattern);

	callback->func = FreePattern;
	callback->arg = pattern;
	MemoryContextRegisterResetCallback(context, callback);
	CheckBackReferences(pattern);
	MemoryContextSwitchTo(old);
	return pattern;
}

/* MatchesPattern asks the regex engine about a text of at most MAX_MATCHED_BYTES. */
bool
MatchesPattern(regex_t *pattern, const char *text, int length)
{
	pg_wchar	wide[MAX_MATCHED_BYTES + 1];
	int			result;

	result = pg_regexec(pattern, wide,
						pg_mb2wchar_with_len(text, wide, length),
						0, NULL, 0, NULL, 0);
	if (result != REG_OKAY && result != REG_NOMATCH)
		ReportPattern(result, pattern);
	return result == REG_OKAY;
}

/* check_pattern(pattern) raises what is wrong with an acceptance pattern. */
Datum
defidata_check_pattern(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	text	   *pattern;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("symbol pattern must not be null")));
	pattern = PG_GETARG_TEXT_PP(0);
	context = AllocSetContextCreate(CurrentMemoryContext, "defidata pattern",
									ALLOCSET_DEFAULT_SIZES);
	CompilePattern(context, VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern));
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
