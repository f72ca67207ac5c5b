-- What is done off the path of the batches: folding, finishing, forgetting.

-- Moves frames and marks into the second level. One at a time; returns how many frames it moved.
-- `ranges_max`: with so many ranges an origin is ragged. What comes between two folds may exceed it.
CREATE FUNCTION homeward.fold(ranges_max int4 DEFAULT 10000, frames_max int4 DEFAULT 100000)
RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    moved int4;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('homeward.fold')) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM homeward.ledger_frame
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.ledger_frame LIMIT frames_max))
        RETURNING origin, seq_first, seq_last, accepted, closing, settled_at
    ), marked AS (
        DELETE FROM homeward.ledger_mark
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.ledger_mark LIMIT frames_max))
        RETURNING origin, accepted, closing, noted_at
    ), news AS (
        SELECT origin, coalesce(range_agg(seqs), '{}') AS settled, max(accepted) AS accepted,
               bool_or(closing) AS closed, max(at) AS at
        FROM (SELECT origin, int8range(seq_first, seq_last, '[]') AS seqs, accepted, closing,
                     settled_at AS at FROM taken
              UNION ALL
              SELECT origin, NULL, accepted, closing, noted_at FROM marked) AS n
        GROUP BY origin
    ), kept AS (
        INSERT INTO homeward.ledger AS l (origin, settled, accepted, closed, is_ragged, heard_at)
        SELECT origin, settled, accepted, closed, homeward.range_count(settled) >= ranges_max, at
        FROM news ORDER BY origin
        ON CONFLICT (origin) DO UPDATE
        SET settled = l.settled + excluded.settled,
            is_ragged = homeward.range_count(l.settled + excluded.settled) >= ranges_max,
            accepted = greatest(l.accepted, excluded.accepted),
            closed = l.closed OR excluded.closed,
            heard_at = greatest(l.heard_at, excluded.heard_at)
    )
    SELECT count(*) INTO moved FROM taken;
    RETURN moved;
END $$;

-- Puts away origins that have ended, are whole, have no letter waiting and were not heard of for a
-- while. A consumer that still knows such an origin by its number finds it there as well.
CREATE FUNCTION homeward.finish(quiet interval DEFAULT '10 minutes',
                                origins_max int4 DEFAULT 10000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    whole int4[];
BEGIN
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
-- Not while one is kept aside: whoever accepts it must know what of it is settled.
CREATE FUNCTION homeward.forget(days int4, origins_max int4 DEFAULT 100000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    old int4[] := ARRAY(
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
BEGIN
    DELETE FROM homeward.conflict WHERE origin = ANY (old);
    DELETE FROM homeward.tombstone WHERE origin = ANY (old);
    DELETE FROM homeward.retired WHERE origin = ANY (old);
    DELETE FROM homeward.dead_letter WHERE origin = ANY (old);
    DELETE FROM homeward.possible_duplicate WHERE origin = ANY (old);
    DELETE FROM homeward.ledger WHERE origin = ANY (old);
    DELETE FROM homeward.origin WHERE id = ANY (old);
    DELETE FROM homeward.finished WHERE origin = ANY (old);
    RETURN cardinality(old);
END $$;

-- Up to where the log is on the disk of a standby: of that which has the most. NULL: there is none.
-- What merely archives the log replays nothing, and cannot be promoted.
CREATE FUNCTION homeward.replicated_lsn() RETURNS pg_lsn
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    reached pg_lsn;
    hidden boolean;
BEGIN
    SELECT max(flush_lsn) FILTER (WHERE replay_lsn IS NOT NULL), bool_or(state IS NULL)
    INTO reached, hidden FROM pg_stat_replication;
    IF hidden THEN
        RAISE EXCEPTION 'role % may not see how far the standbys are', current_user
            USING ERRCODE = '42501', HINT = 'GRANT pg_read_all_stats to it.';
    END IF;
    RETURN reached;
END $$;
