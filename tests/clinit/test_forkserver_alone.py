"""The fork server over a long time: it keeps nothing open, and goes with clinit."""

from __future__ import annotations

import itertools
import os
import resource
import secrets
import subprocess
import sys

import pytest

from mosha.clinit import cgroups, child
from mosha.clinit.descriptors import explained
from mosha.clinit.forker import Forker, LostError
from mosha.core.supervision.process_events import Exit
from tests.clinit.test_faults import needs_cgroups
from tests.clinit.test_forkserver import dismiss, program
from tests.waiting import until, wait_until


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


@needs_cgroups
async def test_it_keeps_no_descriptor_of_the_children_that_it_has_made() -> None:
    own = cgroups.own_cgroup()
    assert own is not None
    place = own / f"test-{secrets.token_hex(4)}"
    place.mkdir()
    forker = Forker(dict(os.environ), "mark", None)
    try:
        await forker.ready.wait()
        before = open_files(forker.pid)
        for _ in range(3):
            made = await child.spawn(forker, ["true"], {}, place)
            await made.died
            made.reap()
            os.close(made.stdout)
            os.close(made.stderr)
        assert open_files(forker.pid) == before
    finally:
        dismiss(forker)
        wait_until(lambda: cgroups.remove(place))


def test_children_keep_what_makes_them_the_first_to_go_when_memory_is_short() -> None:
    text = (
        "from pathlib import Path; from mosha.clinit import forkserver as s;"
        " score = Path('/proc/self/oom_score_adj'); score.write_text('300');"
        " s.take_no_privilege(); print(int(score.read_text()))"
    )
    said = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, check=True)
    assert int(said.stdout) == 300


async def test_a_request_whose_descriptors_do_not_fit_is_refused_and_the_server_lives() -> None:
    forker = Forker(dict(os.environ), "mark", None)
    try:
        await forker.ready.wait()
        held = {int(name) for name in os.listdir(f"/proc/{forker.pid}/fd")}  # noqa: PTH208
        lowest = next(number for number in itertools.count() if number not in held)
        before = resource.prlimit(forker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(forker.pid, resource.RLIMIT_NOFILE, (lowest + 2, before[1]))
        first = forker.pid
        with pytest.raises(OSError, match="Too many open files") as raised:
            await child.spawn(forker, ["true"], {}, None)
        assert not isinstance(raised.value, LostError)
        told = f"the fork server (process {first}) may open {lowest + 2} files (hard limit"
        assert told in explained(raised.value)  # not the limit of clinit
        resource.prlimit(forker.pid, resource.RLIMIT_NOFILE, before)
        made = await child.spawn(forker, ["true"], {}, None)
        await made.died
        assert made.reap() == Exit(0)
        os.close(made.stdout)
        os.close(made.stderr)
        assert forker.pid == first
    finally:
        dismiss(forker)


async def test_none_is_started_any_more_for_a_clinit_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", program("raise SystemExit"))
    forker = Forker(dict(os.environ), "mark", None)
    await until(lambda: forker._closed)
    retry = forker._retry
    assert retry is not None
    dismiss(forker)
    assert retry.cancelled()
