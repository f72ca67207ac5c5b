-- Bounds on what the consumer's logins write into the ledger. Compaction, proof and status read the rows of
-- all origins in one statement: one row that they cannot compute with would stop them for everybody.
--
-- Seqs are from 1 to 2^63 - 2, and counts from 0, as in the format of frames: so the range of any seqs, which
-- ends one seq later, is within int8.

ALTER TABLE homeward.ledger_frame ADD CONSTRAINT ledger_frame_bounds
    CHECK (seq_first >= 1 AND seq_last < 9223372036854775807
           AND accepted >= 0 AND accepted < 9223372036854775807);
ALTER TABLE homeward.heartbeat ADD CONSTRAINT heartbeat_bounds
    CHECK (accepted >= 0 AND accepted < 9223372036854775807);
ALTER TABLE homeward.tombstone ADD CONSTRAINT tombstone_bounds
    CHECK (seq_first >= 1 AND seq_last < 9223372036854775807);
ALTER TABLE homeward.plain_stream ADD CONSTRAINT plain_stream_bounds CHECK (seq_next >= 1);
-- One row per message of v0.1.0, so not read now.
ALTER TABLE homeward.plain_message ADD CONSTRAINT plain_message_bounds
    CHECK (stream_seq >= 0 AND stream_seq < 9223372036854775807) NOT VALID;

-- Times in microseconds since 1970 are within int8, too.
ALTER TABLE homeward.dead_letter ADD CONSTRAINT dead_letter_bounds
    CHECK (seq >= 1 AND seq < 9223372036854775807 AND isfinite(message_time)
           AND message_time < '294247-01-01 00:00:00+00');
-- A heartbeat has no seqs: its last one is the one before its first.
ALTER TABLE homeward.conflict ADD CONSTRAINT conflict_bounds
    CHECK (seq_first >= 1 AND seq_last >= seq_first - 1 AND seq_last < 9223372036854775807
           AND isfinite(message_time) AND message_time < '294247-01-01 00:00:00+00');

-- They become keys of homeward.source, and keys are limited.
ALTER TABLE homeward.origin ADD CONSTRAINT origin_bounds
    CHECK (octet_length(region) <= 256 AND octet_length(app) <= 256);

-- Letters that were tried again and are still dead, with the new reason.
CREATE OR REPLACE FUNCTION homeward.keep_letters(ids int8[], states text[], reasons text[],
                                                 sqlstates text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF NOT coalesce(states <@ '{open,parked}', false) THEN
        RAISE EXCEPTION 'keep_letters: states must be open or parked' USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.dead_letter d
    SET state = k.state, reason = k.reason, sqlstate = nullif(k.sqlstate, ''),
        times_seen = d.times_seen + 1, last_seen = now()
    FROM unnest(ids, states, reasons, sqlstates) AS k (id, state, reason, sqlstate)
    WHERE d.id = k.id AND d.state IN ('open', 'parked');
END $$;
