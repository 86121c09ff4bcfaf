"""The promises, a file each. Every checker hears what really happens, at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mosha.core.status import Grade, Status

if TYPE_CHECKING:
    from tests.sim.truth import Truth


class Checker:
    """Hears all facts and minds none; a checker overrides what it minds."""

    name = ""
    truth: Truth

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        """A process of a level that needs a lease was started, by this clinit of the node."""

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        """The last such process of a group that one clinit had has ended on a node."""

    def undoes(self, node: int, group: str, term: int, *, clinit: int) -> None:
        """An entry of `stop` was started, by this clinit of the node."""

    def undone(self, node: int, group: str, *, clinit: int) -> None:
        """The last such process of a group that one clinit had has ended on a node."""

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        """A status is on the file system; `late`: that of a monitor which is dead."""

    def stood_still(self, node: int) -> None:
        """The clock of a node stands still, or has just gone on."""

    def forgot(self, node: int) -> None:
        """A node lost its directory."""

    def killed(self, node: int) -> None:
        """A machine is down."""

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        """Somebody says that a node is dead."""
