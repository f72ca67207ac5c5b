-- The leader's account of every origin. Runs once, under the migration lock, in one transaction.
-- Functions are SECURITY DEFINER, so that the consumer's role needs no right beyond EXECUTE and
-- INSERT; each names its search_path, so that nobody can slip in an object of their own.

CREATE TABLE homeward.origin (
    id         int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    publisher  uuid NOT NULL,
    class      text NOT NULL CHECK (class IN ('audit', 'metric', 'plain')),
    region     text NOT NULL,
    app        text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    abandoned  timestamptz,
    UNIQUE (publisher, class)
);
COMMENT ON TABLE homeward.origin IS
    'A publisher and a class. Class plain: a stream of messages that carry no origin of their own.';

-- First level: one insert-only row per frame, so that no row is updated by every batch.
CREATE TABLE homeward.ledger_frame (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    accepted  int8 NOT NULL,
    closing   boolean NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);
-- Whoever looks for overlaps need not look further back than a frame is long: all longer ones are
-- here. Else, under an old snapshot, a look would pass over every frame that was ever folded.
CREATE INDEX ledger_frame_long ON homeward.ledger_frame (origin, seq_first)
    WHERE seq_last - seq_first >= 1024;

-- What an origin said of itself without sending events: its count, and that it has ended.
CREATE TABLE homeward.ledger_mark (
    origin   int4 NOT NULL,
    accepted int8 NOT NULL,
    closing  boolean NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

-- Origins that say that another may have brought the same events: the machine restarted while frames
-- were under way that its log had not synced. Told once or a few times by each.
CREATE TABLE homeward.possible_duplicate (
    origin   int4 NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

-- Second level: what the fold has gathered; one row per origin.
CREATE TABLE homeward.ledger (
    origin   int4 PRIMARY KEY,
    settled  int8multirange NOT NULL DEFAULT '{}',
    accepted int8 NOT NULL DEFAULT 0,
    closed   boolean NOT NULL DEFAULT false,
    is_ragged boolean NOT NULL DEFAULT false,
    heard_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN homeward.ledger.is_ragged IS
    'has so many ranges (ledger.ranges_max) that no frame may begin another, only go on with one';

CREATE INDEX ledger_closed ON homeward.ledger (heard_at) WHERE closed;
CREATE INDEX ledger_ragged ON homeward.ledger (origin) WHERE is_ragged;

-- All that is kept of an origin that has ended and is whole: its seqs from 1 to `accepted` are
-- settled. Small, since there is one for every run of every process; see homeward.finish().
CREATE TABLE homeward.place (
    id     int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class  text NOT NULL,
    region text NOT NULL,
    app    text NOT NULL,
    UNIQUE (class, region, app)
);
CREATE TABLE homeward.finished (
    accepted    int8 NOT NULL,
    origin      int4 PRIMARY KEY,
    place       int4 NOT NULL,
    finished_on date NOT NULL,
    publisher   uuid NOT NULL
);
CREATE INDEX finished_publisher ON homeward.finished (publisher);

-- Every origin that is not forgotten. `finished`: how many events it had; NULL: still in the ledger.
CREATE VIEW homeward.known_origin AS
SELECT id, publisher, class, region, app, first_seen, abandoned, NULL::int8 AS finished
FROM homeward.origin
UNION ALL
SELECT f.origin, f.publisher, p.class, p.region, p.app, f.finished_on::timestamptz, NULL, f.accepted
FROM homeward.finished f JOIN homeward.place p ON p.id = f.place;

CREATE TABLE homeward.tombstone (
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL CHECK (seq_last >= seq_first),
    reason    text NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);

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

-- Frames that contradict the ledger: kept whole, for a person to judge.
CREATE TABLE homeward.conflict (
    id        int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin    int4 NOT NULL,
    seq_first int8 NOT NULL,
    seq_last  int8 NOT NULL,
    region    text NOT NULL,
    app       text NOT NULL,
    reason    text NOT NULL,
    frame     bytea NOT NULL,
    frame_sha256 bytea GENERATED ALWAYS AS (sha256(frame)) STORED,
    seen_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (origin, seq_first, frame_sha256, region, app)
);

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

CREATE TABLE homeward.event_type (
    name           text PRIMARY KEY,
    class          text NOT NULL,
    table_schema   text NOT NULL,
    table_name     text NOT NULL,
    partitioning   text NOT NULL,
    retention_days int4 NOT NULL,
    applied_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (table_schema, table_name)
);

-- Rows that retention has dropped; without it the proof would call them missing.
CREATE TABLE homeward.retired (
    origin int4 PRIMARY KEY,
    rows   int8 NOT NULL
);

CREATE FUNCTION homeward.seq_count(ranges int8multirange) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(upper(r) - lower(r)), 0)::int8 FROM unnest(ranges) AS r
$$;

CREATE FUNCTION homeward.range_count(ranges int8multirange) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*) FROM unnest(ranges)
$$;

-- Which of these frames would begin one more range in an origin that has too many of them. Frames
-- that join are judged together, or the second of a run would find the first and pass. What another
-- transaction has settled meanwhile, and is not folded yet, counts as a range to go on with.
CREATE FUNCTION homeward.ragged_frames(origins int4[], firsts int8[], lasts int8[])
RETURNS TABLE (origin int4, seq_first int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
    WITH frame AS (
        SELECT f.o, f.a, int8range(f.a, f.z, '[]') AS seqs
        FROM unnest(origins, firsts, lasts) AS f (o, a, z)
        WHERE EXISTS (SELECT FROM homeward.ledger l WHERE l.origin = f.o AND l.is_ragged)
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

-- The last statement before COMMIT. Raises unique_violation when a frame of the same seq_first is
-- there, HW001 when the seqs of one are settled already, in whole or in part, or would begin a range
-- too many. Each statement in here sees what was committed before it started, so the check sees what a fold has moved while
-- the insert waited for it.
CREATE FUNCTION homeward.settle(origins int4[], firsts int8[], lasts int8[], counts int8[],
                                closings boolean[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    clash record;
BEGIN
    INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, closing)
    SELECT * FROM unnest(origins, firsts, lasts, counts, closings) AS f (o, a, z, n, c)
    ORDER BY o, a;

    SELECT f.o, f.a, f.z INTO clash
    FROM unnest(origins, firsts, lasts) AS f (o, a, z)
    WHERE EXISTS (SELECT FROM homeward.ledger l
                  WHERE l.origin = f.o AND l.settled && int8range(f.a, f.z, '[]'))
       OR EXISTS (SELECT FROM homeward.finished d WHERE d.origin = f.o AND d.accepted >= f.a)
       OR f.a <= (SELECT p.seq_last FROM homeward.ledger_frame p
                  WHERE p.origin = f.o AND p.seq_first < f.a AND p.seq_first > f.a - 1024
                  ORDER BY p.seq_first DESC LIMIT 1)
       OR EXISTS (SELECT FROM homeward.ledger_frame w
                  WHERE w.origin = f.o AND w.seq_last - w.seq_first >= 1024
                    AND w.seq_first < f.a AND w.seq_last >= f.a)
       OR EXISTS (SELECT FROM homeward.ledger_frame n
                  WHERE n.origin = f.o AND n.seq_first > f.a AND n.seq_first <= f.z)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'origin %: seqs % to % are settled already', clash.o, clash.a, clash.z
            USING ERRCODE = 'HW001';
    END IF;

    IF EXISTS (SELECT FROM homeward.ledger l WHERE l.is_ragged AND l.origin = ANY (origins)) THEN
        SELECT r.origin, r.seq_first INTO clash
        FROM homeward.ragged_frames(origins, firsts, lasts) AS r LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'origin %: seq % would begin a range too many', clash.origin,
                clash.seq_first USING ERRCODE = 'HW001';
        END IF;
    END IF;
END $$;

-- The careful way round, for a batch that failed once: says of each frame, before any row is
-- written, whether it is new (and then claims it), settled, at odds with the ledger, or would begin a
-- range too many. A frame
-- that another transaction is about to settle is waited for (lock_timeout bounds that).
CREATE FUNCTION homeward.claim(origins int4[], firsts int8[], lasts int8[], counts int8[],
                               closings boolean[])
RETURNS TABLE (frame_index int4, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS homeward_claimed (o int4, a int8) ON COMMIT DELETE ROWS;
    -- The caller may have made one of that name, with triggers that would act as our owner.
    IF (SELECT relowner FROM pg_class WHERE oid = to_regclass('pg_temp.homeward_claimed'))
       <> current_user::regrole THEN
        RAISE EXCEPTION 'pg_temp.homeward_claimed is not the ledger''s own; drop it'
            USING ERRCODE = '42501';
    END IF;
    TRUNCATE pg_temp.homeward_claimed;
    WITH claimed AS (
        INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, closing)
        SELECT * FROM unnest(origins, firsts, lasts, counts, closings) AS f (o, a, z, n, c)
        ORDER BY o, a
        ON CONFLICT DO NOTHING
        RETURNING origin, seq_first)
    INSERT INTO pg_temp.homeward_claimed SELECT origin, seq_first FROM claimed;

    RETURN QUERY
    WITH frame AS (
        SELECT (i - 1)::int4 AS i, o, a, z, int8range(a, z, '[]') AS seqs
        FROM unnest(origins, firsts, lasts) WITH ORDINALITY AS f (o, a, z, i)
    ), seen AS (
        SELECT f.i, f.o, f.a, f.z, f.seqs, c.o IS NOT NULL AS ours,
               coalesce((SELECT l.settled FROM homeward.ledger l WHERE l.origin = f.o), '{}')
             + coalesce((SELECT int8multirange(int8range(1, d.accepted + 1))
                         FROM homeward.finished d WHERE d.origin = f.o), '{}')
             + coalesce((SELECT range_agg(int8range(p.seq_first, p.seq_last, '[]'))
                         FROM homeward.ledger_frame p
                         WHERE p.origin = f.o AND p.seq_last >= f.a
                           AND p.seq_first <= f.z AND p.seq_first > f.a - 1024
                           AND NOT (c.o IS NOT NULL AND p.seq_first = f.a)), '{}')
             + coalesce((SELECT range_agg(int8range(w.seq_first, w.seq_last, '[]'))
                         FROM homeward.ledger_frame w
                         WHERE w.origin = f.o AND w.seq_last - w.seq_first >= 1024
                           AND w.seq_first < f.a AND w.seq_last >= f.a), '{}') AS settled
        FROM frame f
        LEFT JOIN pg_temp.homeward_claimed c ON c.o = f.o AND c.a = f.a
    ), judged AS (
        SELECT s.i, s.o, s.a, s.ours,
               CASE WHEN s.settled @> s.seqs THEN 'settled'
                    WHEN s.settled && s.seqs THEN 'overlap'
                    WHEN r.origin IS NOT NULL THEN 'ragged'
                    ELSE 'new' END AS v
        FROM seen s
        LEFT JOIN homeward.ragged_frames(origins, firsts, lasts) AS r
               ON r.origin = s.o AND r.seq_first = s.a
    ), unclaimed AS (
        DELETE FROM homeward.ledger_frame p USING judged j
        WHERE j.ours AND j.v <> 'new' AND p.origin = j.o AND p.seq_first = j.a
    )
    SELECT j.i, j.v FROM judged j ORDER BY j.i;
END $$;

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

-- Moves frames and marks into the second level. One at a time; returns how many frames it moved.
-- `ranges_max`: with so many ranges an origin is ragged. What comes between two folds may exceed it.
CREATE FUNCTION homeward.fold(ranges_max int4 DEFAULT 10000, frames_max int4 DEFAULT 100000)
RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    moved int4;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('homeward.fold')) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM homeward.ledger_frame
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.ledger_frame LIMIT frames_max))
        RETURNING origin, seq_first, seq_last, accepted, closing, settled_at
    ), marked AS (
        DELETE FROM homeward.ledger_mark
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM homeward.ledger_mark LIMIT frames_max))
        RETURNING origin, accepted, closing, noted_at
    ), news AS (
        SELECT origin, coalesce(range_agg(seqs), '{}') AS settled, max(accepted) AS accepted,
               bool_or(closing) AS closed, max(at) AS at
        FROM (SELECT origin, int8range(seq_first, seq_last, '[]') AS seqs, accepted, closing,
                     settled_at AS at FROM taken
              UNION ALL
              SELECT origin, NULL, accepted, closing, noted_at FROM marked) AS n
        GROUP BY origin
    ), kept AS (
        INSERT INTO homeward.ledger AS l (origin, settled, accepted, closed, is_ragged, heard_at)
        SELECT origin, settled, accepted, closed, homeward.range_count(settled) >= ranges_max, at
        FROM news ORDER BY origin
        ON CONFLICT (origin) DO UPDATE
        SET settled = l.settled + excluded.settled,
            is_ragged = homeward.range_count(l.settled + excluded.settled) >= ranges_max,
            accepted = greatest(l.accepted, excluded.accepted),
            closed = l.closed OR excluded.closed,
            heard_at = greatest(l.heard_at, excluded.heard_at)
    )
    SELECT count(*) INTO moved FROM taken;
    RETURN moved;
