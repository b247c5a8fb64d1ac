/*
 * worker.c
 *	  How a follower is started: by a session, for its database, or with the server,
 *	  for every database.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "follow.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(defidata_start_follower);

extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void defidata_redis_launch(Datum main_arg);

/* seconds until a worker that ended with an error is started again */
#define RESTART_TIME 5

/* Register starts a follower of a database once a transaction is over; false where no slot is free. */
static bool
Register(Oid database, TransactionId starter)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, FOLLOWER);
	snprintf(worker.bgw_type, BGW_MAXLEN, FOLLOWER);
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), LIBRARY);
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "defidata_redis_follow");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_TIME;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	memcpy(worker.bgw_extra, &starter, sizeof(starter));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* defidata_start_follower(): starts a follower of this database; 53000 where there is no room for it. */
Datum
defidata_start_follower(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	if (!Register(MyDatabaseId, GetTopTransactionId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no background worker is free to follow streams"),
				 errhint("Raise max_worker_processes.")));
	PG_RETURN_VOID();
}

/* ListDatabases lists the databases that can be connected to. */
static List *
ListDatabases(void)
{
	List	   *databases = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext former = MemoryContextSwitchTo(TopMemoryContext);

		if (database->datallowconn && !database->datistemplate)
			databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(former);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	return databases;
}

/*
 * defidata_redis_launch is the main function of a worker that starts with the
 * server, where the library is preloaded: it starts a follower in each database,
 * which ends at once where it is not to follow.
 */
void
defidata_redis_launch(Datum main_arg)
{
	ListCell   *cell;

	(void) main_arg;
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	foreach(cell, ListDatabases())
		/* those that end at once leave their slot to the next */
		for (int attempt = 0; !Register(lfirst_oid(cell), InvalidTransactionId) && attempt < 100; attempt++)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 200, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	proc_exit(0);
}

/* _PG_init has followers started with the server, where the library is preloaded. */
void
_PG_init(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress)
		return;
	snprintf(worker.bgw_name, BGW_MAXLEN, "defidata_redis launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "defidata_redis launcher");
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), LIBRARY);
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "defidata_redis_launch");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_TIME;
	RegisterBackgroundWorker(&worker);
}
