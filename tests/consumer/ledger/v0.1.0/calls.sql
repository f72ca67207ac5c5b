-- What v0.1.0's consumer asks the leader for, statement by statement, as its code has it; rows by
-- INSERT where it uses COPY. Run with psql -At on a leader of v0.1.0 and on an upgraded one, the
-- answers must be the same: then a consumer that was not restarted works on.

\set VERBOSITY sqlstate
SET client_min_messages = warning;

\echo an origin, known and new
SELECT id, region, app FROM homeward.known_origin
WHERE publisher = 'a67ba3ff-7d63-6f2f-fbc0-69d093be14af'::uuid AND class = 'audit';
INSERT INTO homeward.origin (publisher, class, region, app)
VALUES ('11111111-1111-1111-1111-111111111111'::uuid, 'audit', 'ams', 'shop')
ON CONFLICT (publisher, class) DO NOTHING;
SELECT id, region, app FROM homeward.known_origin
WHERE publisher = '11111111-1111-1111-1111-111111111111'::uuid AND class = 'audit';

\echo rows, and the optimistic end
BEGIN;
INSERT INTO public.audit_events (origin, seq, time, actor, action, resource, outcome)
SELECT 9, n, '2026-11-29T12:00:00Z', 'a', 'b', n::text, 'allowed' FROM generate_series(1, 5) AS n;
INSERT INTO homeward.ledger_mark (origin, accepted, closing)
SELECT * FROM unnest('{9}'::int4[], '{5}'::int8[], '{f}'::boolean[]);
INSERT INTO homeward.possible_duplicate (origin) SELECT * FROM unnest('{9}'::int4[]);
SELECT extract(epoch FROM clock_timestamp() - statement_timestamp()) >= 0
FROM homeward.settle('{9}'::int4[],'{1}'::int8[],'{5}'::int8[],'{5}'::int8[],'{f}'::boolean[]);
COMMIT;

\echo the same frame again, and one that overlaps a folded one
\set ON_ERROR_STOP off
BEGIN;
SELECT FROM homeward.settle('{9}'::int4[],'{1}'::int8[],'{5}'::int8[],'{5}'::int8[],'{f}'::boolean[]);
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT FROM homeward.settle('{2}'::int4[],'{9}'::int8[],'{12}'::int8[],'{12}'::int8[],'{f}'::boolean[]);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\set ON_ERROR_STOP on

\echo the careful way: settled, overlap, new, ragged, finished
BEGIN; SET CONSTRAINTS ALL IMMEDIATE;
SELECT frame_index, verdict FROM homeward.claim('{9,2,9,4,1}'::int4[],'{1,9,6,5001,3}'::int8[],
    '{5,12,9,5002,4}'::int8[],'{5,12,9,5002,4}'::int8[],'{f,f,f,f,f}'::boolean[]);
SELECT homeward.bury('{9}'::int4[], '{6}'::int8[], '{open}'::text[], '{audit}'::text[],
    '{broken}'::text[], '{}'::text[] || '22P02'::text, '{"\\x7b"}'::bytea[], '{1795948541580831}'::int8[]);
INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason)
SELECT * FROM unnest('{9}'::int4[], '{7}'::int8[], '{9}'::int8[], '{dropped}'::text[]);
SELECT FROM homeward.seal('{9}'::int4[],'{6}'::int8[],'{9}'::int8[]);
COMMIT;

\echo plain messages: new, again, and with two lines
INSERT INTO homeward.plain_stream (origin, stream, created)
VALUES (7, 'HOMEWARD_PLAIN_ams', to_timestamp(1795948541401433::float8 / 1e6)) ON CONFLICT DO NOTHING;
BEGIN;
SELECT seq_first FROM homeward.claim_plain(7, '{7,8,9}'::int8[],
    '{1795948541583965,1795948541583966,1795948541583967}'::int8[], '{1,1,2}'::int4[]);
SELECT frame_index, verdict FROM homeward.claim('{7,7}'::int4[],'{9,10}'::int8[],'{9,11}'::int8[],
    '{9,11}'::int8[],'{f,f}'::boolean[]);
INSERT INTO public.audit_events (origin, seq, time, actor, action, resource, outcome)
SELECT 7, n, '2026-11-29T12:00:00Z', 'a', 'b', 'plain', 'allowed' FROM generate_series(9, 11) AS n;
SELECT FROM homeward.seal('{7,7}'::int4[],'{9,10}'::int8[],'{9,11}'::int8[]);
COMMIT;
BEGIN;
SELECT seq_first FROM homeward.claim_plain(7, '{8}'::int8[], '{1795948541583966}'::int8[],
    '{1}'::int4[]);
COMMIT;

\echo a frame at odds with the ledger, and its end
INSERT INTO homeward.conflict (origin, seq_first, seq_last, region, app, reason, frame,
    frame_sha256, message_time)
VALUES (9, 4, 12, 'ams', 'shop', 'the ledger has settled a part of it', '\x00', sha256('\x00'),
    'epoch'::timestamptz + 1795948541580831::int8 * interval '1 microsecond') ON CONFLICT DO NOTHING;
BEGIN;
SELECT origin, frame, message_time_us FROM homeward.take_conflict(5);
SELECT seq_first, seq_last FROM homeward.claim_rest(9, 4, 12, 12, false);
INSERT INTO public.audit_events (origin, seq, time, actor, action, resource, outcome)
SELECT 9, n, '2026-11-29T12:00:00Z', 'a', 'b', n::text, 'allowed' FROM generate_series(10, 12) AS n;
SELECT homeward.close_conflict(5, 'accepted');
COMMIT;
SELECT discarded, tombstoned FROM homeward.discard_conflicts('{3}'::int8[]);

\echo dead letters
SELECT id, payload_bytes FROM homeward.parked_letters('{unheard_of}'::text[], 10);
BEGIN;
SELECT id, origin, seq, payload, message_time_us FROM homeward.take_letters('{1,2}'::int8[]);
SELECT homeward.close_letters('{1}'::int8[], 'discarded');
SELECT homeward.keep_letters('{2}'::int8[], '{open}'::text[], '{still}'::text[], '{22P02}'::text[]);
COMMIT;
SELECT open, parked, bytes FROM homeward.letter_sums();
SELECT open, bytes FROM homeward.conflict_sums();

\echo upkeep
SELECT homeward.fold(10000);
SELECT homeward.finish();
SELECT count(*) FROM (SELECT homeward.ensure_partition('public', 'audit_events', '2026-12-24')) AS e;
SELECT homeward.drop_expired_partition('public', 'audit_events');
SELECT homeward.replicated_lsn() IS NULL;

\echo the account and the proof
SELECT origin, class, region, app, settled, accepted, closed, abandoned FROM homeward.account
ORDER BY origin;
SELECT origin, class, region, app, accepted, committed, dead_lettered, tombstoned,
       in_flight + missing AS holes, duplicated FROM homeward.proof ORDER BY origin;
SELECT homeward.missing_seqs(2);
