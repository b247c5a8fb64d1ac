-- owner.sql: extension, schemas, functions and tables have one owner.
--
-- A restore gives the extension to whoever restores, and the tables back to whom they belonged.
-- Functions that then work on the tables with the rights of the one would run the triggers, rules
-- and defaults of the other.  So nothing goes on until the extension's owner has taken the tables
-- over, and nobody's code hangs on them but the owner's or a superuser's.

-- Without a setting, so that it becomes a part of whatever asks it.
CREATE FUNCTION defidata.tables() RETURNS SETOF regclass
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT d.objid::regclass
      FROM pg_depend d
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_namespace'::regclass
       AND d.refobjid IN ('defidata'::regnamespace, 'defidata_remote'::regnamespace)
       AND d.deptype = 'n';
END;
COMMENT ON FUNCTION defidata.tables() IS
    'the tables, views and foreign tables in the schemas defidata and defidata_remote';

CREATE FUNCTION defidata.foreign_triggers(OUT relation regclass, OUT object text, OUT owner name)
    RETURNS SETOF record
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT g.tgrelid::regclass, format('trigger %I', g.tgname), r.rolname
      FROM defidata.tables() t (oid)
      JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
      JOIN pg_proc p ON p.oid = g.tgfoid
      JOIN pg_roles r ON r.oid = p.proowner
     WHERE r.rolname <> current_user AND NOT r.rolsuper;
END;
COMMENT ON FUNCTION defidata.foreign_triggers() IS
'triggers on the tables that would run a function of somebody who is neither this role nor a
superuser';

-- Whatever hangs on a table and is run when it is read or written: all of these have their
-- functions, operators, types and relations in pg_depend.
CREATE FUNCTION defidata.foreign_code(OUT relation regclass, OUT object text, OUT owner name)
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH attached AS (
        SELECT t.oid AS relation, 'pg_rewrite'::regclass AS classid, w.oid AS objid
          FROM defidata.tables() t (oid) JOIN pg_rewrite w ON w.ev_class = t.oid
        UNION ALL
        SELECT t.oid, 'pg_policy'::regclass, y.oid
          FROM defidata.tables() t (oid) JOIN pg_policy y ON y.polrelid = t.oid
        UNION ALL
        SELECT t.oid, 'pg_attrdef'::regclass, f.oid
          FROM defidata.tables() t (oid) JOIN pg_attrdef f ON f.adrelid = t.oid
        UNION ALL
        SELECT t.oid, 'pg_constraint'::regclass, c.oid
          FROM defidata.tables() t (oid) JOIN pg_constraint c ON c.conrelid = t.oid
        UNION ALL
        SELECT t.oid, 'pg_class'::regclass, i.indexrelid
          FROM defidata.tables() t (oid) JOIN pg_index i ON i.indrelid = t.oid
        UNION ALL
        -- types of columns: a domain has checks, a type its own functions
        SELECT t.oid, 'pg_class'::regclass, t.oid
          FROM defidata.tables() t (oid)),
    used AS (
        SELECT a.relation, a.classid, a.objid, d.refclassid, d.refobjid
          FROM attached a
          JOIN pg_depend d ON d.classid = a.classid AND d.objid = a.objid)
    SELECT u.relation::regclass,
           format('%s, which uses %s', pg_describe_object(u.classid, u.objid, 0),
                  pg_describe_object(u.refclassid, u.refobjid, 0)), r.rolname
      FROM used u
      JOIN (SELECT 'pg_proc'::regclass AS classid, p.oid, p.proowner AS owner FROM pg_proc p
            UNION ALL
            SELECT 'pg_operator'::regclass, o.oid, o.oprowner FROM pg_operator o
            UNION ALL
            SELECT 'pg_type'::regclass, y.oid, y.typowner FROM pg_type y WHERE y.typrelid = 0
            UNION ALL
            SELECT 'pg_opclass'::regclass, c.oid, c.opcowner FROM pg_opclass c
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, c.relowner FROM pg_class c
             WHERE c.relkind IN ('v', 'r', 'f')
               AND c.oid NOT IN (SELECT t.oid FROM defidata.tables() t (oid))) x
           ON x.classid = u.refclassid AND x.oid = u.refobjid
      JOIN pg_roles r ON r.oid = x.owner
     WHERE r.rolname <> current_user AND NOT r.rolsuper
    UNION ALL
    SELECT g.relation, g.object, g.owner FROM defidata.foreign_triggers() g;
