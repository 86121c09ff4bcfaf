"""Edits of cltab and hactl by people, and the book of what became of each.

Every text that is written has a mark in a comment, so that it is recognised wherever it turns
up: in force, in a history, or where it was put. `Book.look` reads what is new in the histories,
which forget after a while. A text that is found nowhere was lost, unless it was written over
by the next one, which `may_edit` prevents.
"""

from __future__ import annotations

import contextlib
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mosha.host.clock import boottime
from tests.chaos import witness
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

TABLES = ("cltab", "hactl")
HALF_S = 0.02
"""How long an editor that truncates leaves half of its text there, at least."""

_MARK = re.compile(rb"# edit (\d+)\n")


@dataclass(slots=True)
class Edit:
    """One text that was written. `valid`: it shall come into force if it is the newest."""

    number: int
    table: str
    node: int
    valid: bool
    text: str
    mtime_ns: int = 0
    seen: bool = False

    def __str__(self) -> str:
        kind = "valid" if self.valid else "invalid"
        return f"edit {self.number} ({kind} {self.table} on node {self.node})"


@dataclass(slots=True)
class Wish:
    """One `mosha set`: the words, and between when it may have changed hactl (wall clock, ns)."""

    words: tuple[str, ...]
    began_ns: int
    ended_ns: int = 0
    status: int | None = None


