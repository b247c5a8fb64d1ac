/*
 * matcher.c
 *
 * A trie of listed symbols, kept as one hash table of its edges.
 *
 * A node is a number, 0 the root.  An edge leads from a node, by a byte, to
 * the next node; where a listed symbol ends, its last edge holds the
 * spellings.  With "BTC", "BTG" and "btc" listed and case folded:
 *
 * 0 --B--> 1 --T--> 2 --C--> 3  { "BTC", "btc" }
 *                   --G--> 4  { "BTG" }
 *
 * All edges stand in one open-addressing table under (node, byte), so a look-up
 * costs one probe a byte however long the list is, and there are no pointers
 * to chase but the last.
 */
#include "matcher.h"

#include <string.h>

#define MAX_NODES ((uint32_t) 1 << 24)	/* as many as an edge can name */
#define FIRST_SIZE 1024			/* slots of a new table, a power of two */

/* One edge; spellings is NULL where no symbol ends, next 0 in an empty slot. */
typedef struct Edge
{
	uint32_t	node:24;
	uint32_t	byte:8;
	uint32_t	next;
	MatcherSpelling *spellings;
} Edge;

struct Matcher
{
	MatcherMode mode;
	bool		fold_case;
	MatcherMemory memory;
	uint32_t	nodes;			/* numbers given away, so edges are one fewer */
	uint32_t	mask;			/* slots - 1 */
	Edge	   *edges;
};

/* NewTable allocates a table of empty slots. */
static Edge *
NewTable(Matcher *matcher, uint32_t slots)
{
	size_t		size = (size_t) slots * sizeof(Edge);
	Edge	   *edges = matcher->memory.alloc(matcher->memory.context, size);

	memset(edges, 0, size);
	matcher->mask = slots - 1;
	return edges;
}

/* matcher_create makes a matcher that lists nothing yet. */
Matcher *
matcher_create(MatcherMode mode, bool fold_case, const MatcherMemory *memory)
{
	Matcher    *matcher = memory->alloc(memory->context, sizeof(Matcher));

	matcher->mode = mode;
	matcher->fold_case = fold_case;
	matcher->memory = *memory;
	matcher->nodes = 1;
	matcher->edges = NewTable(matcher, FIRST_SIZE);
	return matcher;
}

/* Key gives the byte under which a character of a symbol or text is kept. */
static inline unsigned char
Key(const Matcher *matcher, char c)
{
	return (unsigned char) (matcher->fold_case ? ascii_upper(c) : c);
}

/* Slot finds the edge that leaves a node by a byte, or the empty slot for it. */
static inline Edge *
Slot(const Matcher *matcher, uint32_t node, unsigned char byte)
{
	uint64_t	key = (uint64_t) node << 8 | byte;
	uint32_t	slot = (uint32_t) ((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
	Edge	   *edge;

	while (edge = &matcher->edges[slot & matcher->mask],
		   edge->next != 0 && (edge->node != node || edge->byte != byte))
		slot++;
	return edge;
}

/* Grow doubles the table; half of it stays empty, so that probes end soon. */
static void
Grow(Matcher *matcher)
{
	Edge	   *old = matcher->edges;
	uint32_t	slots = matcher->mask + 1;

	matcher->edges = NewTable(matcher, slots * 2);
	for (uint32_t i = 0; i < slots; i++)
	{
		if (old[i].next != 0)
			*Slot(matcher, old[i].node, old[i].byte) = old[i];
	}
	matcher->memory.free(matcher->memory.context, old);
}

/* Extend finds the edge that leaves a node by a byte, or adds it. */
static Edge *
Extend(Matcher *matcher, uint32_t node, unsigned char byte)
{
	Edge	   *edge = Slot(matcher, node, byte);

	if (edge->next != 0)
		return edge;
	if (matcher->nodes > matcher->mask / 2)
	{
		Grow(matcher);
		edge = Slot(matcher, node, byte);
	}
	edge->node = node;
	edge->byte = byte;
	edge->next = matcher->nodes++;
	return edge;
}

/* NewSpelling copies a symbol. */
static MatcherSpelling *
NewSpelling(Matcher *matcher, const char *symbol, size_t length)
{
	size_t		size = offsetof(MatcherSpelling, text) + length;
	MatcherSpelling *spelling;

	/* the compiler may store up to the end of a whole struct */
	if (size < sizeof(MatcherSpelling))
		size = sizeof(MatcherSpelling);
	spelling = matcher->memory.alloc(matcher->memory.context, size);
	memcpy(spelling->text, symbol, length);
	spelling->length = length;
	return spelling;
}

/*
 * matcher_add lists a symbol.  The user's symbols come before the built-in
 * ones: a built-in symbol gives way where the user has one that is equal.
 * An empty symbol is ignored.  Returns false when the list is full.
 */
bool
matcher_add(Matcher *matcher, const char *symbol, size_t length,
			bool enabled, bool builtin)
{
	Edge	   *edge = NULL;
	MatcherSpelling *spelling;

	if (length == 0)
		return true;
	if (length > MAX_NODES - matcher->nodes)
		return false;

	for (size_t i = 0; i < length; i++)
		edge = Extend(matcher, edge ? edge->next : 0, Key(matcher, symbol[i]));
	if (builtin && edge->spellings && !edge->spellings->builtin)
		return true;

	spelling = NewSpelling(matcher, symbol, length);
	spelling->enabled = enabled;
	spelling->builtin = builtin;
	spelling->next = edge->spellings;
	edge->spellings = spelling;
	return true;
}

/* IsAlnum tells whether a byte is an ASCII letter or digit. */
static inline bool
IsAlnum(char c)
{
	c = ascii_upper(c);
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* MayEnd tells whether a symbol may end before a place in the text. */
static inline bool
MayEnd(const Matcher *matcher, const char *text, size_t length, size_t place)
{
	if (place == length || matcher->mode == MATCHER_PREFIX)
		return true;
	return matcher->mode == MATCHER_BOUNDARY && !IsAlnum(text[place]);
}

/*
 * Choose picks among spellings that are equal when folded: the one that the
 * text uses, else the first in byte order.
 */
static const MatcherSpelling *
Choose(const MatcherSpelling *spellings, const char *text)
{
	const MatcherSpelling *first = spellings;

	for (const MatcherSpelling *s = spellings; s; s = s->next)
	{
		if (memcmp(s->text, text, s->length) == 0)
			return s;
		if (memcmp(s->text, first->text, s->length) < 0)
			first = s;
	}
	return first;
}

/* matcher_find returns the longest listed symbol of a text, or NULL. */
const MatcherSpelling *
matcher_find(const Matcher *matcher, const char *text, size_t length)
{
	const MatcherSpelling *longest = NULL;
	uint32_t	node = 0;

	for (size_t i = 0; i < length; i++)
	{
		const Edge *edge = Slot(matcher, node, Key(matcher, text[i]));

		if (edge->next == 0)
			break;
		if (edge->spellings && MayEnd(matcher, text, length, i + 1))
			longest = edge->spellings;
		node = edge->next;
	}
	return longest ? Choose(longest, text) : NULL;
}
