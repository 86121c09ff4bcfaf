"""HA_RSCTMP: made, and emptied by the first who uses it after a boot."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from mosha.ocf.rsctmp import BOOT_FILE, make_rsctmp


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {BOOT_FILE}


def test_it_is_made_with_the_sticky_bit(tmp_path: Path) -> None:
    path = tmp_path / "rsctmp"
    assert make_rsctmp(str(path)) is False
    assert stat.S_IMODE(path.stat().st_mode) == 0o1755


def test_its_mode_is_that_of_no_umask(tmp_path: Path) -> None:
    path = tmp_path / "rsctmp"
    before = os.umask(0o077)
    try:
        make_rsctmp(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o1755


def test_it_is_emptied_once_after_a_boot_and_nothing_outside_of_it(tmp_path: Path) -> None:
    path, outside = tmp_path / "rsctmp", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    make_rsctmp(str(path), b"first")
    (path / "Dummy-a.state").touch()
    assert make_rsctmp(str(path), b"first") is False
    assert names(path) == {"Dummy-a.state"}
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "er" / "file").touch()
    (path / "link").symlink_to(outside)
    assert make_rsctmp(str(path), b"second") is True
    assert names(path) == set()
    assert names(outside) == {"kept"}
    (path / "Dummy-b.state").touch()
    assert make_rsctmp(str(path), b"second") is False
    assert names(path) == {"Dummy-b.state"}


def test_what_was_there_before_its_first_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "rsctmp"
    path.mkdir()
    (path / "of-another-manager").touch()
    assert make_rsctmp(str(path)) is False
    assert names(path) == {"of-another-manager"}


def test_who_comes_meanwhile_waits_until_it_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "rsctmp"
    make_rsctmp(str(path), b"first")
    directory = os.open(path, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)  # as another one that empties it
    second = threading.Thread(target=make_rsctmp, args=[str(path), b"second"])
    second.start()
    (path / "of-the-other").touch()
    second.join(0.2)
    waits = second.is_alive()
    (path / BOOT_FILE).write_bytes(b"second")
    os.close(directory)
    second.join()
    assert waits
    assert names(path) == {"of-the-other"}


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rsctmp"
    path.touch()
    with pytest.raises(NotADirectoryError):
        make_rsctmp(str(path))
