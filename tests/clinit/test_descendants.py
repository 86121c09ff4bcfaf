"""The processes below this one: signalled are those that were seen, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import msgspec
import pytest

from mosha.clinit.descendants import Descendants
from mosha.clinit.process_groups import Sending
from mosha.host import proc
from tests.clinit.descriptors import without_descriptors
from tests.waiting import wait_until


@pytest.fixture
def family() -> Iterator[Descendants]:
    made = Descendants()
    yield made
    made.close()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "7731"]) as process:
        yield process
        process.kill()


def test_a_process_that_has_the_number_of_another_one_gets_no_signal(
    family: Descendants, sleeper: subprocess.Popen[bytes]
) -> None:
    seen = proc.see(sleeper.pid)
    assert seen is not None
    former = msgspec.structs.replace(seen, start=seen.start - 1)
    assert not family.signal_below(former, Sending(signal.SIGTERM))
    assert family.signal_below(seen, Sending(signal.SIGUSR1))
    assert sleeper.wait() == -signal.SIGUSR1  # the first that reached it
    assert not family.signal_below(seen, Sending(signal.SIGTERM))


def test_a_child_that_is_dead_and_not_buried_is_not_signalled(
    family: Descendants, sleeper: subprocess.Popen[bytes]
) -> None:
    assert not family.is_dead(sleeper.pid)
    assert family.signal_child(sleeper.pid, Sending(signal.SIGTERM))
    wait_until(lambda: family.is_dead(sleeper.pid))
    assert sleeper.pid in family.children()
    assert not family.signal_child(sleeper.pid, Sending(signal.SIGTERM))
    sleeper.wait()
    assert sleeper.pid not in family.children()
    assert family.is_dead(sleeper.pid)


def test_a_look_without_descriptors_finds_the_children_all_the_same(
    family: Descendants, sleeper: subprocess.Popen[bytes]
) -> None:
    with without_descriptors():
        children = family.children()
        dead = family.is_dead(sleeper.pid)
    assert (sleeper.pid in children, dead) == (True, False)
    assert os.getpid() not in children
