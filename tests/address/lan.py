"""Two hosts and a client on one switch, and what there is to see of an address on them."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mosha.address.lease import LEASE_VARIABLE, NOTE
from mosha.host.programs import command_of
from tests.waiting import LIMIT_S, wait_until
from tests.web import presence
from tests.web.network import INTERFACE, Host, enter_network

IPV4, IPV6 = "192.0.2.80", "2001:db8::80"
NOBODY = "0.0.0.0"  # noqa: S104 - what a probe has for its sender
PLAIN = {IPV4: 24, IPV6: 64}
ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
TEXT_MAX_BYTES = 4096


def addresses(host: Host, address: str) -> list[dict[str, Any]]:
    """Return what ip(8) shows of an address: on which interfaces, and with which lifetime."""
    words = [*host.within, "ip", "-json", "address", "show", "to", address]
    shown = subprocess.run(words, capture_output=True, check=True, timeout=LIMIT_S)
    found = json.loads(shown.stdout)
    return [
        {"ifname": link["ifname"], **info}
        for link in found
        if link
        for info in link["addr_info"]
        if info.get("local") == address
    ]


def is_there(host: Host, address: str) -> bool:
    return bool(addresses(host, address))


def mac_of(host: Host) -> str:
    words = [*host.within, "ip", "-json", "link", "show", INTERFACE]
    shown = subprocess.run(words, capture_output=True, check=True, timeout=LIMIT_S)
    mac: str = json.loads(shown.stdout)[0]["address"]
    return mac


@contextmanager
def listening(host: Host, protocol: int) -> Iterator[socket.socket]:
    """Yield a socket that gets all packets of a protocol that come to a host."""
    made: list[socket.socket] = []

    def make() -> None:
        enter_network(host.namespace)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        made.append(socket.socket(socket.AF_PACKET, kind, socket.htons(protocol)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    with made[0] as listener:
        listener.settimeout(LIMIT_S)
        yield listener


def arp(listener: socket.socket, target: str) -> tuple[str, str]:
    """Return who sends the next ARP packet about an address: its hardware and its own address."""
    while True:
        packet = listener.recv(TEXT_MAX_BYTES)[14:]
        mac, sender, asked = struct.unpack_from("!8x6s4s6x4s", packet)
        if socket.inet_ntoa(asked) == target:
            return mac.hex(":"), socket.inet_ntoa(sender)


def advertised(listener: socket.socket, target: str) -> str:
    """Return the hardware address in the next unsolicited advertisement of an IPv6 address."""
    while True:
        packet = listener.recv(TEXT_MAX_BYTES)[14:]
        if packet[6] != socket.IPPROTO_ICMPV6 or packet[40] != 136:
            continue
        flags, address, option, mac = struct.unpack_from("!4xI16sH6s", packet, 40)
        if socket.inet_ntop(socket.AF_INET6, address) == target:
            assert (flags, option) == (0x20000000, 0x0201)
            return str(mac.hex(":"))


@dataclass
class Presence:
    """When an address came to a host, and when it went. A context."""

    host: Host
    address: str
    path: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        words = [sys.executable, presence.__file__, self.address, "1", str(self.path), "0.02"]
        self._process = subprocess.Popen([*self.host.within, *words], stdin=subprocess.PIPE)
        wait_until(self.changes)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def changes(self) -> list[tuple[float, bool]]:
        """Return the moments (boottime), and whether it was there from then on."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        words = [line.split() for line in lines]
        return [(float(when), here == "yes") for when, _, here in words]

    def gone_at(self) -> float:
        """Return when it was seen last before it went for the last time, once it has."""

        def gone() -> list[tuple[float, bool]]:
            found = self.changes()
            return found[-1:] if any(here for _, here in found) and not found[-1][1] else []

        return wait_until(gone)[0][0]


class Holding:
    """A holder on a host; it is ended in any case."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self._lease = directory / "lease"
        self._address = directory / "notify"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(self._address))
        self._notified.settimeout(LIMIT_S)
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self._notified.close()

    def lease(self, kill_at: float) -> None:
        """Let a lease that was once a minute long be until then, as clinit does."""
        self._lease.write_bytes(NOTE.pack(kill_at, 60.0))

    def start(self, *words: str, by: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start one with these words of its command line; `by` is a program that executes it."""
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._address)}
        if self._lease.exists():
            environment[LEASE_VARIABLE] = str(self._lease)
        process = subprocess.Popen(
            [*self.host.within, *by, *command_of("mosha.address.holder"), *words],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def held(self, address: str) -> subprocess.Popen[str]:
        """Start one that holds an address; return when it is ready."""
        process = self.start(f"{address}/{PLAIN[address]}", INTERFACE)
        assert self.heard().startswith("READY=1\n")
        return process

    def heard(self) -> str:
        """Return the next message to the service manager."""
        return self._notified.recv(TEXT_MAX_BYTES).decode()


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Return how a holder ended, and what it said."""
    _, said = process.communicate(timeout=LIMIT_S)
    return process.returncode, said.splitlines()
