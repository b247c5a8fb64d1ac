/*
 * rules.c
 *
 * Reads the rules and notices when they have changed; see rules.h.  How a symbol
 * is looked up is matcher.c's concern, and what follows from it clean.c's.
 */
#include "rules.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "pattern.h"

PG_FUNCTION_INFO_V1(defidata_forget_rules);

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

/* The settings that cleaning follows. */
typedef struct Settings
{
	MatcherMode match;
	bool		fold_case;
	bool		use_builtin_list;
	const char *symbol_pattern;
} Settings;

static Rules *current_rules = NULL;
static uint64 table_generation = 0;
static Oid	watched[RULE_TABLES];	/* InvalidOid: not there */

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

/* ForgetsRules tells if a trigger fires for all rows of its events, whoever writes. */
static bool
ForgetsRules(const Trigger *trigger)
{
	return trigger->tgenabled == TRIGGER_FIRES_ALWAYS &&
		trigger->tgnattr == 0 && trigger->tgqual == NULL &&
		strncmp(trigger->tgname, "forget_", 7) == 0;
}

/* IsWatched tells if any change of a table would reach forget_rules. */
static bool
IsWatched(RuleTable which)
{
	Relation	table = OpenTable(which);
	int			events = 0;
	int			rows = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;

	if (table == NULL)
		return true;
	for (int i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		if (ForgetsRules(trigger))
			events |= trigger->tgtype &
				(TRIGGER_FOR_ROW(trigger->tgtype) ? rows : TRIGGER_TYPE_TRUNCATE);
	}
	table_close(table, AccessShareLock);
	return events == (rows | TRIGGER_TYPE_TRUNCATE);
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
	rules->watched = true;
	for (int i = 0; i < RULE_TABLES; i++)
		rules->watched = rules->watched && IsWatched(i);
	rules->statement = GetCurrentStatementStartTimestamp();
	rules->command = GetCurrentCommandId(false);
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

/* AreStale tells if the rules may have changed since they were read. */
static bool
AreStale(const Rules *rules)
{
	return rules->generation != table_generation ||
		(!rules->watched &&
		 (rules->statement != GetCurrentStatementStartTimestamp() ||
		  rules->command != GetCurrentCommandId(false)));
}

/* GetRules returns the rules that hold now. */
Rules *
GetRules(void)
{
	/* a statement without tables would not notice another session's commit */
	AcceptInvalidationMessages();
	if (current_rules == NULL || AreStale(current_rules))
		ReplaceRules();
	return current_rules;
}

/* forget_rules makes every session read the rules anew after an edit. */
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
