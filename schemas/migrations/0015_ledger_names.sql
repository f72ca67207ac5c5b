-- The ledger in the field's terms, and the functions that use the new names.
--
-- All names change in one transaction with the functions that use them, so that consumers of v0.1.0 can
-- run meanwhile. What they or users call by its old name stays for one release, as a view or a function.

ALTER TABLE homeward.origin RENAME COLUMN abandoned TO abandoned_at;
ALTER VIEW homeward.known_origin RENAME COLUMN abandoned TO abandoned_at;
ALTER VIEW homeward.known_origin RENAME COLUMN finished TO completed_accepted;

ALTER TABLE homeward.possible_duplicate RENAME COLUMN noted_at TO recorded_at;
ALTER TABLE homeward.tombstone RENAME COLUMN noted_at TO recorded_at;

ALTER TABLE homeward.ledger_frame RENAME COLUMN closing TO is_closing;
ALTER TABLE homeward.ledger_frame RENAME COLUMN settled_at TO recorded_at;

ALTER TABLE homeward.ledger_mark RENAME TO heartbeat;
ALTER TABLE homeward.heartbeat RENAME COLUMN closing TO is_closing;
ALTER TABLE homeward.heartbeat RENAME COLUMN noted_at TO recorded_at;
COMMENT ON TABLE homeward.heartbeat IS
    'what an origin reported without events: its count, and whether it has ended';

ALTER TABLE homeward.ledger RENAME COLUMN closed TO is_closed;
ALTER TABLE homeward.ledger RENAME COLUMN is_ragged TO is_fragmented;
ALTER TABLE homeward.ledger RENAME COLUMN heard_at TO last_seen_at;
ALTER INDEX homeward.ledger_ragged RENAME TO ledger_fragmented;
COMMENT ON COLUMN homeward.ledger.is_fragmented IS
    'has so many ranges (ledger.ranges_max) that a frame may only extend one, not begin another';

ALTER TABLE homeward.place RENAME TO source;
ALTER INDEX homeward.place_pkey RENAME TO source_pkey;
ALTER INDEX homeward.place_class_region_app_key RENAME TO source_class_region_app_key;
ALTER SEQUENCE homeward.place_id_seq RENAME TO source_id_seq;
-- An origin that has ended and is complete: its seqs from 1 to `accepted` are settled.
ALTER TABLE homeward.finished RENAME TO completed_origin;
ALTER TABLE homeward.completed_origin RENAME COLUMN place TO source;
ALTER TABLE homeward.completed_origin RENAME COLUMN finished_on TO completed_on;
ALTER INDEX homeward.finished_pkey RENAME TO completed_origin_pkey;
ALTER INDEX homeward.finished_publisher RENAME TO completed_origin_publisher;

-- Names of v0.1.0, for one release.
CREATE VIEW homeward.place AS SELECT id, class, region, app FROM homeward.source;
CREATE VIEW homeward.finished AS
SELECT accepted, origin, source AS place, completed_on AS finished_on, publisher
FROM homeward.completed_origin;
CREATE VIEW homeward.ledger_mark AS
SELECT origin, accepted, is_closing AS closing, recorded_at AS noted_at FROM homeward.heartbeat;
-- Consumers of v0.1.0 insert into it with the rights that they have on the table.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                                      ELSE a.grantee::regrole::text END AS grantee
        FROM pg_class c, aclexplode(c.relacl) AS a
        WHERE c.oid = 'homeward.heartbeat'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON homeward.ledger_mark TO %s', one.privilege_type, one.grantee);
    END LOOP;
END $$;
-- What `homeward-consumer proof abandon` of v0.1.0 updates.
ALTER TABLE homeward.origin ADD COLUMN abandoned timestamptz;
COMMENT ON COLUMN homeward.origin.abandoned IS
    'abandoned_at as consumers of v0.1.0 set it; never read';
CREATE FUNCTION homeward.copy_abandoned() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    NEW.abandoned_at := NEW.abandoned;
    RETURN NEW;
END $$;
CREATE TRIGGER homeward_abandoned BEFORE UPDATE OF abandoned ON homeward.origin
    FOR EACH ROW EXECUTE FUNCTION homeward.copy_abandoned();