END;
COMMENT ON FUNCTION defidata.foreign_code() IS
'triggers, rules, policies, defaults, constraints and indexes on the tables that would run code of
somebody who is neither this role nor a superuser';

CREATE FUNCTION defidata.refuse_code(relation regclass, object text, owner name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF relation IS NOT NULL THEN
        RAISE EXCEPTION '% on % belongs to role %, whose code would run as role %', object,
                        relation, owner, current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Drop it, or make its function one of the owner''s or a superuser''s.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.refuse_code(regclass, text, name) IS
    'raises 42501 that names an object with somebody else''s code; nothing where it is NULL';

-- The owner of this function is that of the functions.
CREATE FUNCTION defidata.check_owner() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home    record;
    strange record;
BEGIN
    SELECT e.extowner::regrole AS owner INTO home FROM pg_extension e WHERE e.extname = 'defidata';
    IF home.owner <> current_user::regrole THEN
        RAISE EXCEPTION 'extension defidata belongs to role %, its functions to role %', home.owner,
                        current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('A superuser can mend that: REASSIGN OWNED BY %s TO %I; or the'
                                ' other way round.', home.owner, current_user);
    END IF;
    SELECT x.object, x.owner::regrole AS owner INTO strange
      FROM (SELECT format('schema %I', n.nspname) AS object, n.nspowner AS owner
              FROM pg_namespace n WHERE n.nspname IN ('defidata', 'defidata_remote')
            UNION ALL
            SELECT format('table %s', c.oid::regclass), c.relowner
              FROM defidata.tables() t (oid) JOIN pg_class c ON c.oid = t.oid) x
     WHERE x.owner <> home.owner::oid
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% belongs to role %, extension defidata to role %', strange.object,
                        strange.owner, home.owner
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('SELECT defidata_setup(); as role %s takes over what belongs to'
                                ' others.', home.owner);
    END IF;
    PERFORM defidata.refuse_code(f.relation, f.object, f.owner)
       FROM defidata.foreign_triggers() f;
END
$$;
COMMENT ON FUNCTION defidata.check_owner() IS
'raises 42501 unless extension, schemas, functions and tables belong to this role, and no trigger on
the tables runs somebody else''s function';

CREATE FUNCTION defidata.take_over() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
BEGIN
    PERFORM defidata.refuse_code(f.relation, f.object, f.owner) FROM defidata.foreign_code() f;
    FOR target IN SELECT format('SCHEMA %I', n.nspname) AS name
                    FROM pg_namespace n
                   WHERE n.nspname IN ('defidata', 'defidata_remote')
                     AND n.nspowner <> current_user::regrole
                  UNION ALL
                  SELECT format('%s %s', CASE c.relkind WHEN 'v' THEN 'VIEW'
                                                        WHEN 'f' THEN 'FOREIGN TABLE'
                                                        WHEN 'm' THEN 'MATERIALIZED VIEW'
                                                        WHEN 'S' THEN 'SEQUENCE'
                                                        ELSE 'TABLE' END, c.oid::regclass)
                    FROM defidata.tables() t (oid) JOIN pg_class c ON c.oid = t.oid
                   WHERE c.relowner <> current_user::regrole AND c.relkind <> 'c' LOOP
        EXECUTE format('ALTER %s OWNER TO %I', target.name, current_user);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.take_over() IS
'gives schemas and tables that belong to others to this role; 42501 that names what runs somebody
else''s code, where something on them does';
