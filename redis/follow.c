/*
 * follow.c
 *	  The background worker that follows a database's streams.
 *
 * It waits on the connections of all of them, and does with each what is due
 * (followed.c).
 *
 * What the worker has to know is in tables and its arguments, none of it in
 * shared memory.  It looks now and then whether it is still wanted, and more often
 * whether somebody waits to drop its database, in whose way it would stand.
 */
#include "follow.h"

#include "followed.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "store.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* milliseconds */
#define CHECK_INTERVAL 200		/* between two looks whether somebody drops the database */
#define RELOAD_INTERVAL 4000	/* between two looks at the list of streams */

static List *followed = NIL;
static MemoryContext follow_context;
static bool settled = false;
static Oid	extension;

/* SomebodyDropsDatabase says whether somebody waits for the last to leave the database. */
static bool
SomebodyDropsDatabase(void)
{
	LOCKTAG		tag;

	/* of the session, since no transaction is begun for that */
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, true);
	return false;
}

/* MakeWay ends the worker where it stands in somebody's way, to be started again if the database stays. */
static void
MakeWay(void)
{
	if (SomebodyDropsDatabase())
		proc_exit(1);
}

/* CheckExtension ends the worker where its extension is gone. */
static void
CheckExtension(void)
{
	StartTransactionCommand();
	extension = get_extension_oid(LIBRARY, true);
	Commit();
	if (!OidIsValid(extension))
		proc_exit(0);
}

/* FindFollowed finds a stream by its name. */
static Followed *
FindFollowed(const char *name)
{
	ListCell   *cell;

	foreach(cell, followed)
	{
		Followed   *stream = lfirst(cell);

		if (strcmp(stream->name, name) == 0)
			return stream;
	}
	return NULL;
}

/* AddFollowed begins to follow a stream. */
static Followed *
AddFollowed(const char *name)
{
	MemoryContext former = MemoryContextSwitchTo(follow_context);
	Followed   *stream = palloc0(sizeof(Followed));

	stream->name = pstrdup(name);
	stream->state = FOLLOW_DRAIN;
	stream->due = GetCurrentTimestamp();
	followed = lappend(followed, stream);
	MemoryContextSwitchTo(former);
	return stream;
}

/* DropUnlisted ends the following of streams that are not in the list any more. */
static void
DropUnlisted(void)
{
	ListCell   *cell;

	foreach(cell, followed)
	{
		Followed   *stream = lfirst(cell);
		RedisConnection *connection = FindConnection(stream->name);

		if (stream->listed)
			continue;
		if (connection != NULL)
			CloseConnection(connection);
		followed = foreach_delete_current(followed, cell);
		pfree(stream->name);
		pfree(stream);
	}
}

static StoredCall list_streams = {
	"SELECT s FROM defidata.followed_streams() AS s", 0, NULL, NULL
};

/* Reload reads the list of streams; a worker that is not to follow ends. */
static void
Reload(void)
{
	ListCell   *cell;
	uint64		count;

	foreach(cell, followed)
		((Followed *) lfirst(cell))->listed = false;
	CheckExtension();
	Begin();
	CallStored(&list_streams, NULL, NULL);
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		Followed   *stream = FindFollowed(name);

		if (stream == NULL)
			stream = AddFollowed(name);
		stream->listed = true;
	}
	Finish();
	DropUnlisted();
	if (count == 0)
		proc_exit(0);
}

/* MakeEventSet makes a set with the latch and the sockets of the streams that wait. */
static WaitEventSet *
MakeEventSet(void)
{
	ListCell   *cell;
#if PG_VERSION_NUM >= 170000
	WaitEventSet *set = CreateWaitEventSet(NULL, list_length(followed) + 2);
#else
	WaitEventSet *set = CreateWaitEventSet(CurrentMemoryContext, list_length(followed) + 2);
#endif

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	foreach(cell, followed)
	{
		Followed   *stream = lfirst(cell);
		RedisConnection *connection = FindConnection(stream->name);

		if (stream->state == FOLLOW_WAIT && connection != NULL)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, connection->context->fd, NULL, stream);
	}
	return set;
}

