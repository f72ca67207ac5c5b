-- A full database of v0.1.0, as pg_dump --inserts gave it: event tables, and what is in the ledger
-- when the frozen migrations 0001 to 0008 have run. It has origins that are finished, abandoned,
-- ragged, folded and not folded; dead letters, conflicts, tombstones, marks and plain messages.

CREATE TABLE public.audit_events (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
)
PARTITION BY RANGE ("time");
CREATE TABLE public.audit_events_20261128 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
);
CREATE TABLE public.audit_events_20261129 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
);
CREATE TABLE public.audit_events_20261130 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
);
CREATE TABLE public.audit_events_20261201 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
);
CREATE TABLE public.audit_events_20261202 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    request_id text,
    detail jsonb,
    extra jsonb
);
CREATE TABLE public.metric_events (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
)
PARTITION BY RANGE ("time");
CREATE TABLE public.metric_events_20261128 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
);
CREATE TABLE public.metric_events_20261129 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
);
CREATE TABLE public.metric_events_20261130 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
);
CREATE TABLE public.metric_events_20261201 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
);
CREATE TABLE public.metric_events_20261202 (
    origin integer NOT NULL,
    seq bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    tags jsonb,
    extra jsonb
);
ALTER TABLE ONLY public.audit_events ATTACH PARTITION public.audit_events_20261128 FOR VALUES FROM ('2026-11-28 00:00:00+00') TO ('2026-11-29 00:00:00+00');
ALTER TABLE ONLY public.audit_events ATTACH PARTITION public.audit_events_20261129 FOR VALUES FROM ('2026-11-29 00:00:00+00') TO ('2026-11-30 00:00:00+00');
ALTER TABLE ONLY public.audit_events ATTACH PARTITION public.audit_events_20261130 FOR VALUES FROM ('2026-11-30 00:00:00+00') TO ('2026-12-01 00:00:00+00');
ALTER TABLE ONLY public.audit_events ATTACH PARTITION public.audit_events_20261201 FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2026-12-02 00:00:00+00');
ALTER TABLE ONLY public.audit_events ATTACH PARTITION public.audit_events_20261202 FOR VALUES FROM ('2026-12-02 00:00:00+00') TO ('2026-12-03 00:00:00+00');
ALTER TABLE ONLY public.metric_events ATTACH PARTITION public.metric_events_20261128 FOR VALUES FROM ('2026-11-28 00:00:00+00') TO ('2026-11-29 00:00:00+00');
ALTER TABLE ONLY public.metric_events ATTACH PARTITION public.metric_events_20261129 FOR VALUES FROM ('2026-11-29 00:00:00+00') TO ('2026-11-30 00:00:00+00');
ALTER TABLE ONLY public.metric_events ATTACH PARTITION public.metric_events_20261130 FOR VALUES FROM ('2026-11-30 00:00:00+00') TO ('2026-12-01 00:00:00+00');
ALTER TABLE ONLY public.metric_events ATTACH PARTITION public.metric_events_20261201 FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2026-12-02 00:00:00+00');
ALTER TABLE ONLY public.metric_events ATTACH PARTITION public.metric_events_20261202 FOR VALUES FROM ('2026-12-02 00:00:00+00') TO ('2026-12-03 00:00:00+00');
INSERT INTO public.audit_events_20261129 VALUES (1, 1, '2026-11-29 10:35:41.538829+00', 'a', 'b', '1', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 2, '2026-11-29 10:35:41.538829+00', 'a', 'b', '2', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 3, '2026-11-29 10:35:41.538829+00', 'a', 'b', '3', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 4, '2026-11-29 10:35:41.538829+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 5, '2026-11-29 10:35:41.538829+00', 'a', 'b', '5', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 6, '2026-11-29 10:35:41.538829+00', 'a', 'b', '6', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 7, '2026-11-29 10:35:41.538829+00', 'a', 'b', '7', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 8, '2026-11-29 10:35:41.538829+00', 'a', 'b', '8', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 9, '2026-11-29 10:35:41.538829+00', 'a', 'b', '9', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 10, '2026-11-29 10:35:41.538829+00', 'a', 'b', '10', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 11, '2026-11-29 10:35:41.538829+00', 'a', 'b', '11', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 12, '2026-11-29 10:35:41.538829+00', 'a', 'b', '12', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 13, '2026-11-29 10:35:41.538829+00', 'a', 'b', '13', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 14, '2026-11-29 10:35:41.538829+00', 'a', 'b', '14', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 15, '2026-11-29 10:35:41.538829+00', 'a', 'b', '15', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 16, '2026-11-29 10:35:41.538829+00', 'a', 'b', '16', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 17, '2026-11-29 10:35:41.538829+00', 'a', 'b', '17', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 18, '2026-11-29 10:35:41.538829+00', 'a', 'b', '18', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 19, '2026-11-29 10:35:41.538829+00', 'a', 'b', '19', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (1, 20, '2026-11-29 10:35:41.538829+00', 'a', 'b', '20', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 1, '2026-11-29 10:35:41.539898+00', 'a', 'b', '1', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 2, '2026-11-29 10:35:41.539898+00', 'a', 'b', '2', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 3, '2026-11-29 10:35:41.539898+00', 'a', 'b', '3', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 4, '2026-11-29 10:35:41.539898+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 5, '2026-11-29 10:35:41.539898+00', 'a', 'b', '5', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 6, '2026-11-29 10:35:41.539898+00', 'a', 'b', '6', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 7, '2026-11-29 10:35:41.539898+00', 'a', 'b', '7', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 8, '2026-11-29 10:35:41.539898+00', 'a', 'b', '8', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 9, '2026-11-29 10:35:41.539898+00', 'a', 'b', '9', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 10, '2026-11-29 10:35:41.539898+00', 'a', 'b', '10', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 21, '2026-11-29 10:35:41.539898+00', 'a', 'b', '21', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 22, '2026-11-29 10:35:41.539898+00', 'a', 'b', '22', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 23, '2026-11-29 10:35:41.539898+00', 'a', 'b', '23', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 24, '2026-11-29 10:35:41.539898+00', 'a', 'b', '24', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 25, '2026-11-29 10:35:41.539898+00', 'a', 'b', '25', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 26, '2026-11-29 10:35:41.539898+00', 'a', 'b', '26', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 27, '2026-11-29 10:35:41.539898+00', 'a', 'b', '27', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 28, '2026-11-29 10:35:41.539898+00', 'a', 'b', '28', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 29, '2026-11-29 10:35:41.539898+00', 'a', 'b', '29', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 30, '2026-11-29 10:35:41.539898+00', 'a', 'b', '30', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (3, 3, '2026-11-29 10:35:41.54292+00', 'a', 'b', '3', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (3, 4, '2026-11-29 10:35:41.54292+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 2, '2026-11-29 10:35:41.540501+00', 'a', 'b', '2', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 4, '2026-11-29 10:35:41.540501+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 6, '2026-11-29 10:35:41.540501+00', 'a', 'b', '6', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 8, '2026-11-29 10:35:41.540501+00', 'a', 'b', '8', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 10, '2026-11-29 10:35:41.540501+00', 'a', 'b', '10', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 12, '2026-11-29 10:35:41.540501+00', 'a', 'b', '12', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 14, '2026-11-29 10:35:41.540501+00', 'a', 'b', '14', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 16, '2026-11-29 10:35:41.540501+00', 'a', 'b', '16', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 18, '2026-11-29 10:35:41.540501+00', 'a', 'b', '18', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 20, '2026-11-29 10:35:41.540501+00', 'a', 'b', '20', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 22, '2026-11-29 10:35:41.540501+00', 'a', 'b', '22', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 24, '2026-11-29 10:35:41.540501+00', 'a', 'b', '24', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 26, '2026-11-29 10:35:41.540501+00', 'a', 'b', '26', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 28, '2026-11-29 10:35:41.540501+00', 'a', 'b', '28', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 30, '2026-11-29 10:35:41.540501+00', 'a', 'b', '30', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 32, '2026-11-29 10:35:41.540501+00', 'a', 'b', '32', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 34, '2026-11-29 10:35:41.540501+00', 'a', 'b', '34', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 36, '2026-11-29 10:35:41.540501+00', 'a', 'b', '36', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 38, '2026-11-29 10:35:41.540501+00', 'a', 'b', '38', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 40, '2026-11-29 10:35:41.540501+00', 'a', 'b', '40', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 42, '2026-11-29 10:35:41.540501+00', 'a', 'b', '42', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 44, '2026-11-29 10:35:41.540501+00', 'a', 'b', '44', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 46, '2026-11-29 10:35:41.540501+00', 'a', 'b', '46', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 48, '2026-11-29 10:35:41.540501+00', 'a', 'b', '48', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 50, '2026-11-29 10:35:41.540501+00', 'a', 'b', '50', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 52, '2026-11-29 10:35:41.540501+00', 'a', 'b', '52', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 54, '2026-11-29 10:35:41.540501+00', 'a', 'b', '54', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 56, '2026-11-29 10:35:41.540501+00', 'a', 'b', '56', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 58, '2026-11-29 10:35:41.540501+00', 'a', 'b', '58', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 60, '2026-11-29 10:35:41.540501+00', 'a', 'b', '60', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 62, '2026-11-29 10:35:41.540501+00', 'a', 'b', '62', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 64, '2026-11-29 10:35:41.540501+00', 'a', 'b', '64', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 66, '2026-11-29 10:35:41.540501+00', 'a', 'b', '66', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 68, '2026-11-29 10:35:41.540501+00', 'a', 'b', '68', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 70, '2026-11-29 10:35:41.540501+00', 'a', 'b', '70', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 72, '2026-11-29 10:35:41.540501+00', 'a', 'b', '72', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 74, '2026-11-29 10:35:41.540501+00', 'a', 'b', '74', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 76, '2026-11-29 10:35:41.540501+00', 'a', 'b', '76', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 78, '2026-11-29 10:35:41.540501+00', 'a', 'b', '78', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 80, '2026-11-29 10:35:41.540501+00', 'a', 'b', '80', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 82, '2026-11-29 10:35:41.540501+00', 'a', 'b', '82', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 84, '2026-11-29 10:35:41.540501+00', 'a', 'b', '84', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 86, '2026-11-29 10:35:41.540501+00', 'a', 'b', '86', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 88, '2026-11-29 10:35:41.540501+00', 'a', 'b', '88', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 90, '2026-11-29 10:35:41.540501+00', 'a', 'b', '90', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 92, '2026-11-29 10:35:41.540501+00', 'a', 'b', '92', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 94, '2026-11-29 10:35:41.540501+00', 'a', 'b', '94', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 96, '2026-11-29 10:35:41.540501+00', 'a', 'b', '96', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 98, '2026-11-29 10:35:41.540501+00', 'a', 'b', '98', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 100, '2026-11-29 10:35:41.540501+00', 'a', 'b', '100', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 102, '2026-11-29 10:35:41.540501+00', 'a', 'b', '102', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 104, '2026-11-29 10:35:41.540501+00', 'a', 'b', '104', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 106, '2026-11-29 10:35:41.540501+00', 'a', 'b', '106', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 108, '2026-11-29 10:35:41.540501+00', 'a', 'b', '108', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 110, '2026-11-29 10:35:41.540501+00', 'a', 'b', '110', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 112, '2026-11-29 10:35:41.540501+00', 'a', 'b', '112', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 114, '2026-11-29 10:35:41.540501+00', 'a', 'b', '114', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 116, '2026-11-29 10:35:41.540501+00', 'a', 'b', '116', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 118, '2026-11-29 10:35:41.540501+00', 'a', 'b', '118', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 120, '2026-11-29 10:35:41.540501+00', 'a', 'b', '120', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 122, '2026-11-29 10:35:41.540501+00', 'a', 'b', '122', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 124, '2026-11-29 10:35:41.540501+00', 'a', 'b', '124', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 126, '2026-11-29 10:35:41.540501+00', 'a', 'b', '126', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 128, '2026-11-29 10:35:41.540501+00', 'a', 'b', '128', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 130, '2026-11-29 10:35:41.540501+00', 'a', 'b', '130', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 132, '2026-11-29 10:35:41.540501+00', 'a', 'b', '132', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 134, '2026-11-29 10:35:41.540501+00', 'a', 'b', '134', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 136, '2026-11-29 10:35:41.540501+00', 'a', 'b', '136', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 138, '2026-11-29 10:35:41.540501+00', 'a', 'b', '138', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 140, '2026-11-29 10:35:41.540501+00', 'a', 'b', '140', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 142, '2026-11-29 10:35:41.540501+00', 'a', 'b', '142', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 144, '2026-11-29 10:35:41.540501+00', 'a', 'b', '144', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 146, '2026-11-29 10:35:41.540501+00', 'a', 'b', '146', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 148, '2026-11-29 10:35:41.540501+00', 'a', 'b', '148', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 150, '2026-11-29 10:35:41.540501+00', 'a', 'b', '150', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 152, '2026-11-29 10:35:41.540501+00', 'a', 'b', '152', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 154, '2026-11-29 10:35:41.540501+00', 'a', 'b', '154', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 156, '2026-11-29 10:35:41.540501+00', 'a', 'b', '156', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 158, '2026-11-29 10:35:41.540501+00', 'a', 'b', '158', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 160, '2026-11-29 10:35:41.540501+00', 'a', 'b', '160', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 162, '2026-11-29 10:35:41.540501+00', 'a', 'b', '162', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 164, '2026-11-29 10:35:41.540501+00', 'a', 'b', '164', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 166, '2026-11-29 10:35:41.540501+00', 'a', 'b', '166', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 168, '2026-11-29 10:35:41.540501+00', 'a', 'b', '168', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 170, '2026-11-29 10:35:41.540501+00', 'a', 'b', '170', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 172, '2026-11-29 10:35:41.540501+00', 'a', 'b', '172', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 174, '2026-11-29 10:35:41.540501+00', 'a', 'b', '174', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 176, '2026-11-29 10:35:41.540501+00', 'a', 'b', '176', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 178, '2026-11-29 10:35:41.540501+00', 'a', 'b', '178', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 180, '2026-11-29 10:35:41.540501+00', 'a', 'b', '180', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 182, '2026-11-29 10:35:41.540501+00', 'a', 'b', '182', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 184, '2026-11-29 10:35:41.540501+00', 'a', 'b', '184', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 186, '2026-11-29 10:35:41.540501+00', 'a', 'b', '186', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 188, '2026-11-29 10:35:41.540501+00', 'a', 'b', '188', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 190, '2026-11-29 10:35:41.540501+00', 'a', 'b', '190', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 192, '2026-11-29 10:35:41.540501+00', 'a', 'b', '192', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 194, '2026-11-29 10:35:41.540501+00', 'a', 'b', '194', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 196, '2026-11-29 10:35:41.540501+00', 'a', 'b', '196', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 198, '2026-11-29 10:35:41.540501+00', 'a', 'b', '198', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 200, '2026-11-29 10:35:41.540501+00', 'a', 'b', '200', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 202, '2026-11-29 10:35:41.540501+00', 'a', 'b', '202', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 204, '2026-11-29 10:35:41.540501+00', 'a', 'b', '204', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 206, '2026-11-29 10:35:41.540501+00', 'a', 'b', '206', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 208, '2026-11-29 10:35:41.540501+00', 'a', 'b', '208', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 210, '2026-11-29 10:35:41.540501+00', 'a', 'b', '210', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 212, '2026-11-29 10:35:41.540501+00', 'a', 'b', '212', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 214, '2026-11-29 10:35:41.540501+00', 'a', 'b', '214', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 216, '2026-11-29 10:35:41.540501+00', 'a', 'b', '216', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 218, '2026-11-29 10:35:41.540501+00', 'a', 'b', '218', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 220, '2026-11-29 10:35:41.540501+00', 'a', 'b', '220', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 222, '2026-11-29 10:35:41.540501+00', 'a', 'b', '222', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 224, '2026-11-29 10:35:41.540501+00', 'a', 'b', '224', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 226, '2026-11-29 10:35:41.540501+00', 'a', 'b', '226', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 228, '2026-11-29 10:35:41.540501+00', 'a', 'b', '228', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 230, '2026-11-29 10:35:41.540501+00', 'a', 'b', '230', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 232, '2026-11-29 10:35:41.540501+00', 'a', 'b', '232', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 234, '2026-11-29 10:35:41.540501+00', 'a', 'b', '234', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 236, '2026-11-29 10:35:41.540501+00', 'a', 'b', '236', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 238, '2026-11-29 10:35:41.540501+00', 'a', 'b', '238', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (4, 240, '2026-11-29 10:35:41.540501+00', 'a', 'b', '240', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (6, 1, '2026-11-29 10:35:41.580831+00', 'a', 'b', '1', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (6, 4, '2026-11-29 10:35:41.580831+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 1, '2026-11-29 10:35:41.582202+00', 'a', 'b', 'plain', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 2, '2026-11-29 10:35:41.582639+00', 'a', 'b', 'plain', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 3, '2026-11-29 10:35:41.582793+00', 'a', 'b', 'plain', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 4, '2026-11-29 10:35:41.583218+00', 'a', 'b', 'plain', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 5, '2026-11-29 10:35:41.5835+00', 'a', 'b', 'plain', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 6, '2026-11-29 10:35:41.583791+00', 'a', 'b', 'two', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (7, 7, '2026-11-29 10:35:41.583791+00', 'a', 'b', 'lines', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 1, '2026-11-29 10:35:46.405686+00', 'a', 'b', '1', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 2, '2026-11-29 10:35:46.405686+00', 'a', 'b', '2', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 3, '2026-11-29 10:35:46.405686+00', 'a', 'b', '3', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 4, '2026-11-29 10:35:46.405686+00', 'a', 'b', '4', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 5, '2026-11-29 10:35:46.405686+00', 'a', 'b', '5', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 6, '2026-11-29 10:35:46.405686+00', 'a', 'b', '6', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 7, '2026-11-29 10:35:46.405686+00', 'a', 'b', '7', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 8, '2026-11-29 10:35:46.405686+00', 'a', 'b', '8', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 9, '2026-11-29 10:35:46.405686+00', 'a', 'b', '9', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (8, 10, '2026-11-29 10:35:46.405686+00', 'a', 'b', '10', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 31, '2026-11-29 10:35:41.539898+00', 'a', 'b', '31', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 32, '2026-11-29 10:35:41.539898+00', 'a', 'b', '32', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (2, 33, '2026-11-29 10:35:41.539898+00', 'a', 'b', '33', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (6, 5, '2026-11-29 10:35:41.541379+00', 'a', 'b', '5', 'allowed', NULL, NULL, NULL);
INSERT INTO public.audit_events_20261129 VALUES (6, 6, '2026-11-29 10:35:41.541379+00', 'a', 'b', '6', 'allowed', NULL, NULL, NULL);
CREATE INDEX audit_events_time_idx ON ONLY public.audit_events USING brin ("time");
CREATE INDEX audit_events_20261128_time_idx ON public.audit_events_20261128 USING brin ("time");
CREATE INDEX audit_events_20261129_time_idx ON public.audit_events_20261129 USING brin ("time");
CREATE INDEX audit_events_20261130_time_idx ON public.audit_events_20261130 USING brin ("time");
CREATE INDEX audit_events_20261201_time_idx ON public.audit_events_20261201 USING brin ("time");
CREATE INDEX audit_events_20261202_time_idx ON public.audit_events_20261202 USING brin ("time");
CREATE INDEX metric_events_time_idx ON ONLY public.metric_events USING brin ("time");
CREATE INDEX metric_events_20261128_time_idx ON public.metric_events_20261128 USING brin ("time");
CREATE INDEX metric_events_20261129_time_idx ON public.metric_events_20261129 USING brin ("time");
CREATE INDEX metric_events_20261130_time_idx ON public.metric_events_20261130 USING brin ("time");
CREATE INDEX metric_events_20261201_time_idx ON public.metric_events_20261201 USING brin ("time");
CREATE INDEX metric_events_20261202_time_idx ON public.metric_events_20261202 USING brin ("time");
ALTER INDEX public.audit_events_time_idx ATTACH PARTITION public.audit_events_20261128_time_idx;
ALTER INDEX public.audit_events_time_idx ATTACH PARTITION public.audit_events_20261129_time_idx;
ALTER INDEX public.audit_events_time_idx ATTACH PARTITION public.audit_events_20261130_time_idx;
ALTER INDEX public.audit_events_time_idx ATTACH PARTITION public.audit_events_20261201_time_idx;
ALTER INDEX public.audit_events_time_idx ATTACH PARTITION public.audit_events_20261202_time_idx;
ALTER INDEX public.metric_events_time_idx ATTACH PARTITION public.metric_events_20261128_time_idx;
ALTER INDEX public.metric_events_time_idx ATTACH PARTITION public.metric_events_20261129_time_idx;
ALTER INDEX public.metric_events_time_idx ATTACH PARTITION public.metric_events_20261130_time_idx;
ALTER INDEX public.metric_events_time_idx ATTACH PARTITION public.metric_events_20261201_time_idx;
ALTER INDEX public.metric_events_time_idx ATTACH PARTITION public.metric_events_20261202_time_idx;
INSERT INTO homeward.conflict OVERRIDING SYSTEM VALUE VALUES (1, 2, 11, 15, 'ams', 'web', 'open', 'its origin belongs to region ams, app shop', '\x485746310101000058b2dc643bd5900533d3a095d9d7ff0b0b0000000000000005000000050000000f000000000000000000000000000000fe01000073000000eae30f5728b52ffd60fe004d0300a286151a90a71a0388515692428918f7628cbb8b92066cb2a4e23c57c601e8188022915452063207a5a3900a183c93b6978f342882acf14c94edd3cbc68c27734f0be92e0bc607da96adcb6bdce9b27579dbf1d678120e3b220500804804484f80940948c55c7a0633', DEFAULT, '\xcf95f2328bd3883c1384f9fd2286a303e994c22f2277343e138ff4affb7b09ee', '2026-11-29 10:35:43.613476+00', '2026-11-29 10:35:43.629692+00', NULL);
INSERT INTO homeward.conflict OVERRIDING SYSTEM VALUE VALUES (3, 4, 1001, 1010, 'ams', 'web', 'open', 'its origin has more holes than ledger.ranges_max allows', '\x485746310101000038914104c486ee85280212687ee1cb5de9030000000000000a0000000a000000f20300000000000000000000000000001004000087000000c1b0f0ba28b52ffd601003ed03002247171b80b91903f8a82a6d419ee247ba4bc85c9035c3250aef818395e809e8d6610c541204008b430a2575491d69a9651c9e4bb29f9144a8a2b0f15cb46da39f0fa11bcfc6347a48e63361bca0c936f6998d33ba8d7dde0469d8781a12bb220a00800807481901a910901e012923201502d2232065045241bb9ec10c', DEFAULT, '\x7f1ed691735265f0bc39aecfb0991b96fed71f61b528406247e950b97ebdcfd4', '2026-11-29 10:35:43.608779+00', '2026-11-29 10:35:43.633994+00', NULL);
INSERT INTO homeward.conflict OVERRIDING SYSTEM VALUE VALUES (4, 2, 5, 14, 'ams', 'shop', 'open', 'the ledger has settled a part of it', '\x485746310101000058b2dc643bd5900533d3a095d9d7ff0b05000000000000000a0000000a0000000e000000000000000000000000000000f70300008600000032f5630f28b52ffd60f702e50300f2c6161b70693506a0f84c984330ae4c8c5355c591a605d14276a9fa5c4504c8109cc059ea1800166aa965a48392422bade3e0a9b8dd8c244293848da7a26d17dd9cc6b3bd450ff93613c60beab6b1cd6cfce936b6791db2b0f1342476450a00804804484f809409488548438a01a42c805402482f40ca4aa1678802', DEFAULT, '\x3b7badb72bcb95e0640d3f6d49d1107b6575cf1b91d5ce83e39ac13af292a138', '2026-11-29 10:35:43.614087+00', '2026-11-29 10:35:43.633994+00', NULL);
INSERT INTO homeward.dead_letter OVERRIDING SYSTEM VALUE VALUES (1, 6, 2, 'parked', 'unheard_of', 'unknown event type', NULL, '\x7b2274797065223a22756e68656172645f6f66222c226e223a317d', DEFAULT, '2026-11-29 10:35:41.580831+00', 1, '2026-11-29 10:35:41.605466+00', '2026-11-29 10:35:41.605466+00');
INSERT INTO homeward.dead_letter OVERRIDING SYSTEM VALUE VALUES (2, 6, 3, 'open', 'audit', 'field "actor" is missing', NULL, '\x7b2274797065223a226175646974227d', DEFAULT, '2026-11-29 10:35:41.580831+00', 1, '2026-11-29 10:35:41.605466+00', '2026-11-29 10:35:41.605466+00');
INSERT INTO homeward.dead_letter OVERRIDING SYSTEM VALUE VALUES (3, 7, 8, 'open', NULL, 'not valid JSON: Problem while parsing an atom starting with the letter ''n''', NULL, '\x6e6f204a534f4e', DEFAULT, '2026-11-29 10:35:41.583965+00', 1, '2026-11-29 10:35:41.605466+00', '2026-11-29 10:35:41.605466+00');
INSERT INTO homeward.event_type VALUES ('audit', 'audit', 'public', 'audit_events', 'day', 0, '2026-11-29 10:35:41.489301+00');
INSERT INTO homeward.event_type VALUES ('metric', 'metric', 'public', 'metric_events', 'day', 30, '2026-11-29 10:35:41.490382+00');
INSERT INTO homeward.finished VALUES (20, 1, 1, '2026-11-29', 'a67ba3ff-7d63-6f2f-fbc0-69d093be14af');
INSERT INTO homeward.ledger VALUES (2, '{[1,11),[21,31)}', 35, false, false, '2026-11-29 10:35:41.614584+00');
INSERT INTO homeward.ledger VALUES (3, '{[3,5)}', 4, false, false, '2026-11-29 10:35:41.614584+00');
INSERT INTO homeward.ledger VALUES (4, '{[2,3),[4,5),[6,7),[8,9),[10,11),[12,13),[14,15),[16,17),[18,19),[20,21),[22,23),[24,25),[26,27),[28,29),[30,31),[32,33),[34,35),[36,37),[38,39),[40,41),[42,43),[44,45),[46,47),[48,49),[50,51),[52,53),[54,55),[56,57),[58,59),[60,61),[62,63),[64,65),[66,67),[68,69),[70,71),[72,73),[74,75),[76,77),[78,79),[80,81),[82,83),[84,85),[86,87),[88,89),[90,91),[92,93),[94,95),[96,97),[98,99),[100,101),[102,103),[104,105),[106,107),[108,109),[110,111),[112,113),[114,115),[116,117),[118,119),[120,121),[122,123),[124,125),[126,127),[128,129),[130,131),[132,133),[134,135),[136,137),[138,139),[140,141),[142,143),[144,145),[146,147),[148,149),[150,151),[152,153),[154,155),[156,157),[158,159),[160,161),[162,163),[164,165),[166,167),[168,169),[170,171),[172,173),[174,175),[176,177),[178,179),[180,181),[182,183),[184,185),[186,187),[188,189),[190,191),[192,193),[194,195),[196,197),[198,199),[200,201),[202,203),[204,205),[206,207),[208,209),[210,211),[212,213),[214,215),[216,217),[218,219),[220,221),[222,223),[224,225),[226,227),[228,229),[230,231),[232,233),[234,235),[236,237),[238,239),[240,241)}', 240, false, true, '2026-11-29 10:35:41.614584+00');
INSERT INTO homeward.ledger VALUES (6, '{[1,5)}', 4, false, false, '2026-11-29 10:35:41.605466+00');
INSERT INTO homeward.ledger VALUES (7, '{[1,9)}', 8, false, false, '2026-11-29 10:35:41.605466+00');
INSERT INTO homeward.ledger_frame VALUES (2, 31, 33, 40, false, '2026-11-29 10:35:46.445239+00');
INSERT INTO homeward.ledger_frame VALUES (6, 5, 6, 6, false, '2026-11-29 10:35:46.445239+00');
INSERT INTO homeward.ledger_frame VALUES (8, 1, 5, 5, false, '2026-11-29 10:35:46.445239+00');
INSERT INTO homeward.ledger_frame VALUES (8, 6, 10, 10, false, '2026-11-29 10:35:46.445239+00');
INSERT INTO homeward.ledger_frame VALUES (2, 34, 35, 40, false, '2026-11-29 10:35:47.911433+00');
INSERT INTO homeward.ledger_mark VALUES (2, 41, false, '2026-11-29 10:35:47.911433+00');
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (2, '58b2dc64-3bd5-9005-33d3-a095d9d7ff0b', 'audit', 'ams', 'shop', '2026-11-29 10:35:41.59687+00', NULL);
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (4, '38914104-c486-ee85-2802-12687ee1cb5d', 'audit', 'ams', 'web', '2026-11-29 10:35:41.600578+00', NULL);
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (6, '4259e8c3-0f64-be2a-7f5b-71323d7ca057', 'audit', 'ams', 'web', '2026-11-29 10:35:41.603274+00', NULL);
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (7, 'e13ea1e8-a112-3557-9163-c451a1f32daf', 'plain', 'ams', '-', '2026-11-29 10:35:41.604435+00', NULL);
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (3, 'a1d01b08-c1cd-a33e-8898-e5b560d11079', 'audit', 'ams', 'web', '2026-11-29 10:35:41.599679+00', '2026-11-29 10:35:43.605129+00');
INSERT INTO homeward.origin OVERRIDING SYSTEM VALUE VALUES (8, '3fe8d38c-5b93-42ad-a8f7-74b0bdad2049', 'audit', 'ams', 'shop', '2026-11-29 10:35:46.437298+00', NULL);
INSERT INTO homeward.place OVERRIDING SYSTEM VALUE VALUES (1, 'audit', 'ams', 'shop');
INSERT INTO homeward.plain_message VALUES (7, 1, '2026-11-29 10:35:41.582202+00', 1, 1);
INSERT INTO homeward.plain_message VALUES (7, 2, '2026-11-29 10:35:41.582639+00', 2, 1);
INSERT INTO homeward.plain_message VALUES (7, 3, '2026-11-29 10:35:41.582793+00', 3, 1);
INSERT INTO homeward.plain_message VALUES (7, 4, '2026-11-29 10:35:41.583218+00', 4, 1);
INSERT INTO homeward.plain_message VALUES (7, 5, '2026-11-29 10:35:41.5835+00', 5, 1);
INSERT INTO homeward.plain_message VALUES (7, 6, '2026-11-29 10:35:41.583791+00', 6, 2);
INSERT INTO homeward.plain_message VALUES (7, 7, '2026-11-29 10:35:41.583965+00', 8, 1);
INSERT INTO homeward.plain_stream VALUES (7, 'HOMEWARD_PLAIN_ams', '2026-11-29 10:35:41.401433+00', 9);
INSERT INTO homeward.possible_duplicate VALUES (2, '2026-11-29 10:35:47.911433+00');
INSERT INTO homeward.tombstone VALUES (2, 34, 35, 'dropped', '2026-11-29 10:35:47.911433+00');
SELECT pg_catalog.setval('homeward.conflict_id_seq', 4, true);
SELECT pg_catalog.setval('homeward.dead_letter_id_seq', 3, true);
SELECT pg_catalog.setval('homeward.origin_id_seq', 8, true);
SELECT pg_catalog.setval('homeward.place_id_seq', 1, true);
