"""A one-line break of the shell, and the test that has to notice it."""

from __future__ import annotations

from msgspec import Struct


class ShellMutant(Struct, frozen=True):
    """A line that the proof or a promise of the manual stands on, and how it is broken.

    `path` is below `mosha/`, `test` below `tests/`, with `[parameters]` where one of them will
    do. `why` says what the line is for.
    """

    why: str
    path: str
    sound: str
    broken: str
    test: str


M = ShellMutant
