-- Who may do what on the leader. Run by a superuser in the app's database, before the first
-- `homeward-consumer schema apply` and after each, since new tables want rights too; it changes
-- nothing that is right already:
--   psql -v ON_ERROR_STOP=1 -d app -f roles.sql
--
--   homeward_owner   makes and owns schema and tables; for `schema apply` alone
--   homeward_writer  the consumer's writers: insert, and settle what they write; read no event
--   homeward_upkeep  the consumer's housekeeping, and people at dead letters and conflicts: compacts
--                    and forgets, makes and drops partitions, redrives (postgres.upkeep_url)
--   homeward_reader  proof, dashboards, people: reads, and changes nothing
--   homeward_caller  an app's login whose server runs forwarded calls (publisher/forward): stores and
--                    finds how calls ended, and reads none of them otherwise
--
-- Logins are members of these: CREATE ROLE bridge LOGIN PASSWORD '…' IN ROLE homeward_writer. One
-- that makes tables must make them as homeward_owner: ALTER ROLE migrator SET role = homeward_owner.
-- In the configuration: postgres.event_schema = "homeward_events". Functions are granted by name: a
-- new one is nobody's until it stands below. Consumers of v0.1.0 do the housekeeping as their writer,
-- which this file no longer lets them: run it when all are upgraded.

