#!/usr/bin/env python3
"""What becomes of a run's rows: one JSON list, one HTML page, and the README's block.

  page.py gather ROWS_DIR JSON COMMAND   rows of each bench (ROWS_DIR/<bench>, a line of JSON each),
                                         each with its run, into JSON
  page.py html JSON HTML [FLAMES_DIR]    one page with everything in it; loads nothing
  page.py readme JSON README             replaces the marked block, or puts it before "## Tests"
  page.py front JSON README              replaces the marked block by the five rows of FRONT_ROWS
"""
import datetime
import html
import json
import math
import os
import pathlib
import platform
import re
import subprocess
import sys

BEGIN = "<!-- bench: what follows is written by tests/bench/run --readme FILE.json -->"
END = "<!-- bench: until here -->"
HEADING = "## Measured performance"
FRONT_ROWS = {  # what the front README shows, and how it calls each row
    "emit p50, 1 thread, is faster": "one `emit()` call, median",
    "worst emit, server stopped (SIGSTOP)": "slowest `emit()` while the NATS server is stopped",
    "publish, 1 thread, is faster": "events acknowledged by JetStream, one process",
    "drain audit, 2 writers, is faster": "audit rows written to the leader, ledger included",
    "freshness p99 at 80% of that": "`emit()` to visible row, p99 at 80% of the highest load",
}
ROW_KEYS = {"bench", "name", "value", "unit", "compared_with", "ratio", "budget", "limit",
            "limit_on", "met", "run"}
RUN_KEYS = {"command", "date", "machine", "versions"}


class BadDocument(Exception):
    pass


# Gathering

