/*
 * pattern.h
 *
 * The acceptance pattern: a regular expression that a user chooses, compiled
 * once and matched against many short texts.  It must neither take long nor
 * refuse to be cancelled, whatever the user writes.
 */
#ifndef DEFIDATA_PATTERN_H
#define DEFIDATA_PATTERN_H

#include "postgres.h"

#include "regex/regex.h"

#pragma GCC visibility push(hidden)

/* the longest text that can be matched */
#define MAX_MATCHED_BYTES 256

extern regex_t *CompilePattern(MemoryContext context, const char *source, int length);
extern bool MatchesPattern(regex_t *pattern, const char *text, int length);

#pragma GCC visibility pop

#endif							/* DEFIDATA_PATTERN_H */
