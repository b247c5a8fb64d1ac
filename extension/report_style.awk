# report_style.awk: report.css -> sql/report_style.sql.

BEGIN {
	print "-- made of report.css by report_style.awk\n"
	print "CREATE FUNCTION defidata.report_style() RETURNS text"
	print "    LANGUAGE sql IMMUTABLE PARALLEL SAFE\n    RETURN $css$"
}

# about the file
/^\/\* report\.css/ { next }
{ print }

END {
	print "$css$;"
	print "COMMENT ON FUNCTION defidata.report_style() IS 'the style sheet of the reports';"
}
