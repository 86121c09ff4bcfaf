"""One break of a rule, and a build of the core that has it.

The source is altered while it is imported; the product's files stay as they are. A place that
is not found exactly once is an error, so a mutant cannot silently stop being one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from msgspec import Struct


class Mutant(Struct, frozen=True):
    """A rule, where it lives, and the line that breaks it.

    It is to be noticed within `seeds_max` seeds, of worlds with the `storm` if one is named,
    or in a directed `scenario` or `test` (of tests/core), for schedules that chance comes upon
    too rarely, or by the exploration of a small scope (`explore`, its arguments). Where two
    rules guard the same, `more` names what else is broken: (module, sound, broken).
    """

    name: str
    rule: str
    module: str
    sound: str
    broken: str
    storm: str = ""
    scenario: str = ""
    test: str = ""
    explore: str = ""
    more: tuple[tuple[str, str, str], ...] = ()
    seeds_max: int = 300


class _Breaker(SourceFileLoader):
    """Loads a module with one place changed."""

    sound = ""
    broken = ""

    def source_to_code(  # type: ignore[override]
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> CodeType:
        source = bytes(data).decode()
        if source.count(self.sound) != 1:
            raise AssertionError(f"{path} has {self.sound!r} {source.count(self.sound)} times")
        return compile(source.replace(self.sound, self.broken), path, "exec", optimize=_optimize)

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    """Finds a mutant's modules before the ordinary importer does."""

    def __init__(self, mutant: Mutant) -> None:
        self.changes = {
            module: (sound, broken)
            for module, sound, broken in (
                (mutant.module, mutant.sound, mutant.broken),
                *mutant.more,
            )
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.changes:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        breaker = _Breaker(fullname, spec.origin)
        breaker.sound, breaker.broken = self.changes[fullname]
        spec.loader = breaker
        return spec


def install(mutant: Mutant) -> None:
    """Break the core of this process; nothing of it may be imported yet."""
    loaded = [name for name in sys.modules if name.startswith("mosha.core")]
    if loaded:
        raise AssertionError(f"too late for a mutant: {loaded} are imported")
    sys.meta_path.insert(0, _Finder(mutant))
