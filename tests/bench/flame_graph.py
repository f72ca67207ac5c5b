#!/usr/bin/env python3
"""Draws `perf script` as flame graphs: one SVG for each program, without scripts or outside files.

    perf script -F comm,tid,ip,sym | flame_graph.py DIR

Each box is a function, as wide as its share of the program's samples; what it called stands above
it. Its name and share are shown where a pointer rests.
"""

import html
import pathlib
import re
import sys

WIDTH = 1200
ROW_HEIGHT = 16
CHARACTER_WIDTH = 7
SHARE_MIN = 0.002  # narrower boxes are left out
PROGRAM_SHARE_MIN = 0.01
SYMBOL = re.compile(r"^\s+[0-9a-f]+\s+(.*)$")


class Frame:
    def __init__(self):
        self.samples = 0
        self.called = {}

    def add(self, stack):
        self.samples += 1
        if stack:
            self.called.setdefault(stack[0], Frame()).add(stack[1:])

    def depth(self, least):
        below = [one.depth(least) for one in self.called.values() if one.samples >= least]
        return 1 + max(below, default=0)


def short_name(symbol):
    """Without parameters and templates, which make all names of C++ alike."""
    name = re.sub(r"\+0x[0-9a-f]+$", "", symbol.strip())
    while True:
        shorter = re.sub(r"<[^<>]*>|\([^()]*\)", "", name)
        if shorter == name:
            return (name.split(" ")[-1] or symbol).removeprefix("homeward::")
        name = shorter


def read(lines):
    """Of each program the frames of all its samples, the outermost first."""
    programs = {}
    program, stack = None, []
    for line in list(lines) + [""]:
        symbol = SYMBOL.match(line)
        if symbol and not symbol.group(1).endswith("(inlined)"):
            stack.append(short_name(symbol.group(1)))
        elif line.strip() and not symbol:
            program = line.split()[0]
        elif not line.strip() and stack:
            programs.setdefault(program, Frame()).add(stack[::-1])
            stack = []
    return programs


def boxes(frame, name, place, scale):
    """The SVG of a frame and of what it called. `place`: left edge and level."""
    left, level, top = place
    width = frame.samples * scale["width"]
    share = 100 * frame.samples / scale["samples"]
    y = top - (level + 1) * ROW_HEIGHT
    hue = 10 + sum(map(ord, name)) % 40
    text = html.escape(name[: max(0, int(width / CHARACTER_WIDTH) - 1)])
    out = [
        f'<g><title>{html.escape(name)}, {share:.1f}%</title>'
        f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW_HEIGHT - 1}"'
        f' fill="hsl({hue},75%,65%)"/><text x="{left + 3:.1f}" y="{y + 11}">{text}</text></g>'
    ]
    for called, below in sorted(frame.called.items()):
        if below.samples >= scale["least"]:
            out += boxes(below, called, (left, level + 1, top), scale)
        left += below.samples * scale["width"]
    return out


def svg(program, frame):
    least = max(1, frame.samples * SHARE_MIN)
    height = (frame.depth(least) + 1) * ROW_HEIGHT
    scale = {"width": WIDTH / frame.samples, "samples": frame.samples, "least": least}
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' font-family="monospace" font-size="11"><title>{html.escape(program)}</title>'
        + "".join(boxes(frame, f"{program}: {frame.samples} samples", (0, 0, height), scale))
        + "</svg>\n"
    )


def main(words):
    if len(words) != 1:
        sys.exit(__doc__)
    directory = pathlib.Path(words[0])
    directory.mkdir(parents=True, exist_ok=True)
    programs = read(sys.stdin)
    least = sum(frame.samples for frame in programs.values()) * PROGRAM_SHARE_MIN
    for program, frame in programs.items():
        if frame.samples >= least:
            name = re.sub(r"[^A-Za-z0-9_-]", "_", program)
            (directory / f"{name}.svg").write_text(svg(program, frame), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
