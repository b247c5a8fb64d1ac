/*
 * rules.h
 *
 * The rules by which symbols become tokens: both token lists, the settings and
 * the compiled pattern.
 *
 * They are read once per backend and kept until one of their tables changes:
 * triggers on each table, with defidata.forget_rules, send the table's relcache
 * invalidation to every session.  Where such a trigger is not there or would not
 * fire for everything that can be written, the rules are kept for one command
 * only: to switch a trigger off sends an invalidation too.  The tables are scanned
 * directly, not by SQL: callers need no right on them, search_path plays no part,
 * a parallel worker may do it, and the scan sees what is committed now, however old
 * the caller's snapshot is.
 */
#ifndef DEFIDATA_RULES_H
#define DEFIDATA_RULES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"

#include "matcher.h"

#pragma GCC visibility push(hidden)

#define MAX_SYMBOL_CHARS 64
#define MAX_SYMBOL_BYTES (MAX_SYMBOL_CHARS * MAX_MULTIBYTE_CHAR_LEN)

/* for the symbols of an hour and more: 1.5 MB in a session that cleans */
#define REMEMBERED_SLOTS 32768

/* What became of a raw symbol. */
typedef enum Rule
{
	RULE_LIST,
	RULE_PATTERN,
	RULE_EMPTY,
	RULE_TOO_LONG,
	RULE_DISABLED,
	RULE_NO_VALUE,
	RULE_NO_MATCH
} Rule;

/* A rule, and for the first two the token, still to be folded for a pattern. */
typedef struct Verdict
{
	Rule		rule;
	const char *token;
	int			length;
} Verdict;

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

/* Everything that cleaning needs, in a memory context of its own. */
typedef struct Rules
{
	MemoryContext context;
	uint64		generation;		/* of the tables, when this was begun */
	bool		watched;		/* whether a change of the tables would show */
	TimestampTz statement;		/* if not: for which command these were read */
	CommandId	command;
	bool		fold_case;
	Matcher    *matcher;
	regex_t    *pattern;
	Remembered	remembered[REMEMBERED_SLOTS];
} Rules;

extern Rules *GetRules(void);

#pragma GCC visibility pop

#endif							/* DEFIDATA_RULES_H */
