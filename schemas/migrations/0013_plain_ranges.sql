-- Plain messages, as ranges of a stream's sequences instead of one row per message.
--
-- A batch reserves its seqs in a short transaction of its own, under the lock of its stream. The
-- transaction that writes the rows takes the reservation in its first statement. So no batch waits for the
-- COPY of another, and each message is in at most one reservation at a time. The states of a reservation:
--   reserved   its row in plain_batch is there, and not locked
--   in hand    a transaction is deleting that row
--   settled    the row is gone; its runs and ledger frames remain
--   unused     the batch failed and another reserved its messages: row and runs are gone
-- All tables are insert-only in the normal case: no row is updated by every batch.

-- A stream and its creation time: a stream that was deleted and created again is another one.
CREATE TABLE homeward.plain_source (
    id      int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream  text NOT NULL,
    created timestamptz NOT NULL,
    epochs  int4 NOT NULL DEFAULT 1,
    UNIQUE (stream, created)
);
COMMENT ON COLUMN homeward.plain_source.epochs IS
    'how often the server gave the same sequences out, plus one; it can after a power cut';

-- Contiguous sequences of a stream, with the times of the first and the last. A message is in a run if its
-- sequence and its time are. Runs of one epoch are disjoint.
CREATE TABLE homeward.plain_run (
    source     int4 NOT NULL,
    epoch      int4 NOT NULL,
    seq_first  int8 NOT NULL CHECK (seq_first >= 1),
    seq_last   int8 NOT NULL CHECK (seq_last >= seq_first AND seq_last < 9223372036854775807),
    time_first timestamptz NOT NULL,
    time_last  timestamptz NOT NULL CHECK (time_last >= time_first),
    batch      int8 NOT NULL,
    PRIMARY KEY (source, epoch, seq_first)
);
CREATE INDEX plain_run_time ON homeward.plain_run USING brin (time_last);

-- Reservations that are not settled. `origins`, `firsts` and `lasts`: the seqs of each origin.
CREATE TABLE homeward.plain_batch (
    id          int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      int4 NOT NULL,
    origins     int4[] NOT NULL,
    firsts      int8[] NOT NULL,
    lasts       int8[] NOT NULL,
    run_epochs  int4[] NOT NULL,
    run_firsts  int8[] NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The last seq that an origin of plain messages has reserved: the highest row of each counts.
CREATE TABLE homeward.plain_counter (
    origin   int4 NOT NULL,
    seq_last int8 NOT NULL CHECK (seq_last >= 1 AND seq_last < 9223372036854775807),
    PRIMARY KEY (origin, seq_last)
);

-- Seqs that were reserved and will never be used: neither accepted nor lost.
CREATE TABLE homeward.plain_unused (
    origin      int4 NOT NULL,
    seq_first   int8 NOT NULL,
    seq_last    int8 NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, seq_first)
);

CREATE FUNCTION homeward.register_plain_source(of_stream text, created_us int8) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    made timestamptz := 'epoch'::timestamptz + created_us * interval '1 microsecond';
    known int4;
BEGIN
    SELECT s.id INTO known FROM homeward.plain_source s
    WHERE s.stream = of_stream AND s.created = made;
    IF known IS NULL THEN
        INSERT INTO homeward.plain_source (stream, created) VALUES (of_stream, made)
        ON CONFLICT DO NOTHING;
        SELECT s.id INTO STRICT known FROM homeward.plain_source s
        WHERE s.stream = of_stream AND s.created = made;
    END IF;
    RETURN known;
END $$;

-- Known runs that have, or may have, a message in common with one of these; one or two index probes per
-- run and epoch. `is_other_time`: the server gave the sequences out twice.
CREATE FUNCTION homeward.plain_overlaps(of_source int4, firsts int8[], lasts int8[],
                                        starts_us int8[], ends_us int8[])
