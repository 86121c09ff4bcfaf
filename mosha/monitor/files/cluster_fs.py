"""The cluster file system as mosha uses it: where the files of each node are."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from mosha.formats.names import node_number

CLSTAT: Final = "clstat"
CLTAB: Final = "cltab"
HACTL: Final = "hactl"
HASTAT: Final = "hastat"

_TEMPORARY = re.compile(r"\.(?:clstat|cltab|hactl|hastat)\.(\d+)\.\d+\.tmp")


class Layout(Struct, frozen=True):
    """Where each node's files are: MFSBASE/NODE/VARPATH (H1.2)."""

    mfsbase: Path
    varpath: str

    def node_of(self, path: Path) -> int | None:
        """Return the node to which a file or directory belongs, None if none; string work only."""
        if not path.is_relative_to(self.mfsbase):
            return None
        first = path.relative_to(self.mfsbase).parts[:1]
        node = node_number(first[0]) if first else None
        inside = node is not None and path.is_relative_to(self.directory(node))
        return node if inside else None

    def directory(self, node: int) -> Path:
        """The directory in which a node publishes."""
        return self.mfsbase / str(node) / self.varpath

    def clstat(self, node: int) -> Path:
        """The status of a node."""
        return self.directory(node) / CLSTAT

    def cltab(self, node: int) -> Path:
        """The table of entries."""
        return self.directory(node) / CLTAB

    def hactl(self, node: int) -> Path:
        """The table of wishes."""
        return self.directory(node) / HACTL

    def hastat(self, node: int) -> Path:
        """The view of a node."""
        return self.directory(node) / HASTAT


def is_temporary(name: str) -> bool:
    """Say whether a name is a temporary one of `write_in`."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_stale_temporaries(directory: Path) -> None:
    """Remove temporary files of dead writers in the node's directory."""
    for path in list(directory.iterdir()):
        match = _TEMPORARY.fullmatch(path.name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            with contextlib.suppress(OSError):
                path.unlink()
