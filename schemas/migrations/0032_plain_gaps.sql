-- Plain messages that were lost before their reservation. Origins account for them from the
-- reservation on; this accounts for what their stream took before it. Everything up to the ack floor of
-- a stream's durable was acknowledged, and nothing is acknowledged before it was written. So a sequence
-- below that floor and in no run left the stream without having been written: acknowledged by somebody
-- else, deleted, expired, or lost by the server.

CREATE TABLE homeward.plain_account (
    source    int4 PRIMARY KEY,
    seq_first int8 NOT NULL,
    seq_acked int8 NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE homeward.plain_account IS
    'which sequences of a stream of plain messages are accounted for: seq_first to seq_acked';

-- Notes how far a stream is acknowledged. The account begins with the first look: at what the stream
-- then still has, or at the first run that is known. A floor never goes back, as it may after another
-- server became the leader of the stream.
CREATE FUNCTION homeward.note_plain_acks(of_stream text, created_us int8, stream_first int8,
                                         acked int8)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    of_source int4 := homeward.register_plain_source(of_stream, created_us);
BEGIN
    UPDATE homeward.plain_account a SET seq_acked = acked, noted_at = now()
    WHERE a.source = of_source AND a.seq_acked < acked;
    IF FOUND OR EXISTS (SELECT FROM homeward.plain_account a WHERE a.source = of_source) THEN
        RETURN;
    END IF;
    INSERT INTO homeward.plain_account (source, seq_first, seq_acked)
    SELECT of_source, least(greatest(acked + 1, stream_first), min(r.seq_first)), acked
    FROM homeward.plain_run r WHERE r.source = of_source
    ON CONFLICT DO NOTHING;
END $$;

CREATE VIEW homeward.plain_gap AS
SELECT s.stream, s.created, lower(g.seqs) AS seq_first, upper(g.seqs) - 1 AS seq_last
FROM homeward.plain_account a
JOIN homeward.plain_source s ON s.id = a.source
CROSS JOIN LATERAL unnest(
    int8multirange(int8range(a.seq_first, greatest(a.seq_acked + 1, a.seq_first)))
    - coalesce((SELECT range_agg(int8range(r.seq_first, r.seq_last, '[]'))
                FROM homeward.plain_run r
                WHERE r.source = a.source AND r.seq_last >= a.seq_first), '{}')
    -- What a consumer of v0.1.0 wrote meanwhile.
    - coalesce((SELECT range_agg(int8range(m.stream_seq, m.stream_seq, '[]'))
                FROM homeward.plain_stream p
                JOIN homeward.plain_message m
                  ON m.origin = p.origin AND m.stream_seq >= a.seq_first
                WHERE p.stream = s.stream AND p.created = s.created), '{}')) AS g (seqs);
COMMENT ON VIEW homeward.plain_gap IS
    'plain messages, by their sequences in their stream, that left it without having been written';

-- Declares that these will never be written, once a person has looked. Returns how many there were.
CREATE FUNCTION homeward.abandon_plain_gaps(of_stream text) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    messages int8;
BEGIN
    PERFORM FROM homeward.plain_account a JOIN homeward.plain_source s ON s.id = a.source
    WHERE s.stream = of_stream FOR UPDATE OF a;
    SELECT coalesce(sum(g.seq_last - g.seq_first + 1), 0) INTO messages
    FROM homeward.plain_gap g WHERE g.stream = of_stream;
    UPDATE homeward.plain_account a SET seq_first = a.seq_acked + 1
    FROM homeward.plain_source s
    WHERE s.id = a.source AND s.stream = of_stream AND messages > 0;
    RETURN messages;
END $$;

-- As before; and the accounts begin behind the runs that are forgotten.
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
    UPDATE homeward.plain_account a SET seq_first = f.seq_last + 1
    FROM forgotten f WHERE f.source = a.source AND f.seq_last >= a.seq_first;
    -- An event is at most a few days younger than the last that was heard of its origin.
    DELETE FROM homeward.forgotten_origin f
    WHERE f.forgotten_on < current_date - (
        SELECT max(e.retention_days) FROM homeward.event_type e
        HAVING min(e.retention_days) > 0 AND bool_and(e.partitioning = 'day'));
    RETURN cardinality(old);
END $$;
