-- The event types' tables and their days.

CREATE TABLE homeward.event_type (
    name           text PRIMARY KEY,
    class          text NOT NULL,
    table_schema   text NOT NULL,
    table_name     text NOT NULL,
    partitioning   text NOT NULL,
    retention_days int4 NOT NULL,
    applied_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (table_schema, table_name)
);

-- Rows that retention has dropped; without it the proof would call them missing.
CREATE TABLE homeward.retired (
    origin int4 PRIMARY KEY,
    rows   int8 NOT NULL
);

-- A day's partition, made and then attached: CREATE … PARTITION OF would wait for, and then block,
-- everybody who writes to the table; ATTACH does neither.
CREATE FUNCTION homeward.ensure_partition(event_schema text, event_table text, day date)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    part text := event_table || '_' || to_char(day, 'YYYYMMDD');
    parent regclass := to_regclass(format('%I.%I', event_schema, event_table));
    child regclass;
BEGIN
    -- Only tables that Homeward made; the caller's names are otherwise not trusted.
    PERFORM FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF NOT FOUND OR parent IS NULL THEN
        RAISE EXCEPTION 'no partitioned event table %.%', event_schema, event_table
            USING ERRCODE = '42P01';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('homeward.partition'), hashtext(part));
    child := to_regclass(format('%I.%I', event_schema, part));
    IF child IS NULL THEN
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)',
                       event_schema, part, event_schema, event_table);
        child := to_regclass(format('%I.%I', event_schema, part));
    END IF;
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = child AND inhparent = parent) THEN
        EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                       event_schema, event_table, event_schema, part,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

-- Drops the oldest day that a type's retention has passed, and remembers how many rows of each
-- origin went with it. Returns its name, or NULL when there is none. Gives up (55P03) rather than
-- wait for somebody's open transaction, as every writer would wait behind us: to be tried again.
CREATE FUNCTION homeward.drop_expired_partition(event_schema text, event_table text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    days int4;
    part text;
BEGIN
    SELECT retention_days INTO days FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF coalesce(days, 0) = 0 THEN
        RETURN NULL;
    END IF;
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = format('%I.%I', event_schema, event_table)::regclass
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - days
    ORDER BY c.relname LIMIT 1;
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    -- Would it work? Tried, and undone at once, before anything is counted.
    BEGIN
        EXECUTE format('LOCK TABLE ONLY %I.%I, ONLY %I.%I IN ACCESS EXCLUSIVE MODE',
                       event_schema, event_table, event_schema, part);
        RAISE EXCEPTION USING ERRCODE = 'HW000';
    EXCEPTION WHEN SQLSTATE 'HW000' THEN
        NULL;
    END;
    -- Late events of that day wait while its rows are counted; all others go on.
    EXECUTE format('LOCK TABLE %I.%I IN SHARE ROW EXCLUSIVE MODE', event_schema, part);
    EXECUTE format(
        'INSERT INTO homeward.retired AS r (origin, rows)'
        ' SELECT origin, count(DISTINCT seq) FROM %I.%I GROUP BY origin'
        ' ON CONFLICT (origin) DO UPDATE SET rows = r.rows + excluded.rows',
        event_schema, part);
    EXECUTE format('DROP TABLE %I.%I', event_schema, part);
    RETURN part;
END $$;
