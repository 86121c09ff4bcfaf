"""Three machines with systemd that share /mfs, and the page that is typed on them.

    python -m tests.tutorial.three --rewrite

writes what the commands of the page print now into the page; nobody needs it but after a change.

/mfs is a FUSE file system of its own on each machine, over one directory (tests/chaos): to pull
the cable of a machine is to freeze its view of everything.

A comment before a block says where it is typed, and for how long a reader looks again:
`<!-- on: node1, until: REGEX -->`, or `<!-- on: each -->`. What takes long and makes the same on
each is `<!-- on: each, made once -->`: it is typed on node1, and what it has put into /opt and
/usr/local is copied to the others, which are as clean as node1 was. Prompts are those of root.
Comments `<!-- pull: node2 -->` and `<!-- put back: node2 -->` are for the hands.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from mosha.cli.demo import processes
from tests.chaos.views import Views
from tests.docs_console import ROOT, Console, Step
from tests.systemd.machine import NEWCOMER, Machine, base_tree
from tests.tutorial import newcomer

PAGE = ROOT / "docs/tutorial/three-machines.md"
NUMBERS = range(1, 4)
NAMES = tuple(f"node{number}" for number in NUMBERS)
LOG_TAIL_LINES = 60
MADE = ("opt", "usr/local")
"""Below which directories what is installed by hand is put, and nothing that a host has alone."""

_PART = re.compile(
    r"<!-- (?P<hand>pull|put back): (?P<whose>node\d) -->\n"
    r"|<!-- on: (?P<on>each|node\d)(?P<once>, made once)?(?:, until: (?P<until>[^\n]*))? -->\n"
    r"```(?P<kind>sh|console)\n(?P<block>.*?)```\n",
    re.DOTALL,
)


class ThreeMachines:
    """node1, node2 and node3, up, with a shell of root on each. Use it as a context."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._source = directory / "mfs"
        self._views = Views(directory, self._source, seed=1)
        self._last = ExitStack()
        self.machines: dict[str, Machine] = {}
        self.shells: dict[str, Console] = {}

    def __enter__(self) -> Self:
        """Boot them, as clean as a newcomer's."""
        with ExitStack() as stack:
            self._source.mkdir()
            stack.callback(self._views.close)
            self._views.open(NUMBERS)
            for number, name in zip(NUMBERS, NAMES, strict=True):
                stack.callback(processes.remove_cgroup, box := newcomer.box_of(name))
                home = self._directory / name
                home.mkdir()
                words = (
                    *newcomer.network_words(),
                    f"--bind={self._views.nodes[number].point}:/mfs",
                )
                machine = Machine(home, base_tree(NEWCOMER), name, words, with_mosha=False, box=box)
                machine.start()
                stack.callback(machine.end)
                newcomer.give_repository(machine)
                self.machines[name] = machine
            for name, machine in self.machines.items():
                self.shells[name] = stack.enter_context(
                    newcomer.console(machine, "root", "/nothing")
                )
            self._last = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Switch them off; a view that is frozen thaws first."""
        for name in NAMES:
            self._turn(name, "put back")
        self._last.close()

    def told(self) -> str:
        """Return the end of the log of each machine, for who has to find out what went wrong."""
        told = ""
        for name, machine in self.machines.items():
            lines = machine.do("mosha", "logs", "--journal").stdout.splitlines()
            told += "\n".join([f"--- {name}:", *lines[-LOG_TAIL_LINES:], ""])
        return told

    def _turn(self, name: str, hand: str) -> None:
        view = self._views.nodes[int(name.removeprefix("node"))]
        for peer in NUMBERS:
            if hand == "pull":
                view.begin(peer, peer, "freeze", 0.0)
            else:
                view.end(peer)

    def _copy_made(self, source: str, target: str) -> None:
        made, place = (self.machines[name].root for name in (source, target))
        for top in MADE:
            subprocess.run(["/bin/cp", "--archive", f"{made / top}/.", place / top], check=True)

    # --- the page --------------------------------------------------------------------

    def follow(self, part: re.Match[str], *, fresh: bool) -> str:
        """Do what one part of the page says; return it with what was printed.

        Raises:
            AssertionError: not `fresh`, and something else was printed than the page says.
        """
        if part["hand"]:
            self._turn(part["whose"], part["hand"])
        elif part["kind"] == "sh":
            block = part["block"].rstrip()
            names = NAMES if part["on"] == "each" else (part["on"],)
            typed_on = names[:1] if part["once"] else names
            with ThreadPoolExecutor() as together:
                list(together.map(lambda name: self.shells[name].must(block), typed_on))
            for name in names[len(typed_on) :]:
                self._copy_made(names[0], name)
        else:
            head = part[0].partition("```")[0]
            done = "".join(self._typed(part["on"], step, fresh=fresh) for step in steps_of(part))
            return f"{head}```console\n{done}```\n"
        return part[0]

    def _typed(self, name: str, step: Step, *, fresh: bool) -> str:
        shell = self.shells[name]
        printed = shell.find(step) if fresh else shell.do(step)
        assert fresh or step.matches(printed), (
            f"{name}# {step.command}\n--- printed:\n{printed}\n--- the page says:\n{step.printed}"
        )
        return f"# {step.command}\n{printed}"


def steps_of(part: re.Match[str]) -> list[Step]:
    """Return the commands of a block, after prompts of root."""
    steps = []
    until = part["until"] or ""
    for text in re.split(r"^# ", part["block"], flags=re.MULTILINE)[1:]:
        command, _, printed = text.partition("\n")
        steps.append(Step(command, printed, until))
        until = ""
    return steps


def parts_of(page: Path) -> tuple[str, list[re.Match[str]]]:
    """Return a page with the repository in its place, and what is to be done, in order."""
    text = page.read_text(encoding="utf-8").replace("<this repository>", newcomer.REPOSITORY)
    return text, list(_PART.finditer(text))


def rewritten(directory: Path) -> str:
    """Return the page with what its commands print now."""
    with ThreeMachines(directory) as three:
        text, _ = parts_of(PAGE)
        done = _PART.sub(lambda part: three.follow(part, fresh=True), text)
    return done.replace(newcomer.REPOSITORY, "<this repository>")


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp())
    try:
        now = rewritten(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if "--rewrite" in sys.argv:
        PAGE.write_text(now, encoding="utf-8")
    else:
        sys.stdout.write(now)
