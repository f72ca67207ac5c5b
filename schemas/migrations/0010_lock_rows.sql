-- Mutual exclusion by row locks. Any login of the database can hold an advisory lock for as long as it
-- likes, and so stop compaction, or writing at the next midnight. Only the owner can lock these rows.

-- One row per job that only one transaction may do at a time.
CREATE TABLE homeward.lock_row (
    name text PRIMARY KEY
);
INSERT INTO homeward.lock_row VALUES ('compact'), ('compact_plain'), ('partition'), ('record_erased');

-- One row per 64th of the origins: transactions that settle frames of one origin pass one at a time.
CREATE TABLE homeward.origin_lock_row (
    bucket int4 PRIMARY KEY
);
INSERT INTO homeward.origin_lock_row SELECT generate_series(0, 63);

-- Locks the row until the transaction ends. False: another transaction holds it.
CREATE FUNCTION homeward.try_lock(wanted text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.lock_row r WHERE r.name = wanted FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Waits for the lock; lock_timeout limits the wait.
CREATE FUNCTION homeward.await_lock(wanted text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.lock_row r WHERE r.name = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no lock row "%"', wanted;
    END IF;
END $$;
