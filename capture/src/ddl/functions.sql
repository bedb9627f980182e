-- What one table is now, as wire's `Definitions` has it: the same that a copy reads, in the same queries.
CREATE FUNCTION tailwater.ddl_definition(whose oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $function$
WITH whole AS (
    SELECT p.pubviaroot AS flat FROM pg_publication p JOIN tailwater.ddl_settings s ON p.pubname = s.publication
), unpublished(name) AS (
    SELECT a.attname::text
    FROM tailwater.ddl_settings s JOIN pg_publication p ON p.pubname = s.publication
    JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = whose
    JOIN pg_attribute a ON a.attrelid = whose AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    CROSS JOIN (SELECT to_jsonb(l) ->> 'prattrs' AS listed, l.oid FROM pg_publication_rel l) l
    WHERE l.oid = r.oid AND l.listed IS NOT NULL AND NOT a.attnum::text = ANY(string_to_array(l.listed, ' '))
), used AS (
    SELECT * FROM tailwater.ddl_types(ARRAY[whose])
), column_row AS (
    SELECT c.*, base.typname::text AS base_type, base.modifier AS base_modifier
    FROM tailwater.ddl_columns(ARRAY[whose]) c CROSS JOIN LATERAL (
        WITH RECURSIVE below(oid, modifier) AS (
            SELECT c.type, c.modifier
          UNION ALL
            SELECT t.typbasetype, t.typtypmod FROM below b JOIN pg_type t ON t.oid = b.oid WHERE t.typbasetype <> 0
        )
        SELECT t.typname, b.modifier FROM below b JOIN pg_type t ON t.oid = b.oid WHERE t.typbasetype = 0
    ) base
    WHERE c.name NOT IN (SELECT name FROM unpublished)
      AND NOT (whose = ANY(c.needs_tables) AND c.needs_columns && ARRAY(SELECT name FROM unpublished))
), columns AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'number', number, 'name', name, 'type_sql', type_sql, 'base_type', base_type, 'base_modifier', base_modifier,
        'not_null', not_null, 'default', CASE WHEN generated = '' THEN expression END,
        'generated', CASE WHEN generated <> '' THEN expression END,
        'identity', CASE identity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by_default' END, 'collation', collation_sql)
        || CASE WHEN missing IS NULL THEN '{}' ELSE jsonb_build_object('missing', missing) END
        ORDER BY number), '[]') AS list
    FROM column_row
), constraints AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', name, 'kind', kind, 'definition', definition, 'columns', columns)
        ORDER BY strpos('pucxf', kind), name), '[]') AS list
    FROM tailwater.ddl_constraints(ARRAY[whose])
    WHERE NOT (whose = ANY(needs_tables) AND needs_columns && ARRAY(SELECT name FROM unpublished))
), indexes AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', name, 'definition', definition, 'unique', is_unique, 'columns', columns) ORDER BY name), '[]') AS list
    FROM tailwater.ddl_indexes(ARRAY[whose])
    WHERE NOT (whose = ANY(needs_tables) AND needs_columns && ARRAY(SELECT name FROM unpublished))
), needs(oid, inner_oid) AS (
    SELECT u.oid, u.element FROM used u
  UNION SELECT u.oid, u.base FROM used u
  UNION SELECT u.oid, a.atttypid FROM used u
        JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum > 0 AND NOT a.attisdropped
  UNION SELECT u.oid, r.rngsubtype FROM used u JOIN pg_range r ON r.rngtypid = u.oid
), depth(oid, depth) AS (
    WITH RECURSIVE d(oid, depth) AS (
        SELECT oid, 0 FROM used
      UNION
        SELECT n.inner_oid, d.depth + 1 FROM d JOIN needs n ON n.oid = d.oid WHERE n.inner_oid <> 0
    )
    SELECT oid, max(depth) FROM d GROUP BY oid
), own_type AS (
    SELECT u.*, d.depth FROM used u JOIN depth d ON d.oid = u.oid
    WHERE u.extension IS NULL AND u.schema NOT IN ('pg_catalog', 'information_schema')
      AND (u.letter IN ('e', 'd', 'r') OR u.letter = 'c' AND u.standalone)
), types AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object('oid', oid::bigint, 'schema', schema, 'name', name)
        || CASE letter
           WHEN 'e' THEN jsonb_build_object('kind', 'enum', 'labels', (
               SELECT coalesce(jsonb_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid))
           WHEN 'd' THEN jsonb_build_object('kind', 'domain', 'base', base_sql, 'not_null', not_null, 'default', "default",
               'checks', (SELECT coalesce(jsonb_agg(pg_get_constraintdef(o.oid) ORDER BY o.conname), '[]')
                          FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c'))
           WHEN 'c' THEN jsonb_build_object('kind', 'composite', 'fields', (
               SELECT coalesce(jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
               FROM pg_attribute a WHERE a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped))
           ELSE jsonb_build_object('kind', 'range', 'subtype', (
               SELECT format_type(r.rngsubtype, -1) FROM pg_range r WHERE r.rngtypid = t.oid))
           END ORDER BY depth DESC, oid), '[]') AS list
    FROM own_type t
), sequences AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'schema', schema, 'name', name, 'column', jsonb_build_array(of_schema, of_table, of_column),
        'bond', CASE bond WHEN 0 THEN 'identity' WHEN 1 THEN 'owned' ELSE 'used' END,
        'values', CASE type WHEN 'smallint' THEN 'smallint' WHEN 'integer' THEN 'integer' ELSE 'bigint' END,
        'start', start, 'increment', increment, 'least', least_value, 'greatest', greatest_value, 'cache', cache, 'cycle', cycle,
        'last', NULL) ORDER BY schema, name), '[]') AS list
    FROM tailwater.ddl_sequences(ARRAY[whose])
    WHERE of_column NOT IN (SELECT name FROM unpublished)
), extensions AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'schema', schema) ORDER BY name), '[]') AS list
    FROM tailwater.ddl_extensions(ARRAY[whose], ARRAY(SELECT oid FROM used))
)
SELECT jsonb_build_object(
    'extensions', extensions.list,
    'schemas', (SELECT jsonb_agg(of.schema ORDER BY of.schema)
                FROM (SELECT t.schema UNION SELECT schema FROM own_type) of),
    'types', types.list,
    'tables', jsonb_build_array(jsonb_build_object(
        'oid', whose::bigint, 'schema', t.schema, 'name', t.name, 'replica_identity', t.replica_identity,
        'columns', columns.list,
        'primary_key', CASE WHEN t.primary_key && ARRAY(SELECT name FROM unpublished) THEN '{}' ELSE t.primary_key END,
        'identity_columns', t.identity_columns, 'constraints', constraints.list, 'indexes', indexes.list,
        'partition_by', CASE WHEN NOT whole.flat THEN t.partition_by END,
        'partition_of', CASE WHEN t.bound IS NOT NULL
            THEN jsonb_build_object('schema', t.of_schema, 'name', t.of_name, 'bound', t.bound) END)),
    'sequences', sequences.list)
