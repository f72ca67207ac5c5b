#!/usr/bin/env python3
"""Every command has a manual page and completes in bash and zsh, with every option of its --help.

usage: command_documentation_test.py PROGRAM…

Each program writes its own pages and scripts (--write-documentation), as the build installs them.
man and zsh are used if they are installed.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **options)


def help_of(program, *words):
    result = run(program, *words, "--help")
    assert result.returncode == 0 and not result.stderr, (words, result)
    short = run(program, *words, "-h")
    assert short.stdout == result.stdout, f"-h and --help differ: {words}"
    return result.stdout


def names_below(text, heading, pattern):
    sections = re.findall(rf"^{heading}:\n((?:  .*\n)+)", text, re.MULTILINE)
    return [name for section in sections for name in re.findall(pattern, section, re.MULTILINE)]


def commands_of(program):
    """Of every command, by its words: its commands and its options."""
    found = {}

    def visit(words):
        text = help_of(program, *words)
        # Options begin in the first columns; words of a description do not.
        options = re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", text, re.MULTILINE)
        commands = names_below(text, "Commands", r"^  ([a-z][a-z-]*)")
        assert "--help" in options, words
        found[words] = (commands, options)
        for command in commands:
            visit((*words, command))

    visit(())
    return found


def check_man(name, directory, commands):
    """A page of the program and one of each command, with all options; others are not there."""
    pages = {path.stem: path for path in (directory / "man1").iterdir()}
    expected = {"-".join((name, *words[:1])) for words in commands}
    assert set(pages) == expected, set(pages) ^ expected
    for words, (_, options) in commands.items():
        page = pages["-".join((name, *words[:1]))]
        text = page.read_text()
        for option in options:
            assert option.replace("-", r"\-") in text, f"{page.name} lacks {option}"
        if len(words) > 1:
            assert " ".join((name, *words)).replace("-", r"\-") in text, words
    if not shutil.which("man"):
        print("skipped: man is not installed")
        return
    for page in pages.values():
        shown = run("man", "--warnings", "-E", "UTF-8", "-l", str(page),
                    env=os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        assert shown.returncode == 0 and not shown.stderr, (page.name, shown.stderr)
        assert "NAME" in shown.stdout and page.stem in shown.stdout, shown.stdout[:200]


COMPLETE = """
source "$1"; shift
function=$(complete -p "$1"); function=${function#*-F }; function=${function%% *}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$function
printf '%s\\n' "${COMPREPLY[@]}"
"""


def check_bash(name, script, commands):
    def complete(*words):
        result = run("bash", "-uc", COMPLETE, "bash", script, name, *words)
        assert result.returncode == 0 and not result.stderr, (words, result.stderr)
        return set(result.stdout.split())

    for words, (below, options) in commands.items():
        assert set(below) <= complete(*words, ""), (words, complete(*words, ""))
        assert complete(*words, "--") == set(options), (words, complete(*words, "--"))
        for command in below:
            assert command in complete(*words, command[:2]), (words, command)
    if name == "homeward-consumer":
        states = {"open", "parked", "redriven", "discarded", "all"}
        assert complete("dead-letters", "list", "--state", "") == states
        assert complete("dead-letters", "list", "--state", "=", "pa") == {"parked"}
        assert complete("--config", "run", "dead-l") == {"dead-letters"}
        assert complete("check", "--config", "/etc/host") >= {"/etc/hosts"}


class Zsh:
    """An interactive zsh, whose line is completed by the tabulator key."""

    def __init__(self, directory, work):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.environ |= {"TERM": "dumb", "ZDOTDIR": str(work), "HOME": str(work), "PS1": "> "}
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.pid = pid
        self.type(f"fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D; "
                  "bindkey '^I' complete-word; unsetopt list_beep; echo rea''dy\n")
        assert self.read_until("ready"), "zsh does not start"

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, wanted):
        said, deadline = "", time.monotonic() + 120
        while wanted not in said and time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 1)[0]:
                said += os.read(self.terminal, 4096).decode(errors="replace")
                said = said.replace("\r", "").replace("\a", "")
        self.said = said
        return wanted in said

    def completes(self, typed, expected):
        self.type(typed + "\t")
        is_found = self.read_until(expected)
        self.type("\x15")  # removes the line
        return is_found

    def close(self):
        self.type("\x15exit\n")
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def shortest_prefix(name, others):
    """What names `name` alone; None when it begins another one."""
    for length in range(1, len(name)):
        if not any(other.startswith(name[:length]) for other in others if other != name):
            return name[:length]
    return None


def check_zsh(name, script, commands, work):
    if not shutil.which("zsh"):
        print("skipped: zsh is not installed")
        return
    zsh = Zsh(script.parent, work)
    for words, (below, options) in commands.items():
        line = " ".join((name, *words))
        for one in below + ["--help"]:
            prefix = shortest_prefix(one, below if one in below else options)
            if prefix and (one in below or len(prefix) > 2):
                assert zsh.completes(f"{line} {prefix}", f" {one}"), (line, one, zsh.said)
    zsh.close()


def main():
    for program in sys.argv[1:]:
        name = os.path.basename(program)
        commands = commands_of(program)
        with tempfile.TemporaryDirectory(prefix="homeward-documentation-") as work:
            directory = pathlib.Path(work) / "out"
            assert run(program, "--write-documentation", str(directory)).returncode == 0
            check_man(name, directory, commands)
            check_bash(name, str(directory / "bash" / name), commands)
            check_zsh(name, directory / "zsh" / f"_{name}", commands, pathlib.Path(work))
        print(f"{name}: {len(commands)} commands")


main()
