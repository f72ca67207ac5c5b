"""What documents show of commands' output, and whether that is what comes."""
import re

LINES_MAX = 26


# What is measured or differs by the machine: the whole line, and the least and the most that each
# number in it may be.
MEASURED = [
    (r"homeward_batches_total (\d+)", [(1, 50)]),
    (r"ok +(\d+) schema changes are due; see homeward-consumer .*schema plan", [(8, 60)]),
    (r"(?:rows_max|bytes_max) = (\d+)", [(1, 64 << 20)]),
    (r"delay_ms = (\d+)", [(0, 10_000)]),
    (r"writers = (\d+)", [(1, 64)]),
    (r"nats-server\t2\.(\d+)\.\S+", [(9, 99)]),
    (r"postgresql-15\t15\.(\d+)\S+", [(1, 99)]),
    (r"audit_events_\d{8} +\| (\d+) kB", [(8, 999)]),
]


def plain(line):
    """A line without what no run repeats: identifiers, dates, and spaces that make up for them."""
    line = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ?", "", line)
    line = re.sub(r"\b[0-9a-f]{8,}\b", "#", line)
    line = re.sub(r"\b\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?)?", "#", line)
    line = re.sub(r"\b\d\d:\d\d:\d\d\b", "#", line)
    line = re.sub(r"(?<=_)\d{8}\b", "#", line)  # a day's partition
    line = re.sub(r"[\s─-]+", " ", line).strip()
    return line


def is_same(shown, came):
    """True if a line that came is the one that is shown, or measures the same."""
    if plain(shown) == plain(came):
        return True
    for pattern, ranges in MEASURED:
        here, there = re.fullmatch(pattern, shown.strip()), re.fullmatch(pattern, came.strip())
        if here and there:
            return all(least <= int(number) <= most
                       for match in (here, there)
                       for number, (least, most) in zip(match.groups(), ranges))
    return False


def agrees(shown, came):
    """True if `came` is what the document shows."""
    rest = list(came)
    may_skip = False
    for line in shown:
        if line.strip() == "…":
            may_skip = True
            continue
        if may_skip:
            while rest and not is_same(line, rest[0]):
                rest.pop(0)
            may_skip = False
        if not rest or not is_same(line, rest.pop(0)):
            return False
    return may_skip or not rest


def shortened(lines):
    if len(lines) <= LINES_MAX:
        return lines
    return [*lines[:LINES_MAX - 5], "…", *lines[-4:]]


def steps(document):
    """The document in pieces: text, or (command, lines shown)."""
    pieces, in_block = [], False
    for line in document.split("\n"):
        if line.startswith("```"):
            in_block = line == "```console"
        if in_block and line.startswith("$ "):
            pieces.append([line[2:], []])
        elif in_block and line.startswith("> ") and not pieces[-1][1]:
            pieces[-1][0] += "\n" + line[2:]
        elif in_block and not line.startswith("```"):
            pieces[-1][1].append(line)
        else:
            pieces.append(line)
    return pieces


def text_of(pieces):
    lines = []
    for piece in pieces:
        if isinstance(piece, str):
            lines.append(piece)
        else:
            first, *more = piece[0].split("\n")
            lines += [f"$ {first}", *(f"> {line}" for line in more), *piece[1]]
    return "\n".join(lines)


def check_itself():
    """The comparison must be able to fail."""
    for shown, came, is_right in (
            ("homeward_batches_total 3", "homeward_batches_total 17", True),
            ("homeward_batches_total 3", "homeward_batches_total 170", False),
            ("homeward_rows_total 1001", "homeward_rows_total 1002", False),
            ("scl/shop 75c4453d  audit 1", "scl/shop 00c4453d audit 1", True),
            ("scl/shop 75c4453d audit 1", "scl/shop 75c4453d audit 2", False),
            ("since 2026-11-24 10:00:00 UTC", "since 2027-01-01 11:11:11 UTC", True),
            ("audit_events_20261128 | 56 kB", "audit_events_20270101 | 64 kB", True),
            ("audit_events_20261128 | 56 kB", "audit_events_20270101 | 64 MB", False),
            ("emitted=1502 missing=0", "emitted=1502 missing=1", False)):
        assert agrees([shown], [came]) == is_right, (shown, came)
    assert agrees(["…", "x 1"], ["y", "x 1"]) and not agrees(["…", "x 1"], ["y", "x 2"])
