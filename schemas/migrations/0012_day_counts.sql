-- Counts of closed days, and retention.
--
-- The rows of a closed day are counted once, per origin, so that the proof need not read them again. A
-- count is valid until a transaction adds a row to the day or deletes one. A trigger on the partition
-- records this in late_rows. No session can disable it, since a count that hides rows deceives the proof.

ALTER TABLE homeward.retired RENAME TO expired_rows;
ALTER INDEX homeward.retired_pkey RENAME TO expired_rows_pkey;
ALTER TABLE homeward.expired_rows ADD COLUMN seq_sum numeric, ADD COLUMN square_sum numeric;
COMMENT ON TABLE homeward.expired_rows IS 'rows of days that retention dropped, by origin';
COMMENT ON COLUMN homeward.expired_rows.seq_sum IS 'NULL: some were dropped by v0.1.0, which kept none';
-- The name in v0.1.0, for one release.
CREATE VIEW homeward.retired AS SELECT origin, rows FROM homeward.expired_rows;

CREATE TABLE homeward.counted_day (
    id           int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name   text NOT NULL,
    day          date NOT NULL,
    partition    oid NOT NULL,
    attempt      int8 NOT NULL DEFAULT 1,
    is_counting  boolean NOT NULL DEFAULT true,
    begun_at     timestamptz NOT NULL DEFAULT now(),
    rows         int8,
    counted_at   timestamptz,
    UNIQUE (table_schema, table_name, day)
);
COMMENT ON COLUMN homeward.counted_day.partition IS
    'which partition it was; a restored dump has others, known by their trigger';

CREATE TABLE homeward.day_rows (
    counted_day int4 NOT NULL,
    origin      int4 NOT NULL,
    rows        int8 NOT NULL,
    seq_sum     numeric NOT NULL,
    square_sum  numeric NOT NULL,
    PRIMARY KEY (counted_day, origin)
);

