-- Day partitions of event tables, and their columns' types.

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

-- Creates the partitions of these days and attaches them; returns how many were created. CREATE …
-- PARTITION OF would block all writers of the table; ATTACH does not. Partitions have no identity column,
-- which PostgreSQL 17 and newer forbid. A day stays without a partition if a DEFAULT partition has rows
-- of it.
CREATE FUNCTION homeward.ensure_partitions(event_schema text, event_table text, days date[])
RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    parent regclass := to_regclass(format('%I.%I', event_schema, event_table));
    part text;
    one date;
    made int4 := 0;
BEGIN
    -- Only tables that Homeward made; the caller's names are otherwise not trusted.
    PERFORM FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF NOT FOUND OR parent IS NULL THEN
        RAISE EXCEPTION 'no partitioned event table %.%', event_schema, event_table
            USING ERRCODE = '42P01';
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
        BEGIN
            IF to_regclass(format('%I.%I', event_schema, part)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL EXCLUDING IDENTITY)',
                               event_schema, part, event_schema, event_table);
            END IF;
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