FROM tailwater.ddl_tables_of(ARRAY[whose]) t, whole, columns, constraints, indexes, types, sequences, extensions
$function$;

-- Tables that the publication carries, and those above them in their partition trees.
CREATE FUNCTION tailwater.ddl_captured() RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $function$
WITH RECURSIVE publication AS (
    SELECT p.* FROM pg_publication p JOIN tailwater.ddl_settings s ON p.pubname = s.publication
), listed(oid) AS (
    SELECT r.prrelid FROM publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
  UNION
    SELECT c.oid FROM publication p, pg_class c WHERE p.puballtables{schemas}
), below(oid) AS (
    SELECT oid FROM listed
  UNION
    -- Not by pg_partition_tree, which locks all of it until the transaction ends.
    SELECT h.inhrelid FROM below b JOIN pg_inherits h ON h.inhparent = b.oid
    JOIN pg_class c ON c.oid = h.inhrelid WHERE c.relispartition
), tree(oid) AS (
    SELECT oid FROM below
  UNION
    SELECT a.relid::oid FROM listed l, pg_partition_ancestors(l.oid) a
)
SELECT c.oid FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace, publication p
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater') AND n.nspname NOT LIKE 'pg\_%'
  AND NOT (p.pubviaroot AND c.relispartition)
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
$function$;

