-- The ledger forgets an origin some time after its end, and keeps its name for the rows that remain. A
-- name takes 75 bytes. Columns in each event would cost 16 bytes a row and 13% of its CPU.

CREATE TABLE homeward.forgotten_origin (
    id           int4 PRIMARY KEY,
    source       int4 NOT NULL,
    forgotten_on date NOT NULL DEFAULT current_date,
    publisher    uuid NOT NULL
);
COMMENT ON TABLE homeward.forgotten_origin IS
    'origins that the ledger has forgotten and events may still name; source: of homeward.source';

CREATE VIEW homeward.event_origin AS
SELECT id, publisher, class, region, app FROM homeward.known_origin
UNION ALL
SELECT f.id, f.publisher, s.class, s.region, s.app
FROM homeward.forgotten_origin f JOIN homeward.source s ON s.id = f.source;
COMMENT ON VIEW homeward.event_origin IS
    'publisher, class, region and app of every row: JOIN homeward.event_origin o ON o.id = e.origin';

-- Counts the origins that an app of a region has registered within the last minute. Consumers ask every
-- 5 s while new ones come, and hold apps that register too many.
CREATE INDEX origin_first_seen ON homeward.origin (first_seen);

-- Forgets origins that were completed or abandoned `days` ago: deletes all records of them but their
-- name. Their rows stay. A frame of theirs that arrived after that would count as a new origin's.
-- Origins with an open conflict stay: to accept it, one must know what is settled. Records of plain
-- messages go after the same time: a message that came again later would be written again. The name goes
-- when every row must be gone: all types have a retention, and the longest has passed.
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
        (SELECT f.origin FROM homeward.completed_origin f
         WHERE f.completed_on < current_date - days
           AND NOT EXISTS (SELECT FROM homeward.conflict c
                           WHERE c.origin = f.origin AND c.state = 'open')
         LIMIT origins_max)
        UNION ALL
        (SELECT o.id FROM homeward.origin o
         WHERE o.abandoned_at < now() - make_interval(days => days)
           AND NOT EXISTS (SELECT FROM homeward.conflict c
                           WHERE c.origin = o.id AND c.state = 'open')
         LIMIT origins_max));
    INSERT INTO homeward.source (class, region, app)
    SELECT DISTINCT o.class, o.region, o.app FROM homeward.origin o WHERE o.id = ANY (old)
    ON CONFLICT DO NOTHING;
    INSERT INTO homeward.forgotten_origin (id, source, publisher)
    SELECT k.id, s.id, k.publisher
    FROM homeward.known_origin k JOIN homeward.source s USING (class, region, app)
    WHERE k.id = ANY (old) ORDER BY k.id;

    DELETE FROM homeward.conflict WHERE origin = ANY (old);
    DELETE FROM homeward.tombstone WHERE origin = ANY (old);
    DELETE FROM homeward.erased_range WHERE origin = ANY (old);
    DELETE FROM homeward.expired_rows WHERE origin = ANY (old);
    DELETE FROM homeward.dead_letter WHERE origin = ANY (old);
    DELETE FROM homeward.possible_duplicate WHERE origin = ANY (old);
    DELETE FROM homeward.plain_counter WHERE origin = ANY (old);
    DELETE FROM homeward.plain_unused WHERE origin = ANY (old);
    DELETE FROM homeward.ledger WHERE origin = ANY (old);
    DELETE FROM homeward.origin WHERE id = ANY (old);
    DELETE FROM homeward.completed_origin WHERE origin = ANY (old);

    WITH message AS (
        DELETE FROM homeward.plain_message m
        WHERE m.message_time < now() - make_interval(days => days)
        RETURNING m.origin, m.stream_seq
    ), run AS (
        DELETE FROM homeward.plain_run r
        WHERE r.time_last < now() - make_interval(days => days)
          AND NOT EXISTS (SELECT FROM homeward.plain_batch b WHERE b.id = r.batch)
        RETURNING r.source, r.seq_last
    ), forgotten AS (
        SELECT e.source, max(e.seq_last) AS seq_last
        FROM (SELECT run.source, run.seq_last FROM run
              UNION ALL
              SELECT s.id, message.stream_seq
              FROM message
              JOIN homeward.plain_stream p ON p.origin = message.origin
              JOIN homeward.plain_source s ON s.stream = p.stream AND s.created = p.created) AS e
        GROUP BY e.source
    )
    UPDATE homeward.plain_acked_range a SET seq_first = f.seq_last + 1
    FROM forgotten f WHERE f.source = a.source AND f.seq_last >= a.seq_first;
    -- An event is at most a few days younger than the last that its origin sent.
    DELETE FROM homeward.forgotten_origin f
    WHERE f.forgotten_on < current_date - (
        SELECT max(e.retention_days) FROM homeward.event_type e
        HAVING min(e.retention_days) > 0 AND bool_and(e.partitioning = 'day'));
    RETURN cardinality(old);
END $$;
