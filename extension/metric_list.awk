# metric_list.awk: metric_list.h → sql/metric_list.sql, the composite types of the metrics, and a
# function that lists them.  Needs literal.awk.
/^METRIC\(/ { entry = "" }
{ entry = entry $0 }
/"\)$/ {
	gsub(/"[ \t]+"/, "", entry)
	sub(/^METRIC\(/, "", entry)
	n++
	name[n] = take(", ")
	type[n] = take(", \"")
	places[n] = take("\",")
	gsub(/ /, ",", places[n])
	sub(/^[ \t]*"/, "", entry)
	meaning[n] = take("\")")
}

# take cuts the entry after a text and returns what was before that.
function take(text,    at, head)
{
	at = index(entry, text)
	head = substr(entry, 1, at - 1)
	entry = substr(entry, at + length(text))
	return head
}

# comment_on TYPE I writes the comment on the column of a metric in a composite type
function comment_on(type, i)
{
	printf "COMMENT ON COLUMN defidata.%s.%s IS\n%s;\n", type, name[i],
		literal("    ", meaning[i])
}

END {
	print "-- metric_list.sql: the metrics, made from metric_list.h.\n"
	print "CREATE TYPE defidata.metrics_row AS (\n    hour timestamptz,"
	for (i = 1; i <= n; i++)
		printf "    %s %s%s\n", name[i], type[i], i < n ? "," : "\n);"
	print "COMMENT ON TYPE defidata.metrics_row IS 'the metrics of a token at one hour';"
	print "COMMENT ON COLUMN defidata.metrics_row.hour IS 'start of the hour';"
	for (i = 1; i <= n; i++)
		comment_on("metrics_row", i)

	print "\nCREATE TYPE defidata.token_metrics AS (\n    token text,\n    hour timestamptz"
	for (i = 1; i <= n; i++)
		if (places[i] ~ /view/)
			printf "    ,%s %s\n", name[i], type[i]
	print ");"
	print "COMMENT ON TYPE defidata.token_metrics IS 'a row of defidata.metrics';"
	print "COMMENT ON COLUMN defidata.token_metrics.token IS 'the clean symbol';"
	print "COMMENT ON COLUMN defidata.token_metrics.hour IS 'start of the hour';"
	for (i = 1; i <= n; i++)
		if (places[i] ~ /view/)
			comment_on("token_metrics", i)

	print "\nCREATE FUNCTION defidata.metric_list("
	print "    OUT name text, OUT type text, OUT places text[], OUT meaning text)"
	print "    RETURNS SETOF record"
	printf "    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS %d\n", n
	print "BEGIN ATOMIC\n    SELECT l.name, l.type, l.places, l.meaning\n      FROM (VALUES"
	for (i = 1; i <= n; i++)
		printf "        ('%s', '%s', '{%s}'::text[],\n%s)%s\n", name[i], type[i], places[i],
			literal("         ", meaning[i]), i < n ? "," : ""
	print "    ) l (name, type, places, meaning);\nEND;"
	print "COMMENT ON FUNCTION defidata.metric_list() IS"
	print literal("    ", "the metrics, in the order of metrics_row; places: the tables that have " \
		"a column of it") ";"
}
