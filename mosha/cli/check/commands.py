"""Checks commands: finds those that cannot be parsed, found or run on this machine.

Otherwise a broken command is found at night: it is the one of a `stop` level, of a fencing
method, or of a group that this node has never run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mosha.cli.check.files import Finding
from mosha.clinit.command import SHELL, SHELL_WORDS, argv_of
from mosha.core.self_fencing import OFF
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, TEST_LEVEL, Cltab, Entry, Hactl, Mode
from mosha.formats.settings import Settings
from mosha.host.abandonable import within

SHELL_LIMIT_S = 5.0
HEAD_BYTES = 256
"""The kernel reads no more of a `#!` line (execve(2))."""

# What the shell would still have to work out before it knows the program.
_UNKNOWN = re.compile(r"[$`*?\[~(){}<>|;&]")
_ASSIGNMENT = re.compile(r"[A-Za-z0-9_]+=")
_TYPO_CHARS_MAX = 1
_BACKGROUND = re.compile(r"[^&]&\s*$")


def command_findings(cltab: Cltab, file: str) -> list[Finding]:
    """Judge the commands of all entries but agents and those that are `off`, on this machine."""
    told: dict[str, str] = {}
    found: list[Finding] = []
    for entry in cltab.entries:
        if entry.mode is Mode.OFF or entry.wrapped:
            continue
        where = f"{file}:{entry.line}"
        argv = argv_of(entry.command)
        if argv[0] == SHELL and argv[1:] == ["-c", entry.command]:
            problem = _syntax(entry.command)
            if problem:
                told_so = f"the shell cannot read the command of {entry.tag}: {problem}"
                found.append(Finding("mistake", where, told_so, "close what is open"))
                continue
            program = _program_of(entry.command)
        else:
            program = argv[0]
            found += _comment(entry, argv, where)
        found += _background(entry, where)
        if program and "/" in program and not program.startswith("/"):
            text = f"{program} of {entry.tag} is looked for where clinit was started"
            found.append(Finding("warning", where, text, "write its path from the root"))
        elif program:
            if program not in told:
                told[program] = why_not_run(program)
            if told[program]:
                text = f"{entry.tag} could not run on this machine: {told[program]}"
                found.append(Finding("warning", where, text, "install it, or mend the command"))
    return found


def fencing_findings(settings: Settings, where: str) -> Iterator[Finding]:
    """Judge whether this machine could shoot, and whether anything proves that it did."""
    fencing = settings.fencing
    for number, method in enumerate(fencing.methods, 1):
        for what, words in (("", method.command), ("the test of ", method.test)):
            problem = why_not_run(words[0]) if words else ""
            if problem:
                text = f"{what}method {number} could not run on this machine: {problem}"
                yield Finding("mistake", where, text, "install it, or mend the command")
    if fencing.required and not any(method.gives_receipts for method in fencing.methods):
        text = (
            "required = true, and no method gives a receipt: after each death the groups wait"
            " for `mosha confirm NODE`"
        )
        yield Finding("warning", where, text, 'add a method of type "agent" or "command"')
    yield from _pill_findings(settings, where)


def _pill_findings(settings: Settings, where: str) -> Iterator[Finding]:
    """Say what a poison pill does not do (docs/reference/fencing.md)."""
    methods = settings.fencing.methods
    if not any(method.type == "poison" for method in methods):
        return
    if not any(method.gives_receipts for method in methods):
        text = "poison is the only method that ends anything, and a silent node does not obey it"
        remedy = "add a method for silent nodes"
        if not settings.watchdog:
            remedy += ", or a watchdog, which resets one that hangs"
        yield Finding("warning", where, text, remedy)
    if settings.self_fence == OFF:
        text = "who obeys a poison pill runs no stop entries, and is not restarted"
        remedy = 'write self_fence = "sysrq", so that one that cannot end a group reboots'
        yield Finding("warning", where, text, remedy)


def level_findings(cltab: Cltab, hactl: Hactl | None, file: str) -> Iterator[Finding]:
    """Find levels that look like typing errors of a level that does something."""
    for entry in cltab.entries:
        wanted = hactl.level_of(entry.group) if hactl else STOP_LEVEL
        known = {PLAN_LEVEL, TEST_LEVEL, STOP_LEVEL, "start", wanted}
        for level in entry.level.split(","):
            meant = next((word for word in sorted(known) if _is_typo(level, word)), None)
            if level not in known and meant is not None:
                text = f"level {level} of {entry.tag} is none that mosha or hactl uses"
                yield Finding("warning", f"{file}:{entry.line}", text, f"did you mean {meant!r}?")


def _is_typo(word: str, meant: str) -> bool:
    """Say whether a word is another with two letters swapped, or one wrong, missing or more."""
    if word == meant or any(letter.isdigit() for letter in word):
        return False
    if sorted(word) == sorted(meant):
        return sum(a != b for a, b in zip(word, meant, strict=True)) == 2
    start = _same(word, meant)
    end = _same(word[start:][::-1], meant[start:][::-1])
    return max(len(word), len(meant)) - start - end <= _TYPO_CHARS_MAX


def _same(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _background(entry: Entry, where: str) -> Iterator[Finding]:
    if entry.mode in (Mode.RESPAWN, Mode.ONCE) and _BACKGROUND.search(entry.command):
        text = f"{entry.tag} ends at once, and its program with it: & sends it to the background"
        yield Finding("warning", where, text, "leave the & out: an entry runs in the foreground")


def _comment(entry: Entry, argv: list[str], where: str) -> Iterator[Finding]:
    word = next((word for word in argv[1:] if word.startswith("#")), None)
    if word is not None:
        text = f"{entry.tag} gets {word!r} and all after it as arguments: no comment may follow"
        yield Finding("warning", where, text, "put the comment on a line of its own")


def _syntax(command: str) -> str:
    """Return the shell's complaint about a command that it only parses (-n), or ""."""
    try:
        done = subprocess.run(
            [SHELL, "-n", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SHELL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no shell: that is reported where it is run
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
    return said.removeprefix(f"{SHELL}: ") or f"exit {done.returncode}"


def _program_of(command: str) -> str:
    """Return the first program that a shell command runs, "" if that is unclear."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        for word in lexer:
            if _ASSIGNMENT.match(word) or word == "exec":
                continue
            unclear = _UNKNOWN.search(word) or word in SHELL_WORDS or word.startswith("-")
            return "" if unclear else word
    except ValueError:
        return ""
    return ""


# --- programs ------------------------------------------------------------------------------


def why_not_run(program: str) -> str:
    """Return why this machine could not execute a program, or "".

    A name without a slash is looked for in PATH. A relative path
    counts from where mosha was started, which is not known here: it is not judged.
    """
    if "/" in program and not program.startswith("/"):
        return ""
    path = program if program.startswith("/") else shutil.which(program)
    if path is None:
        return f"{program} is not in PATH ({os.environ.get('PATH', '')})"
    return within(lambda: _judge_program(Path(path)), f"{path} does not answer")


def _judge_program(path: Path) -> str:
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no {path}"
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not stat.S_ISREG(facts.st_mode):
        return f"{path} is not a file"
    if not os.access(path, os.X_OK):
        return f"{path} is not executable for uid {os.geteuid()}"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return ""  # executable, but not readable
    return _judge_first_line(path, head)


def _judge_first_line(path: Path, head: bytes) -> str:
    if not head.startswith(b"#!"):
        binary = b"\0" in head
        return "" if binary else f"{path} is neither a program nor a script: it has no #! line"
    line = head[2:].split(b"\n")[0]
    if line.endswith(b"\r"):
        return f"the first line of {path} ends with a carriage return: save it with Unix line ends"
    words = line.split()
    interpreter = os.fsdecode(words[0]) if words else ""
    if not interpreter:
        return f"the #! line of {path} names no interpreter"
    if not os.access(interpreter, os.X_OK):
        return f"{path} asks for the interpreter {interpreter}, which is not there"
    if interpreter.endswith("/env") and len(words) > 1:
        name = os.fsdecode(words[-1])
        if not name.startswith("-") and "=" not in name and shutil.which(name) is None:
            return f"{path} asks env for {name}, which is not in PATH"
    return ""
