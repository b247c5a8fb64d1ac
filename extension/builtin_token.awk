# builtin_token.awk: builtin_token.csv → sql/builtin_token.sql, the rows of the list.  A symbol
# holds no comma; a name may be quoted as CSV has it.
BEGIN { before = "INSERT INTO defidata.builtin_token (symbol, name) VALUES\n" }
NR == 1 { next }
{
	comma = index($0, ",")
	symbol = substr($0, 1, comma - 1)
	name = substr($0, comma + 1)
	if (name ~ /^".*"$/) {
		name = substr(name, 2, length(name) - 2)
		gsub(/""/, "\"", name)
	}
	gsub(/'/, "''", symbol)
	gsub(/'/, "''", name)
	printf "%s('%s', '%s')", before, symbol, name
	before = ",\n"
}
END { print ";" }
