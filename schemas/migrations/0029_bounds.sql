-- What one app or one login can take from all others, bounded.

-- How many origins a region's app registered within the last minute: consumers ask every 5 s while new
-- ones come, and hold whoever has too many.
CREATE INDEX origin_first_seen ON homeward.origin (first_seen);

-- Who does what only one may do at a time takes a row of its own. Any login of the database could hold the
-- advisory locks that were used before, and so end compaction, or writing at the next midnight. Nobody but
-- the owner may lock these rows.
CREATE TABLE homeward.turn (
    name text PRIMARY KEY
);
INSERT INTO homeward.turn VALUES ('fold'), ('fold_plain'), ('partition'), ('note_erased');

-- Until the transaction ends. False: somebody else has it.
CREATE FUNCTION homeward.try_turn(wanted text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.turn t WHERE t.name = wanted FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Waits for it; lock_timeout bounds that.
CREATE FUNCTION homeward.await_turn(wanted text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.turn t WHERE t.name = wanted FOR UPDATE;
END $$;

-- The functions as they are, but for the lock that they take.
DO $$
DECLARE
    one record;
    changed text;
    many int4 := 0;
BEGIN
    FOR one IN
        SELECT pg_get_functiondef(p.oid) AS definition FROM pg_proc p
        WHERE p.pronamespace = 'homeward'::regnamespace AND p.prosrc LIKE '%advisory_xact_lock%'
    LOOP
        changed := regexp_replace(one.definition,
            'pg_try_advisory_xact_lock\(hashtext\(''homeward\.(\w+)''\)\)',
            'homeward.try_turn(''\1'')', 'g');
        changed := regexp_replace(changed,
            'pg_advisory_xact_lock\(hashtext\(''homeward\.(\w+)''\)(, hashtext\(\w+\))?\)',
            'homeward.await_turn(''\1'')', 'g');
        EXECUTE changed;
        many := many + 1;
    END LOOP;
    IF many = 0 OR EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'homeward'::regnamespace
                           AND p.prosrc LIKE '%advisory%lock%(%') THEN
        RAISE EXCEPTION 'a function of the ledger still takes an advisory lock';
    END IF;
END $$;
