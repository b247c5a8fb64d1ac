/*
 * stream.c
 *	  What reading a stream takes without a database: XRANGE by hiredis, each entry's
 *	  fields found and its figures added up.  For test/bench/stream.sh.
 *
 *	  stream PORT KEY COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

/* seconds since some time */
static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static long entries;
static long mentions;
static double sentiment;

/* parse adds up an entry's figures. */
static void
parse(const redisReply *fields)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
	{
		const char *name = fields->element[i]->str;
		const char *value = fields->element[i + 1]->str;

		if (strcmp(name, "count") == 0)
			mentions += strtol(value, NULL, 10);
		else if (strcmp(name, "sentiment") == 0)
			sentiment += strtod(value, NULL);
	}
	entries++;
}

/* read_on reads the entries after an id, which becomes that of the last; 0 at the end. */
static int
read_on(redisContext *redis, const char *key, char *last, const char *count)
{
	redisReply *reply = redisCommand(redis, "XRANGE %s (%s + COUNT %s", key, last, count);
	size_t		found;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		exit(1);
	found = reply->elements;
	for (size_t i = 0; i < found; i++)
		parse(reply->element[i]->element[1]);
	if (found > 0)
		snprintf(last, 64, "%s", reply->element[found - 1]->element[0]->str);
	freeReplyObject(reply);
	return found > 0;
}

int
main(int argc, char **argv)
{
	redisContext *redis = argc == 4 ? redisConnect("127.0.0.1", atoi(argv[1])) : NULL;
	char		last[64] = "0-0";
	double		begun = now();

	if (redis == NULL || redis->err)
		return 1;
	while (read_on(redis, argv[2], last, argv[3]))
		continue;
	printf("%.3f %ld %ld %.3f\n", now() - begun, entries, mentions, sentiment);
	redisFree(redis);
	return 0;
}
