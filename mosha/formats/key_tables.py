"""Tables of mosha.toml: each value is checked by the rule of its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosha.formats import settings_rules as rules
from mosha.formats.mistakes import Findings
from mosha.formats.names import nearest
from mosha.formats.toml_places import KeyPlaces, Path


class KeyTables:
    """Checks tables of values; `broken` are the keys of lines that could not be parsed."""

    def __init__(self, findings: Findings, places: KeyPlaces, broken: frozenset[str]) -> None:
        self.broken = broken
        self._findings = findings
        self._places = places

    def note(self, key: Path, shown: str, problem: str, remedy: str) -> None:
        """Note a mistake at a key."""
        line, column = self._places.of(key)
        self._findings.add(line, column, shown, problem, remedy)

    def table(
        self, at: Path, values: Mapping[str, object], known: Mapping[str, rules.Rule]
    ) -> dict[str, Any]:
        """Return the values that keep the rules of their keys."""
        good: dict[str, Any] = {}
        for name, value in values.items():
            key = (*at, name)
            rule = known.get(name)
            if rule is None:
                remedy = nearest(name, known) or f"the keys here are {', '.join(known)}"
                self.note(key, name, "unknown key", remedy.strip())
                continue
            try:
                good[name] = rule(value)
            except rules.WrongValue as wrong:
                text = f"{spelled(key)} {wrong.problem}"
                if isinstance(value, dict):
                    self.note(key, "", f"{text}, not a table", wrong.remedy)
                else:
                    self.note(key, rules.shown(value), text, wrong.remedy)
        return good


def spelled(key: Path) -> str:
    """Return a key as people write it; tables of an array count from 1."""
    names = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(names).lstrip(".")
