-- Every row can say region and app for as long as it lives: an origin that is forgotten by the ledger
-- keeps its name. 75 bytes an origin, where columns in each event cost 16 bytes a row and 13% of its CPU.

CREATE TABLE homeward.forgotten_origin (
    id           int4 PRIMARY KEY,
    source       int4 NOT NULL,
    forgotten_on date NOT NULL DEFAULT current_date,
    publisher    uuid NOT NULL
);
COMMENT ON TABLE homeward.forgotten_origin IS
    'origins that the ledger has forgotten and events may still name; source: of homeward.source';

ALTER TABLE homeward.place RENAME TO source;
-- The name of v0.1.0, for one release.
CREATE VIEW homeward.place AS SELECT id, class, region, app FROM homeward.source;

-- Where events are from: to be joined on their column origin.
CREATE VIEW homeward.event_origin AS
SELECT id, publisher, class, region, app FROM homeward.known_origin
UNION ALL
SELECT f.id, f.publisher, s.class, s.region, s.app
FROM homeward.forgotten_origin f JOIN homeward.source s ON s.id = f.source;
COMMENT ON VIEW homeward.event_origin IS
    'publisher, class, region and app of every row: JOIN homeward.event_origin o ON o.id = e.origin';

-- Forgets origins that finished, or were abandoned, so many days ago, with all that was noted of
-- them but their name; their rows stay. A frame of theirs that came only now would be taken for a new
-- origin's. Not while one is quarantined: whoever accepts it must know what of it is settled. Which
-- plain messages were settled is forgotten after the same time: one that came again later would land
-- again. The name goes when every row must have gone: all types have a retention, and the longest is
-- over.
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
    DELETE FROM homeward.finished WHERE origin = ANY (old);

    DELETE FROM homeward.plain_message m WHERE m.message_time < now() - make_interval(days => days);
    DELETE FROM homeward.plain_run r
    WHERE r.time_last < now() - make_interval(days => days)
      AND NOT EXISTS (SELECT FROM homeward.plain_batch b WHERE b.id = r.batch);
    -- An event is at most a few days younger than the last that was heard of its origin.
    DELETE FROM homeward.forgotten_origin f
    WHERE f.forgotten_on < current_date - (
        SELECT max(e.retention_days) FROM homeward.event_type e
        HAVING min(e.retention_days) > 0 AND bool_and(e.partitioning = 'day'));
    RETURN cardinality(old);
END $$;
