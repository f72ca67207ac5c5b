-- Plain messages that were lost before their reservation. An origin accounts for a message from its
-- reservation on; plain_acked_range covers what the stream took before that. All sequences up to the ack
-- floor of the stream's durable consumer were acknowledged, and nothing is acknowledged before it was
-- written. So a sequence below the floor and in no run left the stream unwritten: acknowledged by another
-- client, deleted, expired, or lost by the server.

CREATE TABLE homeward.plain_acked_range (
    source      int4 PRIMARY KEY,
    seq_first   int8 NOT NULL,
    seq_acked   int8 NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE homeward.plain_acked_range IS
    'which sequences of a stream of plain messages are accounted for: seq_first to seq_acked';

-- Records how far a stream is acknowledged. The range begins at the first call: with what the stream
-- still has, or with the first known run. A floor never goes back, as it may when another server becomes
-- the stream's leader.
CREATE FUNCTION homeward.record_plain_acks(of_stream text, created_us int8, stream_first int8,
                                           acked int8)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    of_source int4 := homeward.register_plain_source(of_stream, created_us);
BEGIN
    IF NOT coalesce(stream_first >= 0 AND acked >= 0
                    AND greatest(stream_first, acked) < 9223372036854775807, false) THEN
        RAISE EXCEPTION 'record_plain_acks(%, %): not sequences of a stream', stream_first, acked
            USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.plain_acked_range a SET seq_acked = acked, recorded_at = now()
    WHERE a.source = of_source AND a.seq_acked < acked;
    IF FOUND OR EXISTS (SELECT FROM homeward.plain_acked_range a WHERE a.source = of_source) THEN
        RETURN;
    END IF;
    INSERT INTO homeward.plain_acked_range (source, seq_first, seq_acked)
    SELECT of_source, least(greatest(acked + 1, stream_first), min(r.seq_first)), acked
    FROM homeward.plain_run r WHERE r.source = of_source
    ON CONFLICT DO NOTHING;
END $$;

CREATE VIEW homeward.plain_gap AS
SELECT s.stream, s.created, lower(g.seqs) AS seq_first, upper(g.seqs) - 1 AS seq_last
FROM homeward.plain_acked_range a
JOIN homeward.plain_source s ON s.id = a.source
CROSS JOIN LATERAL unnest(
    int8multirange(int8range(a.seq_first, greatest(a.seq_acked + 1, a.seq_first)))
    - coalesce((SELECT range_agg(int8range(r.seq_first, r.seq_last, '[]'))
                FROM homeward.plain_run r
                WHERE r.source = a.source AND r.seq_last >= a.seq_first), '{}')
    -- What consumers of v0.1.0 wrote.
    - coalesce((SELECT range_agg(int8range(m.stream_seq, m.stream_seq, '[]'))
                FROM homeward.plain_stream p
                JOIN homeward.plain_message m
                  ON m.origin = p.origin AND m.stream_seq >= a.seq_first
                WHERE p.stream = s.stream AND p.created = s.created), '{}')) AS g (seqs);
COMMENT ON VIEW homeward.plain_gap IS
    'plain messages, by their sequences in their stream, that left it without having been written';

-- Declares, after an operator has looked, that these will never be written. Returns how many there were.
CREATE FUNCTION homeward.abandon_plain_gaps(of_stream text) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    messages int8;
BEGIN
    PERFORM FROM homeward.plain_acked_range a JOIN homeward.plain_source s ON s.id = a.source
    WHERE s.stream = of_stream FOR UPDATE OF a;
    SELECT coalesce(sum(g.seq_last - g.seq_first + 1), 0) INTO messages
    FROM homeward.plain_gap g WHERE g.stream = of_stream;
    UPDATE homeward.plain_acked_range a SET seq_first = a.seq_acked + 1
    FROM homeward.plain_source s
    WHERE s.id = a.source AND s.stream = of_stream AND messages > 0;
    RETURN messages;
END $$;
