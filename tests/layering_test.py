#!/usr/bin/env python3
"""Checks that includes follow the order of folders that the READMEs state.

Each of schemas/, publisher/ and consumer/ lists its folders under "## Folders", lowest first:
    | [`base/`](base/) | what it contains |
A file may include its own folder, folders in rows above, and public headers (<homeward/...>).
publisher/ and consumer/ may include schemas/ besides; schemas/ includes neither. No source, test
or script has more than 400 lines.
"""

import pathlib
import re
import sys

SOURCES_MAX = 15  # a source with its header counts once
LINES_MAX = 400
ALLOWED_ABOVE = {"schemas": (), "publisher": ("schemas",), "consumer": ("schemas",)}
ROW = re.compile(r"^\|\s*\[?`([\w/]+)/`")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def folders_of(readme):
    section = readme.read_text().partition("\n## Folders\n")[2].partition("\n## ")[0]
    return [match[1] for match in map(ROW.match, section.splitlines()) if match]


def errors_of(root, module):
    readme = root / module / "README.md"
    order = {f"{module}/{folder}": rank for rank, folder in enumerate(folders_of(readme))}
    if not order:
        yield f"{module}/README.md has no table of folders under '## Folders'"
        return
    units = {}
    for path in sorted((root / module).rglob("*")):
        if path.suffix not in (".c", ".cpp", ".h", ".hpp"):
            continue
        file = path.relative_to(root)
        folder = file.parent.as_posix()
        if "/include" in f"/{folder}":  # public headers, which name each other by <homeward/...>
            continue
        units.setdefault(folder, set()).add(file.stem)
        if folder not in order:
            yield f"{file}: {folder} is not in {module}/README.md's table of folders"
            continue
        for included in INCLUDE.findall(path.read_text()):
            target = pathlib.PurePosixPath(included).parent.as_posix()
            top = included.partition("/")[0]
            if top == module and order.get(target, len(order)) > order[folder]:
                yield f"{file} includes {included}, which is above it in {module}/README.md"
            elif top != module and top in ALLOWED_ABOVE and top not in ALLOWED_ABOVE[module]:
                yield f"{file} includes {included}; {module}/ must not know {top}/"
    for folder, stems in units.items():
        if len(stems) > SOURCES_MAX:
            yield f"{folder} has {len(stems)} sources; at most {SOURCES_MAX}"
    for folder in order:
        if not (root / folder).is_dir():
            yield f"{module}/README.md lists {folder}/, which does not exist"


def long_sources(root):
    for top in ("schemas", "publisher", "consumer", "tests", "deploy"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".c", ".cpp", ".h", ".hpp", ".py", ".rb", ".sh"):
                continue
            lines = len(path.read_text().splitlines())
            if lines > LINES_MAX:
                yield f"{path.relative_to(root)} has {lines} lines; at most {LINES_MAX}"


def main():
    root = pathlib.Path(sys.argv[1])
    errors = [error for module in ALLOWED_ABOVE for error in errors_of(root, module)]
    errors += long_sources(root)
    print("\n".join(errors) or "includes follow the order of folders; no source is too long")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
