-- The proof by sums, and erasure.
--
-- Per origin, the proof compares the number of rows, the sum of their seqs and the sum of the squares with
-- those that follow from the ledger's ranges. If all three agree, every event is there once. If they differ,
-- the proof reads that origin's rows, and the answer is exact. To deceive the sums takes at least three lost
-- and three doubled events of one origin.
--
-- Each partition is read in a subtransaction that is rolled back. That releases its locks, so thousands of
-- partitions fit into any lock table. All reads see the caller's snapshot.

CREATE TABLE homeward.erased_range (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);
COMMENT ON TABLE homeward.erased_range IS 'events that homeward-consumer erase has deleted';

CREATE TABLE homeward.erasure (
    id           int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type         text NOT NULL,
    fields       text[] NOT NULL,
    digest       bytea,
    partition    oid NOT NULL DEFAULT 0,
    block_next   int8 NOT NULL DEFAULT 0,
    rows         int8 NOT NULL DEFAULT 0,
    dead_letters int8 NOT NULL DEFAULT 0,
    begun_at     timestamptz NOT NULL DEFAULT now(),
    completed_at  timestamptz
);
COMMENT ON TABLE homeward.erasure IS
    'what was erased by which fields; partition, block_next: how far it has come';
COMMENT ON COLUMN homeward.erasure.digest IS
    'of type and values, so that an erasure that was broken off is found again; NULL once it is over';
CREATE UNIQUE INDEX erasure_unfinished ON homeward.erasure (digest) WHERE completed_at IS NULL;

