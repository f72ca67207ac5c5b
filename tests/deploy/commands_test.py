#!/usr/bin/env python3
"""The documents' commands are today's: every verb and option of ours that they name is in the
program's --help, every setting is in homeward-consumer.toml, and every test is there. Each row of the
threat table names a test.

usage: commands_test.py ROOT PROGRAM…        PROGRAM: homeward-consumer, homeward-emit, …

Taken for commands: lines that begin with "$ " (and "> ") in console blocks, what stands in backquotes,
ExecStart= of the unit, and the actions of the alerts; and what the programs print: string literals of
their sources, examples of their --help, comments of roles.sql. The consumer's stand in
printed_commands.hpp alone, where remedies_test runs each.
"""
import glob
import os
import re
import subprocess
import sys
import tomllib

SCRIPTS = ("deploy/up", "deploy/nats/generate", "deploy/package/build", "tests/run",
           "tests/bench/run")
# The walk's short name for homeward-consumer with its configuration; elsewhere a word.
ALIASES = {"deploy/TUTORIAL.md": {"consumer": "homeward-consumer"}}
# Every command takes these.
GENERAL = {"--config", "--env-file", "--help", "--version"}


class Verb:
    """What one program's --help says of one of its verbs."""

    def __init__(self):
        self.seconds = set()  # `apply` of `streams plan|apply`; empty: any word may follow
        self.options = set()


def options_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def help_of(program, *words):
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True,
                          timeout=60).stdout


def commands_in(text):
    """Names below "Commands:"."""
    section = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.MULTILINE)
    return re.findall(r"^  ([a-z][a-z-]*)", section[1], re.MULTILINE) if section else []


def read_help(program):
    """Its verbs by name; under "" what it takes without one."""
    text = help_of(program)
    verbs = {"": Verb()}
    verbs[""].options = options_in(text)
    for name in commands_in(text):
        verb = verbs.setdefault(name, Verb())
        text = help_of(program, name)
        verb.seconds = set(commands_in(text))
        verb.options = options_in(text)
        for second in verb.seconds:
            verb.options |= options_in(help_of(program, name, second))
    return verbs


def mistake_of(program, words, verbs, is_typed):
    """What is wrong with these words after the program's name; None if nothing is. A sentence may name
    a verb without its second word."""
    words = list(words)
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    if len(verbs) == 1:
        unknown = set(options) - verbs[""].options
        return f"{program} has no {' '.join(sorted(unknown))}" if unknown else None
    while words and words[0] in ("--config", "--env-file"):
        del words[:2]
    if not words or words[0] in GENERAL:
        return None
    if not re.fullmatch(r"[a-z-]+", words[0]):
        return None  # a name in a sentence, or a package's file
    verb = verbs.get(words[0])
    if verb is None:
        return f"{program} has no verb {words[0]}"
    if verb.seconds and (len(words) < 2 or words[1] not in verb.seconds):
        if words[0] != "proof" and (is_typed or len(words) > 1):  # `proof abandon`, and `proof`
            return f"{program} {words[0]} wants one of {', '.join(sorted(verb.seconds))}"
    unknown = set(options) - verb.options - GENERAL
    return f"{program} {words[0]} has no {' '.join(sorted(unknown))}" if unknown else None


def commands_of(text, name):
    """Pieces of a document that are commands, each with its line number, and whether it is typed so."""
    if name.endswith((".yml", ".service")):
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"\s*(action:|ExecStart=)", line):
                yield number, line, True
        return
    fenced = False
    plain = []
    goes_on = False  # the command, with this line
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced and (goes_on or line[:2] in ("$ ", "> ")):
            command = command + line if goes_on else line[2:]
            goes_on = command.endswith("\\")
            command = command.rstrip("\\")
            if not goes_on:
                yield number, command.split(" # ")[0], True
        plain.append("" if fenced or line.startswith("```") else line)
    for found in re.finditer(r"`([^`]+)`", "\n".join(plain)):
        number = "\n".join(plain)[:found.start()].count("\n") + 1
        yield number, found.group(1).replace("\n", " "), False