CREATE TABLE homeward.late_rows (
    counted_day int4 NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX late_rows_day ON homeward.late_rows (counted_day);

-- A publication FOR ALL TABLES (Debezium's default) forbids DELETE and UPDATE on a table that has neither
-- a primary key nor a replica identity.
ALTER TABLE homeward.late_rows REPLICA IDENTITY FULL;
ALTER TABLE homeward.ledger_mark REPLICA IDENTITY FULL;
ALTER TABLE homeward.possible_duplicate REPLICA IDENTITY FULL;

-- Where rows are: event tables that are not partitioned, and every partition of the others.
-- `counted_day`: the day's count, valid or not; `is_counted`: it is valid.
CREATE FUNCTION homeward.event_partitions()
RETURNS TABLE (table_schema text, table_name text, partition_schema text, partition_name text,
               partition oid, day date, counted_day int4, is_counted boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
    WITH type AS MATERIALIZED (
        SELECT e.table_schema, e.table_name, t.oid, t.relkind
        FROM homeward.event_table e
        JOIN pg_class t ON t.oid = to_regclass(format('%I.%I', e.table_schema, e.table_name))
    ), part AS MATERIALIZED (
        SELECT t.table_schema, t.table_name, i.inhrelid AS oid
        FROM type t JOIN pg_inherits i ON i.inhparent = t.oid
        WHERE t.relkind = 'p' AND NOT i.inhdetachpending
        UNION ALL
        SELECT t.table_schema, t.table_name, t.oid FROM type t WHERE t.relkind <> 'p'
    ), ours AS MATERIALIZED (
        SELECT d.part::oid AS oid, d.day
        FROM type t CROSS JOIN LATERAL homeward.day_partitions(t.oid) AS d
    ), watched AS MATERIALIZED (
        SELECT g.tgrelid AS oid, g.tgargs, g.tgenabled <> 'D' AS is_enabled
        FROM pg_trigger g WHERE g.tgname = 'homeward_late_rows'
    ), kept AS MATERIALIZED (
        SELECT k.*, w.oid AS watched, w.is_enabled
        FROM homeward.counted_day k
        LEFT JOIN watched w ON w.tgargs = convert_to(k.id::text, 'UTF8') || '\x00'
    )
    SELECT p.table_schema, p.table_name, n.nspname::text, c.relname::text, c.oid, o.day, k.id,
           coalesce(k.counted_at IS NOT NULL AND NOT k.is_counting AND k.is_enabled
                    AND NOT EXISTS (SELECT FROM homeward.late_rows l WHERE l.counted_day = k.id),
                    false)
    FROM part p
    JOIN pg_class c ON c.oid = p.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN ours o ON o.oid = p.oid
    LEFT JOIN kept k ON k.table_schema = p.table_schema AND k.table_name = p.table_name
                    AND k.day = o.day AND coalesce(k.watched, k.partition) = p.oid
$$;

-- Closed days without a valid count, newest first: those that ended `closed_for` ago and have had no late
-- row and no other count for `quiet`.
CREATE FUNCTION homeward.uncounted_days(closed_for interval DEFAULT '6 hours',
                                        quiet interval DEFAULT '10 minutes',
                                        days_max int4 DEFAULT 1)
RETURNS TABLE (table_schema text, table_name text, day date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF closed_for IS NULL OR closed_for < interval '0' OR quiet IS NULL OR quiet < interval '0'
       OR days_max IS NULL OR days_max < 1 THEN
        RAISE EXCEPTION 'uncounted_days(%, %, %): intervals must not be negative, days_max at'
            ' least 1', closed_for, quiet, days_max USING ERRCODE = '22023';
    END IF;
    RETURN QUERY
    SELECT p.table_schema, p.table_name, p.day
    FROM homeward.event_partitions() AS p
    LEFT JOIN homeward.counted_day k ON k.id = p.counted_day
    WHERE NOT p.is_counted AND (p.day + 1)::timestamp AT TIME ZONE 'UTC' <= now() - closed_for
      AND NOT coalesce(k.is_counting AND k.begun_at > now() - quiet, false)
      AND NOT EXISTS (SELECT FROM homeward.late_rows l
                      WHERE l.counted_day = k.id AND l.recorded_at > now() - quiet)
    ORDER BY p.day DESC, p.table_name LIMIT days_max;
END $$;

CREATE FUNCTION homeward.record_late_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.late_rows l WHERE l.counted_day = TG_ARGV[0]::int4;
    IF NOT FOUND THEN
        INSERT INTO homeward.late_rows (counted_day) VALUES (TG_ARGV[0]::int4);
    END IF;
    RETURN NULL;
END $$;

-- Deletes a day's count. With `keep_rows`, adds it to expired_rows, as retention does.
CREATE FUNCTION homeward.forget_counted_day(day_id int4, keep_rows boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF keep_rows THEN
        INSERT INTO homeward.expired_rows AS r (origin, rows, seq_sum, square_sum)
        SELECT d.origin, d.rows, d.seq_sum, d.square_sum FROM homeward.day_rows d
        WHERE d.counted_day = day_id
          AND EXISTS (SELECT FROM homeward.known_origin o WHERE o.id = d.origin)
        ON CONFLICT (origin) DO UPDATE
        SET rows = r.rows + excluded.rows, seq_sum = r.seq_sum + excluded.seq_sum,
            square_sum = r.square_sum + excluded.square_sum;
    END IF;
    DELETE FROM homeward.day_rows WHERE counted_day = day_id;
    DELETE FROM homeward.late_rows WHERE counted_day = day_id;
    DELETE FROM homeward.counted_day WHERE id = day_id;
END $$;

-- The first of the two transactions that count a day. From its COMMIT on, every change of the day is
-- recorded. Returns what finish_day_count() takes, or no row if there is no such partition. Fails (55P03)
-- rather than wait for a writer of that day.
CREATE FUNCTION homeward.begin_day_count(event_schema text, event_table text, of_day date)
RETURNS TABLE (counted_day int4, attempt int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    part record;
    former int4;
BEGIN
    SELECT p.* INTO part FROM homeward.event_partitions() AS p
    WHERE p.table_schema = event_schema AND p.table_name = event_table AND p.day = of_day;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF part.counted_day IS NULL THEN
        -- The day's count is of a partition that is gone.
        SELECT k.id INTO former FROM homeward.counted_day k
        WHERE k.table_schema = event_schema AND k.table_name = event_table AND k.day = of_day;
        IF FOUND THEN
            PERFORM homeward.forget_counted_day(former, true);
        END IF;
        INSERT INTO homeward.counted_day AS k (table_schema, table_name, day, partition)
        VALUES (event_schema, event_table, of_day, part.partition)
        RETURNING k.id, k.attempt INTO counted_day, attempt;
    ELSE
        UPDATE homeward.counted_day k
        SET attempt = k.attempt + 1, is_counting = true, begun_at = now(),
            partition = part.partition
        WHERE k.id = part.counted_day RETURNING k.id, k.attempt INTO counted_day, attempt;
        DELETE FROM homeward.late_rows l WHERE l.counted_day = part.counted_day;
    END IF;
    PERFORM FROM pg_trigger g
    WHERE g.tgrelid = part.partition AND g.tgname = 'homeward_late_rows' AND g.tgenabled <> 'D'
      AND g.tgargs = convert_to(begin_day_count.counted_day::text, 'UTF8') || '\x00';
    IF NOT FOUND THEN
        PERFORM FROM pg_trigger g
        WHERE g.tgrelid = part.partition AND g.tgname = 'homeward_late_rows';
        IF FOUND THEN
            EXECUTE format('DROP TRIGGER homeward_late_rows ON %I.%I',
                           part.partition_schema, part.partition_name);
        END IF;
        EXECUTE format(
            'CREATE TRIGGER homeward_late_rows AFTER INSERT OR DELETE OR UPDATE OF origin, seq'
            ' ON %I.%I FOR EACH ROW EXECUTE FUNCTION homeward.record_late_row(%L)',
            part.partition_schema, part.partition_name, counted_day);
    END IF;
    RETURN NEXT;
END $$;

-- The second. Returns the number of rows, or NULL if another count of the day has begun.
CREATE FUNCTION homeward.finish_day_count(of_counted_day int4, of_attempt int8) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' SET jit = off AS $$
DECLARE
    part record;
    started timestamptz := clock_timestamp();
    counted int8;
BEGIN
    SELECT p.* INTO part FROM homeward.event_partitions() AS p
    JOIN homeward.counted_day k ON k.id = p.counted_day
    WHERE k.id = of_counted_day AND k.attempt = of_attempt AND k.is_counting;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- Waits for transactions that wrote to the day before the first one committed, so that the count
    -- sees their rows. Later ones record that they write. The count blocks no writer.
    BEGIN
        EXECUTE format('LOCK TABLE %I.%I IN SHARE MODE', part.partition_schema,
                       part.partition_name);
        RAISE EXCEPTION USING ERRCODE = 'HW000';
    EXCEPTION WHEN SQLSTATE 'HW000' THEN
        NULL;
    END;
    DELETE FROM homeward.day_rows d WHERE d.counted_day = of_counted_day;
    EXECUTE format(
        'INSERT INTO homeward.day_rows (counted_day, origin, rows, seq_sum, square_sum)'
        ' SELECT $1, origin, count(*), sum(seq),'
        '  sum(CASE WHEN seq BETWEEN 0 AND 2999999999 THEN seq * seq ELSE 0 END)'
        ' FROM %s GROUP BY origin', homeward.event_source(part.partition))
    USING of_counted_day;
    SELECT coalesce(sum(d.rows), 0)::int8 INTO counted
    FROM homeward.day_rows d WHERE d.counted_day = of_counted_day;
    UPDATE homeward.counted_day k
    SET is_counting = false, rows = counted, counted_at = started
    WHERE k.id = of_counted_day AND k.attempt = of_attempt AND k.is_counting;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'day % of %: another has begun to count it', part.day, part.table_name
            USING ERRCODE = '40001';
    END IF;
    RETURN counted;
END $$;

-- Reads a day with a valid count, and compares. If they differ, a change was not recorded (a disabled
-- trigger, a damaged file), and the count is invalidated. No row: there is no valid count.
CREATE FUNCTION homeward.recount_day(of_counted_day int4)
RETURNS TABLE (rows_counted int8, rows_found int8, origins_differing int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    part record;
    is_valid boolean;
BEGIN
    SELECT p.* INTO part FROM homeward.event_partitions() AS p
    WHERE p.counted_day = of_counted_day AND p.is_counted;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- One statement, so one snapshot.
    EXECUTE format(
        'WITH found AS (SELECT origin, count(*) AS rows, sum(seq) AS s,'
        '  sum(CASE WHEN seq BETWEEN 0 AND 2999999999 THEN seq * seq ELSE 0 END) AS q'
        '  FROM %s GROUP BY origin),'
        ' kept AS (SELECT origin, rows, seq_sum AS s, square_sum AS q'
        '  FROM homeward.day_rows WHERE counted_day = $1)'
        ' SELECT coalesce(sum(k.rows), 0)::int8, coalesce(sum(f.rows), 0)::int8,'
        '  count(*) FILTER (WHERE (k.rows, k.s, k.q) IS DISTINCT FROM (f.rows, f.s, f.q)),'
        '  EXISTS (SELECT FROM homeward.event_partitions() AS p'
        '          WHERE p.counted_day = $1 AND p.is_counted)'
        ' FROM kept k FULL JOIN found f USING (origin)',
        homeward.event_source(part.partition))
    INTO rows_counted, rows_found, origins_differing, is_valid USING of_counted_day;
    IF NOT is_valid THEN
        RETURN;
    END IF;
    IF origins_differing > 0 THEN
        INSERT INTO homeward.late_rows (counted_day) VALUES (of_counted_day);
    END IF;
    RETURN NEXT;
END $$;

-- Drops the oldest partition that is past the type's retention, and keeps the number of its rows per
-- origin. Returns its name, or NULL if there is none. Fails (55P03) rather than wait for an open
-- transaction, since all writers would wait behind it: try again.
CREATE OR REPLACE FUNCTION homeward.drop_expired_partition(event_schema text, event_table text)
RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    part regclass;
    part_day date;
    part_table text;
    name text;
BEGIN
    SELECT p.part, p.day, t.table_name INTO part, part_day, part_table
    FROM homeward.tables_of(event_schema, event_table) AS t
    CROSS JOIN LATERAL homeward.day_partitions(
        to_regclass(format('%I.%I', t.table_schema, t.table_name))) AS p
    WHERE t.partitioning = 'day' AND t.retention_days > 0
      AND p.day < (now() AT TIME ZONE 'UTC')::date - t.retention_days
    ORDER BY p.day, t.table_name LIMIT 1;
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT c.relname INTO name FROM pg_class c WHERE c.oid = part;
    -- Tests whether the locks can be had, and releases them, before anything is counted.
    BEGIN
        EXECUTE format('LOCK TABLE ONLY %I.%I, ONLY %s IN ACCESS EXCLUSIVE MODE',
                       event_schema, part_table, part);
        RAISE EXCEPTION USING ERRCODE = 'HW000';
    EXCEPTION WHEN SQLSTATE 'HW000' THEN
        NULL;
    END;
    -- Writers of late events of that day wait while its rows are counted; others do not.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', part);
    EXECUTE format(
        'INSERT INTO homeward.expired_rows AS r (origin, rows, seq_sum, square_sum)'
        ' SELECT origin, count(*), sum(seq),'
        '  sum(CASE WHEN seq BETWEEN 0 AND 2999999999 THEN seq * seq ELSE 0 END)'
        ' FROM (SELECT DISTINCT origin, seq FROM %s) AS d'
        ' WHERE EXISTS (SELECT FROM homeward.known_origin o WHERE o.id = d.origin)'
        ' GROUP BY origin'
        ' ON CONFLICT (origin) DO UPDATE SET rows = r.rows + excluded.rows,'
        '  seq_sum = r.seq_sum + excluded.seq_sum,'
        '  square_sum = r.square_sum + excluded.square_sum',
        homeward.event_source(part));
    -- If the day's count is of another partition, the proof keeps its rows.
    PERFORM homeward.forget_counted_day(
        k.id, NOT EXISTS (SELECT FROM homeward.event_partitions() AS p
                          WHERE p.partition = part AND p.counted_day = k.id))
    FROM homeward.counted_day k
    WHERE k.table_schema = event_schema AND k.table_name = part_table AND k.day = part_day;
    EXECUTE format('DROP TABLE %s', part);
    RETURN name;
END $$;

-- How much of the proof rests on counts: days with a valid count, their rows, the oldest count; days and
-- tables that each proof reads.
CREATE FUNCTION homeward.count_summary()
RETURNS TABLE (days_counted int8, rows_counted int8, oldest_at timestamptz, days_read int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT count(*) FILTER (WHERE p.is_counted),
           coalesce(sum(k.rows) FILTER (WHERE p.is_counted), 0)::int8,
           min(k.counted_at) FILTER (WHERE p.is_counted), count(*) FILTER (WHERE NOT p.is_counted)
    FROM homeward.event_partitions() AS p
    LEFT JOIN homeward.counted_day k ON k.id = p.counted_day
$$;
