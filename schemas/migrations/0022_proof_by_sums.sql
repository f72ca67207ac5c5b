-- The proof by sums: of each origin the number of rows, the sum of their seqs and the sum of the
-- squares. The same three of the seqs that the ledger expects follow from its ranges. Where all agree,
-- every event is there once. Where they differ, the rows of that origin are read, and the answer is
-- exact. What could deceive the sums takes at least three lost and three doubled events of one origin.
--
-- Rows are read partition by partition, each in a subtransaction that is undone: so its locks are
-- released, and thousands of partitions fit into any lock table. All see the snapshot of the caller.

CREATE TABLE homeward.erased_range (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);
COMMENT ON TABLE homeward.erased_range IS 'events that homeward-consumer erase has deleted';

-- Sums over first … last. Squares only of seqs below 3,000,000,000, so that int8 holds each.
CREATE FUNCTION homeward.seq_sum(seq_first int8, seq_last int8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT div((seq_first::numeric + seq_last) * (seq_last - seq_first + 1), 2)
$$;
CREATE FUNCTION homeward.square_sum(seq_first int8, seq_last int8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN z < a THEN 0
                ELSE div(z * (z + 1) * (2 * z + 1), 6) - div((a - 1) * a * (2 * a - 1), 6) END
    FROM (SELECT seq_first::numeric AS a, least(seq_last, 2999999999)::numeric AS z) AS ends
$$;

-- What is in the event tables, of all origins or of one, in parts to be added up. `absent`: rows of
-- days that were counted and then detached, archived or dropped by hand.
CREATE FUNCTION homeward.row_sums(of_origin int4 DEFAULT NULL)
RETURNS TABLE (origin int4, rows int8, seq_sum numeric, square_sum numeric, absent int8,
               counted_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    one record;
    origins int4[];
    counts int8[];
    sums numeric[];
    squares numeric[];
BEGIN
    FOR one IN SELECT * FROM homeward.event_partitions() AS p WHERE NOT p.is_counted LOOP
        BEGIN
            EXECUTE format(
                'SELECT array_agg(o), array_agg(n), array_agg(s), array_agg(q) FROM'
                ' (SELECT origin AS o, count(*) AS n, sum(seq) AS s,'
                '  sum(CASE WHEN seq < 3000000000 THEN seq * seq ELSE 0 END) AS q'
                '  FROM %I.%I WHERE $1 IS NULL OR origin = $1 GROUP BY origin) AS g',
                one.partition_schema, one.partition_name)
            INTO origins, counts, sums, squares USING of_origin;
            RAISE EXCEPTION USING ERRCODE = 'HW000';  -- its locks go, what was read stays
        EXCEPTION WHEN SQLSTATE 'HW000' THEN
            RETURN QUERY SELECT u.*, 0::int8, NULL::timestamptz
                         FROM unnest(origins, counts, sums, squares) AS u;
        END;
    END LOOP;
    RETURN QUERY
    WITH here AS MATERIALIZED (
        SELECT p.counted_day, p.is_counted FROM homeward.event_partitions() AS p
        WHERE p.counted_day IS NOT NULL
    )
    SELECT r.origin, sum(r.rows)::int8, sum(r.seq_sum), sum(r.square_sum),
           coalesce(sum(r.rows) FILTER (WHERE h.counted_day IS NULL), 0)::int8, min(k.counted_at)
    FROM homeward.counted_day k
    LEFT JOIN here h ON h.counted_day = k.id
    JOIN homeward.day_rows r ON r.counted_day = k.id
    WHERE k.counted_at IS NOT NULL AND coalesce(h.is_counted, true)
      AND (of_origin IS NULL OR r.origin = of_origin)
    GROUP BY r.origin;
END $$;

-- Which events of these origins are rows, by their seqs. Reads every partition.
CREATE FUNCTION homeward.row_seqs(of_origins int4[])
RETURNS TABLE (origin int4, rows int8, seqs int8multirange)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    one record;
    origins int4[];
    counts int8[];
    ranges text[];
    all_origins int4[];
    all_counts int8[];
    all_ranges text[];
BEGIN
    IF coalesce(cardinality(of_origins), 0) = 0 THEN
        RETURN;
    END IF;
    FOR one IN SELECT * FROM homeward.event_partitions() LOOP
        BEGIN
            -- Runs first, since range_agg() keeps all that it is given in memory.
            EXECUTE format(
                'SELECT array_agg(o), array_agg(n), array_agg(r::text) FROM'
                ' (SELECT o, sum(n)::int8 AS n, range_agg(int8range(a, z, ''[]'')) AS r FROM'
                '   (SELECT o, min(s) AS a, max(s) AS z, count(*) AS n FROM'
                '     (SELECT origin AS o, seq AS s, seq - dense_rank() OVER'
                '       (PARTITION BY origin ORDER BY seq) AS run'
                '      FROM %I.%I WHERE origin = ANY ($1)) AS e GROUP BY o, run) AS i'
                '  GROUP BY o) AS g',
                one.partition_schema, one.partition_name)
            INTO origins, counts, ranges USING of_origins;
            RAISE EXCEPTION USING ERRCODE = 'HW000';
        EXCEPTION WHEN SQLSTATE 'HW000' THEN
            all_origins := all_origins || origins;
            all_counts := all_counts || counts;
            all_ranges := all_ranges || ranges;
        END;
    END LOOP;
    RETURN QUERY
    SELECT c.o, c.n, s.seqs
    FROM (SELECT u.o, sum(u.n)::int8 AS n FROM unnest(all_origins, all_counts) AS u (o, n)
          GROUP BY u.o) AS c
    JOIN (SELECT u.o, range_agg(x.seqs) AS seqs
          FROM unnest(all_origins, all_ranges) AS u (o, r)
          CROSS JOIN LATERAL unnest(u.r::int8multirange) AS x (seqs) GROUP BY u.o) AS s USING (o);
END $$;

-- Of these settled seqs, those that must be rows.
CREATE FUNCTION homeward.expected_seqs(of_origin int4, settled int8multirange)
RETURNS int8multirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT settled
           - coalesce((SELECT range_agg(int8range(d.seq, d.seq, '[]')) FROM homeward.dead_letter d
                       WHERE d.origin = of_origin AND d.state <> 'redriven'), '{}')
           - coalesce((SELECT range_agg(int8range(t.seq_first, t.seq_last, '[]'))
                       FROM homeward.tombstone t WHERE t.origin = of_origin), '{}')
           - coalesce((SELECT range_agg(int8range(e.seq_first, e.seq_last, '[]'))
                       FROM homeward.erased_range e WHERE e.origin = of_origin), '{}')
$$;

-- The proof, of all origins or of one:
-- accepted = committed + dead_lettered + tombstoned + erased + in_flight + missing.
-- missing: settled seqs without a row, and holes that are older than missing_after().
-- duplicated: rows beyond one per seq, and rows of seqs that were never settled.
-- interrupted: its machine restarted; what is missing was lost with it, or came under another origin.
-- expired: of the committed, rows that retention dropped, or that are in days no longer attached.
-- counted_at: how old the oldest count is that this rests on; NULL: every row was read.
CREATE FUNCTION homeward.origin_proof(of_origin int4 DEFAULT NULL)
RETURNS TABLE (origin int4, publisher uuid, class text, region text, app text, state text,
               accepted int8, committed int8, dead_lettered int8, tombstoned int8, in_flight int8,
               missing int8, duplicated int8, heard_at timestamptz, possible_duplicates boolean,
               erased int8, expired int8, counted_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
    WITH sums AS MATERIALIZED (
        SELECT r.origin, sum(r.rows)::int8 AS rows, sum(r.seq_sum) AS seq_sum,
               sum(r.square_sum) AS square_sum, sum(r.absent)::int8 AS absent,
               min(r.counted_at) AS counted_at
        FROM homeward.row_sums(of_origin) AS r GROUP BY r.origin
    ), status AS MATERIALIZED (
        SELECT a.*, d.dead_lettered, t.tombstoned, e.erased,
               greatest(a.accepted - homeward.seq_count(a.settled), 0) AS holes,
               homeward.seq_count(a.settled) - d.dead_lettered - t.tombstoned - e.erased
                   AS expected,
               w.seq_sum - d.seq_sum - t.seq_sum - e.seq_sum AS seq_sum,
               w.square_sum - d.square_sum - t.square_sum - e.square_sum AS square_sum,
               coalesce(s.rows, 0) + coalesce(x.rows, 0) AS there,
               coalesce(s.seq_sum, 0) + CASE WHEN x.rows > 0 THEN x.seq_sum ELSE 0 END
                   AS seq_sum_there,
               coalesce(s.square_sum, 0) + CASE WHEN x.rows > 0 THEN x.square_sum ELSE 0 END
                   AS square_sum_there,
               coalesce(s.absent, 0) + coalesce(x.rows, 0) AS expired, s.counted_at
        FROM homeward.account a
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(homeward.seq_sum(lower(r), upper(r) - 1)), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(lower(r), upper(r) - 1)), 0) AS square_sum
            FROM unnest(a.settled) AS r) AS w
        CROSS JOIN LATERAL (
            SELECT count(*) AS dead_lettered, coalesce(sum(l.seq), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(l.seq, l.seq)), 0) AS square_sum
            FROM homeward.dead_letter l WHERE l.origin = a.origin AND l.state <> 'redriven') AS d
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(b.seq_last - b.seq_first + 1), 0)::int8 AS tombstoned,
                   coalesce(sum(homeward.seq_sum(b.seq_first, b.seq_last)), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(b.seq_first, b.seq_last)), 0) AS square_sum
            FROM homeward.tombstone b WHERE b.origin = a.origin) AS t
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(b.seq_last - b.seq_first + 1), 0)::int8 AS erased,
                   coalesce(sum(homeward.seq_sum(b.seq_first, b.seq_last)), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(b.seq_first, b.seq_last)), 0) AS square_sum
            FROM homeward.erased_range b WHERE b.origin = a.origin) AS e
        LEFT JOIN sums s ON s.origin = a.origin
        LEFT JOIN homeward.expired_rows x ON x.origin = a.origin
        WHERE of_origin IS NULL OR a.origin = of_origin
    ), compared AS MATERIALIZED (
        SELECT c.*, c.there = c.expected AND coalesce(c.seq_sum_there = c.seq_sum, true)
                    AND coalesce(c.square_sum_there = c.square_sum, true) AS is_equal
        FROM status c
    ), exact AS MATERIALIZED (
        SELECT r.origin, r.rows, r.seqs
        FROM homeward.row_seqs(ARRAY(SELECT c.origin FROM compared c WHERE NOT c.is_equal)) AS r
    ), judged AS (
        SELECT c.*, n.missing_rows, n.doubled_rows,
               c.heard_at < now() - homeward.missing_after() OR c.abandoned AS stale,
               EXISTS (SELECT FROM homeward.possible_duplicate b WHERE b.origin = c.origin)
                   AS possible_duplicates
        FROM compared c
        LEFT JOIN exact x ON x.origin = c.origin
        CROSS JOIN LATERAL (SELECT coalesce(x.seqs, '{}') AS seqs, coalesce(x.rows, 0) AS rows,
                                   homeward.seq_count(coalesce(x.seqs, '{}')) AS distinct_rows
                           ) AS y
        CROSS JOIN LATERAL (
            -- Which rows are gone with their day, nobody knows: then only numbers can be compared.
            SELECT 0::int8 AS missing_rows, 0::int8 AS doubled_rows WHERE c.is_equal
            UNION ALL
            SELECT homeward.seq_count(m.seqs - y.seqs),
                   y.rows - y.distinct_rows + homeward.seq_count(y.seqs - m.seqs)
            FROM (SELECT homeward.expected_seqs(c.origin, c.settled) AS seqs) AS m
            WHERE NOT c.is_equal AND c.expired = 0
            UNION ALL
            SELECT greatest(c.expected - y.distinct_rows - c.expired, 0),
                   y.rows - y.distinct_rows
                   + greatest(y.distinct_rows + c.expired - c.expected, 0)
            WHERE NOT c.is_equal AND c.expired > 0) AS n
    )
    SELECT j.origin, j.publisher, j.class, j.region, j.app,
           CASE WHEN j.closed AND j.holes = 0 THEN 'complete'
                WHEN j.abandoned THEN 'abandoned'
                WHEN j.closed AND j.possible_duplicates THEN 'interrupted'
                WHEN j.class = 'plain' OR j.heard_at > now() - interval '3 minutes' THEN 'active'
                ELSE 'open' END,
           j.accepted, j.expected - j.missing_rows, j.dead_lettered, j.tombstoned,
           CASE WHEN j.stale THEN 0 ELSE j.holes END,
           CASE WHEN j.stale THEN j.holes ELSE 0 END + j.missing_rows,
           j.doubled_rows, j.heard_at, j.possible_duplicates, j.erased, j.expired, j.counted_at
    FROM judged j
