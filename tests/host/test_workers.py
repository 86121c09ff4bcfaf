from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mosha.errors import BugError, HostError
from mosha.host.clock import boottime
from mosha.host.workers import GRACE_MAX_S, HungError, NoThreadError, Worker, reason
from tests.monitor.trouble import no_thread_to_be_had
from tests.waiting import pass_until, until

ROOT = Path(__file__).parents[2]
LIMIT_S = 0.05
LONG_S = 30.0


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    made = Worker("tested")
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def answer(gate: threading.Event, text: str) -> str:
    gate.wait()
    return text


async def test_a_call_returns_what_the_function_returns(worker: Worker) -> None:
    assert await worker.call(divmod, 7, 2, limit_s=LONG_S) == (3, 1)
    assert worker.busy is None


async def test_a_call_raises_what_the_function_raises(worker: Worker) -> None:
    with pytest.raises(FileNotFoundError):
        await worker.call(Path("/nowhere").stat, limit_s=LONG_S)
    assert await worker.call(abs, -1, limit_s=LONG_S) == 1


async def test_all_calls_are_done_in_one_thread_that_is_not_the_loop(worker: Worker) -> None:
    first = await worker.call(threading.get_ident, limit_s=LONG_S)
    assert first != threading.get_ident()
    assert await worker.call(threading.get_ident, limit_s=LONG_S) == first


async def test_what_was_given_up_before_its_thread_began_is_never_done(worker: Worker) -> None:
    await worker.call(int, limit_s=LONG_S)  # its thread waits for the next call
    done: list[int] = []
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(LONG_S)  # it does not get its turn meanwhile
    try:
        with pytest.raises(HungError):
            await worker.call(done.append, 1, limit_s=0.0)
    finally:
        sys.setswitchinterval(before_s)
    await worker.call(int, limit_s=LONG_S)
    assert done == []


async def test_a_call_for_which_there_is_no_thread_counts_as_hung_and_the_next_one_tries_again(
    worker: Worker,
) -> None:
    with no_thread_to_be_had():
        for _ in range(2):
            with pytest.raises(NoThreadError, match=r"^tested: can't start new thread$") as caught:
                await worker.call(abs, -1, limit_s=LONG_S)
            assert isinstance(caught.value, HungError), "who waits for the one forgets the other"
            assert worker.busy is None
    assert await worker.call(abs, -1, limit_s=LONG_S) == 1


async def test_a_call_that_hangs_is_given_up_and_the_thread_stays_busy(
    worker: Worker, gate: threading.Event
) -> None:
    began = boottime()
    with pytest.raises(HungError, match="tested: no answer for"):
        await worker.call(answer, gate, "late", limit_s=LIMIT_S)
    assert boottime() - began >= 2 * LIMIT_S
    assert worker.busy is not None
    assert began <= worker.busy <= boottime()


async def test_a_hung_call_is_the_fault_of_the_host() -> None:
    assert issubclass(HungError, HostError)


async def test_a_late_result_is_dropped_and_the_next_call_gets_its_own(
    worker: Worker, gate: threading.Event
) -> None:
    with pytest.raises(HungError):
        await worker.call(answer, gate, "late", limit_s=LIMIT_S)
    gate.set()
    await until(lambda: worker.busy is None)
    assert await worker.call(answer, gate, "mine", limit_s=LONG_S) == "mine"


async def test_a_call_waits_for_an_abandoned_one_to_come_back(
    worker: Worker, gate: threading.Event
) -> None:
    with pytest.raises(HungError):
        await worker.call(answer, gate, "late", limit_s=LIMIT_S)
    asyncio.get_running_loop().call_soon(gate.set)
    assert await worker.call(answer, gate, "mine", limit_s=LONG_S) == "mine"


async def test_a_call_behind_an_abandoned_one_is_never_begun_if_its_limit_passes(
    worker: Worker, gate: threading.Event
) -> None:
    done: list[str] = []
    with pytest.raises(HungError):
        await worker.call(answer, gate, "late", limit_s=LIMIT_S)
    with pytest.raises(HungError):
        await worker.call(done.append, "never", limit_s=LIMIT_S)
    gate.set()
    await worker.call(done.append, "last", limit_s=LONG_S)
    assert done == ["last"]


async def test_a_cancelled_call_leaves_the_thread_busy(
    worker: Worker, gate: threading.Event
) -> None:
    task = asyncio.create_task(worker.call(answer, gate, "late", limit_s=LONG_S))
    await until(lambda: worker.busy is not None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.busy is not None
    gate.set()
    await worker.free(limit_s=LONG_S)
    assert worker.busy is None


async def test_calls_take_turns(worker: Worker) -> None:
    inside: list[int] = []

    def alone(number: int) -> int:
        inside.append(number)
        assert len(inside) == 1
        inside.remove(number)
        return number

    calls = (worker.call(alone, n, limit_s=LONG_S) for n in range(20))
    assert await asyncio.gather(*calls) == list(range(20))


async def test_a_hung_worker_does_not_hinder_another(worker: Worker, gate: threading.Event) -> None:
    other = Worker("other")
    with pytest.raises(HungError):
        await worker.call(answer, gate, "late", limit_s=LIMIT_S)
    assert await other.call(abs, -1, limit_s=LONG_S) == 1
    other.close()


async def test_the_thread_of_a_closed_worker_ends() -> None:
    worker = Worker("short-lived")
    await worker.call(abs, -1, limit_s=LONG_S)
    (thread,) = [t for t in threading.enumerate() if t.name == "short-lived"]
    worker.close()
    worker.close()
    await until(lambda: not thread.is_alive())
    with pytest.raises(BugError):
        await worker.call(abs, -1, limit_s=LONG_S)


HANGS = """
import asyncio, threading
from mosha.host.workers import HungError, Worker

async def main():
    try:
        await Worker("hangs").call(threading.Event().wait, limit_s=0.01)
    except HungError:
        print("hung", flush=True)

asyncio.run(main())
"""


def test_the_interpreter_ends_without_waiting_for_a_hung_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        cwd=ROOT,
        capture_output=True,
        timeout=LONG_S,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"hung\n", b"")


PAUSED_LIMIT_S = 0.5
# After the pause the call still takes a moment: less than the grace.
PAUSED = f"""
import asyncio, sys, threading
from mosha.host.workers import HungError, Worker

def read():
    print("reading", flush=True)
    line = sys.stdin.readline()
    threading.Event().wait({GRACE_MAX_S / 5})
    return line

async def main():
    try:
        print(await Worker("paused").call(read, limit_s={PAUSED_LIMIT_S}), flush=True)
    except HungError:
        print("hung", flush=True)

asyncio.run(main())
"""


def test_a_process_that_was_stopped_does_not_take_its_own_pause_for_a_hang() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PAUSED],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == b"reading\n"
            child.send_signal(signal.SIGSTOP)
            child.stdin.write(b"answer\n")
            pass_until(boottime() + 2 * PAUSED_LIMIT_S)
            child.send_signal(signal.SIGCONT)
            assert child.stdout.readline() == b"answer\n"
        finally:
            child.kill()


def test_the_reason_of_a_call_that_hung_is_the_same_each_time() -> None:
    for seconds in ("1.2", "3.4"):
        error = HungError(f"reader of node 3: no answer for {seconds} s")
        assert reason(error) == "no answer from the file system"
    unstarted = NoThreadError("reader of node 3: can't start new thread")
    assert reason(unstarted).startswith("no thread can be started")
    assert reason(FileNotFoundError(2, "No such file")) == "No such file"
    assert reason(HostError("in words")) == "in words"
