/*
 * clean.c
 *
 * Strips a raw symbol and follows the rules; defidata_clean and defidata_explain.
 *
 * How a text is looked up in the list is matcher.c's concern; storing tokens
 * and counting rejected rows is the import's.
 */
#include "clean.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "ascii.h"
#include "compat.h"
#include "pattern.h"
#include "row.h"

#define HEAD_BYTES 1024			/* enough of a long text to see its length */

PG_FUNCTION_INFO_V1(defidata_clean);
PG_FUNCTION_INFO_V1(defidata_explain);

/* how defidata_explain calls each Rule */
static const char *const rule_names[] = {
	"list", "pattern", "empty", "too long", "disabled", "no value", "no match"
};

/* SkipSpace drops white space before a text. */
static inline void
SkipSpace(const char **text, int *length)
{
	while (*length > 0 && ascii_is_space(**text))
	{
		CHECK_FOR_INTERRUPTS();
		(*text)++;
		(*length)--;
	}
}

/*
 * Strip drops surrounding white space, one leading dollar and what follows it,
 * and tells whether there was a dollar.
 */
static bool
Strip(const char **text, int *length)
{
	while (*length > 0 && ascii_is_space((*text)[*length - 1]))
	{
		CHECK_FOR_INTERRUPTS();
		(*length)--;
	}
	SkipSpace(text, length);
	if (*length == 0 || **text != '$')
		return false;
	(*text)++;
	(*length)--;
	SkipSpace(text, length);
	return true;
}

/* IsTooLong counts characters only where bytes leave a doubt. */
static inline bool
IsTooLong(const char *text, int length)
{
	return length > MAX_SYMBOL_CHARS &&
		(length > MAX_SYMBOL_BYTES ||
		 pg_mbstrlen_with_len(text, length) > MAX_SYMBOL_CHARS);
}

/*
 * HeadIsTooLong looks at the head of a long compressed or external value: if
 * that alone is too long, the rest need not be fetched.
 */
static bool
HeadIsTooLong(Datum raw)
{
	text	   *head;
	const char *symbol;
	int			length;

	if (!VARATT_IS_EXTENDED(DatumGetPointer(raw)) ||
		toast_raw_datum_size(raw) <= HEAD_BYTES)
		return false;
	head = DatumGetTextPSlice(raw, 0, HEAD_BYTES);
	symbol = VARDATA_ANY(head);
	length = VARSIZE_ANY_EXHDR(head);
	(void) Strip(&symbol, &length);
	return length > MAX_SYMBOL_BYTES;
}

/* what collectors write where they have no symbol, in lower case */
static const char *const no_values[] = {
	"nan", "null", "none", "undefined", "n/a", "na", "nil"
};

/* StandsForNoValue tells such words, in any case. */
static bool
StandsForNoValue(const char *text, int length)
{
	for (int i = 0; i < (int) lengthof(no_values); i++)
	{
		if ((int) strlen(no_values[i]) == length &&
			pg_strncasecmp(text, no_values[i], length) == 0)
			return true;
	}
	return false;
}

/* IsOwn tells whether the user's own list has a text as it stands. */
static bool
IsOwn(const Rules *rules, const char *text, int length)
{
	const MatcherSpelling *listed = matcher_find(rules->matcher, text, length);

	return listed != NULL && !listed->builtin && (int) listed->length == length;
}

/* Judge applies the rules to a stripped text. */
static Verdict
Judge(Rules *rules, const char *text, int length)
{
	Verdict		verdict = {RULE_NO_MATCH, text, length};
	const MatcherSpelling *listed;

	if (length == 0)
		verdict.rule = RULE_EMPTY;
	else if (IsTooLong(text, length))
		verdict.rule = RULE_TOO_LONG;
	else if ((listed = matcher_find(rules->matcher, text, length)) != NULL)
	{
		verdict.rule = listed->enabled ? RULE_LIST : RULE_DISABLED;
		verdict.token = listed->text;
		verdict.length = listed->length;
	}
	else if (MatchesPattern(rules->pattern, text, length))
		verdict.rule = RULE_PATTERN;
	return verdict;
}

/* JudgeAgain remembers the verdicts on short texts. */
static Verdict
JudgeAgain(Rules *rules, const char *text, int length)
{
	Remembered *slot;

	if (length == 0 || length > (int) sizeof(slot->text))
		return Judge(rules, text, length);

	slot = &rules->remembered[hash_bytes((const unsigned char *) text, length)
							  % REMEMBERED_SLOTS];
	if (slot->length != length || memcmp(slot->text, text, length) != 0)
	{
		Verdict		verdict = Judge(rules, text, length);

		/* a listed token stays where the list has it, any other is the text */
		slot->length = length;
		memcpy(slot->text, text, length);
		slot->verdict = verdict;
		if (verdict.token == text)
			slot->verdict.token = slot->text;
	}
	return slot->verdict;
}

/* Clean strips a raw symbol and applies the rules. */
Verdict
Clean(Datum raw)
{
	Verdict		verdict = {RULE_TOO_LONG, NULL, 0};
	Rules	   *rules;
	text	   *value;
	const char *symbol;
	int			length;

	if (HeadIsTooLong(raw))
		return verdict;
	value = DatumGetTextPP(raw);
	symbol = VARDATA_ANY(value);
	length = VARSIZE_ANY_EXHDR(value);
	rules = GetRules();
	if (!Strip(&symbol, &length) && StandsForNoValue(symbol, length) &&
		!IsOwn(rules, symbol, length))
	{
		verdict.rule = RULE_NO_VALUE;
		return verdict;
	}
	return JudgeAgain(rules, symbol, length);
}

/* Token makes the token of a verdict, or NULL if there is none. */
static text *
Token(Verdict verdict)
{
	text	   *token;

	if (verdict.rule != RULE_LIST && verdict.rule != RULE_PATTERN)
		return NULL;
	token = cstring_to_text_with_len(verdict.token, verdict.length);
	if (verdict.rule == RULE_PATTERN && GetRules()->fold_case)
	{
		for (int i = 0; i < verdict.length; i++)
			VARDATA(token)[i] = ascii_upper(VARDATA(token)[i]);
	}
	return token;
}

/* clean gives the token of a raw symbol, or NULL. */
Datum
defidata_clean(PG_FUNCTION_ARGS)
{
	text	   *token = Token(Clean(PG_GETARG_DATUM(0)));

	if (token == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(token);
}

static const RowColumn explain_columns[] = {{"token", TEXTOID}, {"rule", TEXTOID}};
static const RowShape explain_rows = FIXED_SHAPE(explain_columns);

/* explain gives the token of a raw symbol and the rule that made or refused it. */
Datum
defidata_explain(PG_FUNCTION_ARGS)
{
	Verdict		verdict = {RULE_EMPTY, NULL, 0};
	text	   *token;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (!PG_ARGISNULL(0))
		verdict = Clean(PG_GETARG_DATUM(0));

	token = Token(verdict);
	values[0] = PointerGetDatum(token);
	nulls[0] = token == NULL;
	values[1] = CStringGetTextDatum(rule_names[verdict.rule]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(GetRowType(fcinfo, &explain_rows),
													  values, nulls)));
}
