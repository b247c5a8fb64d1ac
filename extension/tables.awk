# tables.awk: metric_list.h and tables.sql → sql/tables.sql, a function that makes the tables
# and one that comments on them.  -v tables=NAME says how these call the tables.  Needs
# literal.awk.

# comment_on OBJECT TEXT adds a COMMENT ON to those of the present table
function comment_on(object, text)
{
	comments = comments sprintf("COMMENT ON %s IS\n%s;\n", object, literal("    ", text))
}

# finish_column writes the comment of the column that was read last
function finish_column()
{
	if (column != "")
		comment_on("COLUMN " table "." column, meaning)
	column = meaning = ""
}

BEGIN {
	if (tables == "")
		tables = "tables"
	print "-- made of tables.sql and metric_list.h by tables.awk\n"
	printf "CREATE FUNCTION defidata.create_%s() RETURNS void\n", tables
	print "    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp\nAS $$\nBEGIN"
}

# the metrics: METRIC(name, type, "places", "meaning"), over one line or more
FILENAME ~ /metric_list\.h$/ {
	if (/^METRIC\(/)
		entry = ""
	entry = entry $0
	if (entry ~ /^METRIC\(.*"\)$/) {
		split(entry, field, /[(,] */)
		n = split(entry, text, /"/)
		metrics++
		metric_name[metrics] = field[2]
		metric_type[metrics] = field[3]
		metric_places[metrics] = " " text[2] " "
		# the pieces of a long literal
		for (i = 4; i < n; i += 2)
			metric_meaning[metrics] = metric_meaning[metrics] text[i]
		entry = ""
	}
	next
}

# before the first table: about the file
!begun && !/^-- tables/ && /^(--.*)?$/ { if (/^$/) begun = 1; next }
!begun { next }

/^CREATE (UNLOGGED )?TABLE / {
	table = $(NF - 1)
	comment_on("TABLE " table, above)
}

# over a table: its comment
/^-- / { above = above (above == "" ? "" : " ") substr($0, 4); next }
/^--$/ { above = ""; section = !section; next }
/^$/ { above = ""; print; next }

/^    @metrics / {
	finish_column()
	place = " " $2 " "
	sub(/@ $/, " ", place)
	for (m = 1; m <= metrics; m++)
		if (index(metric_places[m], place) &&
			(place == " later " || !index(metric_places[m], " later "))) {
			constraint = metric_name[m] == "mentions" ? " NOT NULL" : ""
			printf "    %s %s%s,\n", metric_name[m], metric_type[m], constraint
			comment_on("COLUMN " table "." metric_name[m], metric_meaning[m])
		}
	next
}

# behind a column: its comment, which the lines after it may continue
{
	code = $0
	note = ""
	if (match(code, /-- .*$/)) {
		note = substr(code, RSTART + 3)
		code = substr(code, 1, RSTART - 1)
	}
	sub(/ +$/, "", code)
	if (code == "")
		meaning = meaning " " note
	else {
		finish_column()
		if (note != "") {
			column = $1
			meaning = note
		}
		print code
	}
	if (code ~ /;$/)
		finish_column()
}

END {
	print "END\n$$;"
	printf "COMMENT ON FUNCTION defidata.create_%s() IS\n", tables
	print "    'makes every table; 42P07 where one exists';\n"
	printf "CREATE FUNCTION defidata.comment_%s() RETURNS void\n", tables
	print "    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp\nAS $$\nBEGIN"
	printf "%s", comments
	print "END\n$$;"
	printf "COMMENT ON FUNCTION defidata.comment_%s() IS\n", tables
	print "    'comments on every table and its columns';"
}
