"""What a benchmark comes to: figures, each beside its floor and its aim.

The machine may be busy with other things, so a time alone says little: a floor is measured
in the same run, alternately where that is possible, and the ratio is what counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Aim:
    """What was asked for: a bound on the figure, one on its ratio to the floor, or both."""

    at_most: float | None = None
    ratio: float | None = None

    def met(self, value: float, floor: float | None) -> bool:
        absolute = self.at_most is None or value <= self.at_most
        return absolute and (self.ratio is None or not floor or value <= self.ratio * floor)

    def __str__(self) -> str:
        words = [f"<= {self.at_most:g}" if self.at_most is not None else ""]
        words += [f"<= {self.ratio:g} x floor" if self.ratio is not None else ""]
        return " and ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `parts` breaks the value down, or tells what was seen besides."""

    bench: str
    what: str
    unit: str
    value: float
    samples: int = 1
    floor: float | None = None
    floor_is: str = ""
    aim: Aim | None = None
    parts: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.aim.met(self.value, self.floor)

    def as_json(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "what": self.what,
            "unit": self.unit,
            "value": round(self.value, 4),
            "samples": self.samples,
            "floor": None if self.floor is None else round(self.floor, 4),
            "floor_is": self.floor_is,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "aim": str(self.aim or ""),
            "met": self.met,
            "parts": {
                name: value if isinstance(value, str) else round(value, 4)
                for name, value in self.parts.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: fewer and shorter rounds if `quick`; where; and whom to tell of progress."""

    base: Path
    quick: bool
    say: Callable[[str], None]

    def rounds(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def directory(self, name: str) -> Path:
        """Return a new, empty directory with a short path: sockets will be in it."""
        path = self.base / name
        path.mkdir()
        return path


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def spread(values: Sequence[float], scale: float = 1.0) -> dict[str, float | str]:
    """Return what a median does not tell."""
    return {
        "least": min(values) * scale,
        "p90": percentile(values, 90) * scale,
        "most": max(values) * scale,
    }
