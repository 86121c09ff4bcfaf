"""Breaks a copy of the package, line after line, and runs the tests that have to notice.

The package and its tests are copied into a temporary tree that comes first in PYTHONPATH, so that
daemons which a test starts are broken too. Before that the tests run in a copy that is as it
should be: one that fails there would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.mutant import ShellMutant

ROOT = Path(__file__).parents[2]
COPIED = ("mosha", "tests", "docs", "conf", "pyproject.toml")
HUNT_LIMIT_S = 240.0
SOUND_LIMIT_S = 900.0
NOTICED = ("FAILED ", "ERROR ")


@contextmanager
def trees(count: int) -> Iterator[SimpleQueue[Path]]:
    """Make so many copies of what tests need; they are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mm") as base:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            tree = Path(base, str(number))
            tree.mkdir()
            for name in COPIED:
                _copy(ROOT / name, tree / name)
            free.put(tree)
        yield free


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        shutil.copy2(source, target)


def noticed_by(tree: Path, tests: Sequence[str], limit_s: float) -> str:
    """Return which of these tests fails first in a tree, "" if all pass.

    Judged by what pytest says and not by its exit status, which also tells of files that are left.
    """
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    # A run in which a test fails keeps its files: they go with the trees.
    temporary = tree.parent / "t"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
    }
    process = subprocess.Popen(
        [*words, *(f"tests/{test}" for test in tests)],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"hung for {limit_s:g} s"
    lines = told.splitlines()
    found = next((line for line in lines if line.startswith(NOTICED)), "")
    if not found and not any(" passed" in line for line in lines[-3:]):
        return f"no test ran: {lines[-1:]}"
    return found.partition(" - ")[0]


def hunt(mutant: ShellMutant, free: SimpleQueue[Path]) -> str:
    """Return which test noticed a mutant, "" if none did."""
    tree = free.get()
    path = tree / "mosha" / mutant.path
    sound = path.read_text(encoding="utf-8")
    try:
        path.write_text(sound.replace(mutant.sound, mutant.broken), encoding="utf-8")
        return noticed_by(tree, [mutant.test], HUNT_LIMIT_S)
    finally:
        path.write_text(sound, encoding="utf-8")
        free.put(tree)


def hunt_all(mutants: Sequence[ShellMutant], jobs: int) -> Iterator[tuple[ShellMutant, str]]:
    """Yield what noticed each mutant, in their order.

    Raises:
        AssertionError: a test fails in the sound package.
    """
    with trees(jobs) as free, ThreadPoolExecutor(jobs) as pool:
        tree = free.get()
        if told := noticed_by(tree, sorted({m.test for m in mutants}), SOUND_LIMIT_S):
            raise AssertionError(f"in the sound package: {told}")
        free.put(tree)
        yield from zip(mutants, pool.map(lambda m: hunt(m, free), mutants), strict=True)
