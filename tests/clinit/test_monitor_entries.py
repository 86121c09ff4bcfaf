"""Monitors with real processes."""

from __future__ import annotations

from tests.clinit.conftest import Start
from tests.waiting import wait_until

MONITOR = "monitor(interval=1s,timeout=0.3s,failures=2)"


def test_a_group_is_unhealthy_from_so_many_failures_on_until_a_success(start: Start) -> None:
    d = start(
        f"g:m:1:{MONITOR}:test -e {{OUT}}.well || {{ echo no answer; exit 7; }}\n"
        "g:r:1:respawn:exec sleep 8501\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: bool(d.log("monitor_failed")))
    line = d.log("monitor_failed")[0]
    assert (line["group"], line["tag"], line["failures"]) == ("g", "m", 2)
    report = d.entry("m")
    assert (report.exit, report.said[-1], len(report.failed_at)) == ("exit 7", "no answer", 1)
    d.out.with_name(f"{d.out.name}.well").touch()
    wait_until(lambda: bool(d.log("monitor_recovered")))
    assert d.entry("m").failures == 0
    assert [line["tag"] for line in d.log("entry_started")] == ["r"]
    assert d.pid_of("r") == d.log("entry_started")[0]["pid"]


def test_a_monitor_that_hangs_is_ended_and_has_failed(start_in: Start) -> None:
    d = start_in(f"g:m:1:{MONITOR}:sleep 8502 & wait\n")
    d.tell("g", "1")
    wait_until(lambda: bool(d.log("monitor_failed")))
    assert d.entry("m").exit == "timed out after 0.3 s"
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert d.group().alive == 0
