"""The statuses as the nodes see them: text that appears late, old, torn, or not at all.

A writer replaces its file at one true moment; each reader sees the new version only after a
lag of its own. Which faults are in force is asked of `Weather` at each read and write.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.status import Status
from mosha.formats.clstat import ParsedStatus, UnreadableStatus, parse_next
from tests.sim.world import Fault, World

VERSIONS_KEPT = 24
PARSED_MAX = 512


class Version(Struct, frozen=True):
    """One text of a file; `life` counts how often the directory was lost before it."""

    number: int
    life: int
    text: bytes


class Weather:
    """Which faults are in force now, by kind and node."""

    def __init__(self) -> None:
        self.in_force = 0  # how many faults are; asked first, for most of the time it is none
        self._now: dict[tuple[str, int], list[Fault]] = defaultdict(list)
        self._cuts: dict[tuple[int, int], list[Fault]] = defaultdict(list)

    def begin(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.in_force += 1
        for key in self._keys(fault):
            self._now[key].append(fault)
        for link in self._links(fault):
            self._cuts[link].append(fault)

    def end(self, fault: Fault) -> None:
        """Take a fault out of force."""
        self.in_force -= 1
        for key in self._keys(fault):
            self._now[key].remove(fault)
        for link in self._links(fault):
            self._cuts[link].remove(fault)

    def of(self, kind: str, node: int) -> Fault | None:
        """Return a fault of this kind in force at a node."""
        found = self._now.get((kind, node)) if self.in_force else None
        return found[-1] if found else None

    def cut(self, reader: int, writer: int) -> Fault | None:
        """Return the cut that keeps a reader from seeing a writer."""
        found = self._cuts.get((reader, writer)) if self.in_force else None
        return found[-1] if found else None

    def isolated(self, node: int, ids: tuple[int, ...]) -> Fault | None:
        """Return a cut of a node from all others, in both directions."""
        cuts = [self.cut(node, n) and self.cut(n, node) for n in ids if n != node]
        return cuts[0] if cuts and all(cuts) else None

    @staticmethod
    def _keys(fault: Fault) -> list[tuple[str, int]]:
        return [] if fault.kind == "cut" else [(fault.kind, node) for node in fault.nodes]

    @staticmethod
    def _links(fault: Fault) -> list[tuple[int, int]]:
        if fault.kind != "cut":
            return []
        links = [(a, b) for a in fault.nodes for b in fault.others]
        if fault.word.endswith("both"):
            links += [(b, a) for a, b in links]
        return links


class Files:
    """The file of every node, and what every node sees of it."""

    def __init__(
        self,
        world: World,
        weather: Weather,
        rng: random.Random,
        cover: Callable[[str], None],
    ) -> None:
        self.world, self.weather, self.rng, self.cover = world, weather, rng, cover
        self.life = dict.fromkeys(world.ids, 0)
        self.kept: dict[int, list[Version]] = {node: [] for node in world.ids}
        self.gone: set[int] = set()
        self.calm = False
        self._number = 0
        self._seen: dict[tuple[int, int], Version | None] = {}
        self._parsed: dict[bytes, Status | None] = {}
        self._latest: dict[bytes, ParsedStatus] = {}

    def land(self, node: int, text: str) -> Version:
        """Replace a node's file; who sees it when is the business of `lag`."""
        self._number += 1
        version = Version(self._number, self.life[node], text.encode())
        kept = self.kept[node]
        kept.append(version)
        if len(kept) > VERSIONS_KEPT:
            del kept[0]
        return version

    def lag(self, reader: int, writer: int) -> float:
        """Draw how long a version written now takes to be visible to a reader."""
        world, rng = self.world, self.rng
        lag_s = world.lag_s * rng.random()
        if not self.calm and world.lag_tail and rng.random() < world.lag_tail:
            lag_s += world.timing.timeout_s * rng.random() ** 3
        for node in (reader, writer) if self.weather.in_force else ():
            fault = self.weather.of("lag", node)
            if fault is not None:
                self.cover("fault lag")
                lag_s += fault.amount * rng.random()
        return lag_s

    def arrive(self, reader: int, writer: int, version: Version) -> bool:
        """Make a version the one that a reader sees; return whether it may look now."""
        if version.life != self.life[writer]:
            return False
        link = (reader, writer)
        before = self._seen.get(link)
        late = before is not None and before.number > version.number
        if late and not self.world.reorder:
            return False
        if late:
            self.cover("fault reordered")
        self._seen[link] = version
        return True

    def lose(self, node: int) -> None:
        """Lose a node's directory with all that was in it."""
        self.life[node] += 1
        self.kept[node].clear()
        for reader in self.world.ids:
            self._seen.pop((reader, node), None)

    def go_back(self, node: int, versions: int) -> bool:
        """Make the version so many before the newest one what all see; say whether it could be."""
        kept = self.kept[node]
        if len(kept) <= versions:
            return False
        del kept[len(kept) - versions :]
        for reader in self.world.ids:
            seen = self._seen.get((reader, node))
            if seen is not None and seen.number > kept[-1].number:
                self._seen[reader, node] = kept[-1]
        return True

    def own(self, node: int) -> Status | None:
        """Read the own file at a start: the newest version, None if there is none whole."""
        kept = self.kept[node]
        if not kept or node in self.gone:
            return None
        if self.weather.of("torn", node) is not None and self.rng.random() < 0.3:
            self.cover("rule own clstat torn at a start")
            return None
        return self.parse(kept[-1].text)

    def read(self, reader: int, writer: int) -> tuple[Status | None, str]:
        """Read a peer's file at once: a status, or none and what failed."""
        cut = self.weather.cut(reader, writer) if self.weather.in_force else None
        if cut is not None:
            self.cover(f"fault cut {cut.word.split()[0]}")
            if not cut.word.startswith("stale"):
                return None, "EIO"
        version = self._seen.get((reader, writer))
        if version is None or writer in self.gone:
            return None, "ENOENT"
        if not self.weather.in_force:
            return self.parse(version.text), ""
        return self._read_in_weather(reader, writer, version)

    def _read_in_weather(
        self, reader: int, writer: int, version: Version
    ) -> tuple[Status | None, str]:
        broken = self.weather.of("readerror", reader)
        if broken is not None and self.rng.random() < 0.8:
            self.cover(f"fault {broken.word}")
            return None, broken.word
        if self.weather.of("stale", reader) is not None and self.rng.random() < 0.5:
            self.cover("fault stale read")
            kept = [v for v in self.kept[writer] if v.number <= version.number]
            version = self.rng.choice(kept[-8:] or [version])
        if self.weather.of("torn", reader) is not None and self.rng.random() < 0.5:
            return self._torn(version)
        return self.parse(version.text), ""

    def _torn(self, version: Version) -> tuple[Status | None, str]:
        at = self.rng.randrange(len(version.text))
        zeros = b"\0" * (len(version.text) - at)
        text = version.text[:at] + self.rng.choice((b"", zeros))
        self.cover("fault torn read")
        return self.parse(text), "torn"

    def parse(self, text: bytes) -> Status | None:
        """Read a text; the same bytes are the same value, so they are read once."""
        if text in self._parsed:
            return self._parsed[text]
        if len(self._parsed) > PARSED_MAX:
            self._parsed.clear()
        status: Status | None
        try:
            writer = text.split(b" ", 2)[1] if text.startswith(b"Mosha::Node ") else b""
            found = self._latest[writer] = parse_next(text, self._latest.get(writer))
            # All readers share it, and each asks for its echo again and again.
            status = replace(found.status, seen=dict(found.status.seen))
        except UnreadableStatus:
            status = None
        self._parsed[text] = status
        return status
