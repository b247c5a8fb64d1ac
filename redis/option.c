/*
 * option.c
 *	  The options of the wrapper defidata_redis: what may stand in a server and in
 *	  a user mapping, and what does.  The wrapper has no handler: its servers have
 *	  no foreign tables.
 */
#include "connection.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(defidata_redis_validator);

/* What an option may be. */
typedef struct OptionKind
{
	const char *name;
	Oid			catalog;		/* of what it is an option */
	double		low;			/* limits of a figure; a text where they are equal */
	double		high;
	bool		whole;
} OptionKind;

static const OptionKind option_kinds[] = {
	{"host", ForeignServerRelationId, 0, 0, false},
	{"port", ForeignServerRelationId, 1, 65535, true},
	{"dbnum", ForeignServerRelationId, 0, 65535, true},
	{"connect_timeout", ForeignServerRelationId, 0.1, 3600, false},
	{"read_timeout", ForeignServerRelationId, 0.1, 3600, false},
	{"username", UserMappingRelationId, 0, 0, false},
	{"password", UserMappingRelationId, 0, 0, false}
};

/* ListOptions lists the options of a catalog for a hint. */
static char *
ListOptions(Oid catalog)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < (int) lengthof(option_kinds); i++)
		if (option_kinds[i].catalog == catalog)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", option_kinds[i].name);
	return list.data;
}

/* FindKind finds what is known of an option, or says that there is none such. */
static const OptionKind *
FindKind(const char *name, Oid catalog)
{
	char	   *list;

	for (int i = 0; i < (int) lengthof(option_kinds); i++)
		if (option_kinds[i].catalog == catalog && strcmp(option_kinds[i].name, name) == 0)
			return &option_kinds[i];
	list = ListOptions(catalog);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 *list != '\0' ? errhint("Valid options in this context are: %s.", list) :
			 errhint("There are no valid options in this context.")));
}

/* ReadFigure reads the value of an option that is a figure. */
static double
ReadFigure(const OptionKind *kind, const char *value)
{
	char	   *rest;
	double		figure = strtod(value, &rest);

	if (rest == value || *rest != '\0' || !(figure >= kind->low && figure <= kind->high) ||
		(kind->whole && figure != (int) figure))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be a %s from %g to %g", kind->name,
						kind->whole ? "whole number" : "number of seconds", kind->low, kind->high)));
	return figure;
}

/* defidata_redis_validator(options, catalog): nothing; HV00D or 22023 for what may not be. */
Datum
defidata_redis_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		const OptionKind *kind = FindKind(option->defname, catalog);

		if (kind->low < kind->high)
			(void) ReadFigure(kind, defGetString(option));
	}
	PG_RETURN_VOID();
}

/* SetOption takes one option into a server. */
static void
SetOption(RedisServer *server, const char *name, char *value, Oid catalog)
{
	const OptionKind *kind = FindKind(name, catalog);
	double		figure = kind->low < kind->high ? ReadFigure(kind, value) : 0;

	if (strcmp(name, "host") == 0)
		server->host = value;
	else if (strcmp(name, "port") == 0)
		server->port = (int) figure;
	else if (strcmp(name, "dbnum") == 0)
		server->dbnum = (int) figure;
	else if (strcmp(name, "connect_timeout") == 0)
		server->connect_timeout = (int) (1000 * figure);
	else if (strcmp(name, "read_timeout") == 0)
		server->read_timeout = (int) (1000 * figure);
	else if (strcmp(name, "username") == 0)
		server->username = value;
	else
		server->password = value;
}

/* SetOptions takes a list of options into a server. */
static void
SetOptions(RedisServer *server, List *options, Oid catalog)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		SetOption(server, option->defname, defGetString(option), catalog);
	}
}

/* MappingOptions gives the options of the user's mapping or of everybody's; none where there is neither. */
static List *
MappingOptions(Oid server)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(GetUserId()), ObjectIdGetDatum(server));
	List	   *options = NIL;
	Datum		datum;
	bool		null;

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(server));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &null);
	if (!null)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

/* GetRedisServer reads a foreign server and the current user's mapping. */
RedisServer *
GetRedisServer(const char *name)
{
	ForeignServer *foreign = GetForeignServerByName(name, false);
	RedisServer *server = palloc0(sizeof(RedisServer));

	if (strcmp(GetForeignDataWrapper(foreign->fdwid)->fdwname, "defidata_redis") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" is not of the wrapper defidata_redis", name)));
	server->name = pstrdup(name);
	server->host = "127.0.0.1";
	server->port = 6379;
	server->connect_timeout = 5000;
	server->read_timeout = 5000;
	SetOptions(server, foreign->options, ForeignServerRelationId);
	SetOptions(server, MappingOptions(foreign->serverid), UserMappingRelationId);
	return server;
}

/* DescribeServer gives all that matters of a server in one text, never to be shown. */
char *
DescribeServer(const RedisServer *server)
{
	return psprintf("%s\n%s\n%d\n%d\n%d\n%d\n%s\n%s", server->name, server->host, server->port,
					server->dbnum, server->connect_timeout, server->read_timeout,
					server->username ? server->username : "\r", server->password ? server->password : "\r");
}
