/*
 * defidata.c
 *
 * The module's own file: the magic block and the version.
 *
 * The module has no state at load time, no GUC and no hook.  What a user can
 * choose are rows of defidata.setting, so that pg_dump carries them and every
 * session sees the same.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(defidata_library_version);

/* library_version gives that of the control file the library was built with. */
Datum
defidata_library_version(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(DEFIDATA_VERSION));
}