RETURNS TABLE (run int4, epoch int4, seq_first int8, seq_last int8, time_first timestamptz,
               time_last timestamptz, batch int8, is_other_time boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT n.i::int4, k.epoch, k.seq_first, k.seq_last, k.time_first, k.time_last, k.batch,
               k.time_first > 'epoch'::timestamptz + n.e * interval '1 microsecond'
               OR k.time_last < 'epoch'::timestamptz + n.s * interval '1 microsecond'
        FROM unnest(firsts, lasts, starts_us, ends_us) WITH ORDINALITY AS n (a, z, s, e, i)
        CROSS JOIN (SELECT g FROM homeward.plain_source p, generate_series(1, p.epochs) AS g
                    WHERE p.id = of_source) AS h
        CROSS JOIN LATERAL (
            (SELECT * FROM (SELECT * FROM homeward.plain_run b
                            WHERE b.source = of_source AND b.epoch = h.g AND b.seq_first <= n.a
                            ORDER BY b.seq_first DESC LIMIT 1) AS before
             WHERE before.seq_last >= n.a)
            UNION ALL
            (SELECT * FROM homeward.plain_run w
             WHERE w.source = of_source AND w.epoch = h.g AND w.seq_first > n.a
               AND w.seq_first <= n.z)
        ) AS k;
END $$;

-- Gives up a reservation that no transaction holds. False: one does, or the reservation is gone.
CREATE FUNCTION homeward.release_plain(batch_id int8) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    dead homeward.plain_batch;
BEGIN
    SELECT * INTO dead FROM homeward.plain_batch b WHERE b.id = batch_id FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM homeward.plain_batch b WHERE b.id = batch_id;
    DELETE FROM homeward.plain_run r USING unnest(dead.run_epochs, dead.run_firsts) AS d (g, a)
    WHERE r.source = dead.source AND r.epoch = d.g AND r.seq_first = d.a AND r.batch = batch_id;
    -- Two reservations of one origin under different streams may begin at the same seq.
    INSERT INTO homeward.plain_unused AS u (origin, seq_first, seq_last)
    SELECT d.o, d.a, max(d.z) FROM unnest(dead.origins, dead.firsts, dead.lasts) AS d (o, a, z)
    GROUP BY d.o, d.a
    ON CONFLICT (origin, seq_first) DO UPDATE SET seq_last = greatest(u.seq_last, excluded.seq_last);
    RETURN true;
END $$;

-- Reserves seqs for messages: `counts` per origin, for all messages of these runs. `answer`:
--   reserved  one row per origin: its first seq, and the reservation
--   settled   one row per known run, and nothing is reserved: leave its messages out, and call again
--   in_hand   likewise, but an open transaction has them: wait for it, and call again
-- The runs of one call must be disjoint in sequence and time, and ordered by sequence.
--
-- The row of a reservation is gone when it was written and when it was given up. Its runs tell which: they
-- remain if it was written, and go with it if it was given up.
CREATE FUNCTION homeward.reserve_plain(of_source int4, run_firsts int8[], run_lasts int8[],
                                       starts_us int8[], ends_us int8[], origins int4[],
                                       counts int8[])
RETURNS TABLE (answer text, batch int8, origin int4, seq_first int8, seq_last int8,
               start_us int8, end_us int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    made homeward.plain_source;
    known record;
    chosen int4[] := array_fill(1, ARRAY[cardinality(run_firsts)]);
    firsts int8[];
    lasts int8[];
    given_up int8[] := '{}';
BEGIN
    IF NOT coalesce(1 <= ALL (counts), false) THEN
        RAISE EXCEPTION 'reserve_plain(): counts must be at least 1' USING ERRCODE = '22023';
    END IF;
    -- From here to COMMIT, reservations of one stream are made one at a time.
    SELECT * INTO STRICT made FROM homeward.plain_source p WHERE p.id = of_source FOR UPDATE;

    FOR known IN
        SELECT o.* FROM homeward.plain_overlaps(of_source, run_firsts, run_lasts, starts_us,
                                                ends_us) AS o
    LOOP
        IF known.is_other_time THEN
            -- The server gave these sequences out before: another epoch.
            chosen[known.run] := greatest(chosen[known.run], known.epoch + 1);
        ELSIF known.batch = ANY (given_up) THEN
            CONTINUE;  -- another run of a reservation that this call has given up
        ELSIF homeward.release_plain(known.batch) THEN
            given_up := given_up || known.batch;
        ELSE
            -- Upkeep may also have merged a written run into the one before it: ask again.
            answer := CASE WHEN EXISTS (SELECT FROM homeward.plain_batch b
                                        WHERE b.id = known.batch)
                             OR NOT EXISTS (SELECT FROM homeward.plain_run r
                                            WHERE r.source = of_source AND r.epoch = known.epoch
                                              AND r.seq_first = known.seq_first
                                              AND r.batch = known.batch)
                           THEN 'in_hand' ELSE 'settled' END;
            batch := known.batch;
            seq_first := known.seq_first;
            seq_last := known.seq_last;
            start_us := (extract(epoch FROM known.time_first) * 1000000)::int8;
            end_us := (extract(epoch FROM known.time_last) * 1000000)::int8;
            RETURN NEXT;
        END IF;
    END LOOP;
    -- What a consumer of v0.1.0 settled: one row per message.
    RETURN QUERY
    SELECT 'settled', NULL::int8, NULL::int4, m.stream_seq, m.stream_seq,
           (extract(epoch FROM m.message_time) * 1000000)::int8,
           (extract(epoch FROM m.message_time) * 1000000)::int8
    FROM unnest(run_firsts, run_lasts, starts_us, ends_us) AS n (a, z, s, e)
    JOIN homeward.plain_stream p ON p.stream = made.stream AND p.created = made.created
    CROSS JOIN LATERAL (
        SELECT k.stream_seq, k.message_time FROM homeward.plain_message k
        WHERE k.origin = p.origin AND k.stream_seq BETWEEN n.a AND n.z
          AND k.message_time BETWEEN 'epoch'::timestamptz + n.s * interval '1 microsecond'
                                 AND 'epoch'::timestamptz + n.e * interval '1 microsecond') AS m;
    IF answer IS NOT NULL OR FOUND THEN
        RETURN;
    END IF;

    IF EXISTS (SELECT FROM unnest(chosen) AS g WHERE g > made.epochs) THEN
        UPDATE homeward.plain_source p SET epochs = (SELECT max(g) FROM unnest(chosen) AS g)
        WHERE p.id = of_source;
    END IF;
    SELECT array_agg(coalesce(c.seq_last, 0) + 1 ORDER BY n.i),
           array_agg(coalesce(c.seq_last, 0) + n.events ORDER BY n.i)
    INTO firsts, lasts
    FROM unnest(origins, counts) WITH ORDINALITY AS n (o, events, i)
    LEFT JOIN LATERAL (SELECT p.seq_last FROM homeward.plain_counter p WHERE p.origin = n.o
                       ORDER BY p.seq_last DESC LIMIT 1) AS c ON true;
    INSERT INTO homeward.plain_counter (origin, seq_last)
    SELECT * FROM unnest(origins, lasts);
    INSERT INTO homeward.plain_batch AS b (source, origins, firsts, lasts, run_epochs, run_firsts)
    VALUES (of_source, reserve_plain.origins, firsts, lasts, chosen, reserve_plain.run_firsts)
    RETURNING b.id INTO batch;
    INSERT INTO homeward.plain_run (source, epoch, seq_first, seq_last, time_first, time_last,
                                    batch)
    SELECT of_source, g, a, z, 'epoch'::timestamptz + s * interval '1 microsecond',
           'epoch'::timestamptz + e * interval '1 microsecond', reserve_plain.batch
    FROM unnest(run_firsts, run_lasts, starts_us, ends_us, chosen) AS n (a, z, s, e, g);
    RETURN QUERY
    SELECT 'reserved', reserve_plain.batch, n.o, n.a, n.z, NULL::int8, NULL::int8
    FROM unnest(origins, firsts, lasts) AS n (o, a, z);
END $$;

-- Settles reservations: the first statement of the transaction that writes their rows. HW001: one was
-- given up, and its messages may be settled by now.
CREATE FUNCTION homeward.take_plain(batches int8[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    taken int8;
BEGIN
    WITH gone AS (
        DELETE FROM homeward.plain_batch b WHERE b.id = ANY (batches)
        RETURNING b.origins, b.firsts, b.lasts
    ), frames AS (
        INSERT INTO homeward.ledger_frame (origin, seq_first, seq_last, accepted, is_closing)
        SELECT f.o, f.a, f.z, 0, false
        FROM gone, unnest(gone.origins, gone.firsts, gone.lasts) AS f (o, a, z)
    )
    SELECT count(*) INTO taken FROM gone;
    IF taken <> cardinality(batches) THEN
        RAISE EXCEPTION 'a reservation of plain messages was given up' USING ERRCODE = 'HW001';
    END IF;
END $$;

-- Waits until the transactions that have these in hand end; lock_timeout limits the wait.
CREATE FUNCTION homeward.await_plain(batches int8[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.plain_batch b WHERE b.id = ANY (batches) ORDER BY b.id FOR UPDATE;
END $$;

-- Gives up reservations of consumers that died, merges adjacent runs, and deletes counters that a later
-- one replaces. One at a time; returns by how many runs there are fewer.
CREATE FUNCTION homeward.compact_plain(dead_after interval DEFAULT '1 minute') RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    one record;
    merged int8 := 0;
    gone int8;
BEGIN
    IF NOT homeward.try_lock('compact_plain') THEN
        RETURN 0;
    END IF;
    PERFORM homeward.release_plain(b.id) FROM homeward.plain_batch b
    WHERE b.reserved_at < clock_timestamp() - dead_after;
    DELETE FROM homeward.plain_counter c
    WHERE EXISTS (SELECT FROM homeward.plain_counter n
                  WHERE n.origin = c.origin AND n.seq_last > c.seq_last);
    FOR one IN SELECT s.id FROM homeward.plain_source s ORDER BY s.id LOOP
        -- Settled runs, each with those that follow it directly. Reserved runs stay as they are, since
        -- they may be given up.
        WITH run AS (
            SELECT r.epoch, r.seq_first, r.seq_last, r.time_first, r.time_last, r.batch,
                   r.seq_first IS DISTINCT FROM lag(r.seq_last) OVER w + 1
                   OR r.time_first < lag(r.time_last) OVER w AS begins
            FROM homeward.plain_run r
            WHERE r.source = one.id
              AND NOT EXISTS (SELECT FROM homeward.plain_batch b WHERE b.id = r.batch)
            WINDOW w AS (PARTITION BY r.epoch ORDER BY r.seq_first)
        ), grouped AS (
            SELECT run.*, count(*) FILTER (WHERE begins) OVER (PARTITION BY epoch
                                                               ORDER BY seq_first) AS part
            FROM run
        ), whole AS (
            SELECT epoch, min(seq_first) AS seq_first, max(seq_last) AS seq_last,
                   max(time_last) AS time_last
            FROM grouped GROUP BY epoch, part HAVING count(*) > 1
        ), removed AS (
            DELETE FROM homeward.plain_run r USING whole w
            WHERE r.source = one.id AND r.epoch = w.epoch AND r.seq_first > w.seq_first
              AND r.seq_first <= w.seq_last
            RETURNING 1
        ), widened AS (
            UPDATE homeward.plain_run r SET seq_last = w.seq_last, time_last = w.time_last
            FROM whole w
            WHERE r.source = one.id AND r.epoch = w.epoch AND r.seq_first = w.seq_first
        )
        SELECT count(*) INTO gone FROM removed;
        merged := merged + gone;
    END LOOP;
    RETURN merged;
END $$;

-- For consumers of v0.1.0, which hold the stream until COMMIT and keep one row per message.
CREATE OR REPLACE FUNCTION homeward.claim_plain(stream_origin int4, stream_seqs int8[],
                                                times_us int8[], event_counts int4[])
RETURNS TABLE (message_index int4, seq_first int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET jit = off AS $$
DECLARE
    next int8;
    made homeward.plain_stream;
    of_source int4;
    known record;
BEGIN
    SELECT * INTO STRICT made FROM homeward.plain_stream p WHERE p.origin = stream_origin FOR UPDATE;
    next := made.seq_next;
    of_source := homeward.register_plain_source(
        made.stream, (extract(epoch FROM made.created) * 1000000)::int8);
    PERFORM FROM homeward.plain_source s WHERE s.id = of_source FOR UPDATE;
    FOR i IN 1 .. coalesce(array_length(stream_seqs, 1), 0) LOOP
        message_index := i - 1;
        SELECT o.batch, o.epoch, o.seq_first INTO known
        FROM homeward.plain_overlaps(of_source, ARRAY[stream_seqs[i]], ARRAY[stream_seqs[i]],
                                     ARRAY[times_us[i]], ARRAY[times_us[i]]) AS o
        WHERE NOT o.is_other_time;
        IF FOUND AND NOT homeward.release_plain(known.batch) THEN
            IF EXISTS (SELECT FROM homeward.plain_batch b WHERE b.id = known.batch)
               OR NOT EXISTS (SELECT FROM homeward.plain_run r
                              WHERE r.source = of_source AND r.epoch = known.epoch
                                AND r.seq_first = known.seq_first AND r.batch = known.batch) THEN
                RAISE EXCEPTION 'message % is reserved by another transaction', stream_seqs[i]
                    USING ERRCODE = '55P03';
            END IF;
        ELSE
            INSERT INTO homeward.plain_message AS m
                (origin, stream_seq, message_time, seq_first, events)
            VALUES (stream_origin, stream_seqs[i],
                    'epoch'::timestamptz + times_us[i] * interval '1 microsecond',
                    next, event_counts[i])
            ON CONFLICT DO NOTHING RETURNING m.seq_first INTO seq_first;
            IF seq_first IS NOT NULL THEN
                next := next + event_counts[i];
            END IF;
        END IF;
        RETURN NEXT;
        seq_first := NULL;
    END LOOP;
    UPDATE homeward.plain_stream p SET seq_next = next WHERE p.origin = stream_origin;
END $$;
