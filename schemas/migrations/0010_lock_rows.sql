-- Mutual exclusion by row locks. Any login of the database can hold an advisory lock for as long as it
-- likes, and so stop compaction, or writing at the next midnight. Only the owner can lock these rows.

-- One row per job that only one transaction may do at a time.
CREATE TABLE homeward.turn (
    name text PRIMARY KEY
);
INSERT INTO homeward.turn VALUES ('fold'), ('fold_plain'), ('partition'), ('note_erased');

-- One row per 64th of the origins: transactions that settle frames of one origin pass one at a time.
CREATE TABLE homeward.seal_turn (
    bucket int4 PRIMARY KEY
);
INSERT INTO homeward.seal_turn SELECT generate_series(0, 63);

-- Locks the row until the transaction ends. False: another transaction holds it.
CREATE FUNCTION homeward.try_turn(wanted text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.turn t WHERE t.name = wanted FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Waits for the lock; lock_timeout limits the wait.
CREATE FUNCTION homeward.await_turn(wanted text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.turn t WHERE t.name = wanted FOR UPDATE;
END $$;
