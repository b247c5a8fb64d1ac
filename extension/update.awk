# update.awk: the parts of the install script → an update script.  Functions, views and comments
# are replaced; what holds data or is the type of data stays as it is, but for what the older
# version did not have.
#
#     awk -f update.awk update/FORMER--LATER.sql PART...
#
# The first file is written by hand: before a line `-- the parts` what has to go first, behind it
# what goes when nothing depends on it any more.  A line `-- stays: OBJECT` in it names a type or
# table of the older version.

FNR == 1 { file++ }

file == 1 {
	if (/^-- stays: /)
		stays[substr($0, 11)] = 1
	else if (/^-- the parts$/)
		behind = 1
	else if (behind)
		rest = rest $0 "\n"
	else
		print
	next
}

# another place to type it
/^\\echo / { next }

# a body is taken as it is
body { print; if (/\$\$/) body = 0; next }
/(^|[ (])\$\$$/ { body = 1 }

# a statement that is left out, to its end
skip { if (/;$/) skip = 0; next }

/^CREATE (SCHEMA|TRIGGER) / || (/^CREATE (TYPE|TABLE|OPERATOR|CAST) / && ($3 in stays)) {
	if (!/;$/)
		skip = 1
	next
}
/^CREATE TYPE / { sub(/;$/, "", $3); if ($3 in stays) next }

# the list that comes with the extension is replaced whole
/^INSERT INTO defidata\.builtin_token/ && !listed {
	print "DELETE FROM defidata.builtin_token;"
	listed = 1
}

/^CREATE (FUNCTION|PROCEDURE|AGGREGATE|VIEW) / { sub(/^CREATE/, "CREATE OR REPLACE") }
{ print }

END { printf "%s", rest }