-- Called by the transaction that deletes these rows: the proof no longer expects them. Seqs that are
-- recorded already, as of a doubled row, are left out.
CREATE FUNCTION homeward.record_erased(origins int4[], seqs int8[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM homeward.await_lock('record_erased');
    INSERT INTO homeward.erased_range (origin, seq_first, seq_last)
    SELECT f.o, lower(f.r), upper(f.r) - 1
    FROM (SELECT w.o, unnest(w.seqs - coalesce(
                     (SELECT range_agg(int8range(e.seq_first, e.seq_last, '[]'))
                      FROM homeward.erased_range e WHERE e.origin = w.o), '{}')) AS r
          FROM (SELECT u.o, range_agg(int8range(u.s, u.s, '[]')) AS seqs
                FROM unnest(origins, seqs) AS u (o, s)
                WHERE EXISTS (SELECT FROM homeward.known_origin k WHERE k.id = u.o)
                GROUP BY u.o) AS w) AS f;
END $$;

-- In one row, and not in a session's setting, which any login could change.
CREATE TABLE homeward.proof_setting (
    is_only       bool PRIMARY KEY DEFAULT true CHECK (is_only),
    missing_after interval NOT NULL CHECK (missing_after >= interval '0')
);
COMMENT ON COLUMN homeward.proof_setting.missing_after IS
    'how long a hole counts as in flight, after the last message of its origin';
INSERT INTO homeward.proof_setting (missing_after) VALUES ('15 minutes');

CREATE OR REPLACE FUNCTION homeward.missing_after() RETURNS interval
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT s.missing_after FROM homeward.proof_setting s
$$;

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

-- Rows in the event tables, of all origins or of one, in parts to be added up. `absent`: rows of days that
-- were counted and then detached, archived or dropped by hand.
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
                '  sum(CASE WHEN seq BETWEEN 0 AND 2999999999 THEN seq * seq ELSE 0 END) AS q'
                '  FROM %s WHERE $1 IS NULL OR origin = $1 GROUP BY origin) AS g',
                homeward.event_source(one.partition))
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

-- The seqs of these origins that are rows. Reads every partition.
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
            -- Runs first, since range_agg() keeps all its input in memory. Seqs that no origin can have
            -- count as seq 0, which is never settled.
            EXECUTE format(
                'SELECT array_agg(o), array_agg(n), array_agg(r::text) FROM'
                ' (SELECT o, sum(n)::int8 AS n, range_agg(int8range(a, z, ''[]'')) AS r FROM'
                '   (SELECT o, min(s) AS a, max(s) AS z, count(*) AS n FROM'
                '     (SELECT o, s, s - dense_rank() OVER (PARTITION BY o ORDER BY s) AS run FROM'
                '       (SELECT origin AS o, CASE WHEN seq BETWEEN 1 AND 9223372036854775806'
                '                                 THEN seq ELSE 0 END AS s'
                '        FROM %s WHERE origin = ANY ($1)) AS q) AS e GROUP BY o, run) AS i'
                '  GROUP BY o) AS g',
                homeward.event_source(one.partition))
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

-- Those of the settled seqs that must be rows.
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
-- counted_at: the oldest count that this rests on; NULL: every row was read.
CREATE FUNCTION homeward.origin_proof(of_origin int4 DEFAULT NULL)
RETURNS TABLE (origin int4, publisher uuid, class text, region text, app text, state text,
               accepted int8, committed int8, dead_lettered int8, tombstoned int8, in_flight int8,
               missing int8, duplicated int8, last_seen_at timestamptz, has_possible_duplicates boolean,
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
        FROM homeward.origin_status a
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(homeward.seq_sum(lower(r), upper(r) - 1)), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(lower(r), upper(r) - 1)), 0) AS square_sum
            FROM unnest(a.settled) AS r) AS w
        CROSS JOIN LATERAL (
            SELECT count(*) AS dead_lettered, coalesce(sum(l.seq), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(l.seq, l.seq)), 0) AS square_sum
            FROM homeward.dead_letter l WHERE l.origin = a.origin AND l.state <> 'redriven') AS d
        CROSS JOIN LATERAL (
            -- Once each, and only where settled: so their number is never above that of the seqs.
            SELECT coalesce(sum(upper(r) - lower(r)), 0)::int8 AS tombstoned,
                   coalesce(sum(homeward.seq_sum(lower(r), upper(r) - 1)), 0) AS seq_sum,
                   coalesce(sum(homeward.square_sum(lower(r), upper(r) - 1)), 0) AS square_sum
            FROM unnest(a.settled * (SELECT range_agg(int8range(b.seq_first, b.seq_last, '[]'))
                                     FROM homeward.tombstone b WHERE b.origin = a.origin)) AS r) AS t
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
               c.last_seen_at < (SELECT now() - homeward.missing_after()) OR c.is_abandoned
                   AS is_stale,
               EXISTS (SELECT FROM homeward.possible_duplicate b WHERE b.origin = c.origin)
                   AS has_possible_duplicates
        FROM compared c
        LEFT JOIN exact x ON x.origin = c.origin
        CROSS JOIN LATERAL (SELECT coalesce(x.seqs, '{}') AS seqs, coalesce(x.rows, 0) AS rows,
                                   homeward.seq_count(coalesce(x.seqs, '{}')) AS distinct_rows
                           ) AS y
        CROSS JOIN LATERAL (
            -- Of the rows of dropped days only the number is known, so numbers are compared.
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
           CASE WHEN j.is_closed AND j.holes = 0 THEN 'complete'
                WHEN j.is_abandoned THEN 'abandoned'
                WHEN j.is_closed AND j.has_possible_duplicates THEN 'interrupted'
                WHEN j.class = 'plain' OR j.last_seen_at > now() - interval '3 minutes' THEN 'active'
                ELSE 'open' END,
           j.accepted, j.expected - j.missing_rows, j.dead_lettered, j.tombstoned,
           CASE WHEN j.is_stale THEN 0 ELSE j.holes END,
           CASE WHEN j.is_stale THEN j.holes ELSE 0 END + j.missing_rows,
           j.doubled_rows, j.last_seen_at, j.has_possible_duplicates, j.erased, j.expired, j.counted_at
    FROM judged j
$$;

-- `heard_at` and `possible_duplicates` are names of v0.1.0, for one release.
CREATE OR REPLACE VIEW homeward.proof AS
SELECT origin, publisher, class, region, app, state, accepted, committed, dead_lettered, tombstoned,
       in_flight, missing, duplicated, last_seen_at AS heard_at,
       has_possible_duplicates AS possible_duplicates, erased, expired, counted_at, last_seen_at,
       has_possible_duplicates
FROM homeward.origin_proof();

-- The events of an origin that are missing: holes, and settled seqs without a row. Reads all rows of the
-- origin. Of rows that retention dropped only the number is known; if there are any, only the holes.
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
    INTO whole, settled_seqs FROM homeward.origin_status a WHERE a.origin = of_origin;
    gone := whole - settled_seqs;
    IF NOT EXISTS (SELECT FROM homeward.origin_proof(of_origin) AS p WHERE p.expired > 0) THEN
        gone := gone + homeward.expected_seqs(of_origin, settled_seqs)
                - coalesce((SELECT r.seqs FROM homeward.row_seqs(ARRAY[of_origin]) AS r), '{}');
    END IF;
    RETURN gone;
END $$;

-- Of v0.1.0. Whoever may create functions in a schema of the caller's search_path could have them called
-- instead of PostgreSQL's.
ALTER FUNCTION homeward.seq_count(int8multirange) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION homeward.range_count(int8multirange) SET search_path = pg_catalog, pg_temp;