-- Whether it has rows of its own, also such as the transaction does not see for its isolation.
CREATE FUNCTION tailwater.ddl_has_rows(relation oid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    filled boolean;
BEGIN
    EXECUTE (SELECT format('SELECT EXISTS (SELECT FROM ONLY %I.%I)', n.nspname, c.relname)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation) INTO filled;
    RETURN filled OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND pg_relation_size(relation) > 0;
END
$function$;

-- Lets a table that matches join a publication of ours. What rows it has by then, terminals take from a snapshot.
CREATE FUNCTION tailwater.ddl_join(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    settings tailwater.ddl_settings;
    found record;
    list text := '';
BEGIN
    SELECT * INTO settings FROM tailwater.ddl_settings;
    SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind, c.relreplident,
           EXISTS (SELECT FROM unnest(ARRAY[c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid)]) m(oid)
                   JOIN pg_class mc ON mc.oid = m.oid JOIN pg_namespace mn ON mn.oid = mc.relnamespace
                   WHERE mn.nspname || '.' || mc.relname LIKE ANY(settings.tables)) AS meant,
           c.relreplident = 'f' AND c.relkind = 'r' OR EXISTS (
               SELECT FROM pg_index i
               WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
                 AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
                                         -- Partitions do not get this from their whole.
                                         WHEN 'i' THEN i.indisreplident AND c.relkind = 'r' ELSE false END) AS keyed,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                 ORDER BY a.attnum) AS columns,
           ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey[0:i.indnkeyatts - 1]) k(attnum)
                 JOIN pg_attribute a ON a.attnum = k.attnum
                 WHERE i.indrelid = c.oid AND a.attrelid = c.oid
                   AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS key
    INTO found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = relation AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tailwater') AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
    IF found IS NULL OR NOT found.meant THEN
        RETURN;
    END IF;
    IF NOT found.keyed AND (found.relkind = 'p' OR NOT settings.make_full) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM unnest(found.columns) c(name)
               WHERE found.schema || '.' || found.name || '.' || c.name LIKE ANY(settings.exclude)) THEN
        -- A list of columns is for single tables, and may leave out nothing that identifies a row.
        IF found.relkind = 'p' OR NOT found.keyed OR found.relreplident = 'f'
           OR EXISTS (SELECT FROM unnest(found.key) c(name)
                      WHERE found.schema || '.' || found.name || '.' || c.name LIKE ANY(settings.exclude)) THEN
            RETURN;
        END IF;
        SELECT ' (' || string_agg(quote_ident(c.name), ', ') || ')' INTO list FROM unnest(found.columns) c(name)
        WHERE NOT found.schema || '.' || found.name || '.' || c.name LIKE ANY(settings.exclude);
    END IF;
    -- Nobody is to be writing to it, or some of what he writes would be in neither, snapshot or stream.
    EXECUTE format('LOCK TABLE %s %I.%I IN SHARE ROW EXCLUSIVE MODE', CASE found.relkind WHEN 'r' THEN 'ONLY' ELSE '' END, found.schema, found.name);
    IF NOT found.keyed THEN
        EXECUTE format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY FULL', found.schema, found.name);
        -- That statement's own event let it join already.
        IF relation IN (SELECT tailwater.ddl_captured()) THEN
            RETURN;
        END IF;
    END IF;
    EXECUTE format('ALTER PUBLICATION %I ADD TABLE %s %I.%I%s', settings.publication,
                   CASE found.relkind WHEN 'r' THEN 'ONLY' ELSE '' END, found.schema, found.name, list);
END
$function$;

