/*
 * matcher.h
 *
 * Which listed symbol does a text begin with?
 *
 * A matcher is filled once and then asked many times.  It knows nothing of
 * PostgreSQL, so that a fuzzer or a unit test can run it alone; memory comes
 * from its caller, who frees all of it at once.
 *
 * It does not strip, measure or validate a text: clean.c does.
 */
#ifndef DEFIDATA_MATCHER_H
#define DEFIDATA_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ascii.h"

/* What may follow a listed symbol in a text that counts as that symbol. */
typedef enum MatcherMode
{
	MATCHER_EXACT,				/* nothing */
	MATCHER_BOUNDARY,			/* nothing, or no ASCII letter or digit */
	MATCHER_PREFIX				/* anything */
} MatcherMode;

/* Where memory comes from; alloc never returns NULL. */
typedef struct MatcherMemory
{
	void	   *(*alloc) (void *context, size_t size);
	void		(*free) (void *context, void *pointer);
	void	   *context;
} MatcherMemory;

/* One listed symbol as it was written. */
typedef struct MatcherSpelling
{
	struct MatcherSpelling *next;	/* another spelling, equal when folded */
	bool		enabled;
	bool		builtin;
	size_t		length;
	char		text[];			/* not terminated */
} MatcherSpelling;

typedef struct Matcher Matcher;

extern Matcher *matcher_create(MatcherMode mode, bool fold_case,
							   const MatcherMemory *memory);
extern bool matcher_add(Matcher *matcher, const char *symbol, size_t length,
						bool enabled, bool builtin);
extern const MatcherSpelling *matcher_find(const Matcher *matcher,
										   const char *text, size_t length);

#endif							/* DEFIDATA_MATCHER_H */
