"""Nodes in network namespaces of their own, with sshfs between them, as sshfs.md has it.

Every node has a namespace with one address, a port of a switch in another namespace, an sshd that
serves its directory, and a mount of the directory of each other node. A cable can be pulled, which
is a silent black hole to all others; the sshfs of one mount can be killed, and an sshd. None of it
survives: all processes are in one cgroup, and the namespaces go with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from mosha.cli.demo import processes
from mosha.clinit import cgroups
from tests.waiting import wait_until

MNT_DETACH = 2
START_LIMIT_S = 30.0
END_LIMIT_S = 10.0
NEEDED = {
    "sshfs": "sshfs",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""Programs, and the packages of Debian that have them."""

SSHD_RUN = Path("/run/sshd")
"""Where sshd wants an empty directory, of root alone."""

OPTIONS = (
    "dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0",
    "reconnect,ServerAliveInterval=1,ServerAliveCountMax=3,ConnectTimeout=2",
    "StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,LogLevel=ERROR",
)
"""The first two are those of conf/mfs@.service."""

CONFIG = """ListenAddress {address}
HostKey {ssh}/host
AuthorizedKeysFile {ssh}/id.pub
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
"""


def missing() -> str:
    """Return why there can be no such network here, "" if there can."""
    if os.geteuid() != 0:
        return "needs root"
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt install {package})"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse"
    return ""


def address(node: int) -> str:
    return f"10.77.0.{node}"


def _do(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL)


@dataclass(slots=True)
class Net:
    """The network of nodes 1 to `size`; `base`/vN/M is where node N sees the directory of M."""

    base: Path
    size: int
    box: Path
    switch: subprocess.Popen[bytes] | None = None
    hosts: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    daemons: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    mounts: dict[tuple[int, int], subprocess.Popen[bytes]] = field(default_factory=dict)
    held: set[tuple[int, int]] = field(default_factory=set)
    """Mounts that shall not be made again at the moment."""
    _made_run: bool = False

    def __enter__(self) -> Self:
        self.box.mkdir()
        ssh = self.base / "ssh"
        ssh.mkdir(mode=0o700)
        for name in ("id", "host"):
            _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / name)
        with contextlib.suppress(FileExistsError):
            SSHD_RUN.mkdir(mode=0o755)
            self._made_run = True
        self.switch = self._namespace()
        self._in_switch("link", "add", "br0", "type", "bridge")
        self._in_switch("link", "set", "br0", "up")
        for node in range(1, self.size + 1):
            self._plug(node)
            self.serve(node)
        for node in range(1, self.size + 1):
            own = self.base / f"v{node}" / str(node)
            own.mkdir(parents=True)
            (self.base / "mfs" / str(node)).mkdir(parents=True, exist_ok=True)
            _do("mount", "--bind", self.base / "mfs" / str(node), own)
            for peer in range(1, self.size + 1):
                if peer != node:
                    self._point(node, peer).mkdir()
                    self.mount(node, peer)
        wait_until(self._all_are_there, START_LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.hosts:
            self.heal(node)
        cgroups.kill(self.box)
        for process in (self.switch, *self._all()):
            if process is not None:
                process.wait(END_LIMIT_S)
        for node in range(1, self.size + 1):
            for peer in range(1, self.size + 1):
                _detach(self._point(node, peer))
        if self._made_run:
            with contextlib.suppress(OSError):
                SSHD_RUN.rmdir()
        wait_until(lambda: cgroups.remove(self.box), END_LIMIT_S)

    def _all(self) -> list[subprocess.Popen[bytes]]:
        return [*self.hosts.values(), *self.daemons.values(), *self.mounts.values()]

    # --- building --------------------------------------------------------------------

    def _start(self, *words: object, log: str = "net.log") -> subprocess.Popen[bytes]:
        with (self.base / log).open("ab") as file:
            return subprocess.Popen(
                processes.inside(self.box, [str(word) for word in words]),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def _namespace(self) -> subprocess.Popen[bytes]:
        """Return a process that does nothing but hold a network namespace."""
        holder = self._start("unshare", "--net", "/bin/sleep", "infinity")
        command = Path(f"/proc/{holder.pid}/cmdline")
        wait_until(lambda: command.read_bytes().startswith(b"/bin/sleep"), START_LIMIT_S)
        return holder

    def within(self, node: int) -> list[str]:
        """Return the words that begin a command in the namespace of a node."""
        return ["nsenter", f"--net=/proc/{self.hosts[node].pid}/ns/net"]

    def _in_switch(self, *words: object) -> None:
        assert self.switch is not None
        _do("nsenter", f"--net=/proc/{self.switch.pid}/ns/net", "ip", *words)

    def _plug(self, node: int) -> None:
        host = self.hosts[node] = self._namespace()
        port = f"p{node}"
        peer = ("peer", "name", "eth0", "netns", host.pid)
        self._in_switch("link", "add", port, "type", "veth", *peer)
        self._in_switch("link", "set", port, "master", "br0", "up")
        for words in (
            ("addr", "add", f"{address(node)}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _do(*self.within(node), "ip", *words)

    def _point(self, node: int, peer: int) -> Path:
        return self.base / f"v{node}" / str(peer)

    # --- what comes and goes ---------------------------------------------------------

    def serve(self, node: int) -> None:
        """Start the sshd of a node."""
        config = self.base / f"ssh/{node}.conf"
        config.write_text(CONFIG.format(address=address(node), ssh=self.base / "ssh"))
        sshd = shutil.which("sshd") or "sshd"
        self.daemons[node] = self._start(*self.within(node), sshd, "-D", "-e", "-f", config)

    def mount(self, node: int, peer: int) -> None:
        """Mount the directory of a peer on a node; it is there a moment later."""
        point = self._point(node, peer)
        _detach(point)
        options = ",".join((*OPTIONS, f"IdentityFile={self.base}/ssh/id"))
        source = f"root@{address(peer)}:{self.base}/mfs/{peer}"
        words = (*self.within(node), "sshfs", "-f", "-o", options, source, point)
        self.mounts[node, peer] = self._start(*words)

    def remount_dead(self) -> None:
        """Mount again what is not: sshfs has ended, as one does that finds nobody at its start."""
        for pair, process in list(self.mounts.items()):
            if process.poll() is not None and pair not in self.held:
                self.mount(*pair)

    def _all_are_there(self) -> bool:
        """Mount again what was refused since its sshd did not listen yet; say if all is mounted."""
        self.remount_dead()
        try:
            return all(self._point(*pair).is_mount() for pair in self.mounts)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # its sshfs has just ended
                raise
            return False

    def cut(self, node: int) -> None:
        """Pull the cable of a node."""
        self._in_switch("link", "set", f"p{node}", "down")

    def heal(self, node: int) -> None:
        self._in_switch("link", "set", f"p{node}", "up")

    def kill_mount(self, node: int, peer: int) -> None:
        """End the sshfs of one mount; what it leaves behind answers with an error."""
        self.held.add((node, peer))
        self.mounts[node, peer].kill()

    def release_mount(self, node: int, peer: int) -> None:
        """Let it be mounted again."""
        self.held.discard((node, peer))

    def kill_daemon(self, node: int) -> None:
        """End the sshd of a node: what is connected stays so, nothing else gets in."""
        self.daemons[node].kill()


def _detach(point: Path) -> None:
    while ctypes.CDLL(None).umount2(os.fsencode(point), MNT_DETACH) == 0:
        pass
