"""An entry has one run at a time, and nothing starts before what it has to wait for.

That is, under a claim, the tests of its group; and at a level, what is before it and not ready. Nor
does anything run that needs the service of an agent while its stop does.
"""

from __future__ import annotations

from collections.abc import Sequence

from mosha.core.tables import TEST_LEVEL
from tests.sim.checks import Checker


class Runs(Checker):
    """The runs of each entry, and which claims have passed the tests of their group."""

    name = "runs"

    def __init__(self) -> None:
        self._passed: set[tuple[int, str, int]] = set()

    def passed(self, node: int, group: str, term: int) -> None:
        """Take in that a test of a group has passed."""
        self._passed.add((node, group, term))

    def launched(self, node: int, group: str, tag: str, *, beside: int | None) -> None:
        """Judge a run of an entry; `beside` is one whose leader is alive."""
        if beside is not None:
            raise self.truth.violated(
                self.name, f"{tag} of {group} is started on node {node} beside its run {beside}"
            )

    def needs_ready(self, node: int, group: str, what: str, *, ready: bool) -> None:
        """Judge what waits until the service of a group has been ready."""
        if not ready:
            raise self.truth.violated(
                self.name, f"{group} {what} on node {node} before its service is ready"
            )

    def stops(self, node: int, group: str, tag: str, users: Sequence[str]) -> None:
        """Judge a stop of an agent; `users` run, which come after it."""
        if users:
            raise self.truth.violated(
                self.name,
                f"{tag} of {group} is stopped on node {node} while {', '.join(users)} runs",
            )

    def needs_test(self, node: int, group: str, term: int, level: str) -> None:
        """Judge a start at a level, under a claim of a group that has tests."""
        if level != TEST_LEVEL and (node, group, term) not in self._passed:
            raise self.truth.violated(
                self.name, f"{group} starts at {level} on node {node} untested (term {term})"
            )
