"""The tables in force on this node's local disk, and their history.

STATE_DIR/cltab and STATE_DIR/hactl are in force (clinit reads the former), STATE_DIR/tables.json
says which versions they are or are about to be, and STATE_DIR/history has what was in force and
what a newer version replaced: NAME.TIME.DIGEST[.rejected|.discarded], TIME being that of the event
in UTC and the file's own time that of the version. Everything here blocks.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from mosha.core.replication.judging import NS_PER_S, version_of
from mosha.core.replication.lineage import Past
from mosha.core.replication.table_texts import Fate, Text
from mosha.core.status import TableVersion
from mosha.host.files import read_facts, write_atomically
from mosha.monitor.tables.files import access_of, write_text

VERSIONS_FILE = "tables.json"

FORMER = ".former"
"""Marks the version in VERSIONS_FILE that is in force until the text of the next one is there."""

HISTORY_DIR = "history"

HISTORY_MAX = 20
"""How many adopted versions of a table are kept, and how many others."""

PRIVATE_DIR_MODE = 0o700
"""The mode of a history with a text that not all users may read."""

ALL_MAY_READ = 0o044


class _Noted(Struct, frozen=True):
    """A table's record in VERSIONS_FILE."""

    mtime_ns: int
    digest: str
    past: Past = ()

    @classmethod
    def of(cls, text: Text) -> Self:
        return cls(text.version.mtime_ns, text.version.digest, text.past)

    @property
    def version(self) -> TableVersion:
        return TableVersion(self.mtime_ns, self.digest)


class TableStore:
    """The directory STATE_DIR of one node."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.history = directory / HISTORY_DIR

    def path(self, name: str) -> Path:
        """Return where the text of a table in force is."""
        return self._directory / name

    def load(self, name: str) -> Text | None:
        """Return a table in force, None if there is none yet.

        If the versions are lost, or belong to other texts, the time of the file is used.

        Raises:
            OSError: it exists but cannot be read.
        """
        try:
            facts = read_facts(self.path(name))
        except FileNotFoundError:
            return None
        version = version_of(facts.data, facts.mtime_ns)
        versions = self._versions()
        for noted in (versions.get(name), versions.get(name + FORMER)):
            if noted is not None and noted.digest == version.digest:
                return Text(noted.version, facts.data, access_of(facts), noted.past)
        return Text(version, facts.data, access_of(facts))

    def adopted(self, name: str) -> tuple[TableVersion, ...]:
        """Return the versions of the history that were in force, oldest first.

        Raises:
            OSError: it cannot be read.
        """
        kept = self._kept(name, adopted=True) if self.history.exists() else []
        return tuple(TableVersion(p.stat().st_mtime_ns, p.name.split(".")[2]) for p in kept)

    def adopt(self, name: str, text: Text, now_ns: int) -> None:
        """Bring a table into force on this disk, and keep it in the history.

        Raises:
            OSError: the former one is still in force.
        """
        self.keep(name, text, now_ns)
        noted = {name: _Noted.of(text)}
        with contextlib.suppress(OSError):  # one that cannot be read is replaced
            if (former := self.load(name)) is not None:
                noted[name + FORMER] = _Noted.of(former)
        # Before the text: without its ancestry it would win as a whole over a concurrent edit.
        data = msgspec.json.encode({**self._versions(), **noted})
        write_atomically(self._directory / VERSIONS_FILE, data, sync=True)
        write_text(text, self.path(name), sync=True)

    def keep(self, name: str, text: Text, now_ns: int) -> Path:
        """Keep a text that is in force here or elsewhere in the history; return its path.

        Raises:
            OSError: it is not kept.
        """
        return self._keep(name, text, "", now_ns)

    def data_of(self, name: str, version: TableVersion) -> bytes | None:
        """Return the text of a version that was in force, None if it is no longer kept.

        Raises:
            OSError: the history cannot be read.
        """
        kept = self._kept(name, adopted=True) if self.history.exists() else []
        found = (path for path in kept if path.name.split(".")[2] == version.digest)
        return next((read_facts(path).data for path in found), None)

    def put_aside(self, name: str, text: Text, fate: Fate, now_ns: int) -> Path:
        """Keep a text that does not come into force; return its path.

        Raises:
            OSError: it is not kept, so it must not be overwritten.
        """
        return self._keep(name, text, f".{fate}", now_ns)

    def _versions(self) -> dict[str, _Noted]:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            raw = read_facts(self._directory / VERSIONS_FILE).data
            return msgspec.json.decode(raw, type=dict[str, _Noted])
        return {}

    def _keep(self, name: str, text: Text, suffix: str, now_ns: int) -> Path:
        self.history.mkdir(parents=True, exist_ok=True)
        if ALL_MAY_READ & ~text.access.mode:
            self.history.chmod(PRIVATE_DIR_MODE)
        kept = self._kept(name, adopted=not suffix)
        for old in kept:
            if _is_same(old, text.version, by_time=not suffix):
                return old
        path = self.history / f"{name}.{_stamp(now_ns)}.{text.version.digest}{suffix}"
        write_text(text, path)
        for old in kept[: max(0, len(kept) + 1 - HISTORY_MAX)]:
            old.unlink(missing_ok=True)
        return path

    def _kept(self, name: str, *, adopted: bool) -> list[Path]:
        """Return the history of a table, oldest first."""
        found = [
            path
            for path in self.history.iterdir()
            if path.name.startswith(f"{name}.") and (path.name.count(".") == 2) == adopted
        ]
        return sorted(found)


def _is_same(old: Path, version: TableVersion, *, by_time: bool) -> bool:
    """Say whether a kept file is this version, or without `by_time` the same text."""
    if old.name.split(".")[2] != version.digest:
        return False
    return not by_time or old.stat().st_mtime_ns == version.mtime_ns


def _stamp(now_ns: int) -> str:
    moment = datetime.fromtimestamp(now_ns // NS_PER_S, UTC)
    return f"{moment:%Y%m%dT%H%M%S}_{now_ns % NS_PER_S:09d}Z"
