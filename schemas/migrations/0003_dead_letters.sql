-- Events that could not become rows.

CREATE TABLE homeward.dead_letter (
    id         int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin     int4 NOT NULL,
    seq        int8 NOT NULL,
    state      text NOT NULL DEFAULT 'open'
               CHECK (state IN ('open', 'parked', 'redriven', 'discarded')),
    type       text,
    reason     text NOT NULL,
    sqlstate   text,
    payload    bytea NOT NULL,
    payload_bytes int4 GENERATED ALWAYS AS (octet_length(payload)) STORED,
    message_time timestamptz NOT NULL DEFAULT now(),
    times_seen int4 NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (origin, seq)
);

-- Also what the cap on dead letters is summed over, without a look at the table itself.
CREATE INDEX dead_letter_waiting ON homeward.dead_letter (type, state) INCLUDE (payload_bytes)
    WHERE state IN ('open', 'parked');
COMMENT ON COLUMN homeward.dead_letter.state IS
    'parked: of a type that is not known yet, lands by itself when the type arrives';
COMMENT ON COLUMN homeward.dead_letter.payload IS 'emptied when the letter is redriven or discarded';
COMMENT ON COLUMN homeward.dead_letter.message_time IS 'counts for an event without a time of its own';

-- The dead letters of a batch, in the batch's transaction.
CREATE FUNCTION homeward.bury(origins int4[], seqs int8[], states text[], types text[],
                              reasons text[], sqlstates text[], payloads bytea[], times_us int8[])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    INSERT INTO homeward.dead_letter AS d
        (origin, seq, state, type, reason, sqlstate, payload, message_time)
    SELECT o, s, st, nullif(t, ''), r, nullif(q, ''), p,
           'epoch'::timestamptz + m * interval '1 microsecond'
    FROM unnest(origins, seqs, states, types, reasons, sqlstates, payloads, times_us)
         AS b (o, s, st, t, r, q, p, m)
    ON CONFLICT (origin, seq) DO UPDATE SET times_seen = d.times_seen + 1, last_seen = now()
$$;

-- What waits of these types, oldest first.
CREATE FUNCTION homeward.parked_letters(types text[], letters_max int4)
RETURNS TABLE (id int8, payload_bytes int4)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT d.id, d.payload_bytes FROM homeward.dead_letter d
    WHERE d.state = 'parked' AND d.type = ANY (types) ORDER BY d.id LIMIT letters_max
$$;

-- Locks letters that are to be tried again, until the transaction ends. What somebody else is
-- trying just now, and what is settled already, is left out.
CREATE FUNCTION homeward.take_letters(ids int8[])
RETURNS TABLE (id int8, origin int4, seq int8, payload bytea, message_time_us int8)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT d.id, d.origin, d.seq, d.payload,
           (extract(epoch FROM d.message_time) * 1000000)::int8
    FROM homeward.dead_letter d
    WHERE d.id = ANY (ids) AND d.state IN ('open', 'parked') ORDER BY d.id FOR UPDATE SKIP LOCKED
$$;

-- Letters that have become rows, or that a person gives up. Returns how many.
CREATE FUNCTION homeward.close_letters(ids int8[], new_state text) RETURNS int8
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    WITH closed AS (
        UPDATE homeward.dead_letter d SET state = new_state, payload = '', last_seen = now()
        WHERE d.id = ANY (ids) AND d.state IN ('open', 'parked') RETURNING 1)
    SELECT count(*) FROM closed
$$;

-- Letters that were tried again in vain, with what is now wrong with them.
CREATE FUNCTION homeward.keep_letters(ids int8[], states text[], reasons text[], sqlstates text[])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    UPDATE homeward.dead_letter d
    SET state = k.state, reason = k.reason, sqlstate = nullif(k.sqlstate, ''),
        times_seen = d.times_seen + 1, last_seen = now()
    FROM unnest(ids, states, reasons, sqlstates) AS k (id, state, reason, sqlstate)
    WHERE d.id = k.id
$$;

CREATE FUNCTION homeward.letter_sums() RETURNS TABLE (open int8, parked int8, bytes int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'parked'),
           coalesce(sum(payload_bytes), 0)::int8
    FROM homeward.dead_letter WHERE state IN ('open', 'parked')
$$;
