#!/usr/bin/env python3
"""Prints which share of each module's lines the tests have executed.

usage: coverage.py ROOT BUILD

BUILD was compiled with --coverage (preset `coverage`), and its tests have run. A line of a header counts
once, and as executed if any program has executed it. Processes that were killed have written nothing.
"""

import collections
import concurrent.futures
import json
import pathlib
import subprocess
import sys

MODULES = ("schemas", "publisher", "consumer")


def lines_of(data_file):
    """(file, line, is executed) of one .gcda."""
    run = subprocess.run(["gcov", "--json-format", "--stdout", str(data_file)], check=True,
                         capture_output=True, text=True, cwd=data_file.parent)
    for text in filter(None, run.stdout.splitlines()):
        report = json.loads(text)
        base = pathlib.Path(report["current_working_directory"])
        for file in report["files"]:
            path = (base / file["file"]).resolve()
            for line in file["lines"]:
                yield path, line["line_number"], line["count"] > 0


def gather(root, build):
    executed = {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for lines in pool.map(lambda file: list(lines_of(file)), sorted(build.rglob("*.gcda"))):
            for path, number, is_executed in lines:
                if path.is_relative_to(root) and not path.is_relative_to(build):
                    key = path.relative_to(root), number
                    executed[key] = executed.get(key, False) or is_executed
    return executed


def summary(executed):
    """(lines executed, lines) by folder and by module."""
    sums = collections.defaultdict(lambda: [0, 0])
    for (path, _), is_executed in executed.items():
        if path.parts[0] in MODULES:
            for name in {path.parts[0], path.parent.as_posix()}:
                sums[name][0] += is_executed
                sums[name][1] += 1
    return sums


def main():
    root, build = (pathlib.Path(word).resolve() for word in sys.argv[1:])
    sums = summary(gather(root, build))
    if not sums:
        sys.exit(f"coverage.py: no test of {build} has written coverage data; build preset coverage")
    for name in sorted(sums):
        done, lines = sums[name]
        print(f"{name:36} {done:6} of {lines:6} lines  {100 * done / lines:5.1f}%")


if __name__ == "__main__":
    main()