-- Those of these frames that would begin one more range in a fragmented origin. Frames that join are
-- judged together: otherwise the second of a run would find the first, and pass. A frame that another
-- transaction has settled and that is not compacted yet counts as a range to extend.
DROP FUNCTION homeward.ragged_frames;
CREATE FUNCTION homeward.fragmenting_frames(origins int4[], firsts int8[], lasts int8[])
RETURNS TABLE (origin int4, seq_first int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
    WITH frame AS (
        SELECT f.o, f.a, int8range(f.a, f.z, '[]') AS seqs
        FROM unnest(origins, firsts, lasts) AS f (o, a, z)
        WHERE EXISTS (SELECT FROM homeward.ledger l WHERE l.origin = f.o AND l.is_fragmented)
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

-- Both levels of the ledger together, per origin. `accepted` excludes seqs that will never be used. What an
-- origin claims is believed up to 2^32 events beyond what was seen of it.
CREATE VIEW homeward.origin_status AS
SELECT o.id AS origin, o.publisher, o.class, o.region, o.app,
       coalesce(l.settled, '{}') + coalesce(f.settled, '{}')
           + CASE WHEN o.completed_accepted > 0 THEN int8multirange(int8range(1, o.completed_accepted + 1))
                  ELSE '{}' END AS settled,
       least(greatest(coalesce(l.accepted, 0), coalesce(f.accepted, 0), coalesce(m.accepted, 0),
                      coalesce(p.seq_next - 1, 0), coalesce(c.seq_last, 0),
                      coalesce(o.completed_accepted, 0)),
             -- Numeric, as a seq may be close to the greatest int8.
             greatest(coalesce(upper(l.settled), 1), coalesce(upper(f.settled), 1),
                      coalesce(p.seq_next, 1), coalesce(c.seq_last + 1, 1),
                      coalesce(o.completed_accepted + 1, 1))::numeric - 1 + 4294967296)::int8
           - coalesce(u.seqs, 0) AS accepted,
       coalesce(l.is_closed, false) OR coalesce(f.is_closed, false)
           OR coalesce(m.is_closed, false) OR o.completed_accepted IS NOT NULL AS is_closed,
       o.abandoned_at IS NOT NULL AS is_abandoned,
       greatest(o.first_seen, l.last_seen_at, f.at, m.at) AS last_seen_at,
       coalesce(u.seqs, 0) AS unused
FROM homeward.known_origin o
LEFT JOIN homeward.ledger l ON l.origin = o.id
LEFT JOIN homeward.plain_stream p ON p.origin = o.id
LEFT JOIN (SELECT origin, max(seq_last) AS seq_last FROM homeward.plain_counter
           GROUP BY origin) c ON c.origin = o.id
LEFT JOIN (SELECT origin, sum(seq_last - seq_first + 1)::int8 AS seqs FROM homeward.plain_unused
           GROUP BY origin) u ON u.origin = o.id
LEFT JOIN (SELECT origin, range_agg(int8range(seq_first, seq_last, '[]')) AS settled,
                  max(accepted) AS accepted, bool_or(is_closing) AS is_closed, max(recorded_at) AS at
           FROM homeward.ledger_frame GROUP BY origin) f ON f.origin = o.id
LEFT JOIN (SELECT origin, max(accepted) AS accepted, bool_or(is_closing) AS is_closed,
                  max(recorded_at) AS at
           FROM homeward.heartbeat GROUP BY origin) m ON m.origin = o.id;

-- The name in v0.1.0, for one release.
CREATE OR REPLACE VIEW homeward.account AS
SELECT origin, publisher, class, region, app, settled, accepted, is_closed AS closed,
       is_abandoned AS abandoned, last_seen_at AS heard_at
FROM homeward.origin_status;
-- Consumers read it for their status page, with the rights that they have on the old name.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                                      ELSE a.grantee::regrole::text END AS grantee
        FROM pg_class c, aclexplode(c.relacl) AS a
        WHERE c.oid = 'homeward.account'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON homeward.origin_status TO %s', one.privilege_type, one.grantee);
    END LOOP;
END $$;

-- Moves frames and heartbeats into the second level, and compacts plain messages. One at a time; returns
-- how many frames it moved. `ranges_max`: an origin with so many ranges is fragmented. It may get more
-- between two compactions.
CREATE FUNCTION homeward.compact(ranges_max int4 DEFAULT 10000,
                                 frames_max int4 DEFAULT 100000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    moved int4;
BEGIN
    IF ranges_max < 1 OR frames_max < 1 THEN
        RAISE EXCEPTION 'compact(%, %): both must be at least 1', ranges_max, frames_max
            USING ERRCODE = '22023';
    END IF;
    IF NOT homeward.try_lock('compact') THEN
        RETURN 0;
    END IF;
    PERFORM homeward.compact_plain();
    WITH taken AS (
        DELETE FROM homeward.ledger_frame
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.ledger_frame LIMIT frames_max))
        RETURNING origin, seq_first, seq_last, accepted, is_closing, recorded_at
    ), heard AS (
        DELETE FROM homeward.heartbeat
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.heartbeat LIMIT frames_max))
        RETURNING origin, accepted, is_closing, recorded_at
    ), news AS (
        SELECT origin, coalesce(range_agg(seqs), '{}') AS settled, max(accepted) AS accepted,
               bool_or(is_closing) AS is_closed, max(at) AS at
        FROM (SELECT origin, int8range(seq_first, seq_last, '[]') AS seqs, accepted, is_closing,
                     recorded_at AS at FROM taken
              UNION ALL
              SELECT origin, NULL, accepted, is_closing, recorded_at FROM heard) AS n
        GROUP BY origin
    ), kept AS (
        INSERT INTO homeward.ledger AS l (origin, settled, accepted, is_closed, is_fragmented,
                                          last_seen_at)
        SELECT origin, settled, accepted, is_closed, homeward.range_count(settled) >= ranges_max,
               at
        FROM news ORDER BY origin
        ON CONFLICT (origin) DO UPDATE
        SET settled = l.settled + excluded.settled,
            is_fragmented = homeward.range_count(l.settled + excluded.settled) >= ranges_max,
            accepted = greatest(l.accepted, excluded.accepted),
            is_closed = l.is_closed OR excluded.is_closed,
            last_seen_at = greatest(l.last_seen_at, excluded.last_seen_at)
    )
    SELECT count(*) INTO moved FROM taken;
    RETURN moved;
