-- The ledger's checks by a few index probes per frame. They need no temporary tables, so they also work
-- behind connection poolers and for roles that may create none. They use the names of the next migration.

-- The checksum tells a redelivered frame from a forged one, or from one of a copied spool, until the frame
-- is compacted. Plain messages and frames that v0.1.0's consumer wrote have none.
ALTER TABLE homeward.ledger_frame ADD COLUMN checksum int4;
COMMENT ON COLUMN homeward.ledger_frame.checksum IS 'the CRC32C in the frame''s header';

-- Groups frames into runs: those of an origin that join one another. `run` counts within the origin.
CREATE FUNCTION homeward.runs_of(origins int4[], firsts int8[], lasts int8[])
RETURNS TABLE (i int8, o int4, a int8, z int8, run int8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT f.i, f.o, f.a, f.z,
           count(*) FILTER (WHERE f.begins) OVER (PARTITION BY f.o ORDER BY f.a)
    FROM (SELECT u.i, u.o, u.a, u.z,
                 u.a IS DISTINCT FROM lag(u.z) OVER (PARTITION BY u.o ORDER BY u.a) + 1 AS begins
          FROM unnest(origins, firsts, lasts) WITH ORDINALITY AS u (o, a, z, i)) AS f
$$;

-- The verdict on each frame: new, settled, overlap, or fragmented (it would begin a range too many).
-- Frames of an origin are disjoint in the ledger, so only the frame before a run's first seq can reach
-- into it from the left. In plpgsql, since SQL functions are planned at each call, and without JIT, since
-- compilation takes longer than the function.
CREATE FUNCTION homeward.judge(origins int4[], firsts int8[], lasts int8[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH frame AS MATERIALIZED (
            SELECT f.i, f.o, f.a, f.run, int8range(f.a, f.z, '[]') AS seqs
            FROM homeward.runs_of(origins, firsts, lasts) AS f
        ), origin AS MATERIALIZED (
            -- Cut once per origin: its multirange may be large, and each access unpacks it.
            SELECT s.o, l.settled * int8multirange(int8range(s.a, s.z)) AS settled, l.is_fragmented,
                   d.accepted AS completed
            FROM (SELECT o, min(lower(seqs)) AS a, max(upper(seqs)) AS z FROM frame GROUP BY o) AS s
            LEFT JOIN homeward.ledger l ON l.origin = s.o
            LEFT JOIN homeward.completed_origin d ON d.origin = s.o
        ), recent AS MATERIALIZED (
            SELECT r.o, r.run,
                   coalesce((SELECT int8multirange(int8range(b.seq_first, b.seq_last, '[]'))
                             FROM (SELECT p.seq_first, p.seq_last FROM homeward.ledger_frame p
                                   WHERE p.origin = r.o AND p.seq_first < r.a
                                     AND p.seq_first > r.a - 1024
                                   ORDER BY p.seq_first DESC LIMIT 1) AS b
                             WHERE b.seq_last >= r.a), '{}')
                 + coalesce((SELECT range_agg(int8range(n.seq_first, n.seq_last, '[]'))
                             FROM homeward.ledger_frame n
                             WHERE n.origin = r.o AND n.seq_first >= r.a AND n.seq_first < r.z), '{}')
                 + coalesce((SELECT range_agg(int8range(w.seq_first, w.seq_last, '[]'))
                             FROM homeward.ledger_frame w
                             WHERE w.origin = r.o AND w.seq_last - w.seq_first >= 1024
                               AND w.seq_first < r.a AND w.seq_last >= r.a), '{}') AS settled
            FROM (SELECT o, run, min(lower(seqs)) AS a, max(upper(seqs)) AS z
                  FROM frame GROUP BY o, run) AS r
        ), fragmenting AS (
            SELECT r.origin, r.seq_first
            FROM homeward.fragmenting_frames(origins, firsts, lasts) AS r
            WHERE EXISTS (SELECT FROM origin WHERE origin.is_fragmented)
        )
        SELECT (f.i - 1)::int4,
               CASE WHEN l.settled @> f.seqs OR u.settled @> f.seqs OR l.completed >= upper(f.seqs) - 1
                    THEN 'settled'
                    WHEN l.settled && f.seqs OR u.settled && f.seqs OR l.completed >= lower(f.seqs)
                    THEN CASE WHEN coalesce(l.settled, '{}') + u.settled
                                  + int8multirange(int8range(1, coalesce(l.completed, 0) + 1))
                                  @> f.seqs
                              THEN 'settled' ELSE 'overlap' END
                    WHEN r.origin IS NOT NULL THEN 'fragmented'
                    ELSE 'new' END
        FROM frame f
        JOIN origin l USING (o)
        JOIN recent u USING (o, run)
        LEFT JOIN fragmenting r ON r.origin = f.o AND r.seq_first = f.a
        ORDER BY f.i;
END $$;

-- The ledger-first path, for a batch that failed once: returns the verdict on each frame before any row
-- is written, and inserts the new ones. Waits for a frame that another transaction is about to settle
-- (lock_timeout limits that), and judges it again. check_no_overlap() must follow before COMMIT.
-- `differs`: settled, but by a frame of other bytes.
CREATE FUNCTION homeward.claim(origins int4[], firsts int8[], lasts int8[], counts int8[],
                               closings boolean[], checksums int4[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    verdicts text[] := ARRAY(SELECT j.verdict FROM homeward.judge(origins, firsts, lasts) AS j
                             ORDER BY j.frame_index);
    met int8[];  -- those that another transaction has inserted since
BEGIN
    WITH fresh AS (
        SELECT u.i, u.o, u.a, u.z, u.n, u.c, u.s
        FROM unnest(origins, firsts, lasts, counts, closings, checksums, verdicts) WITH ORDINALITY
             AS u (o, a, z, n, c, s, v, i)
        WHERE u.v = 'new'
    ), inserted AS (
        INSERT INTO homeward.ledger_frame AS l
            (origin, seq_first, seq_last, accepted, is_closing, checksum)
        SELECT o, a, z, n, c, s FROM fresh ORDER BY o, a
        ON CONFLICT DO NOTHING RETURNING l.origin, l.seq_first
    )
    SELECT array_agg(f.i ORDER BY f.i) INTO met
    FROM fresh f LEFT JOIN inserted i ON i.origin = f.o AND i.seq_first = f.a
    WHERE i.origin IS NULL;

    RETURN QUERY
    SELECT (u.i - 1)::int4,
           CASE WHEN u.v = 'settled' AND EXISTS (
                    SELECT FROM homeward.ledger_frame l
                    WHERE l.origin = origins[u.i] AND l.seq_first = firsts[u.i]
                      AND l.seq_last = lasts[u.i] AND l.checksum <> checksums[u.i])
                THEN 'differs' ELSE u.v END
    FROM unnest(verdicts) WITH ORDINALITY AS u (v, i)
    LEFT JOIN unnest(met) AS m (i) ON m.i = u.i WHERE m.i IS NULL;
    IF met IS NOT NULL THEN
        RETURN QUERY
        SELECT (met[c.frame_index + 1] - 1)::int4, c.verdict
        FROM homeward.claim(
            ARRAY(SELECT origins[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k),
            ARRAY(SELECT firsts[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k),
            ARRAY(SELECT lasts[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k),
            ARRAY(SELECT counts[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k),
            ARRAY(SELECT closings[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k),
            ARRAY(SELECT checksums[i] FROM unnest(met) WITH ORDINALITY AS m (i, k) ORDER BY k)
        ) AS c;
    END IF;
END $$;

-- The last statement before COMMIT, after the frames are in the ledger. HW001: seqs of one are settled by
-- another frame as well, in whole or in part. Two transactions that settle overlapping seqs under different
-- keys do not see each other, so those of one origin pass here one at a time until they commit. Each
-- statement in here sees what was committed before it started. So the check also sees what was settled, or
-- moved by compact(), while the insert or the lock waited.
CREATE FUNCTION homeward.check_no_overlap(origins int4[], firsts int8[], lasts int8[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    clash record;
BEGIN
    PERFORM FROM homeward.origin_lock_row r
    WHERE r.bucket IN (SELECT o & 63 FROM unnest(origins) AS o) ORDER BY r.bucket FOR UPDATE;

    WITH run AS MATERIALIZED (
        SELECT f.o, min(f.a) AS a, max(f.z) AS z, count(*) AS frames
        FROM homeward.runs_of(origins, firsts, lasts) AS f GROUP BY f.o, f.run
    ), compacted AS MATERIALIZED (
        SELECT s.o, l.settled * int8multirange(int8range(s.a, s.z, '[]')) AS settled
        FROM (SELECT o, min(a) AS a, max(z) AS z FROM run GROUP BY o) AS s
        JOIN homeward.ledger l ON l.origin = s.o
    )
    SELECT r.o, r.a, r.z INTO clash
    FROM run r
    WHERE EXISTS (SELECT FROM compacted l
                  WHERE l.o = r.o AND l.settled && int8range(r.a, r.z, '[]'))
       OR EXISTS (SELECT FROM homeward.completed_origin d
                  WHERE d.origin = r.o AND d.accepted >= r.a)
       OR r.a <= (SELECT p.seq_last FROM homeward.ledger_frame p
                  WHERE p.origin = r.o AND p.seq_first < r.a AND p.seq_first > r.a - 1024
                  ORDER BY p.seq_first DESC LIMIT 1)
       OR EXISTS (SELECT FROM homeward.ledger_frame w
                  WHERE w.origin = r.o AND w.seq_last - w.seq_first >= 1024
                    AND w.seq_first < r.a AND w.seq_last >= r.a)
       OR r.frames <> (SELECT count(*) FROM homeward.ledger_frame n
                       WHERE n.origin = r.o AND n.seq_first >= r.a AND n.seq_first <= r.z)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'origin %: seqs % to % are settled already', clash.o, clash.a, clash.z
            USING ERRCODE = 'HW001';
    END IF;
END $$;

-- Settles frames and checks them. unique_violation: a frame with the same seq_first is there. HW001: as
-- check_no_overlap() raises it, or a frame would begin a range too many.
CREATE FUNCTION homeward.settle(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                closings boolean[], checksums int4[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    clash record;
BEGIN
    INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, is_closing, checksum)
    SELECT * FROM unnest(origins, firsts, lasts, counts, closings, checksums) AS f (o, a, z, n, c, s)
    ORDER BY o, a;

    PERFORM homeward.check_no_overlap(origins, firsts, lasts);

    IF EXISTS (SELECT FROM homeward.ledger l WHERE l.is_fragmented AND l.origin = ANY (origins)) THEN
        SELECT r.origin, r.seq_first INTO clash
        FROM homeward.fragmenting_frames(origins, firsts, lasts) AS r LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'origin %: seq % would begin a range too many', clash.origin,
                clash.seq_first USING ERRCODE = 'HW001';
        END IF;
    END IF;
END $$;