END $$;

-- Puts away origins that have ended, are whole, have no letter waiting and were not heard of for a
-- while. A consumer that still knows such an origin by its number finds it there as well.
CREATE FUNCTION homeward.finish(quiet interval DEFAULT '10 minutes',
                                origins_max int4 DEFAULT 10000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    whole int4[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('homeward.fold')) THEN
        RETURN 0;
    END IF;
    whole := ARRAY(
        SELECT l.origin FROM homeward.ledger l
        WHERE l.closed AND l.heard_at < now() - quiet
          AND l.settled = int8multirange(int8range(1, l.accepted + 1))
          AND NOT EXISTS (SELECT FROM homeward.ledger_frame f WHERE f.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.ledger_mark m WHERE m.origin = l.origin)
          AND NOT EXISTS (SELECT FROM homeward.dead_letter d
                          WHERE d.origin = l.origin AND d.state IN ('open', 'parked'))
        ORDER BY l.heard_at LIMIT origins_max);
    IF cardinality(whole) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO homeward.place (class, region, app)
    SELECT DISTINCT class, region, app FROM homeward.origin WHERE id = ANY (whole)
    ON CONFLICT DO NOTHING;
    WITH gone AS (
        DELETE FROM homeward.origin WHERE id = ANY (whole)
        RETURNING id, publisher, class, region, app
    ), emptied AS (
        DELETE FROM homeward.ledger WHERE origin = ANY (whole)
        RETURNING origin, accepted, heard_at
    )
    INSERT INTO homeward.finished (accepted, origin, place, finished_on, publisher)
    SELECT e.accepted, g.id, p.id, e.heard_at::date, g.publisher
    FROM gone g JOIN emptied e ON e.origin = g.id JOIN homeward.place p USING (class, region, app)
    ORDER BY g.id;
    RETURN cardinality(whole);
END $$;

-- Forgets origins that finished, or were abandoned, so many days ago, with all that was noted of
-- them; their rows stay. A frame of theirs that came only now would be taken for a new origin's.
CREATE FUNCTION homeward.forget(days int4, origins_max int4 DEFAULT 100000) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    old int4[] := ARRAY(
        (SELECT f.origin FROM homeward.finished f
         WHERE f.finished_on < current_date - days LIMIT origins_max)
        UNION ALL
        (SELECT o.id FROM homeward.origin o
         WHERE o.abandoned < now() - make_interval(days => days) LIMIT origins_max));
BEGIN
    DELETE FROM homeward.tombstone WHERE origin = ANY (old);
    DELETE FROM homeward.retired WHERE origin = ANY (old);
    DELETE FROM homeward.dead_letter WHERE origin = ANY (old);
    DELETE FROM homeward.possible_duplicate WHERE origin = ANY (old);
    DELETE FROM homeward.ledger WHERE origin = ANY (old);
    DELETE FROM homeward.origin WHERE id = ANY (old);
    DELETE FROM homeward.finished WHERE origin = ANY (old);
    RETURN cardinality(old);
END $$;

-- Up to where the log is on the disk of a standby: of that which has the most. NULL: there is none.
-- What merely archives the log replays nothing, and cannot be promoted.
CREATE FUNCTION homeward.replicated_lsn() RETURNS pg_lsn
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    reached pg_lsn;
    hidden boolean;
BEGIN
    SELECT max(flush_lsn) FILTER (WHERE replay_lsn IS NOT NULL), bool_or(state IS NULL)
    INTO reached, hidden FROM pg_stat_replication;
    IF hidden THEN
        RAISE EXCEPTION 'role % may not see how far the standbys are', current_user
            USING ERRCODE = '42501', HINT = 'GRANT pg_read_all_stats to it.';
    END IF;
    RETURN reached;
END $$;

-- Rows per origin in every event table, counted, not remembered.
CREATE FUNCTION homeward.row_count() RETURNS TABLE (origin int4, rows int8, distinct_rows int8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    query text;
BEGIN
    SELECT string_agg(format('SELECT origin, seq FROM %I.%I', table_schema, table_name),
                      ' UNION ALL ')
    INTO query FROM homeward.event_type
    WHERE to_regclass(format('%I.%I', table_schema, table_name)) IS NOT NULL;
    IF query IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        'SELECT origin, sum(n)::int8, count(*)::int8 FROM'
        ' (SELECT origin, seq, count(*) AS n FROM (' || query || ') AS e GROUP BY origin, seq)'
        ' AS s GROUP BY origin';
END $$;

-- How long a hole may stay open before it is called missing; SET homeward.missing_after changes it.
CREATE FUNCTION homeward.missing_after() RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('homeward.missing_after', true), ''),
                    '15 minutes')::interval
