/*
 * matcher_fuzz.c
 *
 * A libFuzzer harness: the matcher against a naive twin of it.
 *
 * The input is one byte of options (mode, folding) and then lines: the text,
 * and a listed symbol each, whose first byte says whether it is enabled and
 * built in.  The twin compares the text with every symbol and knows no trie.
 */
#include <stdlib.h>
#include <string.h>

#include "matcher.h"

#define MAX_SYMBOLS 2048
#define MAX_BLOCKS 8192

typedef struct Symbol
{
	const char *text;
	size_t		length;
	bool		enabled;
	bool		builtin;
} Symbol;

typedef struct Input
{
	MatcherMode mode;
	bool		fold_case;
	const char *text;
	size_t		length;
	Symbol		symbols[MAX_SYMBOLS];
	size_t		count;
} Input;

/* Every block that the matcher holds, to be freed after a run. */
static void *blocks[MAX_BLOCKS];
static size_t block_count;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Allocate keeps a block in mind; the matcher must not expect zeros. */
static void *
Allocate(void *context, size_t size)
{
	void	   *block = malloc(size);

	(void) context;
	if (block == NULL || block_count == MAX_BLOCKS)
		abort();
	memset(block, 0xA5, size);
	blocks[block_count++] = block;
	return block;
}

/* Free frees a block that the matcher gave back before its end. */
static void
Free(void *context, void *pointer)
{
	(void) context;
	for (size_t i = 0; i < block_count; i++)
	{
		if (blocks[i] == pointer)
		{
			blocks[i] = blocks[--block_count];
			free(pointer);
			return;
		}
	}
	abort();
}

/* FreeAll frees what is left. */
static void
FreeAll(void)
{
	while (block_count > 0)
		free(blocks[--block_count]);
}

/* Line takes the next line off the data. */
static const char *
Line(const char **data, size_t *size, size_t *length)
{
	const char *line = *data;
	const char *end = memchr(line, '\n', *size);

	*length = end ? (size_t) (end - line) : *size;
	*data += *length + (end != NULL);
	*size -= *length + (end != NULL);
	return line;
}

/* Read takes the input to pieces. */
static void
Read(Input *input, const char *data, size_t size)
{
	input->mode = (MatcherMode) ((unsigned char) *data % 3);
	input->fold_case = (*data & 0x40) != 0;
	data++;
	size--;
	input->text = Line(&data, &size, &input->length);
	input->count = 0;
	while (size > 0 && input->count < MAX_SYMBOLS)
	{
		Symbol	   *symbol = &input->symbols[input->count];

		symbol->text = Line(&data, &size, &symbol->length);
		if (symbol->length == 0)
			continue;
		symbol->enabled = (symbol->text[0] & 1) != 0;
		symbol->builtin = (symbol->text[0] & 2) != 0;
		symbol->text++;
		symbol->length--;
		input->count++;
	}
}

/* Equal compares two texts of one length. */
static bool
Equal(const Input *input, const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char		x = a[i];
		char		y = b[i];

		if (input->fold_case && x >= 'a' && x <= 'z')
			x -= 32;
		if (input->fold_case && y >= 'a' && y <= 'z')
			y -= 32;
		if (x != y)
			return false;
	}
	return true;
}

/* Fits tells whether the text counts as a symbol. */
static bool
Fits(const Input *input, const Symbol *symbol)
{
	static const char *const alnum = "0123456789abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t		n = symbol->length;

	if (n == 0 || n > input->length ||
		!Equal(input, input->text, symbol->text, n))
		return false;
	if (n == input->length || input->mode == MATCHER_PREFIX)
		return true;
	return input->mode == MATCHER_BOUNDARY &&
		memchr(alnum, input->text[n], 62) == NULL;
}

/* Better tells whether a fitting symbol is to be preferred to another. */
static bool
Better(const Input *input, const Symbol *a, const Symbol *b)
{
	size_t		n = a->length;
	bool		exact_a = memcmp(a->text, input->text, n) == 0;

	if (n != b->length)
		return n > b->length;
	if (a->builtin != b->builtin)
		return b->builtin;
	if (exact_a != (memcmp(b->text, input->text, n) == 0))
		return exact_a;
	return memcmp(a->text, b->text, n) < 0;
}

/* Twin finds what the matcher must find. */
static const Symbol *
Twin(const Input *input)
{
	const Symbol *best = NULL;

	for (size_t i = 0; i < input->count; i++)
	{
		const Symbol *symbol = &input->symbols[i];

		if (Fits(input, symbol) && (!best || Better(input, symbol, best)))
			best = symbol;
	}
	return best;
}

/* Knows tells whether the same symbol of the same list has come before. */
static bool
Knows(const Input *input, size_t place)
{
	const Symbol *symbol = &input->symbols[place];

	for (size_t i = 0; i < place; i++)
	{
		const Symbol *other = &input->symbols[i];

		if (other->builtin == symbol->builtin &&
			other->length == symbol->length &&
			memcmp(other->text, symbol->text, symbol->length) == 0)
			return true;
	}
	return false;
}

/* Drop removes second entries: in a table a symbol is the primary key. */
static void
Drop(Input *input)
{
	size_t		kept = 0;

	for (size_t i = 0; i < input->count; i++)
	{
		input->symbols[kept] = input->symbols[i];
		if (!Knows(input, kept))
			kept++;
	}
	input->count = kept;
}

/* Fill lists the symbols of one origin. */
static void
Fill(Matcher *matcher, const Input *input, bool builtin)
{
	for (size_t i = 0; i < input->count; i++)
	{
		const Symbol *s = &input->symbols[i];

		if (s->builtin == builtin &&
			!matcher_add(matcher, s->text, s->length, s->enabled, builtin))
			abort();
	}
}

/* Same compares the two findings. */
static bool
Same(const MatcherSpelling *found, const Symbol *wanted)
{
	if (found == NULL || wanted == NULL)
		return found == NULL && wanted == NULL;
	return found->length == wanted->length &&
		found->enabled == wanted->enabled &&
		found->builtin == wanted->builtin &&
		memcmp(found->text, wanted->text, wanted->length) == 0;
}

/* LLVMFuzzerTestOneInput aborts where matcher and twin differ. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Input input;
	MatcherMemory memory = {Allocate, Free, NULL};
	Matcher    *matcher;

	if (size == 0)
		return 0;
	Read(&input, (const char *) data, size);
	Drop(&input);
	matcher = matcher_create(input.mode, input.fold_case, &memory);
	Fill(matcher, &input, false);
	Fill(matcher, &input, true);
	if (!Same(matcher_find(matcher, input.text, input.length), Twin(&input)))
		abort();
	FreeAll();
	return 0;
}
