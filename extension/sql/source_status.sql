-- source_status.sql: the part of status that tells what sources deliver.

CREATE FUNCTION defidata.source_status(OUT name text, OUT state text, OUT value text,
                                       OUT hint text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    recent constant timestamptz := now() - interval '14 days';
    found  record;
BEGIN
    name := 'uncopied rows';
    SELECT sum(u.rows) AS rows, string_agg(DISTINCT u.cause, ', ') AS causes INTO found
      FROM defidata.uncopied u WHERE u.hour > recent OR NOT isfinite(u.hour);
    state := CASE WHEN found.rows > 0 THEN 'warn' ELSE 'ok' END;
    value := CASE WHEN found.rows > 0 THEN format('%s: %s', found.rows, found.causes)
                  ELSE 'none' END;
    hint := CASE WHEN found.rows > 0 THEN
        'SELECT * FROM defidata.uncopied; tells of which hours. Ids that repeat within an hour are'
        ' told apart by a mapping of more columns.' END;
    RETURN NEXT;

    name := 'hours left as they are';
    SELECT count(*) FILTER (WHERE k.kept = 'emptied') AS emptied,
           count(*) FILTER (WHERE k.kept = 'shrunken') AS shrunken,
           min(k.hour) FILTER (WHERE k.kept = 'shrunken') AS first INTO found
      FROM defidata.surveyed k WHERE k.kept IS NOT NULL;
    state := CASE WHEN found.shrunken > 0 THEN 'warn' ELSE 'ok' END;
    value := format('%s emptied, %s shrunken', found.emptied, found.shrunken);
    hint := CASE WHEN found.shrunken > 0 THEN
        format('Since %s UTC a source has lost more than half of the rows of an hour. If that is'
               ' right, SELECT * FROM defidata_reconcile(%L, apply_deletes => true); follows it.',
               to_char(found.first AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
               (ceil(EXTRACT(epoch FROM now() - found.first) / 86400) + 1) || ' days') END;
    RETURN NEXT;

    name := 'hours written twice';
    SELECT count(*) AS hours, min(k.source) AS source, max(k.hour) AS last INTO found
      FROM defidata.surveyed k WHERE k.twins AND k.hour > recent;
    state := CASE WHEN found.hours > 0 THEN 'warn' ELSE 'ok' END;
    value := found.hours::text;
    hint := CASE WHEN found.hours > 0 THEN
        format('More than half of the rows of hour %s UTC of source "%s" come under two ids each,'
               ' and count twice. Delete them at the source; the next cycle, or'
               ' defidata_reconcile, follows.',
               to_char(found.last AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), found.source) END;
    RETURN NEXT;

    name := 'sources that repeat each other';
    SELECT count(*) AS hours, min(k.source) AS source, min(k.repeats) AS repeats INTO found
      FROM defidata.surveyed k WHERE k.repeats IS NOT NULL AND k.hour > recent;
    state := CASE WHEN found.hours > 0 THEN 'warn' ELSE 'ok' END;
    value := CASE WHEN found.hours > 0 THEN format('%s hours', found.hours) ELSE 'none' END;
    hint := CASE WHEN found.hours > 0 THEN
        format('Sources "%1$s" and "%2$s" have the same rows, which add up. SELECT'
               ' defidata_detach(%1$L, drop_rows => true); takes one of them back.',
               found.source, found.repeats) END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION defidata.source_status() IS
    'the part of status that tells what sources deliver: rows that cannot be copied, emptied and'
    ' shrunken hours, hours written twice, sources that repeat each other';
