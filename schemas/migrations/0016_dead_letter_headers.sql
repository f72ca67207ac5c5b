-- Dead letters and conflicts: headers of plain messages, quotas by origin, checked states.

ALTER TABLE homeward.dead_letter ADD COLUMN headers jsonb;
COMMENT ON COLUMN homeward.dead_letter.headers IS
    'of a plain message: {"Name": "value"}, or a list of values; null without headers';

-- Answers from the index alone which region's app the waiting dead letters are of: consumers ask at each
-- round of upkeep, and hold apps that exceed their quota.
CREATE INDEX dead_letter_origin ON homeward.dead_letter (origin, state) INCLUDE (payload_bytes, id)
    WHERE state IN ('open', 'parked');

-- The dead letters of a batch, in the batch's transaction. `headers`: JSON, or empty.
CREATE FUNCTION homeward.insert_dead_letters(origins int4[], seqs int8[], states text[], types text[],
                                             reasons text[], sqlstates text[], payloads bytea[],
                                             times_us int8[], headers text[])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    INSERT INTO homeward.dead_letter AS d
        (origin, seq, state, type, reason, sqlstate, payload, message_time, headers)
    SELECT o, s, st, nullif(t, ''), r, nullif(q, ''), p,
           'epoch'::timestamptz + m * interval '1 microsecond', nullif(h, '')::jsonb
    FROM unnest(origins, seqs, states, types, reasons, sqlstates, payloads, times_us, headers)
         AS b (o, s, st, t, r, q, p, m, h)
    ON CONFLICT (origin, seq) DO UPDATE SET times_seen = d.times_seen + 1, last_seen = now()
$$;

-- The name in v0.1.0, for one release.
CREATE OR REPLACE FUNCTION homeward.bury(origins int4[], seqs int8[], states text[], types text[],
                                         reasons text[], sqlstates text[], payloads bytea[],
                                         times_us int8[])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT homeward.insert_dead_letters(origins, seqs, states, types, reasons, sqlstates, payloads,
                                        times_us, NULL::text[])
$$;

-- Closes letters that have become rows or were given up; neither payload nor headers are kept. Returns
-- how many.
CREATE OR REPLACE FUNCTION homeward.close_letters(ids int8[], new_state text) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    letters int8;
BEGIN
    IF new_state IS NULL OR new_state NOT IN ('redriven', 'discarded') THEN
        RAISE EXCEPTION 'close_letters: state "%" is neither redriven nor discarded', new_state
            USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.dead_letter d
    SET state = new_state, payload = '', headers = NULL, last_seen = now()
    WHERE d.id = ANY (ids) AND d.state IN ('open', 'parked');
    GET DIAGNOSTICS letters = ROW_COUNT;
    RETURN letters;
END $$;

-- When the frame was quarantined. `homeward-consumer conflicts` of v0.1.0 reads seen_at, for one release.
ALTER TABLE homeward.conflict RENAME COLUMN seen_at TO recorded_at;
ALTER TABLE homeward.conflict ADD COLUMN seen_at timestamptz DEFAULT now();
UPDATE homeward.conflict SET seen_at = recorded_at;
COMMENT ON COLUMN homeward.conflict.seen_at IS 'recorded_at, by its name in v0.1.0';

CREATE OR REPLACE FUNCTION homeward.close_conflict(conflict_id int8, new_state text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF new_state IS NULL OR new_state NOT IN ('accepted', 'discarded') THEN
        RAISE EXCEPTION 'close_conflict: state "%" is neither accepted nor discarded', new_state
            USING ERRCODE = '22023';
    END IF;
    UPDATE homeward.conflict SET state = new_state, frame = '', closed_at = now()
    WHERE id = conflict_id AND state = 'open';
END $$;
