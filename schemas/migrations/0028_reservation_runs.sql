-- A reservation that is gone was either written or given up. Both read as settled, so messages of a
-- reservation that had just been given up were acknowledged without being written: its other runs when a
-- new reservation met several of them, and any of its runs when upkeep gave it up at that moment. Runs go
-- with a reservation that is given up and stay with one that is written, so the run decides.

CREATE OR REPLACE FUNCTION homeward.reserve_plain(of_source int4, run_firsts int8[], run_lasts int8[],
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
    -- For these few statements, and until COMMIT, all who reserve of this stream pass one by one.
    SELECT * INTO STRICT made FROM homeward.plain_source p WHERE p.id = of_source FOR UPDATE;

    FOR known IN
        SELECT o.* FROM homeward.plain_overlaps(of_source, run_firsts, run_lasts, starts_us,
                                                ends_us) AS o
    LOOP
        IF known.is_other_time THEN
            -- The server gave these sequences out before: a row of an epoch of its own.
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
    -- What a consumer of v0.1.0 settled, which knows messages one by one.
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

-- What a consumer of v0.1.0 calls; likewise.
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
                RAISE EXCEPTION 'message % is in the hands of another', stream_seqs[i]
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