-- Writes what became of these tables since they were told of last; a whole before its partitions.
CREATE FUNCTION tailwater.ddl_tell(relations oid[], command text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    relation oid;
    was tailwater.ddl_tables;
    now_is jsonb;
    joins boolean;
    late boolean;
    needed boolean;
BEGIN
    IF (SELECT own FROM tailwater.ddl_settings) THEN
        FOR relation IN
            SELECT r.oid FROM unnest(relations) r(oid) WHERE r.oid NOT IN (SELECT tailwater.ddl_captured())
            ORDER BY (SELECT count(*) FROM pg_partition_ancestors(r.oid)), r.oid
        LOOP
            -- Its whole may have joined meanwhile.
            IF relation NOT IN (SELECT tailwater.ddl_captured()) THEN
                PERFORM tailwater.ddl_join(relation);
            END IF;
        END LOOP;
    END IF;
    FOR relation, now_is IN
        SELECT r.oid, CASE WHEN r.oid IN (SELECT tailwater.ddl_captured()) THEN tailwater.ddl_definition(r.oid) END
        FROM (SELECT DISTINCT unnest(relations) AS oid) r JOIN pg_class c ON c.oid = r.oid
        ORDER BY (SELECT count(*) FROM pg_partition_ancestors(r.oid)), r.oid
    LOOP
        -- Nothing is locked for a table that did not change: somebody else may be changing it.
        SELECT * INTO was FROM tailwater.ddl_tables t WHERE t.oid = relation;
        CONTINUE WHEN was.definition IS NOT DISTINCT FROM now_is AND coalesce(was.rewrite, 0) = 0;
        SELECT * INTO was FROM tailwater.ddl_tables t WHERE t.oid = relation FOR UPDATE;
        -- Others may have changed it, and told, between the first look and the lock.
        now_is := CASE WHEN relation IN (SELECT tailwater.ddl_captured()) THEN tailwater.ddl_definition(relation) END;
        CONTINUE WHEN was.definition IS NOT DISTINCT FROM now_is AND coalesce(was.rewrite, 0) = 0;
        needed := was.oid IS NOT NULL AND (was.rewrite & 4 <> 0 OR was.rewrite & 2 <> 0 AND EXISTS (
            SELECT FROM jsonb_array_elements(now_is #> '{tables,0,columns}') c
            WHERE c ->> 'generated' IS NULL AND c ->> 'missing' IS NULL
              AND (c ->> 'default' IS NOT NULL OR c ->> 'identity' IS NOT NULL)
              AND NOT EXISTS (SELECT FROM jsonb_array_elements(was.definition #> '{tables,0,columns}') o
                              WHERE o -> 'number' = c -> 'number')));
        -- It joins; but rows of a table that a publication takes in by itself come by the stream, from its making on.
        joins := was.oid IS NULL AND ((SELECT own FROM tailwater.ddl_settings)
            OR command NOT IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA'));
        -- Told late: rows have come by the stream since, with values in columns that terminals do not know.
        late := command = 'start of tailwater-capture' AND EXISTS (
            SELECT FROM jsonb_array_elements(now_is #> '{tables,0,columns}') c
            WHERE c ->> 'generated' IS NULL
              AND NOT EXISTS (SELECT FROM jsonb_array_elements(was.definition #> '{tables,0,columns}') o
                              WHERE o -> 'number' = c -> 'number'));
        IF NOT needed AND now_is IS NOT NULL AND (joins OR late) THEN
            -- ALTER PUBLICATION keeps nobody from writing: rows that are not committed yet may come before it in the WAL.
            needed := (SELECT relkind FROM pg_class WHERE oid = relation) = 'r'
                AND (joins AND command = 'ALTER PUBLICATION' OR tailwater.ddl_has_rows(relation));
        END IF;
        -- What leaves leaves its whole first, or its rows would be seen there on and on.
        IF now_is IS NULL AND was.definition #> '{tables,0,partition_of}' <> 'null' THEN
            INSERT INTO tailwater.schema_changes (command, change) VALUES (command, jsonb_build_object(
                'oid', relation::bigint, 'before', was.definition,
                'after', jsonb_set(was.definition, '{tables,0,partition_of}', 'null')));
            was.definition := jsonb_set(was.definition, '{tables,0,partition_of}', 'null');
        END IF;
        IF needed OR was.definition IS DISTINCT FROM now_is THEN
            INSERT INTO tailwater.schema_changes (command, change) VALUES (command, jsonb_build_object(
                'oid', relation::bigint, 'before', was.definition, 'after', now_is, 'rows_needed', needed));
        END IF;
        IF now_is IS NULL THEN
            DELETE FROM tailwater.ddl_tables t WHERE t.oid = relation;
        ELSIF was.oid IS NULL THEN
            INSERT INTO tailwater.ddl_tables (oid, definition) VALUES (relation, now_is);
        ELSIF was.rewrite <> 0 OR was.definition IS DISTINCT FROM now_is THEN
            UPDATE tailwater.ddl_tables t SET definition = now_is, rewrite = 0 WHERE t.oid = relation;
        END IF;
    END LOOP;
END
$function$;

-- A table that went without having been told of: the triggers were off, or failed.
CREATE FUNCTION tailwater.ddl_tell_gone(command text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $function$
WITH gone AS (
    DELETE FROM tailwater.ddl_tables t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.oid) RETURNING t.oid, t.definition
)
INSERT INTO tailwater.schema_changes (command, change)
SELECT command, jsonb_build_object('oid', oid::bigint, 'before', definition, 'after', NULL, 'dropped', true) FROM gone
$function$;

-- Whether another transaction is changing it, and so tells of it itself.
CREATE FUNCTION tailwater.ddl_is_changing(relation oid) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $function$
SELECT EXISTS (SELECT FROM pg_locks l
               WHERE l.locktype = 'relation' AND l.relation = $1 AND l.mode = 'AccessExclusiveLock' AND l.granted
                 AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                 AND l.pid <> pg_backend_pid())
$function$;

-- Tables that are not as they were told of, a whole before its partitions. Nothing is locked to see it.
CREATE FUNCTION tailwater.ddl_untold() RETURNS TABLE (oid oid, name text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' SET jit = off {pinned} AS $function$
WITH captured(oid) AS (SELECT tailwater.ddl_captured())
SELECT c.oid, format('%I.%I', n.nspname, c.relname)
FROM (SELECT oid FROM tailwater.ddl_tables UNION SELECT oid FROM captured) of
JOIN pg_class c ON c.oid = of.oid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN tailwater.ddl_tables t ON t.oid = of.oid
WHERE NOT tailwater.ddl_is_changing(of.oid)
  AND t.definition IS DISTINCT FROM CASE WHEN of.oid IN (SELECT oid FROM captured) THEN tailwater.ddl_definition(of.oid) END
ORDER BY (SELECT count(*) FROM pg_partition_ancestors(c.oid)), c.oid
$function$;

-- All tables, those that were told of and those that are captured now; but not those that another transaction is
-- changing: it tells of them itself.
CREATE FUNCTION tailwater.ddl_tell_all(command text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off {pinned} AS $function$
SELECT tailwater.ddl_tell(ARRAY(
    SELECT oid FROM (SELECT oid FROM tailwater.ddl_tables UNION SELECT tailwater.ddl_captured()) of
    WHERE NOT tailwater.ddl_is_changing(of.oid)), command)
$function$;

-- After a statement. It never fails for us: what cannot be told is a warning, and the terminals stop where it matters.
CREATE FUNCTION tailwater.ddl_end() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET jit = off {pinned} AS $function$
DECLARE
    touched oid[];
BEGIN
    IF tg_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE SCHEMA') THEN
        WITH RECURSIVE named(oid) AS (
            SELECT CASE WHEN c.relkind IN ('i', 'I') THEN i.indrelid ELSE c.oid END
            FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid LEFT JOIN pg_index i ON i.indexrelid = c.oid
            WHERE d.classid = 'pg_class'::regclass AND NOT d.in_extension AND c.relpersistence <> 't'
        ), below(oid) AS (
            SELECT oid FROM named WHERE oid IS NOT NULL
          UNION
            SELECT h.inhrelid FROM pg_inherits h JOIN below b ON h.inhparent = b.oid
        ), left_its_whole(oid) AS (
            SELECT t.oid FROM tailwater.ddl_tables t, named n, pg_class c, pg_namespace s
            WHERE c.oid = n.oid AND s.oid = c.relnamespace AND c.relkind = 'p' AND tg_tag = 'ALTER TABLE'
              AND t.definition #>> '{tables,0,partition_of,schema}' = s.nspname
              AND t.definition #>> '{tables,0,partition_of,name}' = c.relname
        )
        SELECT array_agg(oid) INTO touched FROM (
            SELECT b.oid FROM below b JOIN pg_class c ON c.oid = b.oid WHERE c.relkind IN ('r', 'p')
          UNION SELECT oid FROM left_its_whole) t;
        IF touched IS NOT NULL THEN
            PERFORM tailwater.ddl_tell(touched, tg_tag);
        END IF;
    ELSIF tg_tag <> 'ALTER PUBLICATION' OR NOT (SELECT own FROM tailwater.ddl_settings) THEN
        PERFORM tailwater.ddl_tell_all(tg_tag);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'tailwater could not record this schema change for its terminals: %', SQLERRM
        USING HINT = 'Terminals stop where they need it, and say what to do. To record it now, start tailwater-capture again.';
END
$function$;

-- Tables that go. What other tables lose with them comes first, so that nothing is in the way at a terminal.
CREATE FUNCTION tailwater.ddl_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET jit = off {pinned} AS $function$
DECLARE
    changed oid[];
    gone oid[];
BEGIN
    SELECT array_agg(t.oid) INTO gone FROM pg_event_trigger_dropped_objects() d JOIN tailwater.ddl_tables t ON t.oid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.object_type = 'table';
    SELECT array_agg(DISTINCT c.oid) INTO changed
    FROM pg_event_trigger_dropped_objects() d
    JOIN tailwater.ddl_tables t ON CASE
        WHEN d.object_type IN ('table constraint', 'table column', 'default value') THEN
            t.definition #>> '{tables,0,schema}' = d.address_names[1] AND t.definition #>> '{tables,0,name}' = d.address_names[2]
        WHEN d.object_type = 'index' THEN
            t.definition #>> '{tables,0,schema}' = d.schema_name
            AND t.definition #> '{tables,0,indexes}' @> jsonb_build_array(jsonb_build_object('name', d.object_name))
        ELSE false END
    JOIN pg_class c ON c.oid = t.oid;
    IF changed IS NOT NULL THEN
        PERFORM tailwater.ddl_tell(changed, tg_tag);
    END IF;
    IF gone IS NULL THEN
        RETURN;
    END IF;
    -- Tables that refer to each other go in any order once they do so no more.
    WITH bare AS (
        UPDATE tailwater.ddl_tables t
        SET definition = jsonb_set(t.definition, '{tables,0,constraints}', coalesce((
            SELECT jsonb_agg(o) FROM jsonb_array_elements(t.definition #> '{tables,0,constraints}') o WHERE o ->> 'kind' <> 'f'), '[]'))
        FROM tailwater.ddl_tables was
        WHERE was.oid = t.oid AND t.oid = ANY(gone) AND cardinality(gone) > 1
          AND t.definition #> '{tables,0,constraints}' @> '[{"kind": "f"}]'
        RETURNING t.oid, was.definition AS before, t.definition AS after
    )
    INSERT INTO tailwater.schema_changes (command, change)
    SELECT tg_tag, jsonb_build_object('oid', oid::bigint, 'before', before, 'after', after) FROM bare;
    WITH gone AS (
        DELETE FROM tailwater.ddl_tables t WHERE t.oid = ANY(gone) RETURNING t.oid, t.definition
    )
    INSERT INTO tailwater.schema_changes (command, change)
    SELECT tg_tag, jsonb_build_object('oid', oid::bigint, 'before', definition, 'after', NULL, 'dropped', true)
    FROM gone ORDER BY definition #> '{tables,0,partition_of}' = 'null', oid DESC;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'tailwater could not record this schema change for its terminals: %', SQLERRM
        USING HINT = 'Terminals stop where they need it, and say what to do. To record it now, start tailwater-capture again.';
END
$function$;

-- Before a table is rewritten: rows that are there may get values that no change tells.
CREATE FUNCTION tailwater.ddl_rewrite() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET jit = off AS $function$
BEGIN
    UPDATE tailwater.ddl_tables SET rewrite = rewrite | pg_event_trigger_table_rewrite_reason()
    WHERE oid = pg_event_trigger_table_rewrite_oid() AND tailwater.ddl_has_rows(oid);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'tailwater could not record that this table is rewritten: %', SQLERRM
        USING HINT = 'Once it is done, have a snapshot taken (tailwater-capture snapshot) and load the terminals anew (tailwater-terminal reload).';
END
$function$;

CREATE EVENT TRIGGER tailwater_ddl_end ON ddl_command_end WHEN TAG IN (
    'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE SCHEMA',
    'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'ALTER COLLATION', 'ALTER EXTENSION', 'ALTER PUBLICATION')
EXECUTE FUNCTION tailwater.ddl_end();
CREATE EVENT TRIGGER tailwater_ddl_drop ON sql_drop EXECUTE FUNCTION tailwater.ddl_drop();
CREATE EVENT TRIGGER tailwater_ddl_rewrite ON table_rewrite EXECUTE FUNCTION tailwater.ddl_rewrite();
-- Whatever role a session plays.
ALTER EVENT TRIGGER tailwater_ddl_end ENABLE ALWAYS;
ALTER EVENT TRIGGER tailwater_ddl_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER tailwater_ddl_rewrite ENABLE ALWAYS;
