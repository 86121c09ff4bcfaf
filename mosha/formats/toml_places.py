"""Where a key is in a TOML text, for messages: the standard parser does not say.

A scan for headers and keys, not a second parser: a key that it does not find has no line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Path = tuple[str | int, ...]
"""A key with its tables; an array of tables adds the index, as in ("a", "methods", 0, "type")."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\s-]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*(?:"([^"\\]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*[=.]""")


class KeyPlaces:
    """The line and column of each key of one file."""

    def __init__(self, lines: Iterable[tuple[int, str]] = ()) -> None:
        self._places: dict[Path, tuple[int, int]] = {}
        table: Path = ()
        counts: dict[Path, int] = {}
        for number, line in lines:
            header = _HEADER.fullmatch(line)
            if header:
                table = _table(header[2], counts)
                self._places.setdefault(table, (number, header.start(2) + 1))
                if header[1] == "[[":
                    index = counts.get(table, 0)
                    counts[table] = index + 1
                    table = (*table, index)
                    self._places[table] = (number, header.start(2) + 1)
                continue
            key = _KEY.match(line)
            if key:
                name = key[1] or key[2] or key[3]
                self._places.setdefault((*table, name), (number, key.start(key.lastindex or 0) + 1))

    def of(self, path: Path) -> tuple[int, int]:
        """Return line and column of a key, else of the table around it, else (0, 0)."""
        while path:
            if path in self._places:
                return self._places[path]
            path = path[:-1]
        return (0, 0)


def _table(header: str, counts: dict[Path, int]) -> Path:
    """Return the table of a header; one below an array of tables belongs to its latest."""
    table: Path = ()
    for part in header.split("."):
        if table in counts:
            table = (*table, counts[table] - 1)
        table = (*table, part.strip())
    return table
