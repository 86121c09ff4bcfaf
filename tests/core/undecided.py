"""Every combination of flags, without trying each: a flag counts from when somebody looks at it.

Code that looks at a flag which has no value yet goes on twice, once for each value. Flags that it
never looks at cannot change what it does, so each run stands for all combinations of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from mosha.core.cluster.group_rules import Facts
from mosha.core.supervision.group_report import GroupReport

FLAGS = tuple(name for name, kind in Facts.__annotations__.items() if kind == "bool")


class Undecided:
    """Facts of which only `local`, `wanted` and `told` are given; see `ways`."""

    def __init__(
        self, report: GroupReport, wanted: str, told: str, path: list[tuple[str, bool]]
    ) -> None:
        self.report = report
        self.wanted = wanted
        self.told_level = told
        self._path = path
        self._looks = 0
        if told:  # what was told and is not shown yet is unshown
            self.unshown = True

    def __getattr__(self, name: str) -> bool:
        """Give a flag that somebody looks at for the first time its value."""
        if name not in FLAGS:
            raise AttributeError(name)
        if self._looks == len(self._path):
            self._path.append((name, False))
        looked_at, value = self._path[self._looks]
        assert looked_at == name, "the same flags are looked at in the same order"
        self._looks += 1
        setattr(self, name, value)
        return value

    def __repr__(self) -> str:
        return repr(vars(self))

    def decided(self, *, rest: bool) -> Facts:
        """Return plain facts with these values, and `rest` for each flag nobody looked at."""
        flags = {name: vars(self).get(name, rest) for name in FLAGS}
        return Facts(report=self.report, wanted=self.wanted, told_level=self.told_level, **flags)


for _name, _property in vars(Facts).items():
    if isinstance(_property, property):  # what Facts make of the flags
        setattr(Undecided, _name, _property)


def ways(report: GroupReport, wanted: str, told: str) -> Iterator[tuple[Facts, Undecided]]:
    """Return facts to look at, again and again, until all has been seen that can be.

    The same facts twice: as what they stand for, and as what they are.
    """
    path: list[tuple[str, bool]] = []
    while True:
        given = Undecided(report, wanted, told, path)
        yield cast("Facts", given), given
        while path and path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1] = (path[-1][0], True)
