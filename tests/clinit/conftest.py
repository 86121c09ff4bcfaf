"""What tests of a living clinit have: daemons, on hosts with cgroups and without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mosha.clinit import cgroups
from tests.clinit import run
from tests.clinit.daemon import Daemon

Start = Callable[..., Daemon]


def can_make_cgroups() -> bool:
    """Say whether this user may make cgroups where it is."""
    own = cgroups.own_cgroup()
    return own is not None and os.access(own / "cgroup.procs", os.W_OK) and os.access(own, os.W_OK)


@pytest.fixture(params=["cgroup", "session"])
def tracker(request: pytest.FixtureRequest) -> str:
    """Both ways of keeping processes together."""
    kind: str = request.param
    if kind == "cgroup" and not can_make_cgroups():
        pytest.skip("needs a writable cgroup v2")
    return kind


@pytest.fixture(scope="session", autouse=True)
def forking() -> Iterator[None]:
    """What every clinit of these tests is forked from, once for all of them."""
    with run.forking():
        yield


@pytest.fixture
def daemon(short_dir: Path) -> Iterator[Daemon]:
    """A clinit that has not been started; it is ended in any case."""
    made = Daemon(short_dir)
    yield made
    made.end()


@pytest.fixture
def start(daemon: Daemon) -> Start:
    """Start the daemon with a cltab."""

    def with_cltab(text: str, **options: object) -> Daemon:
        daemon.write_cltab(text)
        return daemon.start(**options)

    return with_cltab


@pytest.fixture
def start_in(start: Start, tracker: str) -> Start:
    """Start the daemon with a cltab, once with cgroups and once without."""

    def with_cltab(text: str, **options: object) -> Daemon:
        return start(text, cgroup="none" if tracker == "session" else None, **options)

    return with_cltab
