#!/usr/bin/python3
"""Compares the functions of migration 22 with numpy, on the server that PGHOST, PGPORT and PGUSER name.

usage: metric_functions.py DASHBOARD

Debian's interpreter by its path: it is the one that python3-numpy is for.
"""
import itertools
import json
import re
import subprocess
import sys

import numpy as np

rng = np.random.default_rng(17)
T0 = 1_779_999_960  # a whole minute
seqs = itertools.count(1)
mistakes = []


def check(is_right, *what):
    if not is_right:
        mistakes.append(what)
        print("FAILED:", *what)


def psql(sql):
    return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
                          input=sql, capture_output=True, text=True, timeout=300)


def rows(sql):
    done = psql(f"SELECT coalesce(json_agg(r), '[]') FROM ({sql}) AS r;")
    if done.returncode != 0:
        sys.exit(f"FAILED: {sql}\n{done.stderr}")
    return json.loads(done.stdout)


def one(sql):
    return rows(sql)[0]["x"]


# Histograms as OpenTelemetry's data model defines them, from the samples.

def indexes(values, scale):
    """Of positive values; exact at powers of two, and at every other scale by shifting."""
    mantissa, exponent = np.frexp(values)
    fine = max(scale, 0)
    within = np.ceil(np.log2(2 * mantissa) * 2.0**fine).astype(np.int64) - 1
    return ((exponent.astype(np.int64) - 1) * 2**fine + within) >> (fine - scale)


def side(values, scale):
    if len(values) == 0:
        return None, None
    places = indexes(values, scale)
    return int(places.min()), np.bincount(places - places.min()).tolist()


def histogram(samples, scale):
    positive, negative = side(samples[samples > 0], scale), side(-samples[samples < 0], scale)
    return [scale, int((samples == 0).sum()), *positive, *negative]


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(str(v) for v in value) + "}'"
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value) + "'"


def composite(parts):
    return "(" + ", ".join(literal(p) for p in parts) + ")::homeward.histogram"


COLUMNS = ("scale", "zero_count", "positive_offset", "positive_counts", "negative_offset",
           "negative_counts")


def point(name, kind, since, until, origin=1, attributes=None, **columns):
    """A row that ends `until` seconds after T0."""
    names = ["origin", "seq", "name", "kind", "attributes", *columns]
    values = [origin, next(seqs), name, kind, json.dumps(attributes or {}), *columns.values()]
    return (f"INSERT INTO metric_points (start_time, time, {', '.join(names)}) VALUES"
            f" (to_timestamp({T0 + since}), to_timestamp({T0 + until}),"
            f" {', '.join(literal(v) for v in values)});\n")


def histogram_point(name, samples, scale, since, until, **more):
    with np.errstate(over="ignore"):
        total = float(np.clip(samples.sum(), -1e308, 1e308))
    return point(name, "histogram", since, until, count=len(samples), sum=total,
                 min=float(samples.min()), max=float(samples.max()),
                 **dict(zip(COLUMNS, histogram(samples, scale))), **more)


def insert(sql):
    done = psql("BEGIN;" + sql + "COMMIT;")
    if done.returncode != 0:
        sys.exit(f"FAILED: {done.stderr}")


def during(first, last):
    return f"from_time => to_timestamp({T0 + first}), to_time => to_timestamp({T0 + last})"


SAMPLES = {
    "one value": lambda n: np.full(n, 0.125),
    "latencies": lambda n: rng.lognormal(-4, 1.5, n),
    "both signs and zeros": lambda n: rng.normal(0, 3, n).round(1),
    "powers of two": lambda n: 2.0 ** rng.integers(-40, 40, n),
    "all doubles": lambda n: rng.choice([5e-324, 1e-300, -1e-300, 1.0, 1e300, -1.7e308], n),
}


