"""Runs the commands of a page of the manual, and compares what they print with the page.

    python -m tests.docs_console --rewrite docs/tutorial/one-machine.md

With --fresh besides, all is printed anew, also what differs only as it may.

Blocks of the kind ```console hold commands after `$ ` (lines after `> ` continue them) and
what they print. All of a page run in one shell, in order. A comment before a block changes
that: `<!-- until: REGEX -->` repeats its first command until what it prints matches, as a
reader does who looks again; `<!-- not in tests -->` is for what takes long and is tested elsewhere.

What blocks of the kind ```sh print does not matter. They are for a reader who types everything
(`typed`), as tests/tutorial does on a clean machine.

Numbers that differ from run to run (times, ages, incarnations, pids) do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mosha.cli.demo import processes
from mosha.clinit import cgroups
from mosha.host.proc import command_line
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
PLACE = "/srv/three"
"""What the pages print where the directory of the run would stand."""

BASH = ("/bin/bash", "--noprofile", "--norc")
LIMIT_S = 20.0
LOOK_AGAIN_S = 0.3
"""How soon a reader looks again who looks often."""

END_LIMIT_S = 2.0

# A shell tells of a job that was killed, in words of its own and when it notices.
_JOB_NEWS = re.compile(r"(/bin/)?bash: line \d+: +\d+ Killed ")
_BLOCK = re.compile(r"((?:<!-- [^\n]* -->\n)?)```console\n(.*?)```\n", re.DOTALL)
_TYPED = re.compile(r"((?:<!-- [^\n]* -->\n)?)```(console|sh)\n(.*?)```\n", re.DOTALL)
_UNTIL = re.compile(r"<!-- until: (.*) -->")
_NOT_IN_TESTS = "not in tests"
_CHANGING = (
    (re.compile(r"\d\d:\d\d:\d\d(\.\d+)?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"\b(run|boot|digest|crc32)=\w+"), r"\1=HEX"),
    (re.compile(r"\d+\.\d+( ?s\b)?"), "N"),
    (re.compile(r"\b\d+ ?(ms|s|KiB)\b"), "N"),
    (re.compile(r"\b(pid|seq|inc|mtime_ns|N)=[\w.]+"), r"\1=N"),
    (re.compile(r"\b(token|has|its) \d+"), r"\1 N"),
    (re.compile(r"\b\d{3,}\b"), "N"),
    (re.compile(r"\s+"), " "),  # lines are broken where a longer path needs it
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command, what the page says it prints, and until when it is repeated."""

    command: str
    printed: str
    until: str = ""
    in_tests: bool = True
    is_shown: bool = True
    """Whether the page shows what it prints."""

    def matches(self, printed: str) -> bool:
        """Say whether this is what the page says, up to what changes from run to run."""
        if not self.is_shown:
            return True
        if self.until and not re.search(self.until, printed, re.MULTILINE):
            return False
        return masked(printed) == masked(self.printed)


