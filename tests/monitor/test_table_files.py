"""Tables as they are found in a node's directory: who may read them, and what is no answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.core.replication.judging import HACTL
from mosha.core.replication.table_texts import Access
from mosha.host.files import FileFacts
from mosha.monitor.tables.files import access_of, read_table


@pytest.mark.parametrize(
    ("mode", "copied"), [(0o644, 0o644), (0o666, 0o644), (0o600, 0o600), (0o4770, 0o750)]
)
def test_no_copy_of_a_table_can_be_written_by_others(mode: int, copied: int) -> None:
    facts = FileFacts(data=b"", mtime_ns=0, uid=1, gid=2, mode=mode, device=3)
    assert access_of(facts) == Access(copied, (1, 2))


def test_a_table_whose_mode_alone_has_changed_is_seen_with_its_new_mode(tmp_path: Path) -> None:
    path = tmp_path / HACTL
    path.write_text("web start\n")
    path.chmod(0o644)
    former = read_table(path, HACTL)
    assert read_table(path, HACTL, former) is former
    path.chmod(0o600)
    seen = read_table(path, HACTL, former)
    assert (former.access.mode, seen.access.mode) == (0o644, 0o600)
    assert (seen.version, seen.table) == (former.version, former.table)


def test_an_error_of_the_file_system_says_nothing_of_the_table(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        read_table(tmp_path / ("x" * 300), HACTL)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "not mounted" / HACTL, HACTL)
    assert read_table(tmp_path / HACTL, HACTL).version is None