$$;

-- Both levels together, per origin.
CREATE VIEW homeward.account AS
SELECT o.id AS origin, o.publisher, o.class, o.region, o.app,
       coalesce(l.settled, '{}') + coalesce(f.settled, '{}')
           + CASE WHEN o.finished > 0 THEN int8multirange(int8range(1, o.finished + 1))
                  ELSE '{}' END AS settled,
       greatest(coalesce(l.accepted, 0), coalesce(f.accepted, 0), coalesce(m.accepted, 0),
                coalesce(p.seq_next - 1, 0), coalesce(o.finished, 0)) AS accepted,
       coalesce(l.closed, false) OR coalesce(f.closed, false) OR coalesce(m.closed, false)
           OR o.finished IS NOT NULL AS closed,
       o.abandoned IS NOT NULL AS abandoned,
       greatest(o.first_seen, l.heard_at, f.at, m.at) AS heard_at
FROM homeward.known_origin o
LEFT JOIN homeward.ledger l ON l.origin = o.id
LEFT JOIN homeward.plain_stream p ON p.origin = o.id
LEFT JOIN (SELECT origin, range_agg(int8range(seq_first, seq_last, '[]')) AS settled,
                  max(accepted) AS accepted, bool_or(closing) AS closed, max(settled_at) AS at
           FROM homeward.ledger_frame GROUP BY origin) f ON f.origin = o.id
