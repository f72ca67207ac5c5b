-- Frames that contradict the ledger: kept whole, for a person to judge.

CREATE TABLE homeward.conflict (
    id        int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL,
    region    text NOT NULL,
    app       text NOT NULL,
    state     text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'discarded')),
    reason    text NOT NULL,
    frame     bytea NOT NULL,
    frame_bytes int4 GENERATED ALWAYS AS (octet_length(frame)) STORED,
    frame_sha256 bytea NOT NULL,
    message_time timestamptz NOT NULL,
    seen_at   timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    UNIQUE (origin, seq_first, frame_sha256, region, app)
);
COMMENT ON COLUMN homeward.conflict.region IS 'that the frame came from; its origin may have another';
COMMENT ON COLUMN homeward.conflict.frame IS 'emptied when it is accepted or discarded';

-- They have the room of the dead letters.
CREATE FUNCTION homeward.conflict_sums() RETURNS TABLE (open int8, bytes int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT count(*), coalesce(sum(frame_bytes), 0)::int8 FROM homeward.conflict WHERE state = 'open'
$$;

-- Locks a frame that is to be accepted, until the transaction ends. None: it is judged already, or
-- somebody else is at it.
CREATE FUNCTION homeward.take_conflict(conflict_id int8)
RETURNS TABLE (origin int4, frame bytea, message_time_us int8)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT c.origin, c.frame, (extract(epoch FROM c.message_time) * 1000000)::int8
    FROM homeward.conflict c WHERE c.id = conflict_id AND c.state = 'open'
    FOR UPDATE SKIP LOCKED
$$;

-- Settles what of these seqs is not settled yet, and says which those are. All who write to the
-- ledger wait until the transaction ends: else two could settle the same rest at once, under
-- different keys.
CREATE FUNCTION homeward.claim_rest(of_origin int4, from_seq int8, to_seq int8, accepted_count int8,
                                    is_closing boolean)
RETURNS TABLE (seq_first int8, seq_last int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    there int8multirange;
BEGIN
    LOCK TABLE homeward.ledger_frame IN SHARE ROW EXCLUSIVE MODE;
    SELECT a.settled INTO there FROM homeward.account a WHERE a.origin = of_origin;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'origin % is forgotten: nobody knows which of its events are rows', of_origin
            USING ERRCODE = 'P0002';
    END IF;
    RETURN QUERY
    INSERT INTO homeward.ledger_frame AS f (origin, seq_first, seq_last, accepted, closing)
    SELECT of_origin, lower(r), upper(r) - 1, accepted_count, is_closing
    FROM unnest(int8multirange(int8range(from_seq, to_seq, '[]')) - there) AS r
    RETURNING f.seq_first, f.seq_last;
END $$;

CREATE FUNCTION homeward.close_conflict(conflict_id int8, new_state text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    UPDATE homeward.conflict SET state = new_state, frame = '', closed_at = now()
    WHERE id = conflict_id AND state = 'open'
$$;

-- Gives frames up. Of one that its own origin sent, what is not settled yet becomes tombstones, so
-- that the account closes. Of a stranger's, nothing: the events of these seqs may still come. Nor in
-- an origin that has too many ranges, since each would be one more.
CREATE FUNCTION homeward.discard_conflicts(ids int8[])
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
                               WHERE l.origin = c.origin AND l.is_ragged) AS is_to_settle
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
