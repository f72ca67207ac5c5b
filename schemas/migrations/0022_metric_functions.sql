-- Reading metric_points (publisher/metrics/README.md): rates, quantiles, series. The table is the one
-- of event type metric_point, wherever postgres.event_schema put it. All of these read with the rights of
-- the caller, and so with a search_path of their own: whoever may create functions in a schema of the caller's
-- path could have them called instead of PostgreSQL's.

-- A base-2 exponential histogram as the OpenTelemetry data model defines it. Bucket i of the positive
-- range has values in (b^i, b^(i+1)], where b = 2^(2^-scale); the negative range has absolute values.
-- counts[1] is the bucket with index offset.
CREATE TYPE homeward.histogram AS (
    scale           int8,
    zero_count      int8,
    positive_offset int8,
    positive_counts int8[],
    negative_offset int8,
    negative_counts int8[]
);

-- What no histogram of doubles has; NULL if there is nothing of that kind. OpenTelemetry's scales are from
-- -10 to 20, and counts beyond 2^48 are refused everywhere in Homeward.
CREATE FUNCTION homeward.histogram_fault(h homeward.histogram) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    index_max float8;
BEGIN
    IF h.scale IS NULL OR h.scale NOT BETWEEN -10 AND 20 THEN
        RETURN format('scale is %s; it must be from -10 to 20', coalesce(h.scale::text, 'NULL'));
    ELSIF h.zero_count NOT BETWEEN 0 AND 281474976710656 THEN
        RETURN format('zero_count is %s; it must be from 0 to 2^48', h.zero_count);
    ELSIF NOT coalesce(0 <= ALL (h.positive_counts), h.positive_counts IS NULL)
       OR NOT coalesce(0 <= ALL (h.negative_counts), h.negative_counts IS NULL) THEN
        RETURN 'a count is negative or NULL';
    ELSIF 281474976710656 < ANY (h.positive_counts) OR 281474976710656 < ANY (h.negative_counts) THEN
        RETURN 'a count is above 2^48';
    ELSIF array_ndims(h.positive_counts) > 1 OR array_ndims(h.negative_counts) > 1 THEN
        RETURN 'counts must have one dimension';
    END IF;
    index_max := 1100 * power(2::float8, h.scale) + 1;  -- doubles are from 2^-1074 to 2^1024
    IF cardinality(h.positive_counts) > 0
       AND (h.positive_offset IS NULL OR h.positive_offset < -index_max
            OR h.positive_offset + cardinality(h.positive_counts) > index_max)
       OR cardinality(h.negative_counts) > 0
       AND (h.negative_offset IS NULL OR h.negative_offset < -index_max
            OR h.negative_offset + cardinality(h.negative_counts) > index_max) THEN
        RETURN 'an offset is NULL, or a bucket is beyond every double';
    END IF;
    RETURN NULL;
END $$;

