"""What children write becomes log lines, and none of them disturbs anything by it."""

from __future__ import annotations

import os
import select
import time
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.clinit import output
from mosha.clinit.output import LINE_MAX_BYTES, LINES_PER_S_MAX, Output
from mosha.clinit.process_tracker import EntryKey
from mosha.control.protocol import Hello
from mosha.core.status import GroupState
from mosha.core.supervision.entries import trouble_text, troubles
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.clinit.test_processes import pids_of
from tests.waiting import pass_until, until, wait_until


def test_stdout_and_stderr_become_log_lines_before_the_news_of_the_exit(start: Start) -> None:
    d = start("g:a:1:wait:echo one; echo two >&2; printf three\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: d.log("entry_exited"))
    pid = d.log("entry_exited")[0]["pid"]
    lines = d.log("output")
    assert {(line["stream"], line["text"]) for line in lines} == {
        *(("stdout", "one"), ("stderr", "two"), ("stdout", "three")),
    }
    assert {(line["group"], line["tag"], line["pid"]) for line in lines} == {("g", "a", pid)}
    events = [line["event"] for line in d.log()]
    assert max(i for i, e in enumerate(events) if e == "output") < events.index("entry_exited")


def test_the_last_lines_are_in_the_report_and_a_failed_test_says_what_it_printed(
    start: Start,
) -> None:
    d = start("g:t:1:test:echo fine; echo 'no such port' >&2; exit 1\n")
    d.tell("g", "1")
    d.wait_for("1 FAILED")
    found = d.group("g")
    assert found.cause == "test entry t: exit 1: no such port"
    (entry,) = found.entries
    assert (entry.exit, entry.said[-1]) == ("exit 1", "no such port")


def test_a_long_line_comes_in_pieces_and_bytes_are_shown_as_such(start: Start) -> None:
    d = start("g:a:1:wait:head -c 20000 /dev/zero | tr '\\0' x; echo; printf '\\377\\n'\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: len(d.log("output")) == 4)
    sizes = [len(line["text"]) for line in d.log("output")[:3]]
    assert sizes == [LINE_MAX_BYTES, LINE_MAX_BYTES, 20000 - 2 * LINE_MAX_BYTES]
    assert d.log("output")[3]["text"] == "\\xff"


def test_letters_of_several_bytes_are_never_cut_in_two(start: Start) -> None:
    # The first piece ends within a letter, wherever the pipe is read.
    d = start("g:a:1:wait:printf x; for i in $(seq 6000); do printf '\\303\\251'; done; echo\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: sum(len(line["text"]) for line in d.log("output")) >= 6001)
    texts = [line["text"] for line in d.log("output")]
    assert "".join(texts) == "x" + "\u00e9" * 6000


def test_a_flood_is_cut_and_counted_and_does_not_disturb_anybody(start: Start) -> None:
    d = start(
        "g:a:1:respawn:exec yes\ng:b:1:respawn:exec cat /dev/zero\nh:c:1:wait:echo fine >> {OUT}\n"
    )
    began = time.monotonic()
    d.tell("g", "1")
    wait_until(lambda: d.log("output_dropped"))
    waited = []
    for _ in range(20):
        begin = time.monotonic()
        assert d.ask(Hello()).ok
        waited.append(time.monotonic() - begin)
    assert sorted(waited)[10] < 1.0
    d.tell("h", "1")
    d.wait_for("1 DONE", "h")
    assert d.lines() == ["fine"]
    wait_until(lambda: any(line.get("tag") == "a" for line in d.log("output_dropped")))
    dropped = next(line for line in d.log("output_dropped") if line.get("tag") == "a")
    assert dropped["group"] == "g"
    assert dropped["lines"] > LINES_PER_S_MAX
    # In JSON a zero byte has six characters.
    most = 6 * LINES_PER_S_MAX * LINE_MAX_BYTES * (time.monotonic() - began + 2)
    assert d.stderr.stat().st_size < most


def test_a_leftover_that_holds_the_pipe_delays_nothing_and_is_still_heard(start: Start) -> None:
    d = start("g:a:1:wait:(sleep 0.5; echo late; exec sleep 7401) & echo early\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert [line["text"] for line in d.log("output")] == ["early"]
    wait_until(lambda: [line["text"] for line in d.log("output")] == ["early", "late"])
    assert pids_of("sleep 7401")


def test_a_child_that_closes_its_output_costs_nothing(start: Start) -> None:
    d = start("g:a:1:respawn:exec >&- 2>&-; exec sleep 7402\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    wait_until(lambda: pids_of("sleep 7402"))

    def cpu_ticks() -> int:
        fields = Path(f"/proc/{d.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = cpu_ticks()
    pass_until(boottime() + 0.5)
    assert cpu_ticks() - before <= 10
    assert d.pid_of("a") == pid


def test_what_a_failed_run_said_is_kept_beside_what_the_next_one_prints(start: Start) -> None:
    d = start(
        "g:a:1:respawn:echo x >> {OUT}; if [ $(wc -l < {OUT}) -le 3 ]; then echo broken; exit 4;"
        " fi; echo all is well; exec sleep 7121\n"
    )
    d.tell("g", "1")
    wait_until(partial(_has_printed, d, "all is well"))
    found = d.entry("a")
    assert (found.exit, found.exit_said, found.failures) == ("exit 4", "broken", 3)
    (trouble,) = troubles((found,), "1", GroupState.DONE, None, boottime())
    assert trouble_text(trouble) == "entry a keeps failing, 3 restarts: exit 4: broken"


def _has_printed(d: Daemon, line: str) -> bool:
    return line in d.entry("a").said


def test_the_last_lines_are_those_of_the_claim_under_which_the_entry_runs(start: Start) -> None:
    d = start("g:a:1:respawn:echo under $MOSHA_TOKEN; exec sleep 7120\n")
    for term in (4, 7):
        now = boottime()
        d.tell("g", "1", term=term, stop_at=now + 60, kill_at=now + 90)
        wait_until(partial(_has_printed, d, f"under {term}"))
        assert d.entry("a").said == (f"under {term}",)
        d.tell("g", "stop")
        d.wait_for("stop DONE")


def test_pipes_do_not_pile_up(start: Start) -> None:
    d = start("g:a:1:respawn:true\n", limits={"haste_s": 0.0})
    d.tell("g", "1")
    wait_until(lambda: d.entry("a").starts > 10)
    counts = {len(os.listdir(f"/proc/{d.pid}/fd")) for _ in range(50)}  # noqa: PTH208
    wait_until(lambda: d.entry("a").starts > 200)
    counts2 = {len(os.listdir(f"/proc/{d.pid}/fd")) for _ in range(50)}  # noqa: PTH208
    assert max(counts2) <= max(counts) + 4


def test_a_log_that_nobody_reads_does_not_stop_clinit(start: Start) -> None:
    d = start("g:a:1:respawn:exec yes\n")
    d.end()
    reading, writing = os.pipe()
    try:
        d.stderr.unlink()
        d.stderr.symlink_to(f"/proc/{os.getpid()}/fd/{writing}")
        d.start()
        d.tell("g", "1")
        wait_until(lambda: not select.select([], [writing], [], 0)[1])  # until it is full
        assert d.ask(Hello()).ok
        d.tell("g", "stop")
        d.wait_for("stop DONE")
    finally:
        d.end()
        os.close(reading)
        os.close(writing)


async def test_after_a_flood_an_entry_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "BYTES_PER_S_MAX", 1000)
    made = Output(EntryKey("g", "a"))
    (out, writer), (err, other) = os.pipe(), os.pipe()
    for fd in (out, err):
        os.set_blocking(fd, False)
    made.follow(1, out, err)
    with capture_logs() as log:
        os.write(writer, b"flood" * 300 + b"\n")
        await until(lambda: made._full)
        os.write(writer, b"later\n")
        os.write(other, b"this too\n")
        await until(lambda: not made._full)
        await until(lambda: len(log) == 3)
    assert {line["text"] for line in log[1:]} == {"later", "this too"}
    made.close()
    os.close(writer)
    os.close(other)


async def test_of_many_runs_that_left_something_the_oldest_are_read_no_more() -> None:
    made = Output(EntryKey("g", "a"))
    others: list[int] = []
    for pid in range(output.RUNS_MAX + 3):
        ends = os.pipe(), os.pipe()
        others += [writer for _, writer in ends]
        made.follow(pid, ends[0][0], ends[1][0])
    assert {pipe.pid for pipe in made._pipes} == set(range(3, output.RUNS_MAX + 3))
    made.close()
    for fd in others:
        os.close(fd)
