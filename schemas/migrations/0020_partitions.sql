-- Days beside partitions of somebody else's, many days in one statement, and tables that a
-- publication FOR ALL TABLES lets us delete from.

-- The day partitions of an event table, by their bounds: exactly one UTC day. Whatever else is
-- attached to it, such as a DEFAULT partition, is its owner's.
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

-- The partitions of these days, made and then attached: CREATE … PARTITION OF would wait for, and
-- then block, everybody who writes to the table; ATTACH does neither. Returns how many were made.
-- Without identity, which a partition must not have in PostgreSQL 17 and newer: the table has it.
-- A day whose rows a DEFAULT partition holds stays there.
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
    PERFORM pg_advisory_xact_lock(hashtext('homeward.partition'), hashtext(event_table));
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
            -- The DEFAULT partition has rows of that day, or somebody's partition covers it.
            WHEN check_violation OR invalid_object_definition THEN NULL;
        END;
    END LOOP;
    RETURN made;
END $$;

-- As before, for one day.
CREATE OR REPLACE FUNCTION homeward.ensure_partition(event_schema text, event_table text, day date)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM homeward.ensure_partitions(event_schema, event_table, ARRAY[day]);
END $$;

-- As before, of our own partitions only.
CREATE OR REPLACE FUNCTION homeward.drop_expired_partition(event_schema text, event_table text)
RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    days int4;
    part regclass;
    name text;
BEGIN
    SELECT retention_days INTO days FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF coalesce(days, 0) = 0 THEN
        RETURN NULL;
    END IF;
    SELECT p.part INTO part
    FROM homeward.day_partitions(format('%I.%I', event_schema, event_table)::regclass) AS p
    WHERE p.day < (now() AT TIME ZONE 'UTC')::date - days
    ORDER BY p.day LIMIT 1;
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT c.relname INTO name FROM pg_class c WHERE c.oid = part;
    -- Would it work? Tried, and undone at once, before anything is counted.
    BEGIN
        EXECUTE format('LOCK TABLE ONLY %I.%I, ONLY %s IN ACCESS EXCLUSIVE MODE',
                       event_schema, event_table, part);
        RAISE EXCEPTION USING ERRCODE = 'HW000';
    EXCEPTION WHEN SQLSTATE 'HW000' THEN
        NULL;
    END;
    -- Late events of that day wait while its rows are counted; all others go on.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', part);
    EXECUTE format(
        'INSERT INTO homeward.retired AS r (origin, rows)'
        ' SELECT origin, count(DISTINCT seq) FROM %s GROUP BY origin'
        ' ON CONFLICT (origin) DO UPDATE SET rows = r.rows + excluded.rows',
        part);
    EXECUTE format('DROP TABLE %s', part);
    RETURN name;
END $$;

-- A publication FOR ALL TABLES, Debezium's default, forbids DELETE and UPDATE on a table without a
-- key of its own: the first fold failed, and every one after it. So does any other table of ours.
DO $$
DECLARE
    keyless regclass;
BEGIN
    FOR keyless IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'homeward'::regnamespace AND c.relkind = 'r'
          AND c.relreplident = 'd'
          AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', keyless);
    END LOOP;
END $$;
