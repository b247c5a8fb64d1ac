/*
 * clean.c
 *		From a raw symbol to a token: stripping, the list, the pattern.
 *
 * The rules (both token lists, the settings and the compiled pattern) are read
 * once per backend and kept until one of their tables changes: a trigger on
 * each table, defidata.forget_rules, sends the table's relcache invalidation to
 * every session.  The tables are scanned directly, not by SQL: callers need no
 * right on them, search_path plays no part, a parallel worker may do it, and
 * the scan sees what is committed now, however old the caller's snapshot is.
 *
 * How a text is looked up in the list is matcher.c's concern; storing tokens
 * and counting rejected rows is the import's.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "matcher.h"
#include "row.h"

#define MAX_SYMBOL_CHARS 64
#define MAX_SYMBOL_BYTES (MAX_SYMBOL_CHARS * MAX_MULTIBYTE_CHAR_LEN)
#define MAX_PATTERN_BYTES 200	/* also once its bounds are written out */
#define MAX_PATTERN_OPERATORS 16	/* quantifiers, constraints, escapes, the same */
#define MAX_BOUND 255			/* the regex engine's own limit */
#define MAX_MENTIONS 1e9
#define MAX_SENTIMENT 1000.0
#define HEAD_BYTES 1024			/* enough of a long text to see its length */
#define FIRST_HOUR \
	((TimestampTz) (date2j(2006, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* The tables that rules are made of, in the schema defidata. */
typedef enum RuleTable
{
	SETTING_TABLE,
	TOKEN_TABLE,
	BUILTIN_TABLE,
	RULE_TABLES
} RuleTable;

static const char *const table_names[RULE_TABLES] = {
	"setting", "token", "builtin_token"
};

/* What became of a raw symbol. */
typedef enum Rule
{
	RULE_LIST,
	RULE_PATTERN,
	RULE_EMPTY,
	RULE_TOO_LONG,
	RULE_DISABLED,
	RULE_NO_MATCH
} Rule;

static const char *const rule_names[] = {
	"list", "pattern", "empty", "too long", "disabled", "no match"
};

/* A rule, and for the first two the token, still to be folded for a pattern. */
typedef struct Verdict
{
	Rule		rule;
	const char *token;
	int			length;
} Verdict;

/* The settings that cleaning follows. */
typedef struct Settings
{
	MatcherMode match;
	bool		fold_case;
	bool		use_builtin_list;
	const char *symbol_pattern;
} Settings;

/*
 * What became of a text not long ago: dirty symbols come back hour after hour,
 * and to compare one costs less than to look it up, let alone to match it.
 */
typedef struct Remembered
{
	Verdict		verdict;
	uint8		length;			/* 0: an empty slot */
	char		text[23];
} Remembered;

/* for the symbols of an hour and more: 1.5 MB in a session that cleans */
#define REMEMBERED_SLOTS 32768

/* Everything that cleaning needs, in a memory context of its own. */
typedef struct Rules
{
	MemoryContext context;
	uint64		generation;		/* of the tables, when this was begun */
	bool		fold_case;
	Matcher    *matcher;
	regex_t    *pattern;
	Remembered	remembered[REMEMBERED_SLOTS];
} Rules;

static Rules *current_rules = NULL;
static uint64 table_generation = 0;
static Oid	watched[RULE_TABLES];	/* InvalidOid: not there */

PG_FUNCTION_INFO_V1(defidata_clean);
PG_FUNCTION_INFO_V1(defidata_explain);
PG_FUNCTION_INFO_V1(defidata_reject_reason);
PG_FUNCTION_INFO_V1(defidata_check_pattern);
PG_FUNCTION_INFO_V1(defidata_forget_rules);

/*
 * The pattern
 */

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

/* IsSpace tells whether a byte is one of the six ASCII white spaces. */
static inline bool
IsSpace(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ReadBound gives the largest number of a bound {m,n}, of which it reads the rest. */
static int
ReadBound(const char **at, const char *end)
{
	int			most = 1;
	int			number = 0;

	for (; *at < end && (isdigit((unsigned char) **at) || **at == ','); (*at)++)
	{
		number = **at == ',' ? 0 : Min(number * 10 + (**at - '0'), MAX_BOUND);
		most = Max(most, number);
	}
	/* expanded syntax allows white space and comments in it: assume the worst */
	if (*at < end && (IsSpace(**at) || **at == '#'))
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
			operators += strchr("(|:=!", before) != NULL || IsSpace(before);
		if (here == '{')
			times = ReadBound(&at, end);
		/* the engine makes x*x of x+ and x{1,} if x is a group */
		if (here == '+' || here == '{')
			times = Max(times, 2);

		if (before != ')' && !IsSpace(before))
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
					 errdetail("With its bounds {m,n} written out it may have at most %d bytes and %d quantifiers, constraints and escapes.",
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
static regex_t *
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

/*
 * Reading the rules
 */

/* WatchTables looks the tables up, used or not, so that TableChanged knows them. */
static void
WatchTables(void)
{
	Oid			schema = get_namespace_oid("defidata", true);

	for (int i = 0; i < RULE_TABLES; i++)
		watched[i] = get_relname_relid(table_names[i], schema);
}

/* OpenTable opens one of the tables; NULL if it is not there. */
static Relation
OpenTable(RuleTable which)
{
	Relation	table;

	if (!OidIsValid(watched[which]))
		return NULL;
	table = try_table_open(watched[which], AccessShareLock);
	if (table && table->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"defidata.%s\" is not an ordinary table",
						table_names[which])));
	return table;
}

/* Column finds a column by name and checks its type. */
static AttrNumber
Column(Relation table, const char *name, Oid type)
{
	AttrNumber	column = get_attnum(RelationGetRelid(table), name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"defidata.%s\" does not exist",
						name, RelationGetRelationName(table))));
	if (get_atttype(RelationGetRelid(table), column) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"defidata.%s\" is not of type %s",
						name, RelationGetRelationName(table),
						format_type_be(type))));
	return column;
}

