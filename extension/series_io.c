/*
 * series_io.c
 *
 * The type defidata.series in SQL: its text and its binary form.
 */
#include "series.h"

#include <limits.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port.h"

#include "series_text.h"

/* what a user sees of a wrong token */
#define SHOWN_TOKEN		40

PG_FUNCTION_INFO_V1(defidata_series_in);
PG_FUNCTION_INFO_V1(defidata_series_out);
PG_FUNCTION_INFO_V1(defidata_series_recv);
PG_FUNCTION_INFO_V1(defidata_series_send);

/* TokenLength gives the length of the text up to white space or a brace. */
static int
TokenLength(const char *text)
{
	return (int) strcspn(text, " \t\n\v\f\r{}");
}

/* SkipSpace moves past white space. */
static void
SkipSpace(const char **at)
{
	*at += strspn(*at, " \t\n\v\f\r");
}

/* TextErrorCode gives the SQLSTATE for a fault of an entry's text. */
static int
TextErrorCode(SeriesStatus status)
{
	switch (status)
	{
		case SERIES_SYNTAX:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
		case SERIES_HOUR_RANGE:
			return ERRCODE_DATETIME_VALUE_OUT_OF_RANGE;
		default:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	}
}

/* FailInText raises an error that shows the token it is about. */
static void
FailInText(const char *text, const char *token, int sqlstate, const char *fault)
{
	int			length = Min(TokenLength(token), INT_MAX - 1);

	/* a brace is shown as itself, the end as nothing */
	if (length == 0 && *token != '\0')
		length = 1;
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("invalid input for type defidata.series at byte %d: \"%.*s\"",
					(int) (token - text) + 1,
					pg_mbcliplen(token, length, SHOWN_TOKEN), token),
			 errdetail("%s.", fault)));
}

/* ParseToken parses one entry of the text, which must be later than the one before. */
static void
ParseToken(const char *text, const char **at, SeriesEntry *entry, const SeriesEntry *before)
{
	const char *token = *at;
	SeriesStatus status = series_parse_entry(at, entry);

	/* an entry ends where its token ends */
	if (status == SERIES_OK && TokenLength(*at) > 0)
		status = SERIES_SYNTAX;
	if (status != SERIES_OK)
	{
		char	   *fault = pstrdup(series_status_text(status));

		fault[0] = pg_ascii_toupper((unsigned char) fault[0]);
		FailInText(text, token, TextErrorCode(status), fault);
	}
	if (before != NULL && entry->hour <= before->hour)
		FailInText(text, token, ERRCODE_INVALID_TEXT_REPRESENTATION,
				   "Hours must ascend");
}

/* CountTokens counts the entries that a text can hold at most. */
static int
CountTokens(const char *text)
{
	Size		count = 0;

	for (SkipSpace(&text); *text != '\0'; SkipSpace(&text))
	{
		CHECK_FOR_INTERRUPTS();
		text += Max(TokenLength(text), 1);
		count++;
	}
	CheckSeriesLength(count);
	return (int) count;
}

/* series_in parses {hour:mentions[:sum:weight] ...}. */
Datum
defidata_series_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *at = text;
	SeriesEntry *entries = palloc(CountTokens(text) * sizeof(SeriesEntry) + 1);
	int			count = 0;

	SkipSpace(&at);
	if (*at++ != '{')
		FailInText(text, at - 1, ERRCODE_INVALID_TEXT_REPRESENTATION, "Expected \"{\"");
	for (SkipSpace(&at); *at != '}'; SkipSpace(&at))
	{
		CHECK_FOR_INTERRUPTS();
		if (*at == '\0')
			FailInText(text, at, ERRCODE_INVALID_TEXT_REPRESENTATION, "Expected \"}\"");
		ParseToken(text, &at, &entries[count], count > 0 ? &entries[count - 1] : NULL);
		count++;
	}
	at++;
	SkipSpace(&at);
	if (*at != '\0')
		FailInText(text, at, ERRCODE_INVALID_TEXT_REPRESENTATION,
				   "Expected nothing after \"}\"");
	PG_RETURN_POINTER(MakeSeries(entries, count));
}

/* series_out prints what series_in parses. */
Datum
defidata_series_out(PG_FUNCTION_ARGS)
{
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];
	StringInfoData text;
	int			count;

	OpenSeries(&reader, PG_GETARG_SERIES_PP(0));
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	while ((count = ReadSeries(&reader, entries, SERIES_BATCH)) > 0)
		for (int i = 0; i < count; i++)
		{
			enlargeStringInfo(&text, SERIES_TEXT_SIZE);
			if (text.len > 1)
				appendStringInfoChar(&text, ' ');
			text.len += series_print_entry(&entries[i], text.data + text.len);
		}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/* CheckReceived refuses bytes from another process that are no series from end to end. */
void
CheckReceived(const uint8 *bytes, Size size)
{
	SeriesReader reader;
	SeriesEntry entries[SERIES_BATCH];

	series_open(&reader, bytes, size);
	while (series_read(&reader, entries, SERIES_BATCH) > 0)
		CHECK_FOR_INTERRUPTS();
	CheckSeriesBytes(reader.status, ERRCODE_INVALID_BINARY_REPRESENTATION);
}

/* series_recv takes the bytes as series_send gives them, if they are valid. */
Datum
defidata_series_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	struct varlena *series;

	CheckReceived((const uint8 *) bytes, size);
	series = palloc(VARHDRSZ + size);
	SET_VARSIZE(series, VARHDRSZ + size);
	memcpy(VARDATA(series), bytes, size);
	PG_RETURN_POINTER(series);
}

/* series_send gives the bytes of the encoding. */
Datum
defidata_series_send(PG_FUNCTION_ARGS)
{
	struct varlena *series = PG_GETARG_SERIES_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(series), VARSIZE_ANY_EXHDR(series));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