def first_line(*command):
    """Of what a program says; empty when it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else ""


def field_of(path, name):
    try:
        for line in open(path, encoding="utf-8"):
            key, _, value = line.partition(":" if ":" in line else "=")
            if key.strip() == name:
                return value.strip().strip('"')
    except OSError:
        pass
    return ""


def package_version(name):
    return first_line("dpkg-query", "-W", "-f", "${Version}", name)


def machine():
    memory_kib = int((field_of("/proc/meminfo", "MemTotal").split() or ["0"])[0])
    return {
        "processor": field_of("/proc/cpuinfo", "model name") or platform.machine(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def versions(root):
    found = {
        "Homeward": first_line("git", "-C", root, "describe", "--always", "--dirty"),
        "system": field_of("/etc/os-release", "PRETTY_NAME"),
        "kernel": platform.release(),
        "compiler": first_line("c++", "--version"),
        "nats-server": first_line("nats-server", "--version").removeprefix("nats-server: "),
    }
    servers = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"),
                     key=lambda path: int(path.parts[-3]))
    if servers:
        found["PostgreSQL"] = first_line(servers[-1], "--version").split("PostgreSQL) ")[-1]
    for shown, package in (("nats.c", "libnats-dev"),
                           ("simdjson", "libsimdjson-dev"), ("zstd", "libzstd-dev"),
                           ("spdlog", "libspdlog-dev")):
        found[shown] = package_version(package)
    return {name: version for name, version in found.items() if version}


def gather(rows_dir, json_file, command):
    root = str(pathlib.Path(__file__).resolve().parents[2])
    now = datetime.datetime.now(datetime.timezone.utc)
    # In every row, so that a row says for itself where it comes from.
    run = {"command": command, "date": now.strftime("%Y-%m-%dT%H:%MZ"), "machine": machine(),
           "versions": versions(root)}
    rows = []
    # In the order in which they ran.
    for file in sorted(pathlib.Path(rows_dir).iterdir(), key=lambda f: f.stat().st_mtime_ns):
        for line in file.read_text(encoding="utf-8").splitlines():
            rows.append({**json.loads(line), "bench": file.name, "run": run})
    write(json_file, json.dumps(rows, indent=1) + "\n")


# Reading

def read(json_file):
    """The rows, beside what all of them say of their run."""
    try:
        rows = json.loads(pathlib.Path(json_file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadDocument(f"{json_file} is not what tests/bench/run --json writes: {error}")
    if not isinstance(rows, list) or not rows:
        raise BadDocument(f"{json_file} has no rows")
    for row in rows:
        if not isinstance(row, dict) or set(row) != ROW_KEYS or set(row["run"]) != RUN_KEYS:
            raise BadDocument(f"{json_file}: not as promised: {row}")
    return {**rows[0]["run"], "rows": rows}


def write(file, text):
    """All of it or nothing."""
    target = pathlib.Path(file)
    beside = target.with_name(target.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(target)


# Numbers for people

def short(value):
    if value is None:
        return "–"
    size = abs(value)
    for limit, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if size >= limit:
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def duration(ns):
    for limit, suffix in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= limit:
            return f"{ns / limit:.3g} {suffix}"
    return f"{ns:.3g} ns"


def quantity(value, unit):
    in_ns = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    if value is None:
        return "–"
    return duration(value * in_ns[unit]) if unit in in_ns else f"{short(value)} {unit}"


def times(ratio):
    if ratio is None:
        return ""
    return f"{float(f'{ratio:.3g}'):,.0f}×" if ratio >= 1000 else f"{ratio:.3g}×"


def margin(row):
    """How many times better than its budget a row is; None without one, or without a number."""
    if row["limit"] is None:
        return None
    number = row["ratio"] if row["limit_on"].startswith("ratio") else row["value"]
    if number is None or number <= 0 or row["limit"] <= 0:
        return None
    return number / row["limit"] if row["limit_on"].endswith("min") else row["limit"] / number


def verdict(row):
    return "" if row["met"] is None else "met" if row["met"] else "missed"


def machine_text(document):
    m = document["machine"]
    return (f"{m['processors']} × {m['processor']} ({m['architecture']}), {m['memory_gib']} GiB, "
            f"everything on this one machine")


def versions_text(document):
    return ", ".join(f"{name} {version}" for name, version in document["versions"].items())


# The page

STYLE = """
:root { --ink: #1d2329; --soft: #616b76; --back: #f4f6f8; --card: #fff; --line: #e0e5ea;
  --good: #15803d; --bad: #b91c1c; --bar: #2563eb }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9ed; --soft: #98a2ad; --back: #121519;
  --card: #1a1e23; --line: #2c333a; --good: #4ade80; --bad: #f87171; --bar: #7aa5ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.2rem; background: var(--back);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 1.35rem } h2 { font-size: 1.02rem; margin: 0 0 .5rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem; margin: 1rem 0; overflow-x: auto }
.soft { color: var(--soft) } .met { color: var(--good) } .missed { color: var(--bad) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top }
th { color: var(--soft); font-weight: 500 } .n { text-align: right; white-space: nowrap }
svg { width: 100%; max-width: 62rem; height: auto; display: block; margin-bottom: .8rem }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif } svg .soft { fill: var(--soft) }
svg .line { stroke: var(--line) } svg .one { stroke: var(--soft); stroke-dasharray: 4 3 }
.flame { overflow-x: auto } .flame svg { width: 1200px; max-width: none }
.flame text { fill: #000; font: 11px monospace }
svg .bar { fill: var(--bar) } svg .met { fill: var(--good) } svg .missed { fill: var(--bad) }
"""
NAME_WIDTH, PLOT_WIDTH, VALUE_WIDTH, ROW_HEIGHT = 330, 420, 130, 24


def bars(rows, text_of, kind_of, mark=None):
    """Bars on a logarithmic scale. `rows`: (name, number > 0); `mark`: a number to draw a line at,
    which bars then begin at."""
    numbers = [number for _, number in rows] + ([mark] if mark else [])
    low = math.floor(math.log10(min(numbers)) - (0 if mark else 0.3))
    high = math.ceil(math.log10(max(numbers)) + 1e-9)
    high = max(high, low + 1)

    def x(number):
        return NAME_WIDTH + PLOT_WIDTH * (math.log10(number) - low) / (high - low)

    height = ROW_HEIGHT * len(rows) + 26
    width = NAME_WIDTH + PLOT_WIDTH + VALUE_WIDTH
    out = [f'<svg viewBox="0 0 {width} {height}" role="img">']
    for power in range(low, high + 1):
        at = x(10.0 ** power)
        out.append(f'<line class="line" x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{height - 20}"/>'
                   f'<text class="soft" x="{at:.1f}" y="{height - 5}" text-anchor="middle">'
                   f'{html.escape(text_of(10.0 ** power))}</text>')
    for i, (name, number) in enumerate(rows):
        y = i * ROW_HEIGHT
        begin, end = sorted((x(mark) if mark else NAME_WIDTH, x(number)))
        shown = name if len(name) <= 48 else name[:47] + "…"
        out.append(f'<text x="{NAME_WIDTH - 10}" y="{y + 16}" text-anchor="end">'
                   f'{html.escape(shown)}</text>'
                   f'<rect class="{kind_of(number)}" x="{begin:.1f}" y="{y + 5}" '
                   f'width="{max(end - begin, 1.5):.1f}" height="14" rx="2"/>'
                   f'<text x="{max(end, x(number)) + 7:.1f}" y="{y + 16}">'
                   f'{html.escape(text_of(number))}</text>')
    if mark:
        out.append(f'<line class="one" x1="{x(mark):.1f}" y1="0" x2="{x(mark):.1f}" '
                   f'y2="{height - 20}"/>')
    return "".join(out) + "</svg>"


def value_plots(rows):
    """One for each unit of which there is more than one number to compare."""
    out = ""
    units = list(dict.fromkeys(row["unit"] for row in rows))
    for unit in units:
        # A row with an opponent says the same number again.
        seen = {}
        for row in rows:
            if row["unit"] == unit and row["value"] is not None and row["value"] > 0:
                seen.setdefault(row["name"], row["value"])
        if len(seen) > 1:
            out += bars(list(seen.items()), lambda v, u=unit: quantity(v, u), lambda _: "bar")
    return out


def table(rows):
    cells = "".join(
        f"<tr><td>{html.escape(row['name'])}</td>"
        f"<td class=n>{html.escape(quantity(row['value'], row['unit']))}</td>"
        f"<td>{html.escape(row['compared_with'] or '')}</td><td class=n>{times(row['ratio'])}</td>"
        f"<td class=n>{cell(row['budget'] or '')}</td>"
        f"<td class={verdict(row) or 'soft'}>{verdict(row)}</td></tr>" for row in rows)
    return ("<table><tr><th>what<th class=n>value<th>compared with, in the same run<th class=n>ratio"
            f"<th class=n>budget<th></tr>{cells}</table>")


def flame_graphs(directory):
    """What flame_graph.py has drawn there."""
    files = sorted(pathlib.Path(directory).glob("*.svg")) if directory else []
    return "".join(f"<h3>{html.escape(file.stem)}</h3><div class=flame>"
                   f"{file.read_text(encoding='utf-8')}</div>" for file in files)


def page(document, flames=None):
    rows = document["rows"]
    budgets = [row for row in rows if row["met"] is not None]
    met = sum(row["met"] for row in budgets)
    margins = [(row["name"], margin(row)) for row in budgets if margin(row)]
    compared = [(f"{row['name']}", row["ratio"]) for row in rows
                if row["ratio"] and row["ratio"] > 0 and row["compared_with"]]
    out = ["<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
           "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
           "style-src 'unsafe-inline'\"><meta name=viewport content=\"width=device-width, "
           "initial-scale=1\"><meta name=color-scheme content=\"light dark\">"
           f"<title>Homeward, measured</title><style>{STYLE}</style></head><body>"
           f"<h1>Homeward, measured: {met} of {len(budgets)} budgets met</h1>"
           f"<p><code>{html.escape(document['command'])}</code>, {html.escape(document['date'])}"
           f"<br>{html.escape(machine_text(document))}, load average at its end "
           f"{html.escape(document['machine']['load'])}<br><span class=soft>"
           f"{html.escape(versions_text(document))}</span></p>"]
    if margins:
        out.append("<section><h2>Budgets: how many times better than promised</h2>" +
                   bars(margins, times, lambda n: "met" if n >= 1 else "missed", mark=1) +
                   "</section>")
    if compared:
        out.append("<section><h2>Ratios: ours against what else one could take, in the same run"
                   "</h2>" + bars(compared, times, lambda _: "bar", mark=1) + "</section>")
    for bench in dict.fromkeys(row["bench"] for row in rows):
        of_bench = [row for row in rows if row["bench"] == bench]
        out.append(f"<section><h2>{html.escape(bench)}</h2>{value_plots(of_bench)}"
                   f"{table(of_bench)}{flame_graphs(flames) if bench == 'cpu' else ''}</section>")
    return "".join(out) + "</body></html>\n"


# The README's block

def cell(text):
    for plain, sign in (("<=", "≤"), (">=", "≥"), ("->", "→"), ("&", "&amp;"), ("<", "&lt;"),
                        ("|", "\\|"), ("\n", " ")):
        text = text.replace(plain, sign)
    return text


def block(document):
    rows = [row for row in document["rows"] if row["met"] is not None]
    lines = [BEGIN, f"`{document['command']}`, {document['date'][:10]}, {cell(machine_text(document))}; "
             f"{cell(versions_text(document))}.", "",
             "| what | measured | beside it, in the same run | ratio | budget | |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        lines.append("| " + " | ".join(cell(text) for text in (
            row["name"], quantity(row["value"], row["unit"]), row["compared_with"] or "",
            times(row["ratio"]), row["budget"], verdict(row))) + " |")
    missed = sum(not row["met"] for row in rows)
    lines += ["", f"{len(rows) - missed} of {len(rows)} budgets met. `--html FILE` shows all "
              f"{len(document['rows'])} rows, with plots.", END]
    return "\n".join(lines)


def front_block(document):
    found = {row["name"]: row for row in document["rows"]}
    missing = [name for name in FRONT_ROWS if name not in found]
    if missing:
        raise BadDocument(f"the run has no row \"{missing[0]}\", which the front README shows")
    judged = [row for row in document["rows"] if row["met"] is not None]
    lines = [BEGIN, "| | Homeward | compared with, same run | ratio |", "|---|---|---|---|"]
    for name, label in FRONT_ROWS.items():
        row = found[name]
        lines.append("| " + " | ".join((label, cell(quantity(row["value"], row["unit"])),
                                        cell(row["compared_with"] or ""), times(row["ratio"]))) + " |")
    machine = document["machine"]
    lines += ["", f"Commit {document['versions'].get('Homeward', 'unknown')}, {document['date'][:10]}, "
              f"{machine['processors']} × {cell(machine['processor'])}, all servers on this one "
              f"machine; {sum(row['met'] for row in judged)} of {len(judged)} budgets met.", END]
    return "\n".join(lines)


def with_block(readme, text):
    if readme.count(BEGIN) > 1 or readme.count(BEGIN) != readme.count(END):
        raise BadDocument("the README's marks are broken: there must be one of each, or none")
    if BEGIN in readme:
        before, rest = readme.split(BEGIN)
        if END not in rest:
            raise BadDocument("the README's marks are broken: the end stands before the beginning")
        return before + text + rest.split(END)[1]
    section = f"{HEADING}\n{text}\n\n"
    tests = re.search(r"^## Tests$", readme, re.MULTILINE)
    if tests:
        return readme[:tests.start()] + section + readme[tests.start():]
    return readme.rstrip("\n") + "\n\n" + section.rstrip("\n") + "\n"


def main(words):
    if len(words) == 4 and words[0] == "gather":
        gather(*words[1:])
    elif len(words) in (3, 4) and words[0] == "html":
        write(words[2], page(read(words[1]), *words[3:]))
    elif len(words) == 3 and words[0] == "readme":
        readme = pathlib.Path(words[2]).read_text(encoding="utf-8")
        write(words[2], with_block(readme, block(read(words[1]))))
    elif len(words) == 3 and words[0] == "front":
        readme = pathlib.Path(words[2]).read_text(encoding="utf-8")
        write(words[2], with_block(readme, front_block(read(words[1]))))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BadDocument, OSError) as error:
        sys.exit(f"page.py: {error}")
