-- Event tables, their day partitions, and their columns' types.

-- A packed type has two tables under the name of a view: one of rows, and one of packs, whose rows hold up
-- to some thousand events each. Both stay when the type's storage changes back. The consumer makes them.
CREATE TABLE homeward.packed_type (
    name        text PRIMARY KEY REFERENCES homeward.event_type (name),
    rows_table  text NOT NULL,
    packs_table text NOT NULL,
    pack_sql    text NOT NULL,
    packed_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE homeward.packed_type IS 'event types of which a view stands for a table of rows and one of packs';
COMMENT ON COLUMN homeward.packed_type.pack_sql IS
    'for format(): moves rows of a partition, from one tid to another, into packs, and returns their number';

-- Their names. A function, since roles of v0.1.0 may call those that are new, and read no new table.
CREATE FUNCTION homeward.packed_types() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT t.name FROM homeward.packed_type t ORDER BY t.name
$$;

-- An element of a list column of a pack, since an array of PostgreSQL holds no arrays of several lengths.
CREATE TYPE homeward.text_list AS (list text[]);
CREATE TYPE homeward.smallint_list AS (list smallint[]);
CREATE TYPE homeward.integer_list AS (list integer[]);
CREATE TYPE homeward.bigint_list AS (list bigint[]);
CREATE TYPE homeward.real_list AS (list real[]);
CREATE TYPE homeward.double_precision_list AS (list double precision[]);
CREATE TYPE homeward.numeric_list AS (list numeric[]);
CREATE TYPE homeward.boolean_list AS (list boolean[]);
CREATE TYPE homeward.timestamptz_list AS (list timestamptz[]);
CREATE TYPE homeward.uuid_list AS (list uuid[]);
CREATE TYPE homeward.inet_list AS (list inet[]);

-- The tables in which events are.
CREATE VIEW homeward.event_table AS
SELECT e.name, e.table_schema, e.table_name, e.partitioning, e.retention_days, false AS is_packed
FROM homeward.event_type e WHERE NOT EXISTS (SELECT FROM homeward.packed_type p WHERE p.name = e.name)
UNION ALL
SELECT e.name, e.table_schema, p.rows_table, e.partitioning, e.retention_days, false
FROM homeward.packed_type p JOIN homeward.event_type e USING (name)
UNION ALL
SELECT e.name, e.table_schema, p.packs_table, e.partitioning, e.retention_days, true
FROM homeward.packed_type p JOIN homeward.event_type e USING (name);

-- The tables of a type, by the name that its table or view has, or one of them by its own name.
CREATE FUNCTION homeward.tables_of(event_schema text, event_table text) RETURNS SETOF homeward.event_table
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT t.* FROM homeward.event_table t JOIN homeward.event_type e USING (name)
    WHERE t.table_schema = event_schema AND event_table IN (t.table_name, e.table_name)
$$;

-- What to read the origin and seq of each event of a table or partition from, for FROM.
CREATE FUNCTION homeward.event_source(of_table regclass) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM homeward.event_table t
        WHERE t.is_packed AND to_regclass(format('%I.%I', t.table_schema, t.table_name))
              IN (of_table, (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = of_table)))
    THEN format('(SELECT p.origin, p.seq + coalesce(n.seq_offset, n.number - 1) AS seq FROM %s p'
                ' CROSS JOIN LATERAL unnest(p._times, p._seq_offsets) WITH ORDINALITY'
                '  AS n (time, seq_offset, number)) AS packed', of_table)
    ELSE of_table::text END
$$;

-- The values of a text or jsonb column of a pack. The cost makes the planner use an index on them: it does
-- not know how long the text is.
CREATE FUNCTION homeward.joined_values(joined text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN string_to_array(joined, E'\x1e', E'\x1d');
END $$;

-- Of the view of a packed type, INSTEAD OF INSERT: whoever does not know of packs, such as an older consumer,
-- goes on writing rows. Arguments: the table of rows, and the columns.
CREATE FUNCTION homeward.insert_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.%I (%s) SELECT %s FROM (SELECT ($1).*) AS n',
                   TG_TABLE_SCHEMA, TG_ARGV[0], TG_ARGV[1], TG_ARGV[1]) USING NEW;
    RETURN NEW;
END $$;

