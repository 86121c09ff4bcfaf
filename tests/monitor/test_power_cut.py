"""What a node must know after a power cut is flushed to its disk when it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mosha.core.cluster.memory import Memory
from mosha.core.replication.judging import version_of
from mosha.core.replication.table_texts import Text
from mosha.host.mounts import MountFacts
from mosha.monitor import identity
from mosha.monitor.files import membership
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.publisher import Publisher
from mosha.monitor.tables.store import TableStore

TABLE = version_of(b"g start\n", 7)


def remember_mount(directory: Path) -> None:
    layout = Layout(directory / "mfs", "var")
    memory = directory / identity.MOUNT_FILE
    publisher = Publisher(layout, 1, "run", report=print, trouble=print, memory=memory)
    publisher._remember(MountFacts(device=1, fstype="nfs", mountpoint="/mfs"))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: identity.save(path, Memory(inc=1)), id="votes and incarnation"),
        pytest.param(
            lambda path: membership._save(path / "members.json", frozenset({1, 2})), id="members"
        ),
        pytest.param(remember_mount, id="where the node's directory was mounted"),
    ],
)
def test_it_is_flushed_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    flushed = flushes(monkeypatch)
    write(tmp_path)
    file, directory = flushed
    assert (file.parent, directory) == (tmp_path, tmp_path)


def test_a_table_is_in_force_when_its_version_and_then_its_text_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = flushes(monkeypatch)
    TableStore(tmp_path).adopt("hactl", Text(TABLE, b"g start\n"), 8)
    assert [path.name.split(".")[1] for path in flushed[::2]] == ["tables", "hactl"]
    assert flushed[1::2] == [tmp_path, tmp_path]


def flushes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list into which what is flushed from now on is noted."""
    flushed: list[Path] = []
    flush = os.fsync

    def note(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        flush(fd)

    monkeypatch.setattr(os, "fsync", note)
    return flushed
