-- Messages of clients that know nothing of origins.

-- Messages without an origin. Their stream stands in as one: each message gets the next seqs.
CREATE TABLE homeward.plain_stream (
    origin   int4 PRIMARY KEY,
    stream   text NOT NULL,
    created  timestamptz NOT NULL,
    seq_next int8 NOT NULL DEFAULT 1,
    UNIQUE (stream, created)
);

CREATE TABLE homeward.plain_message (
    origin       int4 NOT NULL,
    stream_seq   int8 NOT NULL,
    message_time timestamptz NOT NULL,
    seq_first    int8 NOT NULL,
    events       int4 NOT NULL CHECK (events >= 0),
    PRIMARY KEY (origin, stream_seq, message_time)
);
CREATE INDEX plain_message_time ON homeward.plain_message USING brin (message_time);
COMMENT ON TABLE homeward.plain_message IS
    'message_time is part of the key: after a power cut a NATS server can give a sequence again';

-- Takes messages that carry no origin: gives each the next seqs of its stream, or NULL when the
-- message was taken before. One row a message, in the order given. The stream's row is locked
-- until the transaction ends, so seqs have no gaps.
CREATE FUNCTION homeward.claim_plain(stream_origin int4, stream_seqs int8[], times_us int8[],
                                     event_counts int4[])
RETURNS TABLE (message_index int4, seq_first int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    next int8;
BEGIN
    SELECT p.seq_next INTO STRICT next FROM homeward.plain_stream p
    WHERE p.origin = stream_origin FOR UPDATE;
    FOR i IN 1 .. coalesce(array_length(stream_seqs, 1), 0) LOOP
        message_index := i - 1;
        INSERT INTO homeward.plain_message AS m (origin, stream_seq, message_time, seq_first, events)
        VALUES (stream_origin, stream_seqs[i],
                'epoch'::timestamptz + times_us[i] * interval '1 microsecond',
                next, event_counts[i])
        ON CONFLICT DO NOTHING RETURNING m.seq_first INTO seq_first;
        IF seq_first IS NOT NULL THEN
            next := next + event_counts[i];
        END IF;
        RETURN NEXT;
        seq_first := NULL;
    END LOOP;
    UPDATE homeward.plain_stream p SET seq_next = next WHERE p.origin = stream_origin;
END $$;
