/*
 * compat.h
 *
 * What differs between the versions of PostgreSQL that defidata is built on.
 */
#ifndef DEFIDATA_COMPAT_H
#define DEFIDATA_COMPAT_H

/* 16 took the macros of varlena out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#endif							/* DEFIDATA_COMPAT_H */
