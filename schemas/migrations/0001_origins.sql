-- Who sends: every origin, also those that have ended.
-- Each file here runs once, in the order of the numbers, under the migration lock, in one transaction.
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

-- Origins that say that another may have brought the same events: the machine restarted while frames
-- were under way that its log had not synced. Told once or a few times by each.
CREATE TABLE homeward.possible_duplicate (
    origin   int4 NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

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
