/*
 * series_text.h
 *
 * The text of a series' entries, as defidata.series is written in SQL:
 *
 *	 2026-01-05T13Z:42				hour and mentions
 *	 2026-01-05T13Z:42:-7000000000:40	sum of sentiment in billionths, weight
 *
 * It needs no server, as series_codec.h does not.
 */
#ifndef DEFIDATA_SERIES_TEXT_H
#define DEFIDATA_SERIES_TEXT_H

#include "series_codec.h"

#pragma GCC visibility push(hidden)

#define SERIES_TEXT_SIZE	96	/* at most, of one entry's text */

extern int	series_print_entry(const SeriesEntry *entry, char *out);
extern SeriesStatus series_parse_entry(const char **at, SeriesEntry *entry);

#pragma GCC visibility pop

#endif							/* DEFIDATA_SERIES_TEXT_H */