$$;

CREATE OR REPLACE VIEW homeward.proof AS SELECT * FROM homeward.origin_proof();

-- Which events of an origin neither are there nor are accounted for: the holes, and what is settled
-- but has no row. Reads all rows of the origin. Rows that retention has dropped are known by their
-- number only; with such ones, only the holes.
CREATE OR REPLACE FUNCTION homeward.missing_seqs(of_origin int4) RETURNS int8multirange
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    whole int8multirange;
    settled_seqs int8multirange;
    gone int8multirange;
BEGIN
    SELECT int8multirange(int8range(1, a.accepted + a.unused, '[]'))
           - coalesce((SELECT range_agg(int8range(u.seq_first, u.seq_last, '[]'))
                       FROM homeward.plain_unused u WHERE u.origin = of_origin), '{}'),
           a.settled
    INTO whole, settled_seqs FROM homeward.account a WHERE a.origin = of_origin;
    gone := whole - settled_seqs;
    IF NOT EXISTS (SELECT FROM homeward.origin_proof(of_origin) AS p WHERE p.expired > 0) THEN
        gone := gone + homeward.expected_seqs(of_origin, settled_seqs)
                - coalesce((SELECT r.seqs FROM homeward.row_seqs(ARRAY[of_origin]) AS r), '{}');
    END IF;
    RETURN gone;
END $$;
