# Sourced by deploy/up: the live table. All its numbers are what the leader has been told, so they
# are a freshness behind.

# What the apps have timed, from metric_points: a row per bucket of each histogram. Bucket i of scale s
# holds (b^i, b^(i+1)], b = 2^(2^-s); its middle stands for its values.
request_buckets="
SELECT o.region, p.attributes ->> 'route' AS route, p.time, bucket.count,
       2 ^ ((p.positive_offset + bucket.number - 0.5)::float8 * 2 ^ (-p.scale)::float8) AS seconds
FROM metric_points p JOIN homeward.event_origin o ON o.id = p.origin,
     unnest(p.positive_counts) WITH ORDINALITY AS bucket (count, number)
WHERE p.name = 'http.server.request.duration'"

# Requests/s and p99 of the last 3 s: ams, scl, and ams with a synchronous write.
request_numbers() {
    psql_leader -At -F ' ' 2>>"$dir/table.log" <<SQL
WITH ranked AS (
    SELECT *, sum(count) OVER (PARTITION BY region, route ORDER BY seconds) AS rank,
           sum(count) OVER (PARTITION BY region, route) AS total
    FROM ($request_buckets AND p.time > now() - interval '3 seconds') AS recent)
SELECT coalesce(round(sum(count) FILTER (WHERE region = 'ams' AND route <> 'sync') / 3.0), 0),
       coalesce(round(1000 * min(seconds) FILTER
                      (WHERE region = 'ams' AND route = 'read' AND rank >= 0.99 * total)::numeric, 1), 0),
       coalesce(round(sum(count) FILTER (WHERE region = 'scl') / 3.0), 0),
       coalesce(round(1000 * min(seconds) FILTER
                      (WHERE region = 'scl' AND route = 'read' AND rank >= 0.99 * total)::numeric, 1), 0),
       coalesce(round(1000 * min(seconds) FILTER
                      (WHERE route = 'sync' AND rank >= 0.5 * total)::numeric, 1), 0),
       coalesce(round(1000 * min(seconds) FILTER
                      (WHERE route = 'sync' AND rank >= 0.99 * total)::numeric, 1), 0)
FROM ranked;
SQL
}

# All requests of the run but the synchronous ones, each counted where it was answered.
request_summary() {
    psql_leader -At <<SQL
WITH ranked AS (
    SELECT *, sum(count) OVER (ORDER BY seconds) AS rank, sum(count) OVER () AS total
    FROM ($request_buckets) AS all_buckets WHERE route <> 'sync')
SELECT format('requests: %s counted and timed in %s metric points; p50 %s ms, p99 %s ms',
              coalesce(sum(count), 0),
              (SELECT count(*) FROM metric_points WHERE name = 'http.server.request.duration'
               AND attributes ->> 'route' <> 'sync'),
              round(1000 * min(seconds) FILTER (WHERE rank >= 0.5 * total)::numeric, 1),
              round(1000 * min(seconds) FILTER (WHERE rank >= 0.99 * total)::numeric, 1))
FROM ranked;
SQL
}

# Sum of a counter over both classes of an app's publisher.
app_count() {
    curl -fsS "http://127.0.0.1:$1/metrics" 2>/dev/null |
        awk -v name="homeward_publisher_$2{" 'index($0, name) == 1 { sum += $2 } END { print sum + 0 }'
}

# Counters, and p50 and p99 of freshness over the last minute: the slowest region and class.
metric_numbers() {
    curl -fsS "http://127.0.0.1:$admin_port/metrics" 2>/dev/null | awk '
        /^homeward_rows_total/ { rows = $2 }
        /^homeward_dead_letters_total/ { dead = $2 }
        /^homeward_tombstones_total/ { dropped = $2 }
        /^homeward_freshness_quantile_seconds.*percentile="50"/ && $2 > p50 { p50 = $2 }
        /^homeward_freshness_quantile_seconds.*percentile="99"/ && $2 > p99 { p99 = $2 }
        END { printf "%d %d %d %.0f %.0f\n", rows, dead, dropped, p50 * 1000, p99 * 1000 }'
}

table_head() {
    printf '%6s | %9s %9s | %9s %9s | %10s %10s %9s | %12s | %5s | %15s\n' \
        '' 'ams req/s' 'p99 ms' 'scl req/s' 'p99 ms' emitted committed 'in flight' \
        'fresh p50/99' dead 'sync p50/p99 ms'
}

# table_line SECONDS_SINCE_START
table_line() {
    local ams_rate ams_p99 scl_rate scl_p99 sync_p50 sync_p99 rows dead dropped f50 f99 emitted
    read -r ams_rate ams_p99 scl_rate scl_p99 sync_p50 sync_p99 < <(request_numbers)
    read -r rows dead dropped f50 f99 < <(metric_numbers)
    emitted=$(($(app_count "$ams_port" accepted_total) + $(app_count "$scl_port" accepted_total)))
    local flight=$((emitted - ${rows:-0} - ${dead:-0} - ${dropped:-0}))
    printf '%5ss | %9s %9s | %9s %9s | %10s %10s %9s | %6s/%-5s | %5s | %7s/%-7s\n' "$1" \
        "${ams_rate:-0}" "${ams_p99:-0}" "${scl_rate:-0}" "${scl_p99:-0}" "$emitted" \
        "${rows:-0}" "$((flight > 0 ? flight : 0))" "${f50:-0}" "${f99:-0}ms" "${dead:-0}" \
        "${sync_p50:-0}" "${sync_p99:-0}"
}
