/*
 * clean.h
 *
 * From a raw symbol to a token: stripping, the list, the pattern.
 */
#ifndef DEFIDATA_CLEAN_H
#define DEFIDATA_CLEAN_H

#include "rules.h"

#pragma GCC visibility push(hidden)

extern Verdict Clean(Datum raw);

#pragma GCC visibility pop

#endif							/* DEFIDATA_CLEAN_H */