-- The non-empty buckets at a scale that is not above the histogram's own. side: -1, 0 (zeros), 1. A
-- coarser bucket is the union of whole finer ones, so an index is shifted and counts stay exact.
CREATE FUNCTION homeward.histogram_buckets(h homeward.histogram, at_scale int8)
RETURNS TABLE (side int4, index int8, count int8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20 AS $$
    SELECT 1, ((h).positive_offset + u.place - 1) >> ((h).scale - at_scale)::int4, u.n
    FROM pg_catalog.unnest((h).positive_counts) WITH ORDINALITY AS u (n, place) WHERE u.n > 0
    UNION ALL
    SELECT -1, ((h).negative_offset + u.place - 1) >> ((h).scale - at_scale)::int4, u.n
    FROM pg_catalog.unnest((h).negative_counts) WITH ORDINALITY AS u (n, place) WHERE u.n > 0
    UNION ALL
    SELECT 0, 0, (h).zero_count WHERE (h).zero_count > 0
$$;

-- One histogram of all values, at the coarsest of the parts' scales; coarser where a range would have more
-- than 100,000 buckets. NULLs are no parts; NULL of no parts. A range begins and ends with buckets that
-- are not empty; one without values is NULL.
CREATE FUNCTION homeward.merged_histogram(parts homeward.histogram[]) RETURNS homeward.histogram
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    fault text := (SELECT homeward.histogram_fault(p) FROM unnest(parts) AS p
                   WHERE NOT (p IS NULL) AND homeward.histogram_fault(p) IS NOT NULL LIMIT 1);
    coarsest int8 := (SELECT min((p).scale) FROM unnest(parts) AS p);
    widest int8;
    total homeward.histogram;
BEGIN
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'merge_histograms(): %', fault USING ERRCODE = '22023';
    END IF;
    IF coarsest IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT max(s.last - s.first) INTO widest
    FROM (SELECT min(b.index) AS first, max(b.index) AS last
          FROM unnest(parts) AS p, homeward.histogram_buckets(p, coarsest) AS b
          WHERE coarsest > 5 GROUP BY b.side) AS s;  -- at 5 no range of doubles has as many
    WHILE widest >= 100000 LOOP
        widest := widest >> 1;
        coarsest := coarsest - 1;
    END LOOP;
    WITH bucket AS MATERIALIZED (
        SELECT b.side, b.index, sum(b.count)::int8 AS count
        FROM unnest(parts) AS p, homeward.histogram_buckets(p, coarsest) AS b
        GROUP BY b.side, b.index
    ), span AS (
        SELECT b.side, min(b.index) AS first, max(b.index) AS last FROM bucket b GROUP BY b.side
    ), side AS (
        SELECT s.side, s.first, array_agg(coalesce(b.count, 0) ORDER BY place) AS counts
        FROM span s
        CROSS JOIN LATERAL generate_series(s.first, s.last) AS place
        LEFT JOIN bucket b ON b.side = s.side AND b.index = place
        GROUP BY s.side, s.first
    )
    SELECT coarsest, coalesce(max(r.counts[1]) FILTER (WHERE r.side = 0), 0),
           max(r.first) FILTER (WHERE r.side = 1), max(r.counts) FILTER (WHERE r.side = 1),
           max(r.first) FILTER (WHERE r.side = -1), max(r.counts) FILTER (WHERE r.side = -1)
    INTO total FROM side r;
    RETURN total;
END $$;

CREATE AGGREGATE homeward.merge_histograms(homeward.histogram) (
    SFUNC = array_append, STYPE = homeward.histogram[], INITCOND = '{}',
    FINALFUNC = homeward.merged_histogram, COMBINEFUNC = array_cat, PARALLEL = SAFE
);

-- The value of rank ceil(q * count), as numpy's method "inverted_cdf" has it: the middle of its bucket on
-- a logarithmic scale. So it is off by at most a factor of 2^(2^-scale / 2). The result is
-- within the extremes, where these are given. NULL of no values.
CREATE FUNCTION homeward.histogram_quantile(h homeward.histogram, q float8,
                                            min_value float8 DEFAULT NULL,
                                            max_value float8 DEFAULT NULL)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    fault text := homeward.histogram_fault(h);
    total numeric;
    middle float8;
BEGIN
    IF q IS NULL OR NOT q BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'histogram_quantile(): q is %; it must be from 0 to 1', coalesce(q::text, 'NULL')
            USING ERRCODE = '22023';
    ELSIF h IS NULL THEN
        RETURN NULL;
    ELSIF fault IS NOT NULL THEN
        RAISE EXCEPTION 'histogram_quantile(): %', fault USING ERRCODE = '22023';
    END IF;
    total := (SELECT sum(b.count) FROM homeward.histogram_buckets(h, (h).scale) AS b);
    SELECT CASE WHEN b.side = 0 THEN 0 ELSE
               -- Of any index, though a double has none beyond these.
               b.side * power(2::float8, greatest(-1074, least(1023.9,
                   (b.index + 0.5::float8) * power(2::float8, -(h).scale)))) END
    INTO middle
    FROM (SELECT o.*, sum(o.count) OVER (ORDER BY o.side, o.side * o.index) AS upto
          FROM homeward.histogram_buckets(h, (h).scale) AS o) AS b
    WHERE b.upto >= greatest(1, ceil(q::numeric * total)) ORDER BY b.upto LIMIT 1;
    RETURN greatest(min_value, least(max_value, middle));
END $$;

-- For FROM: the points whose time is at or after time_from and before time_to, and perhaps others. Both are
-- expressions. A packed table is read by its function, which chooses packs by their time; its view cannot.
CREATE FUNCTION homeward.metric_source(time_from text, time_to text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    one record;
BEGIN
    SELECT t.table_schema, t.table_name, p.rows_table, p.packs_table,
           to_regprocedure(format('%I.%I(timestamptz, timestamptz)', t.table_schema,
                                  t.table_name || '_between')) AS between
    INTO one
    FROM homeward.event_type t LEFT JOIN homeward.packed_type p USING (name)
    WHERE t.name = 'metric_point';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this database has no table of event type metric_point; run'
            ' homeward-consumer schema apply' USING ERRCODE = '42P01';
    ELSIF one.packs_table IS NOT NULL AND has_function_privilege(one.between, 'EXECUTE')
          AND has_table_privilege(format('%I.%I', one.table_schema, one.rows_table), 'SELECT')
          AND has_table_privilege(format('%I.%I', one.table_schema, one.packs_table), 'SELECT') THEN
        RETURN format('%s(%s, %s)', one.between::regproc, time_from, time_to);
    END IF;
    RETURN format('%I.%I', one.table_schema, one.table_name);  -- a view needs no rights on its tables
END $$;

-- Arguments of rate() and quantile(). 11,000 slots are as many as Prometheus gives, too.
CREATE FUNCTION homeward.check_metric_query(caller text, of_name text, slot interval, filter jsonb,
                                            from_time timestamptz, to_time timestamptz)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    problem text;
BEGIN
    IF coalesce(of_name, '') = '' THEN
        problem := 'the name is missing';
    ELSIF slot IS NULL OR extract(epoch FROM slot) <= 0 THEN
        problem := format('the interval is %s; it must be positive', coalesce(slot::text, 'NULL'));
    ELSIF extract(year FROM slot) <> 0 OR extract(month FROM slot) <> 0 THEN
        problem := format('the interval %s has no fixed length; use days', slot);
    ELSIF jsonb_typeof(filter) IS DISTINCT FROM 'object' THEN
        problem := format('the filter is %s; it must be an object such as {"route": "/orders"}',
                          coalesce(left(filter::text, 100), 'NULL'));
    ELSIF from_time IS NULL OR to_time IS NULL OR NOT isfinite(from_time) OR NOT isfinite(to_time)
          OR from_time >= to_time THEN
        problem := format('the range is from %s to %s; it must not be empty',
                          coalesce(from_time::text, 'NULL'), coalesce(to_time::text, 'NULL'));
    ELSIF extract(epoch FROM to_time - from_time) / extract(epoch FROM slot) > 11000 THEN
        problem := format('%s has more than 11000 intervals of %s; use a longer one',
                          to_time - from_time, slot);
    ELSE
        RETURN;
    END IF;
    RAISE EXCEPTION '%(): %', caller, problem USING ERRCODE = '22023';
END $$;

-- Why a query found nothing: an error if the name is of another kind, else a notice.
CREATE FUNCTION homeward.explain_no_points(caller text, of_name text, kinds text[],
                                           from_time timestamptz, to_time timestamptz)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    found text;
BEGIN
    EXECUTE format('SELECT p.kind FROM %s AS p WHERE p.name = $1 AND p.time > $2 AND p.time <= $3'
                   ' ORDER BY p.kind = ANY ($4) DESC LIMIT 1',
                   homeward.metric_source('$2', '$3 + interval ''1 microsecond'''))
    INTO found USING of_name, from_time, to_time, kinds;
    IF found IS NULL THEN
        RAISE NOTICE '%(): "%" has no points from % to %', caller, of_name, from_time, to_time;
    ELSIF found <> ALL (kinds) THEN
        RAISE EXCEPTION '%(): "%" is a %; this needs a %', caller, of_name, found,
            array_to_string(kinds, ' or ') USING ERRCODE = '42809';
    ELSE
        RAISE NOTICE '%(): no points of "%" from % to % match, or they are malformed', caller,
            of_name, from_time, to_time;
    END IF;
END $$;

-- What tells series apart: all attributes, or only those of by_keys, which may be region and app, too.
CREATE FUNCTION homeward.series_attributes(attributes jsonb, region text, app text, by_keys text[])
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT CASE WHEN by_keys IS NULL THEN coalesce(attributes, '{}') ELSE
        (SELECT coalesce(jsonb_object_agg(a.key, a.value), '{}')
         FROM jsonb_each(jsonb_build_object('region', region, 'app', app)
                         || coalesce(attributes, '{}')) AS a
         WHERE a.key = ANY (by_keys)) END
$$;

-- As a legend shows it: method=GET, route=/orders; the metric's name if there are none.
CREATE FUNCTION homeward.series_label(of_name text, attributes jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, homeward, pg_temp AS $$
    SELECT coalesce(string_agg(a.key || '=' || coalesce(a.value, 'null'), ', ' ORDER BY a.key), of_name)
    FROM jsonb_each_text(attributes) AS a
$$;

-- Of a counter or up_down_counter, what was added per second; of a histogram, values per second. A row
-- per series and slot of `slot` from the first to the last one with points; slots begin at multiples
-- of `slot` since 1970. What a point counted is spread evenly over its time. Points of processes, regions and
-- intervals add up. filter: attributes, region and app that points must have. by_keys: attributes (or
-- region, app) that make a series; NULL: all attributes; {}: one series. Default range: the last hour.
-- Left out are points that no meter makes: sums that are not finite or beyond 64 bits, counts and
-- counters' sums below zero. homeward.metric_series counts them.
CREATE FUNCTION homeward.rate(of_name text, slot interval, filter jsonb DEFAULT '{}',
                              by_keys text[] DEFAULT NULL,
                              from_time timestamptz DEFAULT now() - interval '1 hour',
                              to_time timestamptz DEFAULT now())
RETURNS TABLE ("time" timestamptz, series text, value float8, attributes jsonb)
LANGUAGE plpgsql STABLE SET jit = off SET search_path = pg_catalog, homeward, pg_temp AS $$
DECLARE
    seconds float8 := extract(epoch FROM slot);
    step interval;
    first timestamptz;
    next timestamptz;
BEGIN
    PERFORM homeward.check_metric_query('rate', of_name, slot, filter, from_time, to_time);
    step := make_interval(secs => seconds);  -- a day is 24 hours, whatever the time zone
    first := date_bin(step, from_time, 'epoch');
    next := date_bin(step, to_time - interval '1 microsecond', 'epoch') + step;
    RETURN QUERY EXECUTE format($query$
        WITH point AS (
            SELECT p.attributes, o.region, o.app, p.time AS until,
                   least(p.start_time, p.time - interval '1 microsecond') AS since,
                   CASE p.kind WHEN 'histogram' THEN p.count ELSE p.sum END AS amount
            FROM %s AS p LEFT JOIN homeward.event_origin o ON o.id = p.origin
            WHERE p.name = $1 AND p.time > $2 AND p.time <= $3 + interval '1 hour' AND p.start_time < $3
              AND CASE p.kind WHEN 'histogram' THEN p.count BETWEEN 0 AND 281474976710656
                              WHEN 'counter' THEN p.sum BETWEEN 0 AND 1e19
                              WHEN 'up_down_counter' THEN p.sum BETWEEN -1e19 AND 1e19 END
              AND ($6 = '{}' OR jsonb_build_object('region', o.region, 'app', o.app)
                                || coalesce(p.attributes, '{}') @> $6)
        ), part AS (
            SELECT p.attributes, p.region, p.app, begins AS slot,
                   sum(p.amount * CASE WHEN p.since >= begins AND p.until <= begins + $4 THEN 1
                       ELSE extract(epoch FROM least(p.until, begins + $4) - greatest(p.since, begins))
                            / extract(epoch FROM p.until - p.since) END::float8) AS amount
            FROM point p CROSS JOIN LATERAL
                 generate_series(date_bin($4, greatest(p.since, $2), 'epoch'),
                                 least(p.until, $3) - interval '1 microsecond', $4) AS begins
            GROUP BY p.attributes, p.region, p.app, begins
        ), slot AS (
            SELECT s.keys, p.slot, sum(p.amount) AS amount
            FROM part p CROSS JOIN LATERAL
                 (SELECT homeward.series_attributes(p.attributes, p.region, p.app, $7) AS keys) AS s
            GROUP BY s.keys, p.slot
        )
        SELECT begins, homeward.series_label($1, e.keys), coalesce(s.amount, 0) / $5, e.keys
        FROM (SELECT o.keys, min(o.slot) AS first, max(o.slot) AS last FROM slot o GROUP BY o.keys) AS e
        CROSS JOIN LATERAL generate_series(e.first, e.last, $4) AS begins
        LEFT JOIN slot s ON s.keys = e.keys AND s.slot = begins
        ORDER BY 1, 2 $query$,
        homeward.metric_source('$2', '$3 + interval ''1 hour 1 microsecond'''))
    USING of_name, first, next, step, seconds, filter, by_keys;
    IF NOT FOUND THEN
        PERFORM homeward.explain_no_points(
            'rate', of_name, '{counter,up_down_counter,histogram}', first, next);
    END IF;
END $$;

-- The q-quantile of a histogram's values, as homeward.histogram_quantile() gives it: a row per series and
-- slot with values. A point counts in the slot where it ends. Other arguments are those of rate().
CREATE FUNCTION homeward.quantile(of_name text, q float8, slot interval, filter jsonb DEFAULT '{}',
                                  by_keys text[] DEFAULT NULL,
                                  from_time timestamptz DEFAULT now() - interval '1 hour',
                                  to_time timestamptz DEFAULT now())
RETURNS TABLE ("time" timestamptz, series text, value float8, attributes jsonb)
LANGUAGE plpgsql STABLE SET jit = off SET search_path = pg_catalog, homeward, pg_temp
SET enable_hashagg = off AS $$  -- sorted, one group is in memory at a time
DECLARE
    step interval;
    first timestamptz;
    next timestamptz;
BEGIN
    PERFORM homeward.check_metric_query('quantile', of_name, slot, filter, from_time, to_time);
    IF q IS NULL OR NOT q BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'quantile(): q is %; it must be from 0 to 1', coalesce(q::text, 'NULL')
            USING ERRCODE = '22023';
    END IF;
    step := make_interval(secs => extract(epoch FROM slot));
    first := date_bin(step, from_time, 'epoch');
    next := date_bin(step, to_time - interval '1 microsecond', 'epoch') + step;
    RETURN QUERY EXECUTE format($query$
        WITH point AS (
            SELECT date_bin($4, p.time - interval '1 microsecond', 'epoch') AS slot,
                   homeward.series_attributes(p.attributes, o.region, o.app, $7) AS keys,
                   (p.scale, p.zero_count, p.positive_offset, p.positive_counts,
                    p.negative_offset, p.negative_counts)::homeward.histogram AS h,
                   nullif(p.min, 'NaN') AS min, nullif(p.max, 'NaN') AS max
            FROM %s AS p LEFT JOIN homeward.event_origin o ON o.id = p.origin
            WHERE p.name = $1 AND p.kind = 'histogram' AND p.time > $2 AND p.time <= $3
              AND ($6 = '{}' OR jsonb_build_object('region', o.region, 'app', o.app)
                                || coalesce(p.attributes, '{}') @> $6)
        ), slot AS (
            SELECT p.slot, p.keys, homeward.histogram_quantile(
                       homeward.merge_histograms(p.h), $5, min(p.min), max(p.max)) AS value
            FROM point p WHERE homeward.histogram_fault(p.h) IS NULL
            GROUP BY p.slot, p.keys
        )
        SELECT s.slot, homeward.series_label($1, s.keys), s.value, s.keys
        FROM slot s WHERE s.value IS NOT NULL ORDER BY 1, 2 $query$,
        homeward.metric_source('$2', '$3 + interval ''1 microsecond'''))
    USING of_name, first, next, step, q, filter, by_keys;
    IF NOT FOUND THEN
        PERFORM homeward.explain_no_points('quantile', of_name, '{histogram}', first, next);
    END IF;
END $$;

-- The series with points in the last `since`, and which of their points are malformed.
CREATE FUNCTION homeward.find_metric_series(since interval DEFAULT '1 hour')
RETURNS TABLE (name text, kind text, unit text, series text, attributes jsonb, regions text[],
               processes int8, points int8, malformed int8, first_time timestamptz,
               last_time timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, homeward, pg_temp AS $$
BEGIN
    IF since IS NULL OR now() - since >= now() THEN
        RAISE EXCEPTION 'find_metric_series(): the interval is %; it must be positive',
            coalesce(since::text, 'NULL') USING ERRCODE = '22023';
    END IF;
    RETURN QUERY EXECUTE format($query$
        SELECT s.name, s.kind, s.unit, homeward.series_label(s.name, s.attributes), s.attributes,
               s.regions, s.processes, s.points, s.malformed, s.first_time, s.last_time
        FROM (SELECT p.name, p.kind, p.unit, coalesce(p.attributes, '{}') AS attributes,
                     array_agg(DISTINCT o.region) AS regions, count(DISTINCT p.origin) AS processes,
                     count(*) AS points,
                     count(*) FILTER (WHERE NOT coalesce(CASE p.kind
                         WHEN 'gauge' THEN p.value > '-Infinity' AND p.value < 'Infinity'
                         WHEN 'counter' THEN p.sum BETWEEN 0 AND 1e19
                         WHEN 'up_down_counter' THEN p.sum BETWEEN -1e19 AND 1e19
                         WHEN 'histogram' THEN p.count BETWEEN 0 AND 281474976710656
                             AND p.sum > '-Infinity' AND p.sum < 'Infinity'
                             AND homeward.histogram_fault(
                                 (p.scale, p.zero_count, p.positive_offset, p.positive_counts,
                                  p.negative_offset, p.negative_counts)) IS NULL
                     END, false)) AS malformed,
                     min(p.start_time) AS first_time, max(p.time) AS last_time
              FROM %s AS p LEFT JOIN homeward.event_origin o ON o.id = p.origin
              WHERE p.time > $1
              GROUP BY p.name, p.kind, p.unit, coalesce(p.attributes, '{}')) AS s
        ORDER BY s.name, s.attributes $query$, homeward.metric_source('$1', '''infinity'''))
    USING now() - since;  -- known to the planner, unlike now()
END $$;

CREATE VIEW homeward.metric_series AS SELECT * FROM homeward.find_metric_series();
COMMENT ON VIEW homeward.metric_series IS
    'the metrics of the last hour by series; homeward.find_metric_series(interval) takes another time';
