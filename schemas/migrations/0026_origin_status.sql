-- A frame whose seqs were close to 2^63 overflowed what 0014 adds to them: proof and hole gauge failed
-- for good, for all origins.

-- Both levels together, per origin; `accepted` without the seqs that will never be used.
CREATE VIEW homeward.origin_status AS
SELECT o.id AS origin, o.publisher, o.class, o.region, o.app,
       coalesce(l.settled, '{}') + coalesce(f.settled, '{}')
           + CASE WHEN o.finished > 0 THEN int8multirange(int8range(1, o.finished + 1))
                  ELSE '{}' END AS settled,
       least(greatest(coalesce(l.accepted, 0), coalesce(f.accepted, 0), coalesce(m.accepted, 0),
                      coalesce(p.seq_next - 1, 0), coalesce(c.seq_last, 0),
                      coalesce(o.finished, 0)),
             -- Numeric, as a seq may be close to the greatest int8.
             greatest(coalesce(upper(l.settled), 1), coalesce(upper(f.settled), 1),
                      coalesce(p.seq_next, 1), coalesce(c.seq_last + 1, 1),
                      coalesce(o.finished + 1, 1))::numeric - 1 + 4294967296)::int8
           - coalesce(u.seqs, 0) AS accepted,
       coalesce(l.closed, false) OR coalesce(f.closed, false) OR coalesce(m.closed, false)
           OR o.finished IS NOT NULL AS closed,
       o.abandoned IS NOT NULL AS abandoned,
       greatest(o.first_seen, l.heard_at, f.at, m.at) AS heard_at,
       coalesce(u.seqs, 0) AS unused
FROM homeward.known_origin o
LEFT JOIN homeward.ledger l ON l.origin = o.id
LEFT JOIN homeward.plain_stream p ON p.origin = o.id
LEFT JOIN (SELECT origin, max(seq_last) AS seq_last FROM homeward.plain_counter
           GROUP BY origin) c ON c.origin = o.id
LEFT JOIN (SELECT origin, sum(seq_last - seq_first + 1)::int8 AS seqs FROM homeward.plain_unused
           GROUP BY origin) u ON u.origin = o.id
LEFT JOIN (SELECT origin, range_agg(int8range(seq_first, seq_last, '[]')) AS settled,
                  max(accepted) AS accepted, bool_or(closing) AS closed, max(settled_at) AS at
           FROM homeward.ledger_frame GROUP BY origin) f ON f.origin = o.id
LEFT JOIN (SELECT origin, max(accepted) AS accepted, bool_or(closing) AS closed,
                  max(noted_at) AS at
           FROM homeward.ledger_mark GROUP BY origin) m ON m.origin = o.id;

-- The name of v0.1.0, for one release.
CREATE OR REPLACE VIEW homeward.account AS SELECT * FROM homeward.origin_status;
