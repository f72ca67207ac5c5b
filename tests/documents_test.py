#!/usr/bin/env python3
"""Checks that links between documents lead somewhere, that the tests they name exist, and that the front
README stays short.

usage: documents_test.py ROOT

A relative link must name a file of the tree; its anchor must be a heading there, as GitHub spells it. `x_test` must
be a test of CTest's or a file below tests/: the threat table and others say what shows a claim.
"""

import pathlib
import re
import sys

FRONT_LINES_MAX = 150
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


TEST = re.compile(r"`(\w+_test)`")


def prose_of(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors_of(text):
    headings = re.findall(r"(?m)^#+ (.*)$", prose_of(text))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tests_of(root):
    names = set()
    for path in (root / "tests").rglob("*"):
        if path.name == "CMakeLists.txt":
            names.update(re.findall(r"\bNAME (\w+)", path.read_text()))
        elif path.suffix in (".cpp", ".sh", ".py"):
            names.add(path.stem)
    return names


def errors_of(root, tests, document, text):
    for test in sorted(set(TEST.findall(prose_of(text))) - tests):
        yield f"{document.relative_to(root)}: `{test}`: no such test"

    for link in (first or second for first, second in LINK.findall(prose_of(text))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists():
            yield f"{document.relative_to(root)}: {link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target.read_text()):
            yield f"{document.relative_to(root)}: {link}: no such heading"


def check_itself(root, tests):
    """It must be able to fail."""
    for wrong in ("[x](nowhere.md)", "[x](../README.md#nowhere)", '<img src="nowhere.svg">', "`nowhere_test`"):
        assert list(errors_of(root, tests, root / "tests" / "README.md", wrong)), wrong


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    tests = tests_of(root)
    check_itself(root, tests)
    documents = [path for path in sorted(root.rglob("*.md"))
                 if not {"build", ".git"} & set(path.relative_to(root).parts)]
    errors = [error for document in documents
              for error in errors_of(root, tests, document, document.read_text())]
    lines = len((root / "README.md").read_text().splitlines())
    if lines > FRONT_LINES_MAX:
        errors.append(f"README.md has {lines} lines; at most {FRONT_LINES_MAX}")
    print("\n".join(errors) or f"all links of {len(documents)} documents lead somewhere, and their tests exist")
    assert len(documents) > 15, "the documents were not found"
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
