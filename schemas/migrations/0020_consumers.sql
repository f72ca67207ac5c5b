-- Running consumers, and the frame versions that they read: checked before publishers write a newer one.

CREATE TABLE homeward.consumer (
    id                uuid PRIMARY KEY,
    host              text NOT NULL,
    version           text NOT NULL,
    frame_version_max int4 NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT now(),
    last_seen_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE homeward.consumer IS
    'consumers of 0.2 and newer, seen every ledger.fold_interval_ms; gone an hour after their end';

CREATE FUNCTION homeward.register_consumer(consumer_id uuid, on_host text, of_version text,
                                           reads_frames_up_to int4) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF consumer_id IS NULL OR reads_frames_up_to IS NULL OR reads_frames_up_to < 1
       OR length(on_host) > 256 OR length(of_version) > 64 THEN
        RAISE EXCEPTION 'register_consumer(%, %, %, %): an id, a host of up to 256 characters, a'
            ' version of up to 64 and a frame version of at least 1 are expected', consumer_id,
            left(on_host, 256), left(of_version, 64), reads_frames_up_to USING ERRCODE = '22023';
    END IF;
    INSERT INTO homeward.consumer AS c (id, host, version, frame_version_max)
    VALUES (consumer_id, coalesce(on_host, '?'), coalesce(of_version, '?'), reads_frames_up_to)
    ON CONFLICT (id) DO UPDATE SET last_seen_at = now();
    DELETE FROM homeward.consumer c
    WHERE c.id IN (SELECT o.id FROM homeward.consumer o
                   WHERE o.last_seen_at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED);
END $$;

-- Ends transactions whose consumers have sent nothing of a COPY for so long; returns how many. Others wait
-- for what these have claimed, and the server has no timeout for them. Only of the caller's login and of
-- those of the consumer's roles, so that housekeeping needs no right on other sessions of the cluster.
CREATE FUNCTION homeward.end_stalled_writers(silent_ms int8) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    ended int8;
BEGIN
    IF silent_ms IS NULL OR silent_ms < 1000 THEN
        RAISE EXCEPTION 'end_stalled_writers(%): must be at least 1000', silent_ms
            USING ERRCODE = '22023';
    END IF;
    SELECT count(*) FILTER (WHERE pg_terminate_backend(s.pid)) INTO ended
    FROM (SELECT a.pid FROM pg_stat_activity a JOIN pg_roles u ON u.oid = a.usesysid
          WHERE a.datname = current_database()
            AND a.state = 'active' AND a.wait_event = 'ClientRead'
            AND a.query LIKE 'COPY %(origin, seq, time, %) FROM STDIN (FORMAT binary)%'
            AND a.query_start < now() - silent_ms * interval '1 millisecond'
            AND (u.rolname = session_user
                 OR EXISTS (SELECT FROM pg_roles c
                            WHERE c.rolname IN ('homeward_writer', 'homeward_upkeep')
                              AND pg_has_role(u.oid, c.oid, 'MEMBER')))
            AND (pg_has_role(u.oid, 'USAGE')
                 OR pg_has_role('pg_signal_backend', 'USAGE') AND NOT u.rolsuper)) AS s;
    RETURN ended;
END $$;
