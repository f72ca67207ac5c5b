-- homeward-consumer erase: one person's events go, and the account says that they did.

CREATE TABLE homeward.erasure (
    id           int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type         text NOT NULL,
    fields       text[] NOT NULL,
    digest       bytea,
    partition    oid NOT NULL DEFAULT 0,
    block_next   int8 NOT NULL DEFAULT 0,
    rows         int8 NOT NULL DEFAULT 0,
    dead_letters int8 NOT NULL DEFAULT 0,
    begun_at     timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
COMMENT ON TABLE homeward.erasure IS
    'what was erased by which fields; partition, block_next: how far it has come';
COMMENT ON COLUMN homeward.erasure.digest IS
    'of type and values, so that an erasure that was broken off is found again; NULL once it is over';
CREATE UNIQUE INDEX erasure_unfinished ON homeward.erasure (digest) WHERE finished_at IS NULL;

-- In the transaction that deletes them: these seqs are expected no longer. A seq that is erased twice,
-- as of a doubled row, is noted once.
CREATE FUNCTION homeward.note_erased(origins int4[], seqs int8[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('homeward.note_erased'));
    INSERT INTO homeward.erased_range (origin, seq_first, seq_last)
    SELECT f.o, lower(f.r), upper(f.r) - 1
    FROM (SELECT w.o, unnest(w.seqs - coalesce(
                     (SELECT range_agg(int8range(e.seq_first, e.seq_last, '[]'))
                      FROM homeward.erased_range e WHERE e.origin = w.o), '{}')) AS r
          FROM (SELECT u.o, range_agg(int8range(u.s, u.s, '[]')) AS seqs
                FROM unnest(origins, seqs) AS u (o, s)
                WHERE EXISTS (SELECT FROM homeward.known_origin k WHERE k.id = u.o)
                GROUP BY u.o) AS w) AS f;
END $$;
