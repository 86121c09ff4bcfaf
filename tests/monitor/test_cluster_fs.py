from __future__ import annotations

import os
from pathlib import Path

import pytest

from mosha.monitor.files.cluster_fs import Layout, remove_stale_temporaries
from tests.host.test_files import names

LAYOUT = Layout(Path("/mfs"), "var/mosix-ha")


def test_the_files_of_a_node_are_where_the_original_had_them() -> None:
    assert LAYOUT.directory(2) == Path("/mfs/2/var/mosix-ha")
    assert LAYOUT.clstat(2) == Path("/mfs/2/var/mosix-ha/clstat")
    assert LAYOUT.cltab(2) == Path("/mfs/2/var/mosix-ha/cltab")
    assert LAYOUT.hactl(2) == Path("/mfs/2/var/mosix-ha/hactl")
    assert LAYOUT.hastat(2) == Path("/mfs/2/var/mosix-ha/hastat")


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("/mfs/2/var/mosix-ha", 2),
        ("/mfs/2/var/mosix-ha/clstat", 2),
        ("/mfs/2/var", None),
        ("/mfs/x/var/mosix-ha/clstat", None),
        ("/mfs/02/var/mosix-ha/clstat", None),
        ("/mfs", None),
        ("/elsewhere/2/var/mosix-ha/clstat", None),
    ],
)
def test_a_path_tells_whose_it_is(path: str, node: int | None) -> None:
    assert LAYOUT.node_of(Path(path)) == node


def test_what_dead_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = 2**22 + 1  # greater than any pid
    kept = [
        f".clstat.{os.getpid()}.1.tmp",
        f".other.{gone}.1.tmp",
        f".clstat.{gone}.tmp",
        f"clstat.{gone}.1.tmp",
        "clstat",
    ]
    for name in (f".clstat.{gone}.1.tmp", f".cltab.{gone}.123456789.tmp", *kept):
        (tmp_path / name).touch()
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == sorted(kept)