def masked(text: str) -> str:
    """Return a text without what differs from run to run."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text.strip()


def steps_of(page: str) -> list[Step]:
    """Return the commands of a page, in order."""
    return [step for block in _BLOCK.finditer(page) for step in _steps(block[1], block[2])]


def typed(page: str) -> list[Step]:
    """Return all that a reader of a page types, in order: whole blocks of the kind sh, too."""
    found: list[Step] = []
    for comment, kind, block in _TYPED.findall(page):
        if kind == "console":
            found += _steps(comment, block)
        else:
            found.append(Step(block.rstrip(), "", "", _NOT_IN_TESTS not in comment, is_shown=False))
    return found


def _steps(comment: str, block: str) -> Iterator[Step]:
    until = _UNTIL.match(comment)
    condition = until[1] if until else ""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        more = next(
            (i for i, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines)
        )
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:more])])
        printed = "".join(f"{line}\n" for line in lines[more:])
        yield Step(command, printed, condition, _NOT_IN_TESTS not in comment)
        condition = ""


def shown(step: Step, printed: str) -> str:
    """Return a step as the page shows it."""
    first, *more = step.command.splitlines()
    return "".join([f"$ {first}\n", *(f"> {line}\n" for line in more), printed])


class Console:
    """A bash that types what a page tells. Use it as a context; what is left running stays.

    `words` start it, in `cwd` with `env`. What it prints has PLACE instead of `home`.
    """

    def __init__(
        self, words: Sequence[str], home: str, env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self._words = words
        self._home = home
        self._env = env
        self._cwd = cwd

    def __enter__(self) -> Self:
        """Start the shell."""
        self._bash = subprocess.Popen(
            self._words,
            cwd=self._cwd,
            env=dict(self._env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the shell, by itself if it can: whoever started it may have to reap it."""
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        try:
            self._bash.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._bash.kill()
        self._close()

    def _close(self) -> None:
        """Let go of a shell that has ended; what it left running may hold its output open."""
        self._bash.wait()
        for pipe in (self._bash.stdin, self._bash.stdout):
            if pipe is not None:
                pipe.close()

    def run(self, command: str) -> str:
        """Run a command; return what it prints, with its directory under the name of the pages."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        end = f"END-{secrets.token_hex(8)}"
        self._bash.stdin.write(f"{command}\nprintf '\\n%s\\n' {end}\n".encode())
        self._bash.stdin.flush()
        lines: list[str] = []
        while (line := self._bash.stdout.readline().decode()).rstrip("\n") != end:
            if not line:
                raise AssertionError(f"the shell has ended: {command}")
            if not _JOB_NEWS.match(line):
                lines.append(line)
        text = "".join(lines).removesuffix("\n").replace(self._home, PLACE)
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def must(self, commands: str) -> str:
        """Run commands of which none may fail; return what they print."""
        fails = f"FAILED-{secrets.token_hex(8)}"
        printed = self.run(f"trap 'echo {fails} $BASH_COMMAND' ERR\n{commands}\ntrap - ERR")
        assert fails not in printed, f"{commands}\n--- failed:\n{printed}"
        return printed

    def do(self, step: Step) -> str:
        """Run a step, again and again if it says so, until it prints what the page says."""
        printed = self.run(step.command)
        if not step.until:
            return printed

        def again() -> bool:
            nonlocal printed
            if not step.matches(printed):
                printed = self.run(step.command)
            return step.matches(printed)

        try:
            wait_until(again, LIMIT_S, step_s=LOOK_AGAIN_S)
        except AssertionError:
            return printed
        return printed

    def find(self, step: Step) -> str:
        """Run a step until what it prints has what it waits for, whatever the page says."""
        printed = self.run(step.command)
        if step.until:
            pattern = re.compile(step.until, re.MULTILINE)

            def found() -> bool:
                nonlocal printed
                printed = self.run(step.command)
                return pattern.search(printed) is not None

            try:
                wait_until(found, LIMIT_S, step_s=LOOK_AGAIN_S)
            except AssertionError as error:
                told = f"{step.command}: no {step.until!r} in\n{printed}"
                raise AssertionError(told) from error
        return printed


class Shell(Console):
    """A bash in a directory of its own, with `mosha` and `clinit`. Use it as a context.

    Everything that it started, and what that started, ends with it.
    """

    def __init__(self, directory: Path) -> None:
        self._mark = secrets.token_hex(8)
        self._directory = directory
        bin_path = directory / ".bin"
        bin_path.mkdir()
        for name, module in (("mosha", "main"), ("clinit", "clinit")):
            script = bin_path / name
            words = shlex.join([sys.executable, "-m", f"mosha.cli.{module}"])
            script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
            script.chmod(0o755)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MOSHA_C")}
        environment = kept | {
            "PATH": f"{bin_path}:{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            processes.MARK: self._mark,
        }
        super().__init__(BASH, str(directory), environment, directory)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything; after a page that ran to its end, that is the shell."""
        running = processes.marked(self._mark)
        monitors = [pid for pid in running if " run " in command_line(pid)]
        # The monitors first: they would start a clinit again.
        processes.kill(self._mark, [self._bash.pid, *monitors])
        self._close()
        # What was killed is in its cgroup until the first process of the system has reaped it.
        boxes = _boxes_below(self._directory)
        wait_until(lambda: all(cgroups.remove(box) for box in boxes))


def _boxes_below(home: Path) -> list[Path]:
    """Return the cgroups of every clinit that did not end in good order."""
    records = [json.loads(path.read_bytes()) for path in home.glob("*/state/children.json")]
    return [Path(record["cgroup"]) for record in records if record.get("cgroup")]


def rewritten(page: str, directory: Path, *, fresh: bool = False) -> str:
    """Return a page with what its commands print now, where that is something else, or `fresh`."""
    with Shell(directory) as shell:

        def redone(block: re.Match[str]) -> str:
            steps = _steps(block[1], block[2])
            text = "".join(shown(step, _now(shell, step, fresh=fresh)) for step in steps)
            return f"{block[1]}```console\n{text}```\n"

        return _BLOCK.sub(redone, page)


def _now(shell: Shell, step: Step, *, fresh: bool) -> str:
    if not step.in_tests:
        return step.printed
    printed = shell.find(step)
    return step.printed if step.matches(printed) and not fresh else printed


def main(arguments: list[str]) -> int:
    """Rewrite pages, or print them as they would be rewritten."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs_console", allow_abbrev=False)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    parser.add_argument("--rewrite", action="store_true", help="write the pages, else print them")
    parser.add_argument("--fresh", action="store_true", help="also what differs only as it may")
    options = parser.parse_args(arguments)
    for page in options.pages:
        # As long as PLACE, if that can be had: long paths break lines.
        home = Path(tempfile.gettempdir(), secrets.token_hex(4)[:5])
        home.mkdir()
        try:
            text = rewritten(page.read_text(encoding="utf-8"), home, fresh=options.fresh)
        finally:
            shutil.rmtree(home)
        if options.rewrite:
            page.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
