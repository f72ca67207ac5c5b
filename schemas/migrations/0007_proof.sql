-- The account of every event.

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
