-- A frame that comes again is skipped as settled, also one of other bytes: then one of the two is
-- forged, or a spool was copied. The ledger keeps each frame's checksum until it is folded, and tells them
-- apart. Only frames of v0.1.0's consumer and plain messages have none.

ALTER TABLE homeward.ledger_frame ADD COLUMN checksum int4;
COMMENT ON COLUMN homeward.ledger_frame.checksum IS 'the CRC32C in the frame''s header';

CREATE FUNCTION homeward.settle(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                closings boolean[], checksums int4[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    clash record;
BEGIN
    INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, closing, checksum)
    SELECT * FROM unnest(origins, firsts, lasts, counts, closings, checksums) AS f (o, a, z, n, c, s)
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

-- As the claim() of five arguments; `differs`: settled, but from a frame of other bytes.
CREATE FUNCTION homeward.claim(origins int4[], firsts int8[], lasts int8[], counts int8[],
                               closings boolean[], checksums int4[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    verdicts text[] := ARRAY(SELECT j.verdict FROM homeward.judge(origins, firsts, lasts) AS j
                             ORDER BY j.frame_index);
    met int8[];  -- those that another has inserted since
BEGIN
    WITH fresh AS (
        SELECT u.i, u.o, u.a, u.z, u.n, u.c, u.s
        FROM unnest(origins, firsts, lasts, counts, closings, checksums, verdicts) WITH ORDINALITY
             AS u (o, a, z, n, c, s, v, i)
        WHERE u.v = 'new'
    ), inserted AS (
        INSERT INTO homeward.ledger_frame AS l
            (origin, seq_first, seq_last, accepted, closing, checksum)
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
