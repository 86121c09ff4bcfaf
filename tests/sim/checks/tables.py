"""What is no table, or half of one, is never in force; in the end all nodes have the same one."""

from __future__ import annotations

from mosha.core.tables import Table
from mosha.formats.mistakes import Mistakes
from mosha.formats.table_kinds import KINDS
from tests.sim.checks import Checker


class TablesInForce(Checker):
    """What each node has in force, as text."""

    name = "tables"

    def __init__(self) -> None:
        self._halves: dict[tuple[int, str], bytes] = {}
        self._wholes: set[tuple[str, bytes]] = set()

    def half(self, node: int, table: str, before: bytes, text: bytes) -> None:
        """Hear of a text that somebody is still writing, where another one is in force."""
        if _read(table, before).names() - _names_in(table, text):
            self._halves[node, table] = text

    def whole(self, node: int, table: str, text: bytes) -> None:
        """Hear that the whole text is there."""
        self._halves.pop((node, table), None)
        self._wholes.add((table, text))

    def adopted(self, node: int, table: str, text: bytes) -> None:
        """Judge a table that came into force."""
        half = self._halves.get((node, table)) == text
        if half and (table, text) not in self._wholes:  # else it may be another editor's
            raise self.truth.violated(self.name, f"node {node} adopted half of {table}: {text!r}")
        try:
            _read(table, text)
        except Mistakes as error:
            raise self.truth.violated(self.name, f"node {node} adopted: {error}") from error

    def different(self, texts: dict[int, bytes | None]) -> str:
        """Say whether these nodes have different texts in force, "" if not."""
        return f"different tables: {texts}" if len(set(texts.values())) > 1 else ""


def _read(table: str, text: bytes) -> Table:
    return KINDS[table].read(text, table)[0]


def _names_in(table: str, text: bytes) -> frozenset[str]:
    try:
        return _read(table, text).names()
    except Mistakes:
        return frozenset()
