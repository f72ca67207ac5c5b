-- A binary COPY takes the bytes of a value for what the column is: eight bytes of a double precision fill
-- a bigint without an error. So each COPY is followed, in the same message, by this check. The table's lock,
-- which COPY takes and ALTER TABLE waits for, keeps the answer true until COMMIT.

-- HW007 when one of these columns is not of its type, which is written as format_type() prints it. Columns
-- that are missing are left to COPY, which names them.
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
