-- What of each origin is settled, in two levels, and how a batch settles its frames.

-- First level: one insert-only row per frame, so that no row is updated by every batch.
CREATE TABLE homeward.ledger_frame (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    accepted  int8 NOT NULL,
    closing   boolean NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);

-- Whoever looks for overlaps need not look further back than a frame is long: all longer ones are
-- here. Else, under an old snapshot, a look would pass over every frame that was ever folded.
CREATE INDEX ledger_frame_long ON homeward.ledger_frame (origin, seq_first)
    WHERE seq_last - seq_first >= 1024;

-- What an origin said of itself without sending events: its count, and that it has ended.
CREATE TABLE homeward.ledger_mark (
    origin   int4 NOT NULL,
    accepted int8 NOT NULL,
    closing  boolean NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

-- Second level: what the fold has gathered; one row per origin.
CREATE TABLE homeward.ledger (
    origin   int4 PRIMARY KEY,
    settled  int8multirange NOT NULL DEFAULT '{}',
    accepted int8 NOT NULL DEFAULT 0,
    closed   boolean NOT NULL DEFAULT false,
    is_ragged boolean NOT NULL DEFAULT false,
    heard_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN homeward.ledger.is_ragged IS
    'has so many ranges (ledger.ranges_max) that no frame may begin another, only go on with one';
CREATE INDEX ledger_closed ON homeward.ledger (heard_at) WHERE closed;
CREATE INDEX ledger_ragged ON homeward.ledger (origin) WHERE is_ragged;

CREATE TABLE homeward.tombstone (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    reason    text NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);

CREATE FUNCTION homeward.seq_count(ranges int8multirange) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(upper(r) - lower(r)), 0)::int8 FROM unnest(ranges) AS r
$$;

CREATE FUNCTION homeward.range_count(ranges int8multirange) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*) FROM unnest(ranges)
$$;