def calls_in(piece, programs, aliases):
    """(program, words) for each of ours that a piece of shell calls."""
    names = sorted({*programs, *aliases}, key=len, reverse=True)
    pattern = r"(?<![\w./@-])(?:\./)?(" + "|".join(map(re.escape, names)) + r")(?=\s|$)([^|;&<>()`\"']*)"
    for found in re.finditer(pattern, piece):
        words = [word.rstrip(",.:") or word for word in found.group(2).split()]
        yield aliases.get(found.group(1), found.group(1)), words


PRINTED = "consumer/base/printed_commands.hpp"


def literals_of(text):
    """String literals of C++ with their line numbers; those that stand side by side are one."""
    text = re.sub(r"//[^\n]*", "", text)  # a "//" in a literal ends it early, which does no harm
    for found in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', text):
        number = text[:found.start()].count("\n") + 1
        yield number, re.sub(r'"\s*"', "", found.group(0))[1:-1]


def check_source(text, name, programs):
    """Complaints about commands that a program prints, and how many there are."""
    complaints, count = [], 0
    for number, literal in literals_of(text):
        for program, words in calls_in(literal, programs, {}):
            count += 1
            mistake = mistake_of(program, words, programs[program], name == PRINTED)
            # Nobody is told to run tune: it names itself in its report and its schema's comment.
            is_command = words and words[0] in programs[program] and words[0] != "tune"
            if is_command and name.startswith("consumer/") and name != PRINTED:
                mistake = f"a command to run is printed from {PRINTED} alone: {literal}"
            if mistake:
                complaints.append(f"{name}:{number}: {mistake}")
    return complaints, count


def check_printed(root, paths, programs):
    """The sources, and the examples of each --help."""
    complaints, count = [], 0
    for room in ("consumer", "publisher", "schemas"):
        for path in glob.glob(f"{root}/{room}/**/*.[ch]pp", recursive=True):
            name = os.path.relpath(path, root)
            if name == "consumer/service/main.cpp":
                continue  # the help itself, and the program's name
            with open(path) as file:
                found, looked_at = check_source(file.read(), name, programs)
            complaints += found
            count += looked_at
    texts = [(os.path.basename(path) + " --help",
              subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout)
             for path in paths]
    with open(f"{root}/deploy/roles.sql") as file:
        texts.append(("deploy/roles.sql", file.read().replace("\n--", "\n")))
    for name, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            if not name.endswith(".sql") and not line.startswith("  "):
                continue
            for program, words in calls_in(line, programs, {}):
                count += 1
                mistake = mistake_of(program, words, programs[program], False)
                if mistake:
                    complaints.append(f"{name}:{number}: {mistake}")
    return complaints, count


def tests_of(root):
    """Names of tests, and of the files that they are made of."""
    names = {os.path.basename(path).split(".")[0]
             for path in glob.glob(f"{root}/tests/**/*_test.*", recursive=True)}
    for path in glob.glob(f"{root}/tests/**/CMakeLists.txt", recursive=True):
        with open(path) as file:
            names |= set(re.findall(r"NAME (\w+)", file.read()))
    return names