-- The day partitions of an event table, by their bounds: exactly one UTC day. Other partitions, such as a
-- DEFAULT partition, belong to the user.
CREATE FUNCTION homeward.day_partitions(parent regclass) RETURNS TABLE (part regclass, day date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
    SELECT b.part, b.bounds[1]::timestamptz::date
    FROM (SELECT c.oid::regclass AS part,
                 regexp_match(pg_get_expr(c.relpartbound, c.oid),
                              '^FOR VALUES FROM \(''(\d[^'']*)''\) TO \(''(\d[^'']*)''\)$') AS bounds
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = parent) AS b
    WHERE b.bounds IS NOT NULL
      AND b.bounds[1]::timestamptz = date_trunc('day', b.bounds[1]::timestamptz)
      AND b.bounds[2]::timestamptz = b.bounds[1]::timestamptz + interval '1 day'
$$;

-- Under a publication of deletes (FOR ALL TABLES, Debezium's default) PostgreSQL deletes no row that it cannot
-- identify. By all its columns, unless there is a key: that costs WAL when rows are deleted, and only with
-- wal_level = logical.
CREATE FUNCTION homeward.identify_rows(of_table regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = of_table AND c.relreplident = 'd')
       AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = of_table AND i.indisprimary) THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', of_table);
    END IF;
END $$;

-- Creates the partitions of these days and attaches them; returns how many were created. CREATE …
-- PARTITION OF would block all writers of the table; ATTACH does not. Partitions have no identity column,
-- which PostgreSQL 17 and newer forbid. A day stays without a partition if a DEFAULT partition has rows
-- of it. A table that has the day's name already is never attached, and the partition gets another one: a
-- day that was detached or copied is its owner's, and triggers of a stranger's table would run as whoever
-- writes.
CREATE FUNCTION homeward.ensure_partitions(event_schema text, event_table text, days date[])
RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    parent regclass := to_regclass(format('%I.%I', event_schema, event_table));
    part text;
    one date;
    made int4 := 0;
    tables text[];
BEGIN
    -- A year ahead, and the days of a batch. More in one transaction could fill the lock table.
    IF cardinality(days) > 400 THEN
        RAISE EXCEPTION 'ensure_partitions(): % days in one call; at most 400', cardinality(days)
            USING ERRCODE = '22023';
    END IF;
    -- Only tables that Homeward made; the caller's names are otherwise not trusted.
    tables := ARRAY(SELECT t.table_name FROM homeward.tables_of(event_schema, event_table) AS t
                    WHERE t.partitioning = 'day');
    IF cardinality(tables) = 0 OR parent IS NULL THEN
        RAISE EXCEPTION 'no partitioned event table %.%', event_schema, event_table
            USING ERRCODE = '42P01';
    END IF;
    IF tables <> ARRAY[event_table] THEN
        FOREACH part IN ARRAY tables LOOP
            made := made + homeward.ensure_partitions(event_schema, part, days);
        END LOOP;
        RETURN made;
    END IF;
    IF days <@ ARRAY(SELECT p.day FROM homeward.day_partitions(parent) AS p) THEN
        RETURN 0;
    END IF;
    PERFORM homeward.await_lock('partition');
    FOR one IN
        SELECT DISTINCT d FROM unnest(days) AS d
        WHERE d NOT IN (SELECT p.day FROM homeward.day_partitions(parent) AS p) ORDER BY d
    LOOP
        part := event_table || '_' || to_char(one, 'YYYYMMDD');
        IF to_regclass(format('%I.%I', event_schema, part)) IS NOT NULL THEN
            part := left(event_table, 45) || to_char(one, '_YYYYMMDD_') || left(md5(random()::text), 8);
        END IF;
        BEGIN
            EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL EXCLUDING IDENTITY)',
                           event_schema, part, event_schema, event_table);
            PERFORM homeward.identify_rows(format('%I.%I', event_schema, part)::regclass);
            EXECUTE format(
                'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                event_schema, event_table, event_schema, part,
                one::timestamp AT TIME ZONE 'UTC', (one + 1)::timestamp AT TIME ZONE 'UTC');
            made := made + 1;
        EXCEPTION
            -- The DEFAULT partition has rows of that day, or a user's partition covers it.
            WHEN check_violation OR invalid_object_definition THEN NULL;
        END;
    END LOOP;
    RETURN made;
END $$;

-- For consumers of v0.1.0: one day.
CREATE OR REPLACE FUNCTION homeward.ensure_partition(event_schema text, event_table text, day date)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM homeward.ensure_partitions(event_schema, event_table, ARRAY[day]);
END $$;

-- Binary COPY takes the bytes of a value as the column's type: the eight bytes of a double precision fill a
-- bigint without an error. So each COPY is followed, in the same message, by this check. COPY's lock on the
-- table keeps the answer true until COMMIT. HW007: one of these columns does not have its type, written as
-- format_type() prints it. COPY itself reports columns that do not exist.
CREATE FUNCTION homeward.check_columns(of_table regclass, columns text[], types text[]) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    altered record;
BEGIN
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type,
           types[array_position(columns, a.attname::text)] AS written INTO altered
    FROM pg_attribute a
    WHERE a.attrelid = of_table AND a.attnum > 0 AND NOT a.attisdropped
      AND format_type(a.atttypid, a.atttypmod) <> types[array_position(columns, a.attname::text)]
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of % is %, and events bring %', altered.attname, of_table,
            altered.type, altered.written USING ERRCODE = 'HW007';
    END IF;
END $$;
