"""Three machines and a client on one switch, each in a network namespace without a name.

A namespace lives as long as a process in it, so each is held by a `cat` that ends with its
standard input: even if this process is killed, no namespace, interface or address stays.
The network of this machine itself is not touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.leftovers import all_pids
from tests.waiting import wait_until

FLOATING = "192.0.2.80"
"""The address that moves; of a range that is kept for documentation (RFC 5737)."""

CLIENT = 254
INTERFACE = "eth0"
LIMIT_S = 10.0
CLONE_NEWNET = 0x40000000
UNSHARE = ("unshare", "--net")
PROGRAMS = {
    "ip": "iproute2",
    "nginx": "nginx-light",
    "arping": "iputils-arping",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Program -> the Debian package that has it."""


class CannotRunError(Exception):
    """This machine lacks something; the message says what, and what to do."""


def address_of(number: int) -> str:
    return f"192.0.2.{number}"


def look_for_what_is_needed() -> None:
    """Raise CannotRunError unless namespaces can be made here and all programs are there."""
    if os.geteuid() != 0:
        raise CannotRunError("needs root, for network namespaces")
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    if missing:
        raise CannotRunError(f"missing; on Debian: apt install {' '.join(sorted(missing))}")
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if tried.returncode:
        told = tried.stderr.decode(errors="replace").strip()
        raise CannotRunError(f"no network namespace can be made here: {told}")


@dataclass(slots=True)
class Host:
    """A network namespace, with mounts of its own if asked for, and all processes in it."""

    holder: subprocess.Popen[bytes]
    own_mounts: bool = False

    @classmethod
    def make(cls, *, own_mounts: bool = False) -> Self:
        holder = subprocess.Popen(
            [*UNSHARE, *(["--mount"] if own_mounts else []), "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        host = cls(holder, own_mounts)
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        if holder.stdout.read(1) != b"\n":  # it echoes as soon as it is in its namespace
            host.end()
            raise CannotRunError("no network namespace can be made here")
        return host

    @property
    def namespace(self) -> str:
        """The path of the namespace."""
        return f"/proc/{self.holder.pid}/ns/net"

    @property
    def within(self) -> list[str]:
        """Return the words that bring a command into the namespace, with the same pid."""
        # Not `ip netns exec`: that mounts another /sys, in which the cgroups are missing.
        mounts = [f"--mount=/proc/{self.holder.pid}/ns/mnt"] if self.own_mounts else []
        return ["nsenter", f"--net={self.namespace}", *mounts]

    def do(self, *command: str) -> None:
        """Run a command in there that ends at once and succeeds."""
        done = self.tried(*command)
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip()
            raise CannotRunError(f"{' '.join(command)}: {told}")

    def tried(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in there that ends at once, and return what became of it."""
        return subprocess.run(
            [*self.within, *command], capture_output=True, timeout=LIMIT_S, check=False
        )

    def processes(self) -> list[int]:
        """Return all processes in the namespace but its holder."""
        inode = _namespace(self.holder.pid)
        return [pid for pid in all_pids() if pid != self.holder.pid and _namespace(pid) == inode]

    def kill(self, spared: set[int]) -> None:
        """SIGKILL all processes in the namespace but `spared`, until none is left."""

        def none_left() -> bool:
            left = [pid for pid in self.processes() if pid not in spared]
            for pid in left:
                self._kill_one(pid)
            return not left

        wait_until(none_left, LIMIT_S)

    def _kill_one(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if _namespace(pid) == _namespace(self.holder.pid):  # not a new one of its number
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)

    def end(self) -> None:
        """End the namespace: it goes with the last process in it."""
        if self.holder.poll() is None:
            self.kill(spared=set())
        self.holder.kill()
        self.holder.communicate()


def enter_network(path: str) -> None:
    """Move this thread, and what it starts, into a network namespace (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(path).open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)


def _namespace(pid: int) -> int:
    """Return the number of a process's network namespace, 0 if the process is gone."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


@dataclass(slots=True)
class Network:
    """The hosts by number, the client among them, and the switch between them. A context.

    `own_mounts`: each host has mounts of its own, too.
    """

    size: int = 3
    own_mounts: bool = False
    hosts: dict[int, Host] = field(default_factory=dict)
    switch: Host | None = None

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            host.end()
        if self.switch is not None:
            self.switch.end()

    def _make(self) -> None:
        self.switch = Host.make()
        self.switch.do("ip", "link", "add", "br0", "type", "bridge")
        self.switch.do("ip", "link", "set", "br0", "up")
        for number in (*range(1, self.size + 1), CLIENT):
            host = self.hosts[number] = Host.make(own_mounts=self.own_mounts)
            port, end = _port(number), ("name", INTERFACE, "netns", str(host.holder.pid))
            self.switch.do("ip", "link", "add", port, "type", "veth", "peer", *end)
            self.switch.do("ip", "link", "set", port, "master", "br0", "up")
            host.do("ip", "address", "add", f"{address_of(number)}/24", "dev", INTERFACE)
            host.do("ip", "link", "set", INTERFACE, "up")
            host.do("ip", "link", "set", "lo", "up")

    def plug(self, number: int, *, into: bool) -> None:
        """Plug the cable of a host in, or pull it: what it sends then goes nowhere."""
        assert self.switch is not None
        self.switch.do("ip", "link", "set", _port(number), "up" if into else "down")


def _port(number: int) -> str:
    return f"port{number}"
