"""The holder of an address, in a network of its own: from the look for a duplicate to the end."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mosha.address import holder
from mosha.address.lifetime import LATE_S, LIFETIME_S
from mosha.core.agent_exits import FAILED, STOP_FAILED, STOPPED_WELL, UNUSABLE_HERE
from mosha.host.clock import boottime
from mosha.host.programs import PACKAGES
from tests.address.lan import (
    ETH_P_ARP,
    ETH_P_IPV6,
    IPV4,
    IPV6,
    NOBODY,
    PLAIN,
    Holding,
    Presence,
    addresses,
    advertised,
    arp,
    ended,
    is_there,
    listening,
    mac_of,
)
from tests.waiting import wait_until
from tests.web.network import CLIENT, INTERFACE, Host, Network

pytestmark = pytest.mark.root("network namespaces")

LINK = "link0"

BOTH = pytest.mark.parametrize("address", [IPV4, IPV6])


def add_link(host: Host) -> None:
    """Add another interface to a host: one end of a cable, whose other end it has too."""
    host.do("ip", "link", "add", LINK, "up", "type", "veth", "peer", "link1")
    host.do("ip", "link", "set", "link1", "up")


@BOTH
def test_it_is_there_when_it_is_ready_and_gone_when_it_has_ended(
    holding: Holding, host: Host, address: str
) -> None:
    process = holding.held(address)
    (shown,) = addresses(host, address)
    assert (shown["ifname"], shown["prefixlen"]) == (INTERFACE, PLAIN[address])
    assert 0 < shown["valid_life_time"] <= LIFETIME_S
    assert not shown.get("tentative")
    process.terminate()
    assert ended(process) == (STOPPED_WELL, [])
    assert not is_there(host, address)


def test_a_label_is_that_of_ip(holding: Holding, host: Host) -> None:
    holding.start(f"{IPV4}/32", INTERFACE, "eth0:web")
    assert holding.heard().startswith("READY=1")
    assert addresses(host, IPV4)[0]["label"] == "eth0:web"


@BOTH
def test_who_has_it_already_is_named(
    holding: Holding, host: Host, other: Host, address: str
) -> None:
    unchecked = ["nodad"] if address == IPV6 else []
    other.do("ip", "address", "add", f"{address}/{PLAIN[address]}", "dev", INTERFACE, *unchecked)
    status, said = ended(holding.start(f"{address}/{PLAIN[address]}", INTERFACE))
    assert status == FAILED
    assert said == [f"{address} is in use by {mac_of(other)} on {INTERFACE}"]
    assert not is_there(host, address)


def test_a_former_owner_may_lose_it_meanwhile(holding: Holding, other: Host) -> None:
    other.do("ip", "address", "add", f"{IPV4}/24", "dev", INTERFACE)
    with listening(other, ETH_P_ARP) as listener:
        holding.start(f"{IPV4}/24", INTERFACE)
        assert arp(listener, IPV4) == (mac_of(holding.host), NOBODY), "a probe: RFC 5227"
    other.do("ip", "address", "delete", f"{IPV4}/24", "dev", INTERFACE)
    assert holding.heard().startswith("READY=1")


def test_told_to_stop_it_looks_for_no_duplicate_any_more(
    holding: Holding, host: Host, other: Host
) -> None:
    other.do("ip", "address", "add", f"{IPV4}/24", "dev", INTERFACE)
    with listening(other, ETH_P_ARP) as listener:
        process = holding.start(f"{IPV4}/24", INTERFACE)
        assert arp(listener, IPV4) == (mac_of(host), NOBODY)
    process.terminate()
    assert ended(process) == (STOPPED_WELL, [])
    assert not is_there(host, IPV4)


def test_without_the_right_to_ask_the_network_it_cannot_run_here(holding: Holding) -> None:
    process = holding.start(f"{IPV4}/24", INTERFACE, by=["setpriv", "--bounding-set=-net_raw"])
    told = f"cannot hold {IPV4}/24 on {INTERFACE}: Operation not permitted"
    assert ended(process) == (UNUSABLE_HERE, [told])


def test_its_own_packets_that_come_back_are_no_duplicate(
    holding: Holding, host: Host, other: Host
) -> None:
    """As by a loop in the network, or by a bond that hears its own broadcasts."""
    mac, address = bytes.fromhex(mac_of(host).replace(":", "")), socket.inet_aton(IPV4)
    back = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, mac, address, mac, address)
    frame = b"\xff" * 6 + mac + struct.pack("!H", ETH_P_ARP) + back
    with listening(other, ETH_P_ARP) as listener:
        holding.start(f"{IPV4}/24", INTERFACE)
        for _ in range(holder.PROBES):
            assert arp(listener, IPV4) == (mac_of(host), NOBODY)
            listener.sendto(frame, (INTERFACE, 0))
        assert arp(listener, IPV4) == (mac_of(host), IPV4), "it has the address"
    assert holding.heard().startswith("READY=1")


def test_all_neighbours_are_told_several_times(holding: Holding, network: Network) -> None:
    mac = mac_of(holding.host)
    with listening(network.hosts[CLIENT], ETH_P_ARP) as listener:
        holding.held(IPV4)
        heard = [arp(listener, IPV4) for _ in range(holder.PROBES + 3)]
    assert heard == [(mac, NOBODY)] * holder.PROBES + [(mac, IPV4)] * 3


def test_all_neighbours_are_told_of_an_ipv6_address_too(holding: Holding, network: Network) -> None:
    with listening(network.hosts[CLIENT], ETH_P_IPV6) as listener:
        holding.held(IPV6)
        told = [advertised(listener, IPV6) for _ in range(3)]
    assert told == [mac_of(holding.host)] * 3


@BOTH
def test_what_somebody_removes_is_added_again_and_announced(
    holding: Holding, host: Host, network: Network, address: str
) -> None:
    process = holding.held(address)
    with listening(network.hosts[CLIENT], ETH_P_ARP) as listener:
        host.do("ip", "address", "delete", f"{address}/{PLAIN[address]}", "dev", INTERFACE)
        text = f"{address}/{PLAIN[address]} on {INTERFACE} was removed: added again"
        assert holding.heard() == f"STATUS={text}"
        wait_until(lambda: is_there(host, address))
        if address == IPV4:
            assert arp(listener, IPV4) == (mac_of(host), IPV4)
    process.terminate()
    assert ended(process) == (STOPPED_WELL, [text])


@BOTH
def test_it_is_kept_when_its_interface_is_set_down_and_up(
    holding: Holding, host: Host, address: str
) -> None:
    process = holding.held(address)
    host.do("ip", "link", "set", INTERFACE, "down")
    assert holding.heard() == f"STATUS={INTERFACE} is down"
    host.do("ip", "link", "set", INTERFACE, "up")
    wait_until(lambda: holding.heard() == f"STATUS={INTERFACE} can be used again")
    wait_until(lambda: is_there(host, address))
    process.terminate()
    assert ended(process)[0] == STOPPED_WELL


def test_an_interface_that_was_down_for_a_moment_ends_nothing_afterwards(
    holding: Holding, host: Host
) -> None:
    holding.lease(boottime() + holder.LINK_LIMIT_S + 2.0)
    process = holding.held(IPV4)
    host.do("ip", "link", "set", INTERFACE, "down")
    assert holding.heard() == f"STATUS={INTERFACE} is down"
    host.do("ip", "link", "set", INTERFACE, "up")
    wait_until(lambda: holding.heard() == f"STATUS={INTERFACE} can be used again")
    status, said = ended(process)
    assert (status, said[-1]) == (FAILED, "its lease has ended")


def test_it_is_announced_again_when_the_cable_is_plugged_in_again(
    holding: Holding, network: Network
) -> None:
    with listening(network.hosts[CLIENT], ETH_P_ARP) as listener:
        holding.held(IPV4)
        while arp(listener, IPV4)[1] == NOBODY:
            pass
        for _ in holder.ANNOUNCED_AFTER_S[1:]:
            arp(listener, IPV4)
        network.plug(1, into=False)
        assert holding.heard() == f"STATUS={INTERFACE} is without carrier"
        network.plug(1, into=True)
        assert holding.heard() == f"STATUS={INTERFACE} can be used again"
        assert arp(listener, IPV4) == (mac_of(holding.host), IPV4)


def test_it_comes_back_with_its_interface(holding: Holding, host: Host) -> None:
    add_link(host)
    holding.start(f"{IPV4}/32", LINK)
    assert holding.heard().startswith("READY=1")
    host.do("ip", "link", "delete", LINK)
    assert holding.heard() == f"STATUS={LINK} is missing"
    add_link(host)
    wait_until(lambda: is_there(host, IPV4))


def test_with_an_interface_that_stays_down_it_fails(holding: Holding, host: Host) -> None:
    host.do("ip", "link", "set", INTERFACE, "down")
    process = holding.start(f"{IPV4}/24", INTERFACE)
    assert holding.heard() == f"STATUS={INTERFACE} is down"
    assert ended(process) == (FAILED, [f"{INTERFACE} is down"] * 2)


def test_one_that_was_frozen_says_that_it_has_not_renewed_its_address(
    holding: Holding, host: Host
) -> None:
    process = holding.held(IPV4)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not is_there(host, IPV4))
    process.send_signal(signal.SIGCONT)
    text = f"{IPV4}/24 on {INTERFACE} was not renewed in time: added again"
    assert holding.heard() == f"STATUS={text}"
    wait_until(lambda: is_there(host, IPV4))


def test_without_an_interface_it_fails(holding: Holding) -> None:
    process = holding.start(f"{IPV4}/32", "nic7")
    assert holding.heard() == "STATUS=nic7 is missing"
    assert ended(process) == (FAILED, ["nic7 is missing", "nic7 is missing"])


def test_an_address_that_somebody_has_made_to_last_is_removed_all_the_same(
    holding: Holding, host: Host
) -> None:
    process = holding.held(IPV4)
    for_ever = ("valid_lft", "forever", "preferred_lft", "forever")
    host.do("ip", "address", "change", f"{IPV4}/24", "dev", INTERFACE, *for_ever)
    process.terminate()
    assert ended(process) == (STOPPED_WELL, [])
    assert not is_there(host, IPV4)


def test_a_stop_that_leaves_the_address_has_failed(holding: Holding, host: Host) -> None:
    process = holding.held(IPV4)
    # With a peer it is another address for the kernel, which is not the one that is removed.
    lifetime = ("valid_lft", "5", "preferred_lft", "5")
    host.do("ip", "address", "add", IPV4, "peer", "198.51.100.1/32", "dev", INTERFACE, *lifetime)
    process.terminate()
    text = f"{IPV4}/24 on {INTERFACE} is still there after it was removed"
    assert ended(process) == (STOP_FAILED, [text])


def test_the_next_one_takes_over_what_a_killed_one_has_left(
    holding: Holding, host: Host, short_dir: Path
) -> None:
    with Presence(host, IPV4, short_dir / "presence") as presence:
        first = holding.held(IPV4)
        first.kill()
        first.wait()
        second = holding.held(IPV4)
        assert [here for _, here in presence.changes()] == [False, True]
        second.terminate()
        text = f"{IPV4}/24 on {INTERFACE} was left by an earlier process: taken over"
        assert ended(second) == (STOPPED_WELL, [text])


def test_what_was_left_elsewhere_is_removed(holding: Holding, host: Host) -> None:
    add_link(host)
    lifetime = ("valid_lft", "5", "preferred_lft", "5")
    host.do("ip", "address", "add", f"{IPV4}/24", "dev", LINK, *lifetime)
    holding.held(IPV4)
    assert [shown["ifname"] for shown in addresses(host, IPV4)] == [INTERFACE]


def test_an_address_of_the_administrator_is_refused_and_stays(holding: Holding, host: Host) -> None:
    host.do("ip", "address", "add", f"{IPV4}/24", "dev", INTERFACE)
    status, said = ended(holding.start(f"{IPV4}/32", INTERFACE))
    assert status == UNUSABLE_HERE
    text = (
        f"{IPV4} was configured on {INTERFACE} by somebody else: remove it (ip address delete"
        f" {IPV4}/24 dev {INTERFACE}), and what configures it at boot"
    )
    assert said == [text]
    assert len(addresses(host, IPV4)) == 1


@BOTH
def test_frozen_it_has_lost_its_address_when_clinit_would_kill_it(
    holding: Holding, host: Host, short_dir: Path, address: str
) -> None:
    kill_at = boottime() + (6.0 if address == IPV6 else 5.0)  # the longest lifetime is too long
    holding.lease(kill_at)
    with Presence(host, address, short_dir / "presence") as presence:
        holding.held(address).send_signal(signal.SIGSTOP)
        assert presence.gone_at() <= kill_at


def test_without_another_lease_the_lifetime_ends_before_that(
    holding: Holding, host: Host, short_dir: Path
) -> None:
    kill_at = boottime() + 5.0
    holding.lease(kill_at)
    with Presence(host, IPV4, short_dir / "presence") as presence:
        process = holding.held(IPV4)
        status, said = ended(process)
        assert kill_at - LATE_S - 1.0 <= presence.gone_at() <= kill_at
    assert (status, said[-1]) == (FAILED, "its lease has ended")


def test_with_too_short_a_lease_it_waits_and_adds_nothing(holding: Holding, host: Host) -> None:
    holding.lease(boottime() + LATE_S + 0.9)
    process = holding.start(f"{IPV4}/24", INTERFACE)
    assert holding.heard() == "STATUS=waits for a lease that lasts long enough"
    assert not is_there(host, IPV4)
    assert ended(process) == (FAILED, ["its lease has ended"])


def test_a_lease_that_is_renewed_keeps_it(holding: Holding, host: Host, short_dir: Path) -> None:
    holding.lease(boottime() + 5.0)
    with Presence(host, IPV4, short_dir / "presence") as presence:
        holding.held(IPV4)
        (first,) = addresses(host, IPV4)
        assert first["valid_life_time"] <= 3
        holding.lease(boottime() + 60.0)
        wait_until(lambda: addresses(host, IPV4)[0]["valid_life_time"] > 3)
        assert [here for _, here in presence.changes()] == [False, True]


def test_words_that_are_no_address_are_wrong_usage(holding: Holding) -> None:
    status, said = ended(holding.start("192.0.2/24", INTERFACE))
    assert status == UNUSABLE_HERE
    assert said == ["not an address: '192.0.2'; write ADDRESS/PREFIX INTERFACE [LABEL]"]


def test_it_imports_little() -> None:
    program = (
        f"import sys; sys.path.append({PACKAGES!r}); import mosha.address.holder\n"
        "from mosha.address.messages import address_message; address_message()\n"
        "print(*sys.modules)"
    )
    words = [sys.executable, "-P", "-c", program]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert "pyroute2.netlink.rtnl.ifaddrmsg" in loaded
    heavy = {"asyncio", "anyio", "msgspec", "subprocess", "pyroute2.iproute"}
    assert not heavy & set(loaded)