/* NextDue gives the milliseconds until something has to be done. */
static long
NextDue(TimestampTz check)
{
	TimestampTz next = check;
	ListCell   *cell;

	foreach(cell, followed)
		next = Min(next, ((Followed *) lfirst(cell))->due);
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
}

/* Sleep waits until something is due or an answer has come, and marks those streams due. */
static void
Sleep(TimestampTz check)
{
	WaitEventSet *set = MakeEventSet();
	WaitEvent	events[16];
	int			count;

	pgstat_report_activity(STATE_IDLE, NULL);
	count = WaitEventSetWait(set, NextDue(check), events, lengthof(events), PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	for (int i = 0; i < count; i++)
		if (events[i].user_data != NULL)
			Advance(events[i].user_data);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static StoredCall judge_minutes = {
	"SELECT defidata.judge_minutes()", 0, NULL, NULL
};

/* JudgeMinutes judges alerts on the running hour; an error there is no reason not to follow. */
static void
JudgeMinutes(void)
{
	PG_TRY();
	{
		Begin();
		RunStored(&judge_minutes, NULL, NULL);
		Finish();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(step_context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(step_context);
	}
	PG_END_TRY();
}

/* AdvanceDue does what is due with each stream. */
static void
AdvanceDue(void)
{
	ListCell   *cell;

	foreach(cell, followed)
	{
		Followed   *stream = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (stream->due <= GetCurrentTimestamp())
			Advance(stream);
	}
}

/* Follow is the worker's loop. */
static void
Follow(void)
{
	TimestampTz check = 0;
	TimestampTz reload = 0;

	for (;;)
	{
		MemoryContextReset(step_context);
		if (check <= GetCurrentTimestamp())
		{
			MakeWay();
			check = After(CHECK_INTERVAL);
		}
		if (reload <= GetCurrentTimestamp())
		{
			Reload();
			JudgeMinutes();
			reload = After(RELOAD_INTERVAL);
		}
		AdvanceDue();
		Sleep(check);
	}
}

/*
 * EndForGood lets a worker that could not even begin not be started again: its
 * database is gone, or the tables belong to somebody else.  The next cycle tries.
 */
static void
EndForGood(int code, Datum arg)
{
	(void) arg;
	if (code != 0 && !settled)
		proc_exit(0);
}

/* IsOnlyFollower makes this worker the only one of its database, by a lock that no SQL can take. */
static bool
IsOnlyFollower(void)
{
	LOCKTAG		tag;

	/* an advisory lock is kept when a transaction fails; those of SQL have 1 or 2 here */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, extension, 0, 3);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static StoredCall find_owner = {
	"SELECT extowner FROM pg_catalog.pg_extension WHERE extname = '" LIBRARY "'", 0, NULL, NULL
};

/* BecomeOwner gives the worker the rights of the extension's owner, and no others. */
static void
BecomeOwner(void)
{
	bool		null;

	CallStored(&find_owner, NULL, NULL);
	SetUserIdAndSecContext(DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)),
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

static StoredCall check_owner = {
	"SELECT defidata.check_owner()", 0, NULL, NULL
};

/* Settle waits for the transaction that started the worker, and looks whether there is work to do. */
static void
Settle(void)
{
	TransactionId starter;
	bool		only;

	memcpy(&starter, MyBgworkerEntry->bgw_extra, sizeof(starter));
	StartTransactionCommand();
	if (TransactionIdIsNormal(starter))
		XactLockTableWait(starter, NULL, NULL, XLTW_None);
	Commit();
	CheckExtension();
	Begin();
	only = IsOnlyFollower();
	BecomeOwner();
	RunStored(&check_owner, NULL, NULL);
	Finish();
	if (!only)
		proc_exit(0);
}

/* defidata_redis_follow is a follower's main function; its argument is the database's OID. */
void
defidata_redis_follow(Datum main_arg)
{
	on_proc_exit(EndForGood, (Datum) 0);
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);
	keep_connections = true;
	follow_context = AllocSetContextCreate(TopMemoryContext, "Redis follower", ALLOCSET_DEFAULT_SIZES);
	step_context = AllocSetContextCreate(TopMemoryContext, "Redis follower, a step", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(step_context);
	Settle();
	settled = true;
	Follow();
}
