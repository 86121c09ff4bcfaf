"""What a node must know after a power cut is flushed to its disk when it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mosha.core.cluster.memory import Memory
from mosha.monitor import identity
from mosha.monitor.files import membership


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: identity.save(path, Memory(inc=1)), id="votes and incarnation"),
        pytest.param(
            lambda path: membership._save(path / "members.json", frozenset({1, 2})), id="members"
        ),
    ],
)
def test_it_is_flushed_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    flushed: list[Path] = []
    flush = os.fsync

    def note(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        flush(fd)

    monkeypatch.setattr(os, "fsync", note)
    write(tmp_path)
    file, directory = flushed
    assert (file.parent, directory) == (tmp_path, tmp_path)
