# Sourced by deploy/up: the live table. All its numbers are what the leader has been told, so they
# are a freshness behind.

# Requests/s and p99 of the last 3 s: ams, scl, and ams with a synchronous write.
request_numbers() {
    psql_leader -At -F ' ' 2>>"$dir/table.log" <<'SQL'
SELECT coalesce(round(count(*) FILTER (WHERE region = 'ams' AND route <> 'sync') / 3.0), 0),
       coalesce(round(1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY value)
                      FILTER (WHERE region = 'ams' AND route = 'read')::numeric, 1), 0),
       coalesce(round(count(*) FILTER (WHERE region = 'scl') / 3.0), 0),
       coalesce(round(1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY value)
                      FILTER (WHERE region = 'scl' AND route = 'read')::numeric, 1), 0),
       coalesce(round(1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY value)
                      FILTER (WHERE route = 'sync')::numeric, 1), 0),
       coalesce(round(1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY value)
                      FILTER (WHERE route = 'sync')::numeric, 1), 0)
FROM (SELECT o.region, m.tags ->> 'route' AS route, m.value
      FROM metric_events m JOIN homeward.event_origin o ON o.id = m.origin
      WHERE m.time > now() - interval '3 seconds') AS recent;
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