-- Which of these frames would begin one more range in an origin that has too many of them. Frames
-- that join are judged together, or the second of a run would find the first and pass. What another
-- transaction has settled meanwhile, and is not folded yet, counts as a range to go on with.
CREATE FUNCTION homeward.ragged_frames(origins int4[], firsts int8[], lasts int8[])
RETURNS TABLE (origin int4, seq_first int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    WITH frame AS (
        SELECT f.o, f.a, int8range(f.a, f.z, '[]') AS seqs
        FROM unnest(origins, firsts, lasts) AS f (o, a, z)
        WHERE EXISTS (SELECT FROM homeward.ledger l WHERE l.origin = f.o AND l.is_ragged)
    ), run AS (
        SELECT g.o, unnest(g.ranges) AS seqs
        FROM (SELECT frame.o, range_agg(frame.seqs) AS ranges FROM frame GROUP BY frame.o) AS g
    )
    SELECT frame.o, frame.a
    FROM run
    JOIN frame ON frame.o = run.o AND frame.seqs <@ run.seqs
    JOIN homeward.ledger l ON l.origin = run.o
    WHERE NOT (l.settled @> lower(run.seqs) - 1 OR l.settled @> upper(run.seqs)
               OR l.settled && run.seqs)
      AND (SELECT p.seq_last FROM homeward.ledger_frame p
           WHERE p.origin = run.o AND p.seq_first < lower(run.seqs)
           ORDER BY p.seq_first DESC LIMIT 1) IS DISTINCT FROM lower(run.seqs) - 1
      AND NOT EXISTS (SELECT FROM homeward.ledger_frame n
                      WHERE n.origin = run.o AND n.seq_first = upper(run.seqs))
$$;

-- The last statement before COMMIT, when the frames are in the ledger: HW001 when the seqs of one are
-- settled by others as well, in whole or in part. Two transactions that settle overlapping seqs under
-- different keys do not see each other, so those of one origin pass here one by one until they commit,
-- by a lock that many origins share: one each for 2,000 origins would cost more than the check. Each
-- statement in here sees what was committed before it started, so the check sees what was settled, or
-- moved by a fold, while the insert or the lock was waited for.
CREATE FUNCTION homeward.seal(origins int4[], firsts int8[], lasts int8[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    clash record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('homeward.seal'), b.bucket)
    FROM (SELECT DISTINCT o & 63 AS bucket FROM unnest(origins) AS o ORDER BY 1) AS b;

    SELECT f.o, f.a, f.z INTO clash
    FROM unnest(origins, firsts, lasts) AS f (o, a, z)
    WHERE EXISTS (SELECT FROM homeward.ledger l
                  WHERE l.origin = f.o AND l.settled && int8range(f.a, f.z, '[]'))
       OR EXISTS (SELECT FROM homeward.finished d WHERE d.origin = f.o AND d.accepted >= f.a)
       OR f.a <= (SELECT p.seq_last FROM homeward.ledger_frame p
                  WHERE p.origin = f.o AND p.seq_first < f.a AND p.seq_first > f.a - 1024
                  ORDER BY p.seq_first DESC LIMIT 1)
       OR EXISTS (SELECT FROM homeward.ledger_frame w
                  WHERE w.origin = f.o AND w.seq_last - w.seq_first >= 1024
                    AND w.seq_first < f.a AND w.seq_last >= f.a)
       OR EXISTS (SELECT FROM homeward.ledger_frame n
                  WHERE n.origin = f.o AND n.seq_first > f.a AND n.seq_first <= f.z)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'origin %: seqs % to % are settled already', clash.o, clash.a, clash.z
            USING ERRCODE = 'HW001';
    END IF;
END $$;

-- Settles frames, and seals them. Raises unique_violation when a frame of the same seq_first is there,
-- HW001 as seal() does, and when one would begin a range too many.
CREATE FUNCTION homeward.settle(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                closings boolean[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    clash record;
BEGIN
    INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, closing)
    SELECT * FROM unnest(origins, firsts, lasts, counts, closings) AS f (o, a, z, n, c)
    ORDER BY o, a;

    PERFORM homeward.seal(origins, firsts, lasts);

    IF EXISTS (SELECT FROM homeward.ledger l WHERE l.is_ragged AND l.origin = ANY (origins)) THEN
        SELECT r.origin, r.seq_first INTO clash
        FROM homeward.ragged_frames(origins, firsts, lasts) AS r LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'origin %: seq % would begin a range too many', clash.origin,
                clash.seq_first USING ERRCODE = 'HW001';
        END IF;
    END IF;
END $$;

-- The careful way round, for a batch that failed once: says of each frame, before any row is
-- written, whether it is new (and then claims it), settled, at odds with the ledger, or would begin a
-- range too many. A frame
-- that another transaction is about to settle is waited for (lock_timeout bounds that). What is
-- claimed is to be sealed before COMMIT.
CREATE FUNCTION homeward.claim(origins int4[], firsts int8[], lasts int8[], counts int8[],
                               closings boolean[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS homeward_claimed (o int4, a int8) ON COMMIT DELETE ROWS;
    -- The caller may have made one of that name, with triggers that would act as our owner.
    IF (SELECT relowner FROM pg_class WHERE oid = to_regclass('pg_temp.homeward_claimed'))
       <> current_user::regrole THEN
        RAISE EXCEPTION 'pg_temp.homeward_claimed is not the ledger''s own; drop it'
            USING ERRCODE = '42501';
    END IF;
    TRUNCATE pg_temp.homeward_claimed;
    WITH claimed AS (
        INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, closing)
        SELECT * FROM unnest(origins, firsts, lasts, counts, closings) AS f (o, a, z, n, c)
        ORDER BY o, a
        ON CONFLICT DO NOTHING
        RETURNING origin, seq_first)
    INSERT INTO pg_temp.homeward_claimed SELECT origin, seq_first FROM claimed;

    RETURN QUERY
    WITH frame AS (
        SELECT (i - 1)::int4 AS i, o, a, z, int8range(a, z, '[]') AS seqs
        FROM unnest(origins, firsts, lasts) WITH ORDINALITY AS f (o, a, z, i)
    ), seen AS (
        SELECT f.i, f.o, f.a, f.z, f.seqs, c.o IS NOT NULL AS ours,
               coalesce((SELECT l.settled FROM homeward.ledger l WHERE l.origin = f.o), '{}')
             + coalesce((SELECT int8multirange(int8range(1, d.accepted + 1))
                         FROM homeward.finished d WHERE d.origin = f.o), '{}')
             + coalesce((SELECT range_agg(int8range(p.seq_first, p.seq_last, '[]'))
                         FROM homeward.ledger_frame p
                         WHERE p.origin = f.o AND p.seq_last >= f.a
                           AND p.seq_first <= f.z AND p.seq_first > f.a - 1024
                           AND NOT (c.o IS NOT NULL AND p.seq_first = f.a)), '{}')
             + coalesce((SELECT range_agg(int8range(w.seq_first, w.seq_last, '[]'))
                         FROM homeward.ledger_frame w
                         WHERE w.origin = f.o AND w.seq_last - w.seq_first >= 1024
                           AND w.seq_first < f.a AND w.seq_last >= f.a), '{}') AS settled
        FROM frame f
        LEFT JOIN pg_temp.homeward_claimed c ON c.o = f.o AND c.a = f.a
    ), judged AS (
        SELECT s.i, s.o, s.a, s.ours,
               CASE WHEN s.settled @> s.seqs THEN 'settled'
                    WHEN s.settled && s.seqs THEN 'overlap'
                    WHEN r.origin IS NOT NULL THEN 'ragged'
                    ELSE 'new' END AS v
        FROM seen s
        LEFT JOIN homeward.ragged_frames(origins, firsts, lasts) AS r
               ON r.origin = s.o AND r.seq_first = s.a
    ), unclaimed AS (
        DELETE FROM homeward.ledger_frame p USING judged j
        WHERE j.ours AND j.v <> 'new' AND p.origin = j.o AND p.seq_first = j.a
    )
    SELECT j.i, j.v FROM judged j ORDER BY j.i;
END $$;
