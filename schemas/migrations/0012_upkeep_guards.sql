-- Functions of the upkeep check their arguments: forget(-100000) forgot everything.

-- Puts away origins that have ended, are whole, have no letter waiting and were not heard of for a
-- while. A consumer that still knows such an origin by its number finds it there as well.
CREATE OR REPLACE FUNCTION homeward.finish(quiet interval DEFAULT '10 minutes',
                                           origins_max int4 DEFAULT 10000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    whole int4[];
BEGIN
    IF quiet IS NULL OR quiet < interval '0' OR origins_max IS NULL OR origins_max < 1 THEN
        RAISE EXCEPTION 'finish(%, %): quiet must not be negative, origins_max at least 1', quiet,
            origins_max USING ERRCODE = '22023';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('homeward.fold')) THEN
        RETURN 0;
    END IF;
    whole := ARRAY(
        SELECT l.origin FROM homeward.ledger l
        WHERE l.closed AND l.heard_at < now() - quiet
          AND l.settled = int8multirange(int8range(1, l.accepted + 1))
          AND NOT EXISTS (SELECT FROM homeward.ledger_frame f WHERE f.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.ledger_mark m WHERE m.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.dead_letter d
                          WHERE d.origin = l.origin AND d.state IN ('open', 'parked'))
        ORDER BY l.heard_at LIMIT origins_max);
    IF cardinality(whole) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO homeward.place (class, region, app)
    SELECT DISTINCT class, region, app FROM homeward.origin WHERE id = ANY (whole)
    ON CONFLICT DO NOTHING;
    WITH gone AS (
        DELETE FROM homeward.origin WHERE id = ANY (whole)
        RETURNING id, publisher, class, region, app
    ), emptied AS (
        DELETE FROM homeward.ledger WHERE origin = ANY (whole)
        RETURNING origin, accepted, heard_at
    )
    INSERT INTO homeward.finished (accepted, origin, place, finished_on, publisher)
    SELECT e.accepted, g.id, p.id, e.heard_at::date, g.publisher
    FROM gone g JOIN emptied e ON e.origin = g.id JOIN homeward.place p USING (class, region, app)
    ORDER BY g.id;
    RETURN cardinality(whole);
END $$;

-- Forgets origins that finished, or were abandoned, so many days ago, with all that was noted of
-- them; their rows stay. A frame of theirs that came only now would be taken for a new origin's.
-- Not while one is kept aside: whoever accepts it must know what of it is settled. Which plain
-- messages were settled is forgotten after the same time: one that came again later would land again.
CREATE OR REPLACE FUNCTION homeward.forget(days int4, origins_max int4 DEFAULT 100000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    old int4[];
BEGIN
    IF days IS NULL OR days < 1 OR origins_max IS NULL OR origins_max < 1 THEN
        RAISE EXCEPTION 'forget(%, %): both must be at least 1', days, origins_max
            USING ERRCODE = '22023';
    END IF;
    old := ARRAY(
        (SELECT f.origin FROM homeward.finished f
         WHERE f.finished_on < current_date - days
           AND NOT EXISTS (SELECT FROM homeward.conflict c
                           WHERE c.origin = f.origin AND c.state = 'open')
         LIMIT origins_max)
        UNION ALL
        (SELECT o.id FROM homeward.origin o
         WHERE o.abandoned < now() - make_interval(days => days)
           AND NOT EXISTS (SELECT FROM homeward.conflict c
                           WHERE c.origin = o.id AND c.state = 'open')
         LIMIT origins_max));
    DELETE FROM homeward.conflict WHERE origin = ANY (old);
    DELETE FROM homeward.tombstone WHERE origin = ANY (old);
    DELETE FROM homeward.retired WHERE origin = ANY (old);
    DELETE FROM homeward.dead_letter WHERE origin = ANY (old);
    DELETE FROM homeward.possible_duplicate WHERE origin = ANY (old);
    DELETE FROM homeward.plain_counter WHERE origin = ANY (old);
    DELETE FROM homeward.plain_unused WHERE origin = ANY (old);
    DELETE FROM homeward.ledger WHERE origin = ANY (old);
    DELETE FROM homeward.origin WHERE id = ANY (old);
    DELETE FROM homeward.finished WHERE origin = ANY (old);

    DELETE FROM homeward.plain_message m WHERE m.message_time < now() - make_interval(days => days);
    DELETE FROM homeward.plain_run r
    WHERE r.time_last < now() - make_interval(days => days)
      AND NOT EXISTS (SELECT FROM homeward.plain_batch b WHERE b.id = r.batch);
    RETURN cardinality(old);
END $$;

-- Letters that have become rows, or that a person gives up. Returns how many.
CREATE OR REPLACE FUNCTION homeward.close_letters(ids int8[], new_state text) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    closed int8;
BEGIN
    IF new_state IS NULL OR new_state NOT IN ('redriven', 'discarded') THEN
        RAISE EXCEPTION 'close_letters: state "%" is neither redriven nor discarded', new_state
            USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.dead_letter d SET state = new_state, payload = '', last_seen = now()
    WHERE d.id = ANY (ids) AND d.state IN ('open', 'parked');
    GET DIAGNOSTICS closed = ROW_COUNT;
    RETURN closed;
END $$;

CREATE OR REPLACE FUNCTION homeward.close_conflict(conflict_id int8, new_state text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF new_state IS NULL OR new_state NOT IN ('accepted', 'discarded') THEN
        RAISE EXCEPTION 'close_conflict: state "%" is neither accepted nor discarded', new_state
            USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.conflict SET state = new_state, frame = '', closed_at = now()
    WHERE id = conflict_id AND state = 'open';
END $$;
