"""A busy clinit is not a hung one, and its leases go on (A7); larger: make bench ARGS=crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import crowd
from tests.e2e.cluster import Cluster

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 10.0
LIMIT_S = 120.0


def test_many_groups_told_at_once_each_run_once_and_keep_their_leases(short_dir: Path) -> None:
    with Cluster(short_dir, size=1, timeout_s=TIMEOUT_S) as cluster:
        assert crowd.all_at_once(cluster, 150, LIMIT_S).wrong == []


def test_an_edit_that_stops_many_groups_touches_no_other(short_dir: Path) -> None:
    with Cluster(short_dir, size=1, timeout_s=TIMEOUT_S) as cluster:
        assert crowd.one_edit(cluster, 100, LIMIT_S).wrong == []
