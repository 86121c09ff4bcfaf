"""Replication of cltab and hactl: one node's part in agreeing on the newest valid tables.

People edit MFSBASE/NODE/VARPATH/{cltab,hactl} of any node. What is in force here lies in
STATE_DIR on the local disk, where clinit reads it, and in the own directory for people and
peers to read. The decisions are in `mosha.core.replication`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl, Wish


class Layout(Protocol):
    """Where nodes publish."""

    def node_path(self, node: int) -> Path:
        """Return the directory of a node."""
        ...


@dataclass(frozen=True, slots=True)
class Tables:
    """What is in force on this node, and what is wrong with what is not.

    `refused` holds a line for each table whose newest text is not in force, with the
    first mistake and how many there are; `warnings` are lines for people.
    """

    hactl: Hactl | None = None
    cltab: Cltab | None = None
    versions: Mapping[str, TableVersion] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Replicator:
    """Keeps the tables of one node the newest valid ones of the cluster.

    `on_tables` is called, on the event loop, with everything after each change of it.
    """

    def __init__(
        self,
        layout: Layout,
        me: int,
        state_dir: Path,
        on_tables: Callable[[Tables], None],
        *,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._layout = layout
        self._me = me
        self._state_dir = state_dir
        self._on_tables = on_tables
        self._wall_ns = wall_ns
        self.tables = Tables()

    async def load(self) -> None:
        """Bring into force what was so before, or a newer edit; once, before `run`."""
        raise NotImplementedError

    def look(self) -> None:
        """Have the own directory looked at soon: it changed, or a heartbeat has passed."""
        raise NotImplementedError

    def peer_tables(self, node: int, tables: Mapping[str, TableVersion], *, fresh: bool) -> None:
        """Take in which versions a peer's newest status shows in force there."""
        raise NotImplementedError

    async def run(self) -> None:
        """Do what `look` and `peer_tables` ask for, until cancelled."""
        raise NotImplementedError

    async def set_wish(self, wish: Wish) -> str:
        """Make `wish` what hactl says of its group, newest everywhere; return what was done.

        Raises:
            UsageError: a group that cltab in force lacks, unless it shall stop.
            HostError: hactl cannot be written.
        """
        raise NotImplementedError

    def unknown_groups(self) -> list[str]:
        """Return the groups that hactl in force names and cltab lacks (H4.6)."""
        raise NotImplementedError
