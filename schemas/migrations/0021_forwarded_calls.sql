-- Forwarded calls (publisher/forward/README.md): how each call ended, by its key. The row is written in
-- the transaction of the call's handler.

CREATE TABLE homeward.forwarded_call (
    app       text NOT NULL,
    key       text NOT NULL,
    day       date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    region    text NOT NULL,
    operation text NOT NULL,
    digest    bytea NOT NULL,
    outcome   text NOT NULL CHECK (outcome IN ('ok', 'failed', 'abandoned')),
    code      text NOT NULL,
    reply     bytea NOT NULL,
    ended_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, key, day)
) PARTITION BY RANGE (day);
COMMENT ON TABLE homeward.forwarded_call IS
    'how each forwarded call ended; rows go with their day, see homeward.call_retention';
COMMENT ON COLUMN homeward.forwarded_call.digest IS 'SHA-256 of operation, line feed and body';

-- A unique index on a partitioned table holds for each partition alone, and a retry may come on another
-- day. So each transaction first inserts its key here, and deletes it as it stores how the call ended:
-- another one with the same key waits for its end, and then looks into all days by a later statement.
-- A row that outlives its transaction is one that the handler has committed by itself. It commits with
-- the handler's writes, so it is how that call ended: no server runs the key again. Such a row goes with
-- its day, too.
CREATE TABLE homeward.call_claim (
    app       text NOT NULL,
    key       text NOT NULL,
    day       date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    region    text NOT NULL,
    operation text NOT NULL,
    digest    bytea NOT NULL,
    is_left   bool NOT NULL DEFAULT false,
    PRIMARY KEY (app, key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON COLUMN homeward.call_claim.is_left IS 'set when another transaction finds the row';

-- One row, and not an argument: no app may shorten what another one relies on.
CREATE TABLE homeward.call_retention (
    is_only bool PRIMARY KEY DEFAULT true CHECK (is_only),
    days    int4 NOT NULL CHECK (days >= 1)
);
COMMENT ON TABLE homeward.call_retention IS 'for how many whole days the key of a call is remembered';
INSERT INTO homeward.call_retention (days) VALUES (7);

INSERT INTO homeward.lock_row VALUES ('forwarded_call');

-- Waits for any transaction with this key. One row: this transaction's id, and how the call ended, if it
-- has. HW009: under another isolation level the lookup would not see what it has waited for.
CREATE FUNCTION homeward.begin_call(of_app text, of_key text, from_region text, of_operation text,
                                    of_digest bytea)
RETURNS TABLE (begun text, operation text, digest bytea, outcome text, code text, reply bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    claim record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'begin_call() needs READ COMMITTED, not %',
            upper(current_setting('transaction_isolation')) USING ERRCODE = 'HW009';
    END IF;
    INSERT INTO homeward.call_claim AS c (app, key, region, operation, digest)
    VALUES (of_app, of_key, from_region, of_operation, of_digest)
    ON CONFLICT (app, key) DO UPDATE SET is_left = true
    RETURNING c.is_left, c.operation, c.digest INTO claim;
    begun := pg_current_xact_id()::text;
    SELECT c.operation, c.digest, c.outcome, c.code, c.reply
    INTO operation, digest, outcome, code, reply
    FROM homeward.forwarded_call c WHERE c.app = of_app AND c.key = of_key;
    IF NOT FOUND AND claim.is_left THEN
        SELECT claim.operation, claim.digest, 'failed', 'transaction_ended',
               convert_to('the handler has ended its transaction by itself', 'UTF8')
        INTO operation, digest, outcome, code, reply;
    END IF;
    RETURN NEXT;
END $$;

-- HW008: this is not the transaction of begin_call(); the handler has ended that one by itself.
CREATE FUNCTION homeward.store_call(begun text, of_app text, of_key text, with_outcome text,
                                    with_code text, with_reply bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF pg_current_xact_id_if_assigned()::text IS DISTINCT FROM begun THEN
        RAISE EXCEPTION 'the transaction % of call "%" has ended', begun, of_key
            USING ERRCODE = 'HW008';
    END IF;
    WITH claim AS (
        DELETE FROM homeward.call_claim c WHERE c.app = of_app AND c.key = of_key RETURNING c.*
    )
    INSERT INTO homeward.forwarded_call (app, key, day, region, operation, digest, outcome, code, reply)
    SELECT c.app, c.key, c.day, c.region, c.operation, c.digest, with_outcome, with_code, with_reply
    FROM claim c;
END $$;

-- Creates the partitions of today and the next two days; returns how many were created.
CREATE FUNCTION homeward.ensure_call_days() RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '2s' AS $$
DECLARE
    wanted date[] := ARRAY(SELECT (now() AT TIME ZONE 'UTC')::date + i FROM generate_series(0, 2) AS i);
    one date;
    part text;
    made int4 := 0;
BEGIN
    IF wanted <@ ARRAY(SELECT p.day FROM homeward.day_partitions('homeward.forwarded_call') AS p) THEN
        RETURN 0;
    END IF;
    PERFORM homeward.await_lock('forwarded_call');
    FOR one IN
        SELECT d FROM unnest(wanted) AS d
        WHERE d NOT IN (SELECT p.day FROM homeward.day_partitions('homeward.forwarded_call') AS p)
    LOOP
        part := format('homeward.forwarded_call_%s', to_char(one, 'YYYYMMDD'));
        EXECUTE format('CREATE TABLE %s (LIKE homeward.forwarded_call INCLUDING ALL)', part);
        EXECUTE format('ALTER TABLE homeward.forwarded_call ATTACH PARTITION %s'
                       ' FOR VALUES FROM (%L) TO (%L)', part, one, one + 1);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Forgets the claims of all days that have passed their retention, and the keys of the oldest such day;
-- returns that day, or NULL. It needs a lock that stops calls while it waits, so it does not wait long.
CREATE FUNCTION homeward.drop_expired_calls() RETURNS date
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp
SET lock_timeout = '100ms' AS $$
DECLARE
    first_kept date := (now() AT TIME ZONE 'UTC')::date - (SELECT r.days FROM homeward.call_retention r);
    old record;
BEGIN
    DELETE FROM homeward.call_claim c WHERE c.day < first_kept;
    SELECT p.part, p.day INTO old FROM homeward.day_partitions('homeward.forwarded_call') AS p
    WHERE p.day < first_kept ORDER BY p.day LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %s', old.part);
    RETURN old.day;
END $$;
