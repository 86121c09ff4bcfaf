"""A table that was never valid is never in force; in the end all nodes have the same one."""

from __future__ import annotations

from mosha.core.replication.judging import HACTL
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_hactl
from mosha.formats.mistakes import Mistakes
from tests.sim.checks import Checker


class TablesInForce(Checker):
    """What each node has in force, as text."""

    name = "tables"

    def adopted(self, node: int, table: str, text: bytes) -> None:
        """Judge a table that came into force."""
        try:
            if table == HACTL:
                parse_hactl(text, table)
            else:
                parse_cltab(text, table)
        except Mistakes as error:
            raise self.truth.violated(self.name, f"node {node} adopted: {error}") from error

    def different(self, texts: dict[int, bytes | None]) -> str:
        """Say whether these nodes have different texts in force, "" if not."""
        return f"different tables: {texts}" if len(set(texts.values())) > 1 else ""