SET client_min_messages = warning;
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['homeward_owner', 'homeward_writer', 'homeward_upkeep',
                              'homeward_reader', 'homeward_caller'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- `schema apply` begins with CREATE SCHEMA IF NOT EXISTS.
    EXECUTE format('GRANT CREATE ON DATABASE %I TO homeward_owner', current_database());
END $$;

-- For two functions of the owner's: replicated_lsn(), for ack_after = "replicated", says how far the
-- standbys are, and end_stalled_writers() ends transactions of consumers that were stopped in the middle
-- of sending rows. With these rights one may end any session but a superuser's, and read its statements:
-- the logins that call the functions have neither.
GRANT pg_read_all_stats, pg_signal_backend TO homeward_owner;

CREATE SCHEMA IF NOT EXISTS homeward AUTHORIZATION homeward_owner;
-- Event tables live apart from yours: the right to insert into all of them ends at this border.
CREATE SCHEMA IF NOT EXISTS homeward_events AUTHORIZATION homeward_owner;
-- IF NOT EXISTS keeps a schema that another login made first, and whose contents it could replace.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT n.nspname, r.rolname
               FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
               JOIN pg_database d ON d.datname = current_database()
               WHERE n.nspname IN ('homeward', 'homeward_events')
                 AND r.rolname NOT IN ('homeward_owner', 'pg_database_owner')
                 AND NOT pg_has_role(r.oid, d.datdba, 'MEMBER') LOOP
        RAISE EXCEPTION 'schema % belongs to role %, which could replace what is in it', one.nspname,
            one.rolname USING HINT = format('Drop it, or, if you trust what it contains: ALTER SCHEMA'
                ' %I OWNER TO homeward_owner', one.nspname);
    END LOOP;
END $$;
REVOKE ALL ON SCHEMA homeward, homeward_events FROM PUBLIC;
GRANT USAGE ON SCHEMA homeward, homeward_events
    TO homeward_writer, homeward_upkeep, homeward_reader;
GRANT USAGE ON SCHEMA homeward TO homeward_caller;

-- Tables of event types that come later.
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward_events
    GRANT INSERT ON TABLES TO homeward_writer, homeward_upkeep;
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward, homeward_events
    GRANT SELECT ON TABLES TO homeward_reader;
-- Not by everybody, as PostgreSQL would have it: these act with their owner's rights.
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
-- But for those of packed tables, which act with the reader's: TABLE_between() and TABLE_by_FIELD().
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward_events
    GRANT EXECUTE ON FUNCTIONS TO homeward_reader;
-- Earlier versions of this file granted all of them, and these too.
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward
    REVOKE EXECUTE ON FUNCTIONS FROM homeward_writer;

GRANT INSERT ON ALL TABLES IN SCHEMA homeward_events TO homeward_writer, homeward_upkeep;
GRANT SELECT ON ALL TABLES IN SCHEMA homeward, homeward_events TO homeward_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA homeward_events TO homeward_reader;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA homeward FROM PUBLIC, homeward_writer;

DO $$
DECLARE
    -- What whose statements call. The functions that these call run as their owner.
    for_writer text[] := ARRAY['settle', 'check_no_overlap', 'claim', 'insert_dead_letters',
        'reserve_plain', 'take_plain', 'await_plain', 'register_plain_source', 'ensure_partition',
        'ensure_partitions', 'replicated_lsn', 'seq_count', 'missing_after', 'check_columns',
        'joined_values', 'packed_types',
        -- Of consumers of v0.1.0, for one release.
        'seal', 'bury', 'claim_plain'];
    for_upkeep text[] := ARRAY['compact', 'complete_origins', 'forget', 'ensure_partition',
        'ensure_partitions', 'drop_expired_partition', 'parked_letters', 'take_letters',
        'close_letters', 'keep_letters', 'letter_sums', 'conflict_sums', 'take_conflict',
        'claim_rest', 'check_no_overlap', 'close_conflict', 'discard_conflicts',
        'insert_dead_letters', 'replicated_lsn', 'seq_count', 'range_count', 'missing_after',
        'uncounted_days', 'begin_day_count', 'finish_day_count', 'register_consumer',
        'record_plain_acks', 'check_columns', 'joined_values', 'pack_rows', 'days_to_pack',
        'packed_types', 'end_stalled_writers'];
    for_caller text[] := ARRAY['begin_call', 'store_call', 'ensure_call_days', 'drop_expired_calls'];
    one record;
BEGIN
    IF to_regclass('homeward.origin') IS NULL THEN
        RAISE WARNING 'roles are made; now run homeward-consumer schema apply, then this file again';
        RETURN;
    END IF;
    FOR one IN
        SELECT p.oid::regprocedure AS name, p.proname = ANY (for_writer) AS writes,
               p.proname = ANY (for_upkeep) AS keeps, p.proname = ANY (for_caller) AS calls
        FROM pg_proc p WHERE p.pronamespace = 'homeward'::regnamespace
    LOOP
        IF one.writes THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO homeward_writer', one.name);
        END IF;
        IF one.keeps THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO homeward_upkeep', one.name);
        END IF;
        IF one.calls THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO homeward_caller', one.name);
        END IF;
    END LOOP;
    GRANT SELECT ON ALL TABLES IN SCHEMA homeward TO homeward_upkeep;
    -- By column: numbers and times that these tables give themselves are nobody's to choose. Earlier
    -- versions of this file granted whole tables.
    REVOKE INSERT ON homeward.origin, homeward.plain_stream, homeward.dead_letter,
        homeward.tombstone, homeward.heartbeat, homeward.possible_duplicate, homeward.conflict,
        homeward.ledger_mark FROM homeward_writer, homeward_upkeep;
    -- Upkeep asks a new leader for what was committed before; redriven letters may have tombstones.
    GRANT INSERT (publisher, class, region, app) ON homeward.origin
        TO homeward_writer, homeward_upkeep;
    GRANT INSERT (origin, accepted, is_closing) ON homeward.heartbeat
        TO homeward_writer, homeward_upkeep;
    GRANT INSERT (origin, seq_first, seq_last, reason) ON homeward.tombstone
        TO homeward_writer, homeward_upkeep;
    GRANT INSERT (origin) ON homeward.possible_duplicate TO homeward_writer;
    GRANT INSERT (origin, seq_first, seq_last, region, app, reason, frame, frame_sha256,
        message_time) ON homeward.conflict TO homeward_writer;
    -- Of v0.1.0, for one release.
    GRANT INSERT (origin, stream, created) ON homeward.plain_stream TO homeward_writer;
    GRANT INSERT (origin, accepted, closing) ON homeward.ledger_mark TO homeward_writer;
    GRANT SELECT ON homeward.account TO homeward_writer;
    -- What it must see: names and versions, and the keys that ON CONFLICT compares.
    GRANT SELECT ON homeward.migration, homeward.migrated_object, homeward.event_type,
        homeward.packed_type, homeward.consumer, homeward.origin, homeward.known_origin,
        homeward.plain_stream TO homeward_writer;
    -- For its status page: origins and reasons, no payload.
    GRANT SELECT ON homeward.origin_status TO homeward_writer;
    GRANT SELECT (origin, type, state, reason, sqlstate) ON homeward.dead_letter
        TO homeward_writer;
    -- What the view homeward.proof calls. A view's tables are read as its owner, its functions not.
    -- recount_day() changes nothing but what is believed of a count that is wrong.
    GRANT EXECUTE ON FUNCTION homeward.row_count(), homeward.seq_count(int8multirange),
        homeward.origin_proof(int4), homeward.missing_seqs(int4), homeward.count_summary(),
        homeward.recount_day(int4), homeward.joined_values(text),
        homeward.missing_after() TO homeward_reader;
    -- What reads metric_points, with the reader's own rights.
    FOR one IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'homeward'::regnamespace
          AND p.proname IN ('rate', 'quantile', 'find_metric_series', 'merge_histograms',
              'merged_histogram', 'histogram_quantile', 'histogram_buckets', 'histogram_fault',
              'metric_source', 'check_metric_query', 'explain_no_points', 'series_attributes',
              'series_label')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO homeward_reader', one.name);
    END LOOP;
END $$;