LEFT JOIN (SELECT origin, max(accepted) AS accepted, bool_or(closing) AS closed,
                  max(noted_at) AS at
           FROM homeward.ledger_mark GROUP BY origin) m ON m.origin = o.id;

-- accepted = committed + dead_lettered + tombstoned + in_flight + missing, per origin.
-- missing: settled seqs without a row, and holes that are older than missing_after().
-- duplicated: rows beyond one per seq, and rows of seqs that were never settled.
-- interrupted: its machine restarted; what is missing was lost with it, or came under another origin.
CREATE VIEW homeward.proof AS
SELECT origin, publisher, class, region, app,
       CASE WHEN closed AND holes = 0 THEN 'complete'
            WHEN abandoned THEN 'abandoned'
            WHEN closed AND possible_duplicates THEN 'interrupted'
            WHEN class = 'plain' OR heard_at > now() - interval '3 minutes' THEN 'active'
            ELSE 'open' END AS state,
       accepted,
       least(there, expected) AS committed,
       dead_lettered, tombstoned,
       CASE WHEN stale THEN 0 ELSE holes END AS in_flight,
       CASE WHEN stale THEN holes ELSE 0 END + greatest(expected - there, 0) AS missing,
       rows - distinct_rows + greatest(there - expected, 0) AS duplicated,
       heard_at, possible_duplicates
