"""hactl on one node: an edit, its judgement, and what peers have that is newer.

The decisions are those of the real `core.replication`; texts travel with their versions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from mosha.core import replication
from mosha.core.replication import Do, Found
from mosha.core.status import Status, TableVersion
from mosha.core.tables import Hactl
from mosha.formats.hactl import parse_hactl
from mosha.formats.mistakes import Mistakes

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor

HACTL = "hactl"


@dataclass(slots=True)
class Disk:
    """What lies in a node's directory besides its clstat; it survives all but its loss."""

    hactl: tuple[bytes, int] | None = None
    in_force: tuple[bytes, TableVersion] | None = None
    former: TableVersion | None = None
    refused: TableVersion | None = None
    superseded: bool = False


@dataclass(slots=True)
class Tables:
    """The replicator of one monitor."""

    monitor: Monitor
    adverts: dict[int, TableVersion] = field(default_factory=dict)
    rejected: set[TableVersion] = field(default_factory=set)
    failed: dict[int, TableVersion] = field(default_factory=dict)
    refusal: str = ""
    fetching: bool = False
    _quiet: tuple[object, object] | None = None

    @property
    def disk(self) -> Disk:
        """The own directory."""
        return self.monitor.machine.disk

    @property
    def _now_ns(self) -> int:
        return int(self.monitor.machine.wall_s * replication.NS_PER_S)

    def look(self) -> None:
        """Judge what lies in the own directory."""
        disk, now_ns = self.disk, self._now_ns
        if (disk.hactl, disk.in_force) == self._quiet:
            return  # what was looked at already, and there was nothing to do about it
        in_force = disk.in_force[1] if disk.in_force else None
        found = Found()
        if disk.hactl is not None:
            data, mtime_ns = disk.hactl
            _, mistakes = _read(data)
            version = replication.version_of(data, mtime_ns)
            superseded = disk.superseded and version == disk.refused
            found = Found(version, mistakes=mistakes, superseded=superseded)
        verdict = replication.judge_local(in_force, found, now_ns, disk.former)
        self.monitor.machine.cover(f"rule hactl {verdict.do.value}")
        refusal = ""
        self._quiet = (disk.hactl, disk.in_force) if verdict.do is Do.NOTHING else None
        match verdict.do:
            case Do.ADOPT if disk.hactl is not None and found.version is not None:
                self._take(disk.hactl[0], found.version)
                return
            case Do.REFUSE:
                refusal = verdict.why
                if found.version != disk.refused:
                    disk.refused, disk.superseded = found.version, False
            case Do.DISCARD | Do.WRITE if disk.in_force is not None:
                disk.hactl = (disk.in_force[0], disk.in_force[1].mtime_ns)
        if refusal != self.refusal:
            self.refusal = refusal
            self.tell()

    def _take(self, data: bytes, version: TableVersion) -> None:
        disk = self.disk
        disk.former = disk.in_force[1] if disk.in_force else None
        disk.in_force = (data, version)
        disk.superseded = disk.refused is not None
        self.refusal = ""
        self.tell()

    def tell(self) -> None:
        """Tell the brain what is in force."""
        monitor, disk = self.monitor, self.disk
        hactl: Hactl | None = None
        versions = {}
        if disk.in_force is not None:
            hactl, _ = _read(disk.in_force[0])
            versions[HACTL] = disk.in_force[1]
            monitor.cluster.in_force(monitor.machine.id, disk.in_force[0])
        refused = {HACTL: self.refusal} if self.refusal else {}
        groups = frozenset(spec.name for spec in monitor.world.groups)
        monitor.node.tables_adopted(hactl, groups, versions, refused)

    def heard(self, status: Status) -> None:
        """Take in what a peer has in force; fetch it if it is newer."""
        version = status.tables.get(HACTL)
        if version is not None and self.adverts.get(status.node) != version:
            self.adverts[status.node] = version
            self.choose()

    def choose(self) -> None:
        """Fetch the newest version of all peers; those that failed last time come last."""
        if self.fetching:
            return
        in_force = self.disk.in_force[1] if self.disk.in_force else None
        if in_force is not None and all(v == in_force for v in self.adverts.values()):
            return
        good = {n: v for n, v in self.adverts.items() if self.failed.get(n) != v}
        for adverts in (good, self.adverts):
            node = replication.choose_peer(in_force, adverts, self._now_ns, self.rejected)
            if node is not None:
                self.fetching = True
                self.monitor.soon(self.monitor.world.lag_s, partial(self._fetch, node))
                return

    def _fetch(self, node: int) -> None:
        self.fetching = False
        monitor, wanted = self.monitor, self.adverts[node]
        in_force = self.disk.in_force[1] if self.disk.in_force else None
        if not replication.is_newer(wanted, in_force, self._now_ns):
            return
        there = monitor.cluster.machines[node].disk.hactl
        blocked = monitor.cluster.weather.cut(monitor.machine.id, node)
        if there is None or blocked or replication.version_of(*there).digest != wanted.digest:
            if self.failed.get(node) != wanted:
                self.failed[node] = wanted
                self.choose()
            return
        self.failed.pop(node, None)
        _, mistakes = _read(there[0])
        if mistakes:
            self.rejected.add(wanted)
            return
        self.disk.hactl = (there[0], wanted.mtime_ns)
        monitor.machine.cover("rule hactl fetched")
        self._take(there[0], wanted)


@cache
def _read(data: bytes) -> tuple[Hactl | None, str]:
    try:
        return parse_hactl(data, HACTL), ""
    except Mistakes as error:
        return None, str(error)
