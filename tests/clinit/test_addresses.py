"""Entries of mode `address` in a real clinit: the lease it hands on, and what a kill has left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.clinit.held_addresses import ADDRESSES
from mosha.control.protocol import Lease
from mosha.host.clock import boottime
from tests.address.lan import IPV4, Presence, addresses, is_there
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.waiting import pass_until, wait_until
from tests.web.network import INTERFACE, Host

pytestmark = pytest.mark.root("network namespaces")

TABLE = f"""\
g:ip:1:address:{IPV4}/24 dev {INTERFACE}
g:b:1:respawn:exec sleep 7411
"""
KILLED = TABLE.replace("address:", "address(stop=KILL):")


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose interface leads to another one of it."""
    made = Host.make()
    try:
        made.do("ip", "link", "add", INTERFACE, "up", "type", "veth", "peer", "link1")
        made.do("ip", "link", "set", "link1", "up")
        yield made
    finally:
        made.end()


@pytest.fixture
def started(host: Host, start_in: Start) -> Start:
    """Start a clinit in the network of the host; return when the group is at level 1."""

    def with_cltab(text: str = TABLE, *, lease_s: float = 0.0) -> Daemon:
        d = start_in(text, network=host.namespace)
        end = boottime() + lease_s
        told = {"term": 7, "stop_at": end, "kill_at": end} if lease_s else {}
        assert d.tell("g", "1", **told).ok
        d.wait_for("1 DONE")
        return d

    return with_cltab


def kill_at(d: Daemon) -> float:
    """Return when the group is killed unless its lease is renewed."""
    (end,) = filter(None, [d.group().kill_at])
    return end


def test_a_group_has_its_address_while_it_runs(started: Start, host: Host) -> None:
    d = started()
    assert is_there(host, IPV4)
    assert d.entry("ip").status == f"{IPV4}/24 on {INTERFACE} is there"
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert not is_there(host, IPV4)
    assert d.log("address_removed") == [], "by the process that held it"


def test_a_holder_that_is_killed_is_started_again(
    started: Start, host: Host, short_dir: Path
) -> None:
    d = started()
    with Presence(host, IPV4, short_dir / "presence") as presence:
        first = d.pid_of("ip")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: d.entry("ip").ready and d.pid_of("ip") != first)
        assert [here for _, here in presence.changes()] == [True]


def test_a_holder_that_is_frozen_is_killed_and_the_next_one_adds_the_address_again(
    started: Start, host: Host
) -> None:
    d = started()
    first = d.pid_of("ip")
    os.kill(first, signal.SIGSTOP)
    wait_until(lambda: not is_there(host, IPV4))
    wait_until(lambda: is_there(host, IPV4))
    assert [line["pid"] for line in d.log("entry_hung")] == [first]


def test_a_group_has_not_stopped_before_what_a_kill_has_left_is_gone(
    started: Start, host: Host
) -> None:
    d = started(KILLED)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert not is_there(host, IPV4)
    (line,) = d.log("address_removed")
    assert (line["group"], line["tag"]) == ("g", "ip")


def test_a_group_that_is_killed_at_once_has_not_stopped_before_either(
    started: Start, host: Host
) -> None:
    d = started(lease_s=600.0)
    now = boottime()
    d.tell("g", "stop", term=7, stop_at=now, kill_at=now)
    d.wait_for("stop DONE")
    assert not is_there(host, IPV4)


def test_a_shutdown_leaves_no_address(started: Start, host: Host) -> None:
    d = started(KILLED)
    d.shut_down()
    assert d.wait() == 0
    assert not is_there(host, IPV4)
    assert not (d.base / "state" / ADDRESSES).exists()


def test_the_next_clinit_removes_what_was_left_before_it_answers(
    started: Start, host: Host
) -> None:
    d = started()
    d.kill()
    assert is_there(host, IPV4), "its lifetime has not ended"
    d.start(network=host.namespace)
    assert not is_there(host, IPV4)
    assert d.log("address_removed")


def test_what_somebody_has_made_his_own_is_left_and_said(started: Start, host: Host) -> None:
    d = started()
    d.kill()
    host.do("ip", "address", "change", f"{IPV4}/24", "dev", INTERFACE, "valid_lft", "forever")
    d.start(network=host.namespace)
    assert is_there(host, IPV4)
    assert d.log("address_removed") == []
    (line,) = d.log("address_left")
    assert line["address"] == f"{IPV4}/24 on {INTERFACE}"


def test_the_address_of_somebody_else_was_not_removed(start_in: Start, host: Host) -> None:
    host.do("ip", "address", "add", f"{IPV4}/24", "dev", INTERFACE)
    d = start_in(TABLE, network=host.namespace)
    d.tell("g", "1")
    d.wait_for("1 FAILED")
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert is_there(host, IPV4)
    assert d.log("address_removed") == []
    assert [line["tag"] for line in d.log("address_left")] == ["ip"]


def test_an_address_that_cannot_be_read_does_not_keep_clinit_from_starting(
    started: Start, host: Host
) -> None:
    d = started()
    d.kill()
    (d.base / "state" / ADDRESSES).write_bytes(b"nonsense\n\xff\n")
    d.start(network=host.namespace)
    assert [line["address"] for line in d.log("address_not_removed")] == ["nonsense", "\ufffd"]


def test_everything_frozen_has_lost_its_address_at_kill_at(
    started: Start, host: Host, short_dir: Path
) -> None:
    d = started(lease_s=5.0)  # the longest lifetime is too long
    end = kill_at(d)
    with Presence(host, IPV4, short_dir / "presence") as presence:
        holder = d.pid_of("ip")
        for pid in (d.pid, d.fork_server(), holder):
            os.kill(pid, signal.SIGSTOP)
        gone_at = presence.gone_at()
        os.kill(d.fork_server(), signal.SIGCONT)
        d.signal(signal.SIGCONT)
    assert gone_at <= end
    d.wait_for("stop DONE")


def test_a_lease_that_is_renewed_keeps_the_address(
    started: Start, host: Host, short_dir: Path
) -> None:
    d = started(lease_s=4.0)
    first = kill_at(d)
    with Presence(host, IPV4, short_dir / "presence") as presence:
        later = boottime() + 600.0
        d.ask(Lease({"g": (7, later, later)}))
        pass_until(first)
        assert addresses(host, IPV4)[0]["valid_life_time"] > 2
        assert [here for _, here in presence.changes()] == [True]