FROM (
    SELECT a.*, h.holes, d.dead_lettered, t.tombstoned, coalesce(r.rows, 0) AS rows,
           coalesce(r.distinct_rows, 0) AS distinct_rows,
           coalesce(r.distinct_rows, 0) + coalesce(x.rows, 0) AS there,
           homeward.seq_count(a.settled) - d.dead_lettered - t.tombstoned AS expected,
           a.heard_at < now() - homeward.missing_after() OR a.abandoned AS stale,
           EXISTS (SELECT FROM homeward.possible_duplicate b WHERE b.origin = a.origin)
               AS possible_duplicates
    FROM homeward.account a
    CROSS JOIN LATERAL (SELECT greatest(a.accepted - homeward.seq_count(a.settled), 0)
                               AS holes) h
    CROSS JOIN LATERAL (SELECT count(*) AS dead_lettered FROM homeward.dead_letter
                        WHERE origin = a.origin AND state <> 'redriven') d
    CROSS JOIN LATERAL (SELECT coalesce(sum(seq_last - seq_first + 1), 0)::int8 AS tombstoned
                        FROM homeward.tombstone WHERE origin = a.origin) t
    LEFT JOIN homeward.row_count() r ON r.origin = a.origin
    LEFT JOIN homeward.retired x ON x.origin = a.origin
) AS p;

