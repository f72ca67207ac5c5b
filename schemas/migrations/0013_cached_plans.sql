-- The planner takes arrays for long and loops for dear, and compiles what runs for microseconds: 23 ms
-- for each reservation of plain messages. And functions in SQL are planned anew at each call.

ALTER FUNCTION homeward.reserve_plain(int4, int8[], int8[], int8[], int8[], int4[], int8[])
    SET jit = off;
ALTER FUNCTION homeward.take_plain(int8[]) SET jit = off;
ALTER FUNCTION homeward.fold_plain(interval) SET jit = off;
ALTER FUNCTION homeward.claim_plain(int4, int8[], int8[], int4[]) SET jit = off;
ALTER FUNCTION homeward.claim(int4[], int8[], int8[], int8[], boolean[]) SET jit = off;
ALTER FUNCTION homeward.settle(int4[], int8[], int8[], int8[], boolean[]) SET jit = off;
ALTER FUNCTION homeward.seal(int4[], int8[], int8[]) SET jit = off;
ALTER FUNCTION homeward.ragged_frames(int4[], int8[], int8[]) SET jit = off;
ALTER FUNCTION homeward.fold(int4, int4) SET jit = off;

-- As before, in plpgsql.
CREATE OR REPLACE FUNCTION homeward.plain_overlaps(of_source int4, firsts int8[], lasts int8[],
                                        starts_us int8[], ends_us int8[])
RETURNS TABLE (run int4, epoch int4, seq_first int8, seq_last int8, time_first timestamptz,
               time_last timestamptz, batch int8, is_other_time boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT n.i::int4, k.epoch, k.seq_first, k.seq_last, k.time_first, k.time_last, k.batch,
               k.time_first > 'epoch'::timestamptz + n.e * interval '1 microsecond'
               OR k.time_last < 'epoch'::timestamptz + n.s * interval '1 microsecond'
        FROM unnest(firsts, lasts, starts_us, ends_us) WITH ORDINALITY AS n (a, z, s, e, i)
        CROSS JOIN (SELECT g FROM homeward.plain_source p, generate_series(1, p.epochs) AS g
                    WHERE p.id = of_source) AS h
        CROSS JOIN LATERAL (
            (SELECT * FROM (SELECT * FROM homeward.plain_run b
                            WHERE b.source = of_source AND b.epoch = h.g AND b.seq_first <= n.a
                            ORDER BY b.seq_first DESC LIMIT 1) AS before
             WHERE before.seq_last >= n.a)
            UNION ALL
            (SELECT * FROM homeward.plain_run w
             WHERE w.source = of_source AND w.epoch = h.g AND w.seq_first > n.a
               AND w.seq_first <= n.z)
        ) AS k;
END $$;

CREATE OR REPLACE FUNCTION homeward.judge(origins int4[], firsts int8[], lasts int8[])
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
            -- Cut once an origin: its multirange may be large, and is unpacked at every look.
            SELECT s.o, l.settled * int8multirange(int8range(s.a, s.z)) AS settled, l.is_ragged,
                   d.accepted AS finished
            FROM (SELECT o, min(lower(seqs)) AS a, max(upper(seqs)) AS z FROM frame GROUP BY o) AS s
            LEFT JOIN homeward.ledger l ON l.origin = s.o
            LEFT JOIN homeward.finished d ON d.origin = s.o
        ), unfolded AS MATERIALIZED (
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
        ), ragged AS (
            SELECT r.origin, r.seq_first
            FROM homeward.ragged_frames(origins, firsts, lasts) AS r
            WHERE EXISTS (SELECT FROM origin WHERE origin.is_ragged)
        )
        SELECT (f.i - 1)::int4,
               CASE WHEN l.settled @> f.seqs OR u.settled @> f.seqs OR l.finished >= upper(f.seqs) - 1
                    THEN 'settled'
                    WHEN l.settled && f.seqs OR u.settled && f.seqs OR l.finished >= lower(f.seqs)
                    THEN CASE WHEN coalesce(l.settled, '{}') + u.settled
                                  + int8multirange(int8range(1, coalesce(l.finished, 0) + 1))
                                  @> f.seqs
                              THEN 'settled' ELSE 'overlap' END
                    WHEN r.origin IS NOT NULL THEN 'ragged'
                    ELSE 'new' END
        FROM frame f
        JOIN origin l USING (o)
        JOIN unfolded u USING (o, run)
        LEFT JOIN ragged r ON r.origin = f.o AND r.seq_first = f.a
        ORDER BY f.i;
END $$;