END $$;

-- Moves origins to homeward.completed_origin that have ended, are complete, have no dead letter waiting and
-- sent nothing for `quiet`. A consumer that has cached such an origin's number still finds it there.
CREATE FUNCTION homeward.complete_origins(quiet interval DEFAULT '10 minutes',
                                          origins_max int4 DEFAULT 10000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    whole int4[];
BEGIN
    IF quiet IS NULL OR quiet < interval '0' OR origins_max IS NULL OR origins_max < 1 THEN
        RAISE EXCEPTION 'complete_origins(%, %): quiet must not be negative, origins_max at least 1', quiet,
            origins_max USING ERRCODE = '22023';
    END IF;
    IF NOT homeward.try_lock('compact') THEN
        RETURN 0;
    END IF;
    whole := ARRAY(
        SELECT l.origin FROM homeward.ledger l
        WHERE l.is_closed AND l.last_seen_at < now() - quiet
          AND l.settled = int8multirange(int8range(1, l.accepted + 1))
          AND NOT EXISTS (SELECT FROM homeward.ledger_frame f WHERE f.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.heartbeat m WHERE m.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.dead_letter d
                          WHERE d.origin = l.origin AND d.state IN ('open', 'parked'))
        ORDER BY l.last_seen_at LIMIT origins_max);
    IF cardinality(whole) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO homeward.source (class, region, app)
    SELECT DISTINCT class, region, app FROM homeward.origin WHERE id = ANY (whole)
    ON CONFLICT DO NOTHING;
    WITH gone AS (
        DELETE FROM homeward.origin WHERE id = ANY (whole)
        RETURNING id, publisher, class, region, app
    ), emptied AS (
        DELETE FROM homeward.ledger WHERE origin = ANY (whole)
        RETURNING origin, accepted, last_seen_at
    )
    INSERT INTO homeward.completed_origin (accepted, origin, source, completed_on, publisher)
    SELECT e.accepted, g.id, p.id, e.last_seen_at::date, g.publisher
    FROM gone g JOIN emptied e ON e.origin = g.id JOIN homeward.source p USING (class, region, app)
    ORDER BY g.id;
    RETURN cardinality(whole);
END $$;

-- Settles those of these seqs that are not settled yet, and returns them. Whoever writes to the ledger waits
-- until the transaction ends: otherwise two could settle the same seqs under different keys.
CREATE OR REPLACE FUNCTION homeward.claim_rest(of_origin int4, from_seq int8, to_seq int8,
                                               accepted_count int8, is_closing boolean)
RETURNS TABLE (seq_first int8, seq_last int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    there int8multirange;
BEGIN
    LOCK TABLE homeward.ledger_frame IN SHARE ROW EXCLUSIVE MODE;
    SELECT a.settled INTO there FROM homeward.origin_status a WHERE a.origin = of_origin;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'origin % is forgotten: which of its events are rows is unknown', of_origin
            USING ERRCODE = 'P0002';
    END IF;
    RETURN QUERY
    INSERT INTO homeward.ledger_frame AS f (origin, seq_first, seq_last, accepted, is_closing)
    SELECT of_origin, lower(r), upper(r) - 1, accepted_count, is_closing
    FROM unnest(int8multirange(int8range(from_seq, to_seq, '[]')) - there) AS r
    RETURNING f.seq_first, f.seq_last;
END $$;

-- Gives up frames. Of a frame that its own origin sent, seqs that are not settled become tombstones, so that
-- the origin completes. Of a frame of another source, none: the events of these seqs may still come. Nor in
-- a fragmented origin, since each would be one more range.
CREATE OR REPLACE FUNCTION homeward.discard_conflicts(ids int8[])
RETURNS TABLE (discarded int8, tombstoned int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    one record;
BEGIN
    discarded := 0;
    tombstoned := 0;
    FOR one IN
        SELECT c.id, c.origin, c.seq_first, c.seq_last,
               EXISTS (SELECT FROM homeward.known_origin o
                       WHERE o.id = c.origin AND o.region = c.region AND o.app = c.app)
               AND NOT EXISTS (SELECT FROM homeward.ledger l
                               WHERE l.origin = c.origin AND l.is_fragmented) AS is_to_settle
        FROM homeward.conflict c
        WHERE c.id = ANY (ids) AND c.state = 'open' ORDER BY c.id FOR UPDATE OF c
    LOOP
        IF one.is_to_settle AND one.seq_last >= one.seq_first THEN
            WITH rest AS (
                SELECT r.seq_first, r.seq_last
                FROM homeward.claim_rest(one.origin, one.seq_first, one.seq_last, one.seq_last,
                                         false) AS r
            ), gone AS (
                INSERT INTO homeward.tombstone AS t (origin, seq_first, seq_last, reason)
                SELECT one.origin, rest.seq_first, rest.seq_last, 'discarded' FROM rest
                RETURNING t.seq_last - t.seq_first + 1 AS seqs
            )
            SELECT tombstoned + coalesce(sum(seqs), 0)::int8 INTO tombstoned FROM gone;
        END IF;
        PERFORM homeward.close_conflict(one.id, 'discarded');
        discarded := discarded + 1;
    END LOOP;
    RETURN NEXT;
END $$;

-- Functions of v0.1.0, for one release: what its consumers call.
CREATE OR REPLACE FUNCTION homeward.settle(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                           closings boolean[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT homeward.settle(origins, firsts, lasts, counts, closings, NULL::int4[])
$$;

CREATE OR REPLACE FUNCTION homeward.claim(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                          closings boolean[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT c.frame_index, CASE c.verdict WHEN 'fragmented' THEN 'ragged' ELSE c.verdict END
    FROM homeward.claim(origins, firsts, lasts, counts, closings, NULL::int4[]) AS c
$$;

CREATE OR REPLACE FUNCTION homeward.seal(origins int4[], firsts int8[], lasts int8[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT homeward.check_no_overlap(origins, firsts, lasts)
$$;

CREATE OR REPLACE FUNCTION homeward.fold(ranges_max int4 DEFAULT 10000,
                                         frames_max int4 DEFAULT 100000) RETURNS int4
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT homeward.compact(ranges_max, frames_max)
$$;

CREATE OR REPLACE FUNCTION homeward.finish(quiet interval DEFAULT '10 minutes',
                                           origins_max int4 DEFAULT 10000) RETURNS int4
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT homeward.complete_origins(quiet, origins_max)
$$;
