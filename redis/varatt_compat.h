/*
 * varatt_compat.h
 *	  What differs between the versions of PostgreSQL that this is built on: 16
 *	  took the macros of varlena out of postgres.h.
 */
#ifndef DEFIDATA_REDIS_VARATT_COMPAT_H
#define DEFIDATA_REDIS_VARATT_COMPAT_H

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#endif							/* DEFIDATA_REDIS_VARATT_COMPAT_H */
