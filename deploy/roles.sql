-- Who may do what on the leader. Run by a superuser in the app's database, before the first
-- `homeward-consumer schema apply` and after each, since new tables want rights too; it changes
-- nothing that is right already:
--   psql -v ON_ERROR_STOP=1 -d app -f roles.sql
--
--   homeward_owner   makes and owns schema and tables; for `schema apply` alone
--   homeward_writer  the consumer: inserts, and calls the ledger's functions; reads no event
--   homeward_reader  proof, dashboards, people: reads, and changes nothing
--
-- Logins are members of these: CREATE ROLE bridge LOGIN PASSWORD '…' IN ROLE homeward_writer. One
-- that makes tables must make them as homeward_owner: ALTER ROLE migrator SET role = homeward_owner.
-- In the configuration: postgres.event_schema = "homeward_events".

SET client_min_messages = warning;
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['homeward_owner', 'homeward_writer', 'homeward_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- `schema apply` begins with CREATE SCHEMA IF NOT EXISTS.
    EXECUTE format('GRANT CREATE ON DATABASE %I TO homeward_owner', current_database());
END $$;

-- For ack_after = "replicated": how far the standbys are is told by a function of the owner's.
GRANT pg_read_all_stats TO homeward_owner;

CREATE SCHEMA IF NOT EXISTS homeward AUTHORIZATION homeward_owner;
-- Event tables live apart from yours: the right to insert into all of them ends at this border.
CREATE SCHEMA IF NOT EXISTS homeward_events AUTHORIZATION homeward_owner;
REVOKE ALL ON SCHEMA homeward, homeward_events FROM PUBLIC;
GRANT USAGE ON SCHEMA homeward, homeward_events TO homeward_writer, homeward_reader;

-- Tables of event types that come later.
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward_events
    GRANT INSERT ON TABLES TO homeward_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward, homeward_events
    GRANT SELECT ON TABLES TO homeward_reader;
-- Not by everybody, as PostgreSQL would have it: these act with their owner's rights.
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE homeward_owner IN SCHEMA homeward
    GRANT EXECUTE ON FUNCTIONS TO homeward_writer;

GRANT INSERT ON ALL TABLES IN SCHEMA homeward_events TO homeward_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA homeward, homeward_events TO homeward_reader;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA homeward FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA homeward TO homeward_writer;

DO $$
BEGIN
    IF to_regclass('homeward.origin') IS NULL THEN
        RAISE WARNING 'roles are made; now run homeward-consumer schema apply, then this file again';
        RETURN;
    END IF;
    GRANT INSERT ON homeward.origin, homeward.plain_stream, homeward.dead_letter,
        homeward.tombstone, homeward.ledger_mark, homeward.possible_duplicate, homeward.conflict
        TO homeward_writer;
    -- What it must see: names and versions, and the keys that ON CONFLICT compares.
    GRANT SELECT ON homeward.migration, homeward.migrated_object, homeward.event_type,
        homeward.origin, homeward.known_origin, homeward.plain_stream TO homeward_writer;
    -- For its status page: accounts and reasons, no payload.
    GRANT SELECT ON homeward.account TO homeward_writer;
    GRANT SELECT (origin, type, state, reason, sqlstate) ON homeward.dead_letter
        TO homeward_writer;
    -- What the view homeward.proof calls. A view's tables are read as its owner, its functions not.
    GRANT EXECUTE ON FUNCTION homeward.row_count(), homeward.seq_count(int8multirange),
        homeward.missing_seqs(int4),
        homeward.missing_after() TO homeward_reader;
END $$;
