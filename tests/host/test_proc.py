"""What /proc says of processes with several threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.host import proc
from tests.waiting import wait_until

# A second thread, and no first one any more if it is asked for.
THREADS = (
    "import ctypes, sys, threading, time;"
    "threading.Thread(target=time.sleep, args=(7803,)).start();"
    "print('ready', flush=True);"
    "ctypes.CDLL(None).pthread_exit(None) if sys.argv[1:] else time.sleep(7803)"
)


@pytest.fixture(params=[True, False], ids=["without its first thread", "whole"])
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-c", THREADS, *["headless"] * request.param]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={"X": "1"}) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == b"ready\n"
        if request.param:
            stat = Path(f"/proc/{made.pid}/stat")
            wait_until(lambda: ") Z " in stat.read_text(encoding="ascii"))
        yield made
        made.kill()


def test_all_threads_of_a_process_are_looked_at(process: subprocess.Popen[bytes]) -> None:
    threads = proc._threads(process.pid)
    assert threads is not None
    assert (len(threads), process.pid in threads) == (2, True)
    assert not proc.is_dying(process.pid)
    assert proc.see(process.pid) is not None


def test_the_environment_is_that_of_whatever_thread_there_is(
    process: subprocess.Popen[bytes],
) -> None:
    assert proc.environment(process.pid)["X"] == "1"
