/*
 * defidata.c
 *	  The module's own file: the magic block, and nothing else.
 *
 * The module has no state at load time, no GUC and no hook.  What a user can
 * choose are rows of defidata.setting, so that pg_dump carries them and every
 * session sees the same.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
