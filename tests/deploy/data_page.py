#!/usr/bin/env python3
"""Types the commands of deploy/DATA.md into a shell, and compares what comes with what it shows.

usage: data_page.py DOCUMENT [--write]

PGHOST, PGPORT and PGUSER lead to the server that data_page_test has filled. With --write the document
gets what has come instead.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from shown_output import agrees, check_itself, steps, text_of


def type_command(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        sys.exit(f"FAILED: exit status {done.returncode}: {command}\n{done.stdout}{done.stderr}")
    return [line.rstrip() for line in done.stdout.splitlines() if line.strip()]


def main(document, is_writing):
    check_itself()
    with open(document) as file:
        pieces = steps(file.read())
    typed = mistakes = 0
    for number, piece in enumerate(pieces):
        if isinstance(piece, str):
            continue
        command, shown = piece
        came = type_command(command)
        typed += 1
        if agrees(shown, came):
            continue
        if is_writing:
            pieces[number] = [command, came]
            continue
        mistakes += 1
        print(f"FAILED: {document} shows other output for: {command}", *came, sep="\n")
    print(f"{typed} commands typed, {mistakes} show something else")
    if is_writing:
        with open(document, "w") as file:
            file.write(text_of(pieces))
    return 1 if mistakes or typed < 6 else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--write"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:] == ["--write"]))