def threats_without_test(text):
    """Rows of the table below the heading Threats whose last column names none."""
    table = re.search(r"^# Threats$(.*)", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\|(?!-)(.*)\|(.*)\|$", table[1] if table else "", re.MULTILINE)
    return [row.strip() for row, tests in rows[1:] if not re.search(r"`\w+_test`", tests)]


def check_document(text, name, programs, settings, tests):
    """Complaints, and how many commands, settings and tests were looked at."""
    complaints, count = [], 0
    for number, piece, is_typed in commands_of(text, name):
        for program, words in calls_in(piece, programs, ALIASES.get(name, {})):
            # systemctl and apt take the name of a unit or a package.
            if re.search(r"\b(systemctl|journalctl|apt-get|dpkg-query)\b[^|;&]*" + program, piece):
                continue
            count += 1
            mistake = mistake_of(program, words, programs[program], is_typed)
            if mistake:
                complaints.append(f"{name}:{number}: {mistake}")
        if name.endswith(".md"):
            for section, key in re.findall(r"(?<![\w./-])([a-z_]+)\.([a-z_]+)\b(?![./(])", piece):
                if section in settings:
                    count += 1
                    if key not in settings[section]:
                        complaints.append(f"{name}:{number}: there is no setting {section}.{key}")
            for test in re.findall(r"^(?:[\w/]*/)?(\w+_test)(?:\.\w+)?$", piece):
                count += 1
                if test not in tests:
                    complaints.append(f"{name}:{number}: there is no test {test}")
    return complaints, count


def check_itself(*known):
    """It must be able to fail."""
    for wrong in ("$ homeward-consumer strems apply", "$ homeward-consumer streams aply",
                  "$ homeward-consumer streams",
                  "$ homeward-consumer --config a.toml proof --wiat 3",
                  "$ echo | homeward-emit --ap shop", "$ homeward-consumer tune --limit 3",
                  "$ homeward-spool emtpy DIR", "$ FOO=1 ./deploy/up --second 3"):
        assert check_document(f"```console\n{wrong}\n```\n", "x.md", *known)[0], wrong
    for wrong in ("Call `homeward-consumer\nprof`.", "Set `batch.row_max`.",
                  "See `tests/deploy/wlak_test.sh`."):
        assert check_document(wrong, "x.md", *known)[0], wrong
    assert check_document('  action: "homeward-consumer letters list"\n', "x.yml", *known)[0]
    programs = known[0]
    for name, wrong in (("publisher/x.cpp", 'say("run homeward-consumer strems "\n    "apply");'),
                        ("publisher/x.cpp", '"homeward-spool drian DIR"'),
                        ("publisher/x.cpp", '"homeward-emit --ap shop"'),
                        ("consumer/x.cpp", '"is gone; run homeward-consumer streams apply"'),
                        (PRINTED, '"homeward-consumer streams"'),
                        (PRINTED, '"homeward-consumer dead-letters lst"')):
        assert check_source(wrong, name, programs)[0], wrong
    assert not check_source('"homeward-consumer ends, homeward-consumer: %s"', "publisher/x.cpp",
                            {"homeward-consumer": {"": Verb(), "ends": Verb()}})[0]
    head = "# Threats\n| threat | guard | test |\n|---|---|---|\n"
    assert threats_without_test(head + "| a | b | none |\n") == ["a | b"]
    assert not threats_without_test(head + "| a | b | `roles_test` |\n")


def main():
    root, *paths = sys.argv[1:]
    programs = {os.path.basename(path): read_help(path) for path in paths}
    programs |= {script: read_help(f"{root}/{script}") for script in SCRIPTS}
    with open(f"{root}/deploy/homeward-consumer.toml", "rb") as file:
        settings = {section: set(keys) for section, keys in tomllib.load(file).items()
                    if isinstance(keys, dict)}
    known = programs, settings, tests_of(root)
    check_itself(*known)
    complaints, count = [], 0
    documents = [f"{root}/README.md", f"{root}/deploy/homeward-consumer.service",
                 f"{root}/deploy/monitoring/alerts.yml"]
    for room in ("consumer", "deploy", "publisher", "schemas", "tests"):
        documents += sorted(glob.glob(f"{root}/{room}/**/*.md", recursive=True))
    for document in documents:
        with open(document) as file:
            text = file.read()
        name = os.path.relpath(document, root)
        found, looked_at = check_document(text, name, *known)
        complaints += found
        complaints += [f"{name}: no test of: {threat}" for threat in threats_without_test(text)]
        count += looked_at
    printed, printed_count = check_printed(root, paths, programs)
    complaints += printed
    assert printed_count > 15, "the sources were not read as they are written"
    print(*complaints, sep="\n", end="\n" if complaints else "")
    print(f"{count} commands, settings and tests in {len(documents)} documents, {printed_count} "
          f"commands in sources, {len(complaints)} wrong")
    assert count > 120, "the documents were not read as they are written"
    return 1 if complaints else 0


sys.exit(main())
