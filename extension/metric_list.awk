# Makes SQL of metric_list.h: the composite type of the metrics, and a function
# that lists them.
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
	gsub(/'/, "''", meaning[n])
}

# take cuts the entry after a text and returns what was before that.
function take(text,    at, head)
{
	at = index(entry, text)
	head = substr(entry, 1, at - 1)
	entry = substr(entry, at + length(text))
	return head
}

END {
	print "-- metric_list.sql: the metrics, made from metric_list.h.\n"
	print "CREATE TYPE defidata.metrics_row AS (\n    hour timestamptz,"
	for (i = 1; i <= n; i++)
		printf "    %s %s%s\n", name[i], type[i], i < n ? "," : "\n);"
	print "COMMENT ON TYPE defidata.metrics_row IS 'the metrics of a token at one hour';"
	print "COMMENT ON COLUMN defidata.metrics_row.hour IS 'start of the hour';"
	for (i = 1; i <= n; i++)
		printf "COMMENT ON COLUMN defidata.metrics_row.%s IS\n    '%s';\n", name[i], meaning[i]

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
			printf "COMMENT ON COLUMN defidata.token_metrics.%s IS\n    '%s';\n", name[i], meaning[i]

	print "\nCREATE FUNCTION defidata.metric_list("
	print "    OUT name text, OUT type text, OUT places text[], OUT meaning text)"
	print "    RETURNS SETOF record"
	printf "    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS %d\n", n
	print "BEGIN ATOMIC\n    SELECT l.name, l.type, l.places, l.meaning\n      FROM (VALUES"
	for (i = 1; i <= n; i++)
		printf "        ('%s', '%s', '{%s}'::text[],\n         '%s')%s\n", name[i], type[i], places[i], meaning[i], i < n ? "," : ""
	print "    ) l (name, type, places, meaning);\nEND;"
	print "COMMENT ON FUNCTION defidata.metric_list() IS"
	print "    'the metrics, in the order of metrics_row; places: the tables that have a column of it';"
}
