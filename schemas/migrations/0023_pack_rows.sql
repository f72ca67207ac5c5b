-- Rows of packed types become packs when their day is over.

-- Days of a packed type that ended `closed_for` ago and have a table of rows, with its size in blocks, and when
-- it was last counted. Rows that come after a count, into whatever block, lead to another; that one waits for
-- those who are writing, so that whoever reads the table after it finds their rows.
CREATE FUNCTION homeward.days_to_pack(of_type text, closed_for interval DEFAULT '1 hour')
RETURNS TABLE (day date, blocks int8, counted_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp SET jit = off AS $$
    SELECT p.day, pg_relation_size(p.partition) / current_setting('block_size')::int8, k.counted_at
    FROM homeward.packed_type t JOIN homeward.event_type e USING (name)
    JOIN homeward.event_partitions() AS p
      ON p.table_schema = e.table_schema AND p.table_name = t.rows_table
    LEFT JOIN homeward.counted_day k ON k.id = p.counted_day
    WHERE t.name = of_type AND (p.day + 1)::timestamp AT TIME ZONE 'UTC' <= now() - closed_for
    ORDER BY p.day
$$;

-- Moves rows of a day into packs, from these blocks of its partition. The day's count becomes invalid. Returns
-- the number of rows.
CREATE FUNCTION homeward.pack_rows(of_type text, of_day date, block_first int8, blocks int8) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    one record;
    others text;
    moved int8;
BEGIN
    IF block_first < 0 OR blocks < 1 OR block_first + blocks > 4294967295 THEN
        RAISE EXCEPTION 'pack_rows(%, %, %, %): not blocks of a table', of_type, of_day, block_first, blocks
            USING ERRCODE = '22023';
    END IF;
    SELECT t.pack_sql, p.table_schema, e.table_name, p.partition INTO one
    FROM homeward.packed_type t JOIN homeward.event_type e USING (name)
    JOIN homeward.event_partitions() AS p
      ON p.table_schema = e.table_schema AND p.table_name = t.rows_table AND p.day = of_day
    WHERE t.name = of_type;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM homeward.ensure_partitions(one.table_schema, one.table_name, ARRAY[of_day]);
    -- Those of v0.1.0 were not made so.
    PERFORM homeward.identify_rows(one.partition) WHERE EXISTS (SELECT FROM pg_publication p WHERE p.pubdelete);
    -- From here on nobody adds a column. Those that the view does not have, packs do not have either.
    EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', one.partition::regclass);
    SELECT coalesce(string_agg(format('r.%I IS NULL', a.attname), ' AND '), 'true') INTO others
    FROM pg_attribute a
    WHERE a.attrelid = one.partition AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname NOT IN
          (SELECT v.attname FROM pg_attribute v
           WHERE v.attrelid = to_regclass(format('%I.%I', one.table_schema, one.table_name))
             AND v.attnum > 0 AND NOT v.attisdropped);
    EXECUTE format(one.pack_sql, one.partition::regclass, format('(%s,0)', block_first),
                   format('(%s,0)', block_first + blocks), others) INTO moved;
    RETURN moved;
END $$;