def compare_merges():
    for what, draw in SAMPLES.items():
        for scales in ([0], [8, 8, 8], [3, 8, 5], [-4, 2, 0], [-10, 0, 6], [20, 6], [20, 20]):
            if max(scales) > {"all doubles": 4, "one value": 20}.get(what, 8):
                continue  # its parts would be too wide
            parts = [draw(rng.integers(1, 400)) for _ in scales]
            listed = ", ".join(f"({composite(histogram(p, s))})" for p, s in zip(parts, scales))
            # NULLs are no parts.
            got = one("SELECT row_to_json(homeward.merge_histograms(h)) AS x FROM"
                      f" (VALUES {listed}, (NULL)) AS v (h)")
            wanted = histogram(np.concatenate(parts), min(scales))
            check([got[c] for c in COLUMNS] == wanted, "merge of", what, "at", scales, got, wanted)
    wide = histogram(np.array([1e-300, 1e300]), 6)
    finest = [histogram(np.array([v]), 20) for v in (1e-300, 1e300)]
    got = one("SELECT row_to_json(homeward.merge_histograms(h)) AS x FROM"
              f" (VALUES ({composite(finest[0])}), ({composite(finest[1])})) AS v (h)")
    check(got["scale"] <= 6 and len(got["positive_counts"]) <= 100_000
          and sum(got["positive_counts"]) == 2, "a range of 100,000 buckets at most")
    check(got["positive_offset"] == wide[2] >> (6 - got["scale"]), "it is downscaled exactly")
    check(one("SELECT homeward.merge_histograms(h) IS NULL AS x FROM"
              " (SELECT NULL::homeward.histogram LIMIT 0) AS v (h)"), "no parts, no histogram")


def check_quantile(value, samples, q, scale, *what):
    """In the bucket of numpy's, and not off by more than half a bucket."""
    wanted = np.quantile(samples, q, method="inverted_cdf")
    if wanted == 0:
        return check(value == 0, *what, q, value, wanted)
    is_near = value != 0 and np.sign(value) == np.sign(wanted) and \
        abs(np.log2(abs(value)) - np.log2(abs(wanted))) <= 2.0**-scale / 2 + 1e-9
    check(is_near, *what, q, value, wanted)
    check(samples.min() <= value <= samples.max(), *what, "is beyond the extremes", q, value)