-- Which events of an origin neither are there nor are accounted for: the holes, and what is settled
-- but has no row. Reads all rows of the origin. Rows that retention has dropped are known by their
-- number only; with such ones, only the holes.
CREATE FUNCTION homeward.missing_seqs(of_origin int4) RETURNS int8multirange
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    query text;
    whole int8multirange;
    there int8multirange;
BEGIN
    SELECT int8multirange(int8range(1, a.accepted, '[]')), a.settled INTO whole, there
    FROM homeward.account a WHERE a.origin = of_origin;
    SELECT string_agg(format('SELECT seq FROM %I.%I WHERE origin = $1', table_schema, table_name),
                      ' UNION ALL ')
    INTO query FROM homeward.event_type
    WHERE to_regclass(format('%I.%I', table_schema, table_name)) IS NOT NULL;
    IF query IS NOT NULL AND NOT EXISTS (SELECT FROM homeward.retired WHERE origin = of_origin) THEN
        EXECUTE 'SELECT coalesce(range_agg(int8range(seq, seq, ''[]'')), ''{}'') FROM (' || query
                || ') AS e'
        INTO there USING of_origin;
        there := there
            + coalesce((SELECT range_agg(int8range(seq, seq, '[]')) FROM homeward.dead_letter
                        WHERE origin = of_origin AND state <> 'redriven'), '{}')
            + coalesce((SELECT range_agg(int8range(seq_first, seq_last, '[]'))
                        FROM homeward.tombstone WHERE origin = of_origin), '{}');
    END IF;
    RETURN whole - there;
END $$;

-- A day's partition, made and then attached: CREATE … PARTITION OF would wait for, and then block,
-- everybody who writes to the table; ATTACH does neither.
CREATE FUNCTION homeward.ensure_partition(event_schema text, event_table text, day date)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    part text := event_table || '_' || to_char(day, 'YYYYMMDD');
    parent regclass := to_regclass(format('%I.%I', event_schema, event_table));
    child regclass;
BEGIN
    -- Only tables that Homeward made; the caller's names are otherwise not trusted.
    PERFORM FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF NOT FOUND OR parent IS NULL THEN
        RAISE EXCEPTION 'no partitioned event table %.%', event_schema, event_table
            USING ERRCODE = '42P01';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('homeward.partition'), hashtext(part));
    child := to_regclass(format('%I.%I', event_schema, part));
    IF child IS NULL THEN
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)',
                       event_schema, part, event_schema, event_table);
        child := to_regclass(format('%I.%I', event_schema, part));
    END IF;
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = child AND inhparent = parent) THEN
        EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                       event_schema, event_table, event_schema, part,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

-- Drops the oldest day that a type's retention has passed, and remembers how many rows of each
-- origin went with it. Returns its name, or NULL when there is none. Gives up (55P03) rather than
-- wait for somebody's open transaction, as every writer would wait behind us: to be tried again.
CREATE FUNCTION homeward.drop_expired_partition(event_schema text, event_table text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    days int4;
    part text;
BEGIN
    SELECT retention_days INTO days FROM homeward.event_type
    WHERE table_schema = event_schema AND table_name = event_table AND partitioning = 'day';
    IF coalesce(days, 0) = 0 THEN
        RETURN NULL;
    END IF;
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = format('%I.%I', event_schema, event_table)::regclass
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - days
    ORDER BY c.relname LIMIT 1;
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    -- Would it work? Tried, and undone at once, before anything is counted.
    BEGIN
        EXECUTE format('LOCK TABLE ONLY %I.%I, ONLY %I.%I IN ACCESS EXCLUSIVE MODE',
                       event_schema, event_table, event_schema, part);
        RAISE EXCEPTION USING ERRCODE = 'HW000';
    EXCEPTION WHEN SQLSTATE 'HW000' THEN
        NULL;
    END;
    -- Late events of that day wait while its rows are counted; all others go on.
    EXECUTE format('LOCK TABLE %I.%I IN SHARE ROW EXCLUSIVE MODE', event_schema, part);
    EXECUTE format(
        'INSERT INTO homeward.retired AS r (origin, rows)'
        ' SELECT origin, count(DISTINCT seq) FROM %I.%I GROUP BY origin'
        ' ON CONFLICT (origin) DO UPDATE SET rows = r.rows + excluded.rows',
        event_schema, part);
    EXECUTE format('DROP TABLE %I.%I', event_schema, part);
    RETURN part;
END $$;
