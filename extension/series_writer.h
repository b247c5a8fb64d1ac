/*
 * series_writer.h
 *
 * Writes the bytes of a series.
 */
#ifndef DEFIDATA_SERIES_WRITER_H
#define DEFIDATA_SERIES_WRITER_H

#include "series_reader.h"

#pragma GCC visibility push(hidden)

extern size_t series_encode(const SeriesEntry *entries, int count, uint8_t *out);
extern size_t series_append(const SeriesReader *head, const SeriesEntry *entries, int count,
							uint8_t *out);

#pragma GCC visibility pop

#endif							/* DEFIDATA_SERIES_WRITER_H */