def compare_quantiles():
    for number, (what, draw) in enumerate(SAMPLES.items()):
        name, routes, sql = f"q{number}", {}, ""
        for part in range(12):
            route, origin, scale = f"/r{part % 2}", 1 + part // 2 % 2, 2 + part % 3
            samples = draw(97 + part)
            routes.setdefault((route, origin, part // 6), []).append(samples)
            sql += histogram_point(name, samples, scale, 10 * part, 10 * part + 10, origin=origin,
                                   attributes={"route": route})
        insert(sql)
        for q in (0, 0.01, 0.5, 0.9, 0.99, 1):
            def of(**want):
                return np.concatenate([s for (route, origin, minute), all in routes.items() for s in all
                                       if minute == want.get("minute", minute)
                                       and route == want.get("route", route)
                                       and origin == want.get("origin", origin)])
            call = f"homeward.quantile('{name}', {q}, '1 min'"
            got = rows(f"SELECT *, (extract(epoch FROM time) - {T0}) / 60 AS minute"
                       f" FROM {call}, {during(0, 120)})")
            check([(r["series"], r["attributes"]) for r in got]
                  == [(f"route={r}", {"route": r}) for r in ("/r0", "/r1")] * 2, what, got)
            for row in got:
                check_quantile(row["value"], of(minute=int(row["minute"]),
                                                route=row["attributes"]["route"]), q, 2, what, row)
            got = rows(f"SELECT * FROM {call}, '{{\"region\": \"ams\"}}', '{{}}', {during(0, 120)})")
            check([r["series"] for r in got] == [name] * 2, what, got)
            for minute, row in enumerate(got):
                check_quantile(row["value"], of(minute=minute, origin=1), q, 2, what, "of ams")
            got = rows(f"SELECT * FROM {call}, by_keys => '{{region}}', {during(0, 60)})")
            check([r["attributes"] for r in got] == [{"region": "ams"}, {"region": "scl"}], what, got)
    # Half a minute of a slot is in the range: the slot is whole all the same.
    whole = rows(f"SELECT * FROM homeward.quantile('q1', 0.5, '1 min', {during(0, 60)})")
    half = rows(f"SELECT * FROM homeward.quantile('q1', 0.5, '1 min', {during(20, 40)})")
    check(whole == half and len(whole) == 2, "slots are whole", whole, half)


def compare_rates():
    """Points of any length; what each has counted is spread evenly over its time."""
    sql, spread = "", np.zeros((2, 60))
    for number in range(200):
        route, since = number % 2, rng.uniform(-30, 590)
        until = since + rng.exponential(20)
        since, until = round(since, 6), round(until, 6)
        amount = int(rng.integers(0, 1000))
        sql += point("c", "counter", since, until, origin=1 + number % 3 % 2,
                     attributes={"route": route}, sum=amount)
        edges = np.arange(0, 610, 10)
        overlap = np.minimum(edges[1:], until) - np.maximum(edges[:-1], since)
        spread[route] += amount * np.maximum(overlap, 0) / (until - since)
    insert(sql)
    for slot in (10, 30):
        got = rows(f"SELECT *, extract(epoch FROM time) - {T0} AS at"
                   f" FROM homeward.rate('c', '{slot} s', {during(0, 600)})")
        seen = np.zeros((2, 600 // slot))
        for row in got:
            seen[row["attributes"]["route"], int(row["at"]) // slot] = row["value"] * slot
        check(np.allclose(seen, spread.reshape(2, -1, slot // 10).sum(2), rtol=1e-6, atol=1e-3),
              "rates of", slot, "s")
    # A process that starts again begins at zero, and its points at what it has added: nothing to mend.
    insert(point("restarts", "counter", 0, 10, sum=70) + point("restarts", "counter", 10, 20, sum=30)
           + point("restarts", "counter", 40, 50, origin=2, sum=5))
    check([r["value"] for r in rows("SELECT value FROM homeward.rate('restarts', '10 s',"
                                    f" {during(0, 60)})")] == [7, 3, 0, 0, 0.5],
          "a counter of two processes, and zero where neither has added")
    insert(point("open", "up_down_counter", 0, 10, sum=-5, value=3)
           + point("seconds", "histogram", 0, 10, count=40, sum=1.5, scale=0))
    check(one(f"SELECT value AS x FROM homeward.rate('open', '10 s', {during(0, 10)})") == -0.5,
          "an up_down_counter that falls")
    check(one(f"SELECT value AS x FROM homeward.rate('seconds', '10 s', {during(0, 10)})") == 4,
          "values per second of a histogram")
    check(rows("SELECT pg_typeof(time)::text AS t, pg_typeof(series)::text AS s, pg_typeof(value)::text"
               f" AS v FROM homeward.rate('open', '10 s', {during(0, 10)})")
          == [{"t": "timestamp with time zone", "s": "text", "v": "double precision"}],
          "what Grafana takes for a time series")


def leave_out_malformed_points():
    good = histogram_point("m", np.full(10, 2.0), 3, 0, 10)
    bad = [{"sum": "NaN"}, {"sum": "Infinity"}, {"sum": -1.0}, {"sum": 1e30}]
    sql = "".join(point("n", "counter", 0, 10, **b) for b in bad) + point("n", "counter", 0, 10, sum=10)
    sql += "".join(point("up", "up_down_counter", 0, 10, sum=v) for v in ("NaN", "-Infinity", 10))
    sql += "".join(point("g", "gauge", 0, 10, value=v) for v in ("NaN", 1))
    shapes = [{"positive_counts": [3, -1], "positive_offset": 0}, {"zero_count": -1}, {"scale": 21},
              {"scale": None}, {"positive_counts": [1], "positive_offset": None},
              {"negative_counts": [1], "negative_offset": 2**62},
              {"positive_counts": [2**62], "positive_offset": 0}]
    sql += good + "".join(point("m", "histogram", 0, 10, count=1, sum=1.0, **{"scale": 0, **s})
                          for s in shapes)
    sql += point("m", "histogram", 0, 10, count=-1, sum=1.0, scale=0)
    insert(sql)
    for name in ("n", "up", "m"):
        check(one(f"SELECT value AS x FROM homeward.rate('{name}', '10 s', {during(0, 10)})")
              == (1.7 if name == "m" else 1), "the rate of", name)
    check(one(f"SELECT value AS x FROM homeward.quantile('m', 0.5, '10 s', {during(0, 10)})") == 2,
          "the median of what is sound")
    # Series are those of the last hours.
    age = f"now() - to_timestamp({T0 - 100})"
    got = {r["name"]: r for r in rows(f"SELECT * FROM homeward.find_metric_series({age})")}
    check([(got[n]["points"], got[n]["malformed"]) for n in ("n", "up", "g", "m")]
          == [(5, 4), (3, 2), (2, 1), (9, 8)], "malformed points are counted", got)
    check(got["restarts"]["processes"] == 2 and got["restarts"]["regions"] == ["ams", "scl"],
          got["restarts"])
    check(one("SELECT count(*) AS x FROM homeward.metric_series") == 0, "none of the last hour")


def refuse_arguments():
    rate = "SELECT homeward.rate"
    quantile = "SELECT homeward.quantile('q1', "
    merge = "SELECT homeward.merge_histograms("
    for sql, wanted in (
            (f"{rate}('c', '0 s')", "the interval is 00:00:00; it must be positive"),
            (f"{rate}('c', '-1 min')", "the interval is -00:01:00; it must be positive"),
            (f"{rate}('c', NULL)", "the interval is NULL; it must be positive"),
            (f"{rate}('c', '1 month')", "the interval 1 mon has no fixed length; use days"),
            (f"{rate}('', '1 s')", "the name is missing"),
            (f"{rate}(NULL, '1 s')", "the name is missing"),
            (f"{rate}('c', '1 s', '[1]')", "the filter is [1]; it must be an object"),
            (f"{rate}('c', '1 s', NULL)", "the filter is NULL; it must be an object"),
            (f"{rate}('c', '100 ms')", "has more than 11000 intervals of 00:00:00.1"),
            (f"{rate}('c', '1 s', {during(5, 5)})", "it must not be empty"),
            (f"{rate}('c', '1 s', from_time => '-infinity')", "it must not be empty"),
            (f"{rate}('g', '10 s', {during(0, 10)})", '"g" is a gauge; this needs a counter'),
            (f"{quantile} 1.01, '1 min')", "q is 1.01; it must be from 0 to 1"),
            (f"{quantile} -0.5, '1 min')", "q is -0.5; it must be from 0 to 1"),
            (f"{quantile} 'NaN', '1 min')", "q is NaN; it must be from 0 to 1"),
            (f"{quantile} NULL, '1 min')", "q is NULL; it must be from 0 to 1"),
            (f"SELECT homeward.quantile('c', 0.5, '10 s', {during(0, 60)})",
             '"c" is a counter; this needs a histogram'),
            ("SELECT homeward.find_metric_series('-1 s')", "the interval is -00:00:01"),
            (f"{merge}(3, 0, 1, '{{1,-2}}', NULL, NULL)::homeward.histogram)", "a count is negative"),
            (f"{merge}(99, 0, 1, '{{1}}', NULL, NULL)::homeward.histogram)",
             "scale is 99; it must be from -10 to 20"),
            ("SELECT homeward.histogram_quantile((0, 0, 1, '{1}', NULL, NULL), 2)",
             "q is 2; it must be from 0 to 1")):
        done = psql(sql + ";")
        check(done.returncode != 0 and wanted in done.stderr, sql, wanted, done.stderr)
    # An unknown name may be one that was quiet: no rows, and a notice.
    done = psql("SELECT homeward.rate('unheard.of', '1 min');")
    check(done.returncode == 0 and done.stdout == ""
          and '"unheard.of" has no points from' in done.stderr, done)


def run_panels(dashboard):
    """Each query of a panel on PostgreSQL gives Grafana's time series."""
    with open(dashboard) as file:
        panels = json.load(file)["panels"]
    queries = [t["rawSql"] for p in panels for t in p["targets"] if "rawSql" in t]
    check(len(queries) >= 1, "a panel over metric_points")
    for query in queries:
        name = re.search(r"'([a-z.]+)'", query)[1]
        insert(histogram_point(name, np.full(10, 0.25), 3, 0, 10, attributes={"route": "/orders"}))
        for macro, value in {"$__timeFrom()": f"to_timestamp({T0 - 10})",
                             "$__timeTo()": f"to_timestamp({T0 + 60})", "$__interval": "10s"}.items():
            query = query.replace(macro, value)
        got = rows(query)
        check(len(got) > 0 and set(got[0]) == {"time", "metric", "value"}, query, got)


def main(dashboard):
    psql("TRUNCATE homeward.origin CASCADE; INSERT INTO homeward.origin (id, publisher, class, region, app)"
         " OVERRIDING SYSTEM VALUE VALUES (1, gen_random_uuid(), 'metric', 'ams', 'shop'),"
         " (2, gen_random_uuid(), 'metric', 'scl', 'shop');")
    insert("SELECT homeward.ensure_partition(table_schema, table_name,"
           f" to_timestamp({T0} + s * 600)::date) FROM homeward.event_type,"
           " generate_series(-1, 1) AS s WHERE name = 'metric_point';")
    compare_merges()
    compare_quantiles()
    compare_rates()
    leave_out_malformed_points()
    refuse_arguments()
    run_panels(dashboard)
    print(f"{len(mistakes)} mistakes")
    return 1 if mistakes else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
