# literal.awk: a text as an SQL literal, for the other programs here.

# literal INDENT TEXT writes it over lines of at most 100 columns, which SQL reads as one
function literal(indent, text,    lines, line, word, words, i)
{
	gsub(/'/, "''", text)
	words = split(text, word, / /)
	line = indent "'" word[1]
	for (i = 2; i <= words; i++)
		if (length(line " " word[i]) > 97) {
			lines = lines line "'\n"
			line = indent "' " word[i]
		} else
			line = line " " word[i]
	return lines line "'"
}