/* SetMatch reads the setting "match". */
static bool
SetMatch(const char *value, MatcherMode *match)
{
	if (strcmp(value, "exact") == 0)
		*match = MATCHER_EXACT;
	else if (strcmp(value, "boundary") == 0)
		*match = MATCHER_BOUNDARY;
	else if (strcmp(value, "prefix") == 0)
		*match = MATCHER_PREFIX;
	else
		return false;
	return true;
}

/* ApplySetting takes over one row of defidata.setting, if it concerns us. */
static void
ApplySetting(Settings *settings, const char *name, const char *value)
{
	bool		valid = true;

	if (strcmp(name, "match") == 0)
		valid = SetMatch(value, &settings->match);
	else if (strcmp(name, "fold_case") == 0)
		valid = parse_bool(value, &settings->fold_case);
	else if (strcmp(name, "use_builtin_list") == 0)
		valid = parse_bool(value, &settings->use_builtin_list);
	else if (strcmp(name, "symbol_pattern") == 0)
		settings->symbol_pattern = value;

	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", name, value),
				 errhint("Use defidata_set() to change settings.")));
}

/* ReadSettings reads defidata.setting; what it lacks stays as it is. */
static void
ReadSettings(Settings *settings)
{
	Relation	table = OpenTable(SETTING_TABLE);
	AttrNumber	name;
	AttrNumber	value;
	SysScanDesc scan;
	HeapTuple	row;

	if (table == NULL)
		return;
	name = Column(table, "name", TEXTOID);
	value = Column(table, "value", TEXTOID);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		no_name;
		bool		no_value;
		Datum		n = heap_getattr(row, name, RelationGetDescr(table), &no_name);
		Datum		v = heap_getattr(row, value, RelationGetDescr(table), &no_value);

		CHECK_FOR_INTERRUPTS();
		if (!no_name && !no_value)
			ApplySetting(settings, TextDatumGetCString(n), TextDatumGetCString(v));
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

/* AddSymbol lists a symbol, unless it is too long to match any text. */
static void
AddSymbol(Matcher *matcher, Datum symbol, bool enabled, bool builtin)
{
	text	   *value;

	if (toast_raw_datum_size(symbol) > MAX_SYMBOL_BYTES + VARHDRSZ)
		return;
	value = DatumGetTextPP(symbol);
	if (!matcher_add(matcher, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
					 enabled, builtin))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many symbols in the token list")));
}

/* ReadList reads one of the token lists; a built-in token is always enabled. */
static void
ReadList(Matcher *matcher, RuleTable which)
{
	bool		builtin = which == BUILTIN_TABLE;
	Relation	table = OpenTable(which);
	AttrNumber	symbol;
	AttrNumber	enabled = InvalidAttrNumber;
	SysScanDesc scan;
	HeapTuple	row;

	if (table == NULL)
		return;
	symbol = Column(table, "symbol", TEXTOID);
	if (!builtin)
		enabled = Column(table, "enabled", BOOLOID);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		null = false;
		Datum		s = heap_getattr(row, symbol, RelationGetDescr(table), &null);
		Datum		e = BoolGetDatum(true);

		CHECK_FOR_INTERRUPTS();
		if (!null && !builtin)
			e = heap_getattr(row, enabled, RelationGetDescr(table), &null);
		if (!null)
			AddSymbol(matcher, s, DatumGetBool(e), builtin);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

/* AllocateRule serves the matcher; a long list may need more than 1 GB. */
static void *
AllocateRule(void *context, size_t size)
{
	return MemoryContextAllocHuge(context, size);
}

/* FreeRule serves the matcher. */
static void
FreeRule(void *context, void *pointer)
{
	(void) context;
	pfree(pointer);
}

/* ReadRules builds the rules below the current context, so an error frees them. */
static Rules *
ReadRules(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "defidata rules",
												  ALLOCSET_DEFAULT_SIZES);
	MatcherMemory memory = {AllocateRule, FreeRule, context};
	Settings	settings = {MATCHER_BOUNDARY, true, true, "^[A-Za-z]{1,4}$"};
	Rules	   *rules = MemoryContextAllocZero(context, sizeof(Rules));

	rules->context = context;
	rules->generation = table_generation;
	WatchTables();
	ReadSettings(&settings);
	rules->fold_case = settings.fold_case;
	rules->pattern = CompilePattern(context, settings.symbol_pattern,
									strlen(settings.symbol_pattern));
	rules->matcher = matcher_create(settings.match, settings.fold_case, &memory);
	ReadList(rules->matcher, TOKEN_TABLE);
	if (settings.use_builtin_list)
		ReadList(rules->matcher, BUILTIN_TABLE);
	return rules;
}

/*
 * TableChanged makes the rules stale when the relcache drops one of their
 * tables.  While a table is not there, any relation may turn out to be it.
 */
static void
TableChanged(Datum arg, Oid relid)
{
	(void) arg;
	for (int i = 0; i < RULE_TABLES; i++)
	{
		if (!OidIsValid(relid) || !OidIsValid(watched[i]) || watched[i] == relid)
		{
			table_generation++;
			return;
		}
	}
}

/* ReplaceRules reads the rules anew; on error the old ones stay, still stale. */
static void
ReplaceRules(void)
{
	static bool registered = false;
	Rules	   *rules;

	if (!registered)
		CacheRegisterRelcacheCallback(TableChanged, (Datum) 0);
	registered = true;

	rules = ReadRules();
	MemoryContextSetParent(rules->context, TopMemoryContext);
	if (current_rules)
		MemoryContextDelete(current_rules->context);
	current_rules = rules;
}

/* GetRules returns the rules that hold now. */
static Rules *
GetRules(void)
{
	/* a statement without tables would not notice another session's commit */
	AcceptInvalidationMessages();
	if (current_rules == NULL || current_rules->generation != table_generation)
		ReplaceRules();
	return current_rules;
}

/*
 * Following the rules
 */

/* SkipSpace drops white space before a text. */
static inline void
SkipSpace(const char **text, int *length)
{
	while (*length > 0 && IsSpace(**text))
	{
		CHECK_FOR_INTERRUPTS();
		(*text)++;
		(*length)--;
	}
}

/* Strip drops surrounding white space, one leading dollar and what follows it. */
static void
Strip(const char **text, int *length)
{
	while (*length > 0 && IsSpace((*text)[*length - 1]))
	{
		CHECK_FOR_INTERRUPTS();
		(*length)--;
	}
	SkipSpace(text, length);
	if (*length > 0 && **text == '$')
	{
		(*text)++;
		(*length)--;
		SkipSpace(text, length);
	}
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
	Strip(&symbol, &length);
	return length > MAX_SYMBOL_BYTES;
}

/* RunPattern asks the regex engine. */
static bool
RunPattern(Rules *rules, const char *text, int length)
{
	pg_wchar	wide[MAX_SYMBOL_BYTES + 1];
	int			result;

	result = pg_regexec(rules->pattern, wide,
						pg_mb2wchar_with_len(text, wide, length),
						0, NULL, 0, NULL, 0);
	if (result != REG_OKAY && result != REG_NOMATCH)
		ReportPattern(result, rules->pattern);
	return result == REG_OKAY;
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
	else if (RunPattern(rules, text, length))
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
static Verdict
Clean(Datum raw)
{
	Verdict		verdict = {RULE_TOO_LONG, NULL, 0};
	text	   *value;
	const char *symbol;
	int			length;

	if (HeadIsTooLong(raw))
		return verdict;
	value = DatumGetTextPP(raw);
	symbol = VARDATA_ANY(value);
	length = VARSIZE_ANY_EXHDR(value);
	Strip(&symbol, &length);
	return JudgeAgain(GetRules(), symbol, length);
}

/* Token makes the token of a verdict, or NULL if there is none. */
static text *
Token(Verdict verdict)
{
	text	   *token;

	if (verdict.rule != RULE_LIST && verdict.rule != RULE_PATTERN)
		return NULL;
	token = cstring_to_text_with_len(verdict.token, verdict.length);
	if (verdict.rule == RULE_PATTERN && current_rules->fold_case)
	{
		for (int i = 0; i < verdict.length; i++)
			VARDATA(token)[i] = matcher_upper(VARDATA(token)[i]);
	}
	return token;
}

/*
 * The functions
 */

/* defidata_clean(raw): the token, or NULL. */
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

/* defidata_explain(raw): the token and the rule that made or refused it. */
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

/* HourReason judges an hour; without as_of no hour is in the future. */
static const char *
HourReason(FunctionCallInfo fcinfo)
{
	TimestampTz hour = PG_GETARG_TIMESTAMPTZ(0);

	if (PG_ARGISNULL(0) || TIMESTAMP_NOT_FINITE(hour) || hour < FIRST_HOUR)
		return "hour";
	if (!PG_ARGISNULL(4) && hour > PG_GETARG_TIMESTAMPTZ(4))
		return "hour";
	return NULL;
}

/* SymbolReason judges a raw symbol. */
static const char *
SymbolReason(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		return "symbol";
	switch (Clean(PG_GETARG_DATUM(1)).rule)
	{
		case RULE_LIST:
		case RULE_PATTERN:
			return NULL;
		case RULE_DISABLED:
			return "disabled";
		default:
			return "symbol";
	}
}

/* MentionsReason judges a count of mentions; NaN fails every comparison. */
static const char *
MentionsReason(FunctionCallInfo fcinfo)
{
	float8		mentions = PG_GETARG_FLOAT8(2);

	if (PG_ARGISNULL(2) || !(mentions >= 0 && mentions <= MAX_MENTIONS) ||
		mentions != floor(mentions))
		return "mentions";
	return NULL;
}

/* SentimentReason judges a sentiment; none at all is fine. */
static const char *
SentimentReason(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(3) || fabs(PG_GETARG_FLOAT8(3)) <= MAX_SENTIMENT)
		return NULL;
	return "sentiment";
}

/* reject_reason(hour, symbol, mentions, sentiment, as_of): NULL if acceptable. */
Datum
defidata_reject_reason(PG_FUNCTION_ARGS)
{
	const char *reason = HourReason(fcinfo);

	if (reason == NULL)
		reason = SymbolReason(fcinfo);
	if (reason == NULL)
		reason = MentionsReason(fcinfo);
	if (reason == NULL)
		reason = SentimentReason(fcinfo);
	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

/* check_pattern(pattern): raises what is wrong with an acceptance pattern. */
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

/* forget_rules: makes every session read the rules anew after an edit. */
Datum
defidata_forget_rules(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("defidata.forget_rules() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