@dataclass(slots=True)
class Book:
    """All edits of a run."""

    cluster: Cluster
    groups: tuple[str, ...]
    edits: list[Edit] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    _read: set[Path] = field(default_factory=set)

    # --- texts -----------------------------------------------------------------------

    def cltab(self, chance: random.Random, without: str = "") -> str:
        """Return a table in which every group but one has its witness, and some have more.

        What undoes a group at `stop` may not be there beside what runs on another node either.
        """
        lines = []
        for group in self.groups:
            if group == without:
                continue
            kind = group if group in witness.KINDS else "plain"
            turn = f"env TURN={chance.randint(1, 99)} " if chance.random() < 0.15 else ""
            command = (
                f"{turn}{sys.executable} -I -S {witness.__file__} {self.cluster.witness} {kind}"
            )
            lines.append(f"{group}:{group}-main:start:respawn:{command}\n")
            if chance.random() < 0.2:
                lines.append(f"{group}:{group}-more:start:respawn:sleep 1000\n")
            if chance.random() < 0.2:
                lines.append(f"{group}:{group}-test:test:test:true\n")
            if chance.random() < 0.5:
                lines.append(f"{group}:{group}-undo:stop:test:sleep {chance.choice((0.1, 1))}\n")
        return "".join(lines)

    def hactl(self, chance: random.Random) -> str:
        """Return wishes for all groups, most of them to run."""
        lines = []
        for group in self.groups:
            if chance.random() < 0.15:
                lines.append(f"{group} stop\n")
                continue
            options = ""
            nodes = sorted(chance.sample(list(self.cluster.nodes), 2))
            if chance.random() < 0.3:
                options += f" prefer={','.join(map(str, nodes))}"
                options += " failback=yes" if chance.random() < 0.3 else ""
            elif chance.random() < 0.2:
                options += f" only={','.join(map(str, nodes))}"
            lines.append(f"{group} start{options}\n")
        return "".join(lines)

    # --- writing ---------------------------------------------------------------------

    def may_edit(self, node: int, table: str) -> bool:
        """Say whether what was last written there has been noticed, so that it may go."""
        last = [e for e in self.edits if (e.node, e.table) == (node, table)][-1:]
        return all(edit.seen for edit in last)

    def edit(
        self,
        node: int,
        table: str,
        chance: random.Random,
        *,
        how: str,
        valid: bool,
        without: str = "",
    ) -> Edit:
        """Write a text into a node's directory as a person would; a cltab `without` one group."""
        edit = self._draft(node, table, chance, valid=valid, without=without)
        text = edit.text
        path = self.cluster.nodes[node].directory / table
        if how == "renamed":
            draft = path.with_name(f"{table}.draft")
            draft.write_text(text)
            edit.mtime_ns = draft.stat().st_mtime_ns
            draft.rename(path)
        else:
            with path.open("w") as file:
                file.write(text[: len(text) // 2])
                file.flush()
                wait_until(_later(HALF_S))
                file.write(text[len(text) // 2 :])
                file.flush()
                edit.mtime_ns = path.stat().st_mtime_ns
        return edit

    def begin_half(self, node: int, table: str, chance: random.Random) -> Callable[[], None]:
        """Write the first half of a text, as an editor does that stalls; return the rest of it."""
        edit = self._draft(node, table, chance, valid=True)
        path = self.cluster.nodes[node].directory / table
        path.write_text(edit.text[: len(edit.text) // 2])

        def rest() -> None:
            path.write_text(edit.text)
            edit.mtime_ns = path.stat().st_mtime_ns

        return rest

    def _draft(
        self, node: int, table: str, chance: random.Random, *, valid: bool, without: str = ""
    ) -> Edit:
        number = len(self.edits) + 1
        text = self.cltab(chance, without) if table == "cltab" else self.hactl(chance)
        if not valid:
            text += f"{self.groups[0]}:x:start\n" if table == "cltab" else f"{self.groups[0]}\n"
        edit = Edit(number, table, node, valid, f"{text}# edit {number}\n")
        self.edits.append(edit)
        return edit

    def waits(self) -> bool:
        """Say whether an edit or a wish may not be known to all nodes yet."""
        alike = all(
            len({_in_force(node, table) for node in self.cluster.nodes.values()}) == 1
            for table in TABLES
        )
        unseen = any(edit.valid and not edit.seen for edit in self.edits)
        return not alike or unseen or any(wish.status is None for wish in self.wishes)

    def without(self) -> set[str]:
        """Return the groups that the cltab in force does not have."""
        texts = [_in_force(node, "cltab") for node in self.cluster.nodes.values()]
        return set(self.groups) - _parts(max(texts, key=len)).keys()

    # --- finding ---------------------------------------------------------------------

    def look(self) -> None:
        """Note which edits are in force somewhere or in somebody's history."""
        for node in self.cluster.nodes.values():
            state = node.rundir / "state"
            new = set(state.glob("history/*")) - self._read
            for path in (*new, *(state / table for table in TABLES)):
                if self._note(path):
                    self._read.add(path)
        self._read = {path for path in self._read if path.name not in TABLES}

    def _note(self, path: Path) -> bool:
        try:
            found = _MARK.findall(path.read_bytes())
        except OSError:
            return False
        for number in map(int, found):
            self.edits[number - 1].seen = True
        return True

    def lost(self) -> list[str]:
        """Return the edits that are nowhere; an invalid one may lie where it was put."""
        self.look()
        for edit in self.edits:
            if not edit.seen and not edit.valid:
                self._note(self.cluster.nodes[edit.node].directory / edit.table)
        return [f"{edit} is nowhere" for edit in self.edits if not edit.seen]

    # --- what must be in force -------------------------------------------------------

    def wrong(self) -> list[str]:
        """Return what is not in force as it should be; nodes must have come to rest."""
        problems = []
        for table in TABLES:
            texts = {n: _in_force(node, table) for n, node in self.cluster.nodes.items()}
            if len(set(texts.values())) != 1:
                problems.append(
                    f"{table}: nodes differ: { {n: hash(t) for n, t in texts.items()} }"
                )
                continue
            text = next(iter(texts.values()))
            problems += self._wrong_text(table, text)
        return problems

    def _wrong_text(self, table: str, text: str) -> list[str]:
        valid = [edit for edit in self.edits if edit.table == table and edit.valid]
        last = max(valid, key=lambda edit: edit.mtime_ns)
        wishes = [
            wish
            for wish in (self.wishes if table == "hactl" else [])
            if wish.status is None or not wish.ended_ns or wish.ended_ns >= last.mtime_ns
        ]
        if not wishes and f"# edit {last.number}\n" not in text:
            return [f"{table}: {last} is not in force: {text!r}"]
        parts = _parts(text)
        wanted = [_parts(last.text), *(_parts(edit.text) for edit in valid if edit is not last)]
        problems = []
        for group in {group for each in (parts, wanted[0]) for group in each}:
            there = parts.get(group)
            asked = [wish for wish in wishes if wish.words[0] == group]
            if asked:
                problems += _wrong_level(group, there, asked, last)
            elif there not in [each.get(group) for each in wanted]:
                problems.append(f"{table}: {group} of {last} is not in force: {there}")
        return problems


def _wrong_level(group: str, there: list[str] | None, asked: list[Wish], last: Edit) -> list[str]:
    """Return an acknowledged order that is not in force, though nothing came after it.

    Options that are not named stay: the group and its level are what was asked for.
    """
    sure = [wish for wish in asked if wish.status == 0 and wish.began_ns > last.mtime_ns]
    if not sure or any(wish is not sure[-1] and _may_be_later(wish, sure[-1]) for wish in asked):
        return []
    if any(line.split()[:2] == list(sure[-1].words[:2]) for line in there or []):
        return []
    return [f"hactl: 'mosha set {' '.join(sure[-1].words)}' is not in force: {group}: {there}"]


def _may_be_later(wish: Wish, other: Wish) -> bool:
    return wish.status is None or not wish.ended_ns or wish.ended_ns >= other.began_ns


def _parts(text: str) -> dict[str, list[str]]:
    """Return the lines of each group."""
    parts: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            parts.setdefault(re.split("[: ]", line)[0], []).append(line)
    return parts


def _in_force(node: Node, table: str) -> str:
    with contextlib.suppress(OSError):
        return (node.rundir / "state" / table).read_text()
    return ""


def _later(seconds: float) -> Callable[[], bool]:
    until = boottime() + seconds
    return lambda: boottime() >= until
