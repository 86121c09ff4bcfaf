"""Three nodes with PostgreSQL on a volume that all can reach, a switch for their power, clients.

Each node has a network and mounts of its own. The volume is one loop device: what one node has
mounted no other sees. `Site` is a context; nothing of it stays behind, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from mosha.clinit import cgroups
from mosha.core.tables import Mode
from mosha.host.clock import boottime
from mosha.ocf.agents import OCF_ROOT
from tests import fence_switch
from tests.bench import clusters
from tests.e2e.cluster import Cluster
from tests.postgresql import writer
from tests.postgresql.mounts import MountWitness
from tests.waiting import wait_until
from tests.web.gaps import Answer
from tests.web.network import CLIENT, INTERFACE, CannotRunError, Network
from tests.web.network import look_for_what_is_needed as look_for_namespaces

GROUP = "db"
ADDRESS = "192.0.2.90"
BIN = Path("/usr/lib/postgresql/15/bin")
VOLUME = Path("/srv")
"""Where it is mounted: in the mounts of a node, which are its own, and never in those of others."""

IMAGE_BYTES = 512 << 20
START_LIMIT_S = 90.0
FAILOVER_LIMIT_S = 90.0
CALM_ROWS = 20
"""So many rows have to be acknowledged before and after a fault."""

# The limits are short, so that a fault is found soon; docs/how-to/postgresql.md has others.
FORMS = {
    "agents": """\
db:disk:start:ocf(interval=5s):Filesystem device={device} directory={volume} fstype=ext4
db:pg:start:ocf(interval=1s,timeout=3s,start=1m,stop=TERM/8s):pgsql {agent}
db:ip:start:address:{address}/24 dev {interface}
""",
    "respawn": """\
db:disk:start:ocf(interval=5s):Filesystem device={device} directory={volume} fstype=ext4
db:pg:start:respawn(user=postgres,ready=port/5432,start=1m,stop=INT/5s):{server}
db:ok:start:monitor(user=postgres,interval=1s,timeout=3s,failures=2):{psql} -qAtc "select 1"
db:ip:start:address:{address}/24 dev {interface}
""",
}
HACTL = "db start fence=off-confirmed on-failure=restart:19/10m,move,stop\n"

# A loss of power is sudden for the processes, and takes the mounts of the node with it. What the
# kernel of a real machine would lose with them, this one writes: it goes on.
POWER_OFF = """\
echo 1 > {cgroup}/cgroup.kill
until grep -q 'populated 0' {cgroup}/cgroup.events; do :; done
while nsenter --mount=/proc/{holder}/ns/mnt umount {device} 2> /dev/null; do :; done
! grep -q ' {device} ' /proc/{holder}/mountinfo
{within} ip address flush dev {interface} to {address}
"""


def look_for_what_is_needed() -> None:
    """Raise CannotRunError unless all of it can be made here."""
    look_for_namespaces()
    needed = {
        BIN / "postgres": "postgresql-15",
        Path(f"{OCF_ROOT}/resource.d/heartbeat/pgsql"): "resource-agents",
    }
    missing = [package for path, package in needed.items() if not path.exists()]
    if missing:
        raise CannotRunError(f"missing; on Debian 12: apt install {' '.join(missing)}")
    if cgroups.own_cgroup() is None:
        raise CannotRunError("needs a writable cgroup v2, to cut the power of a node")


class Site:
    """Nodes, volume, power switch, clients and the witness of the mounts.

    `form` names the entries that run the database: FORMS.
    """

    def __init__(self, timeout_s: float, form: str = "agents") -> None:
        self.timeout_s = timeout_s
        self._form = form
        self._made = contextlib.ExitStack()
        self._clients: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as made:
            self.base = Path(tempfile.mkdtemp(prefix="mp"))
            made.callback(shutil.rmtree, self.base)
            self.device = self._make_volume()
            made.callback(run, "losetup", "--detach", self.device)
            self.network = made.enter_context(Network(own_mounts=True))
            pids = {n: self.network.hosts[n].holder.pid for n in (1, 2, 3)}
            self.mounts = made.enter_context(MountWitness(self.device, pids))
            self.cluster = made.enter_context(Cluster(self.base, timeout_s=self.timeout_s))
            made.callback(self._end_processes)
            self._write_files()
            self._made = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._made.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    # --- how it is made --------------------------------------------------------------------

    def _make_volume(self) -> str:
        """Make the volume with an empty database; return its device."""
        image = self.base / "image"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", str(image))
        device = run("losetup", "--find", "--show", str(image))
        try:
            run("unshare", "--mount", "/bin/sh", "-ec", INITDB, "sh", device, str(VOLUME))
        except BaseException:
            run("losetup", "--detach", device)
            raise
        return device

    def _write_files(self) -> None:
        agent = fence_switch.installed(self.base)
        for number, node in self.cluster.nodes.items():
            host = self.network.hosts[number]
            node.within = host.within
            node.env = {"HA_RSCTMP": str(self.base / f"rsctmp{number}")}
            assert self.cluster.box is not None
            node.box = self.cluster.box / f"n{number}"
            node.box.mkdir()
            (self.base / f"p{number}").write_text("on")
            off = POWER_OFF.format(
                cgroup=node.box,
                holder=host.holder.pid,
                device=self.device,
                within=shlex.join(host.within),
                interface=INTERFACE,
                address=ADDRESS,
            )
            (self.base / f"p{number}.off").write_text(off)
            with node.config.open("a") as config:
                config.write(_fencing(agent, self.base))
        data, sockets = VOLUME / "data", VOLUME / "run"
        pgsql = {
            "pgctl": BIN / "pg_ctl",
            "psql": "/usr/bin/psql",
            "pgdata": data,
            "socketdir": sockets,
            "logfile": VOLUME / "log",
            "stop_escalate": 3,
            "start_opt": f"-k {sockets} -c listen_addresses=*",
        }
        cltab = FORMS[self._form].format(
            device=self.device,
            volume=VOLUME,
            address=ADDRESS,
            interface=INTERFACE,
            agent=shlex.join(f"{name}={value}" for name, value in pgsql.items()),
            server=f"{BIN}/postgres -D {data} {pgsql['start_opt']}",
            psql=f"psql -h {sockets} -d postgres",
        )
        self.cluster.write_tables([], cltab=cltab, hactl=HACTL)

    def _end_processes(self) -> None:
        """End all that run in the name spaces; a node that is frozen is thawed by that."""
        for node in self.cluster.nodes.values():
            if node.box is not None and node.box.exists():
                cgroups.kill(node.box)
        for host in self.network.hosts.values():
            host.kill(spared=set())
        if self._clients is not None:
            self._clients.communicate()
        for number in self.cluster.nodes:
            run(*self.network.hosts[number].within, "umount", "-q", self.device, fails=True)

    # --- start, and what is asked of it ----------------------------------------------------

    def start(self) -> None:
        """Start nodes and clients; return when rows are acknowledged."""
        self.cluster.start()
        self.cluster.wait_running([GROUP], limit_s=START_LIMIT_S)
        words = [sys.executable, "-I", "-S", writer.__file__, ADDRESS, str(self.base / "rows")]
        within = self.network.hosts[CLIENT].within
        self._clients = subprocess.Popen(
            [*within, *words], stdin=subprocess.PIPE, start_new_session=True
        )
        self.settle()

    def mosha(self, number: int, *words: str) -> None:
        """Run a command of mosha on a node."""
        node = self.cluster.nodes[number]
        command = [sys.executable, "-m", "mosha.cli.main", *words, "--config", str(node.config)]
        run(*node.within, *command)

    def serving(self) -> int:
        """Return the node that runs the group, as it says itself."""
        (number,) = self.cluster.places()[GROUP]
        return number

    def postgres(self, number: int) -> list[int]:
        """Return the processes of PostgreSQL on a node, the postmaster first."""
        found = []
        for pid in self.network.hosts[number].processes():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "postgres":
                    found.append(pid)
        return sorted(found)

    def settle(self) -> float:
        """Wait until all is well and rows are acknowledged again; return when that was seen."""
        clusters.wait_agreed(self.cluster)
        wait_until(self._all_ready, FAILOVER_LIMIT_S, step_s=0.1)
        began = boottime()

        def calm() -> float:
            new = [row.ended for row in self.acknowledged() if row.ended >= began]
            return new[CALM_ROWS - 1] if len(new) >= CALM_ROWS else 0.0

        return wait_until(calm, FAILOVER_LIMIT_S, step_s=0.1)

    def _all_ready(self) -> bool:
        """Say whether all entries of the group have started where it runs, and none again."""
        places = self.cluster.places().get(GROUP, [])
        if len(places) != 1:
            return False
        groups = self.cluster.nodes[places[0]].ask_clinit().groups
        entries = [each for group in groups if group.group == GROUP for each in group.entries]
        lasting = [each for each in entries if each.mode is not Mode.MONITOR]
        return bool(lasting) and all(each.pid and each.ready for each in lasting)

    def power_on(self, number: int) -> None:
        """Boot a node that has no power."""
        node = self.cluster.nodes[number]
        assert node.monitor is not None
        assert node.box is not None
        node.monitor.wait()
        (node.box / "cgroup.freeze").write_text("0")
        (self.base / f"p{number}").write_text("on")
        node.start()

    # --- what was seen ---------------------------------------------------------------------

    def rows(self) -> list[tuple[float, int, int]]:
        """Return the acknowledged rows: when, by which client, which number."""
        path = self.base / "rows"
        whole = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
        return [(float(at), int(who), int(row)) for at, who, row in map(str.split, whole)]

    def acknowledged(self) -> list[Answer]:
        """Return the acknowledged rows as answers, oldest first."""
        return sorted((Answer(at, at, 1) for at, _, _ in self.rows()), key=lambda it: it.ended)

    def lost(self) -> list[str]:
        """Stop the clients and return each acknowledged row that the database does not have."""
        assert self._clients is not None
        self._clients.communicate()
        self._clients = None
        asked = ["psql", "-h", ADDRESS, "-U", "postgres", "-qAtX", "-F", " ", "-d", "postgres"]
        there = run(
            *self.network.hosts[CLIENT].within, *asked, "-c", "SELECT client, number FROM commits"
        )
        found = {tuple(map(int, line.split())) for line in there.splitlines()}
        gone = [(who, row) for _, who, row in self.rows() if (who, row) not in found]
        return [f"row {row} of client {who} was acknowledged and is not there" for who, row in gone]

    def damaged(self) -> list[str]:
        """Stop the group, and return what is wrong with the file system and the pages on it."""
        self.mosha(1, "set", GROUP, "stop")
        wait_until(lambda: not self.mounts.where(), FAILOVER_LIMIT_S)
        checked = run("e2fsck", "-fn", self.device, fails=True)
        words = ("unshare", "--mount", "/bin/sh", "-ec", CHECK, "sh", self.device)
        pages = run(*words, str(VOLUME), fails=True)
        return [
            text
            for text, good in ((checked, "non-contiguous"), (pages, "Bad checksums:  0"))
            if good not in text
        ]


INITDB = f"""\
mount "$1" "$2"
install -d -o postgres -m 700 "$2/data"
install -d -o postgres "$2/run"
as="setpriv --reuid=postgres --regid=postgres --clear-groups"
$as {BIN}/initdb -D "$2/data" --auth=trust --data-checksums > /dev/null
echo "host all all 192.0.2.0/24 trust" >> "$2/data/pg_hba.conf"
echo "CREATE TABLE commits (client int, number int, PRIMARY KEY (client, number));" |
    $as {BIN}/postgres --single -D "$2/data" postgres > /dev/null
umount "$2"
"""

CHECK = f"""\
mount -o ro "$1" "$2"
setpriv --reuid=postgres --regid=postgres --clear-groups {BIN}/pg_checksums --check -D "$2/data"
"""


def _fencing(agent: Path, room: Path) -> str:
    targets = ", ".join(f'{number} = "p{number}"' for number in (1, 2, 3))
    return (
        "start_grace = 0.1\n[fencing]\nprobation = 0\n"
        f'[[fencing.methods]]\ntype = "agent"\nagent = "{agent}"\nlimit = 20\n'
        f'options = {{room = "{room}"}}\ntargets = {{{targets}}}\n'
    )


def run(*words: str, fails: bool = False) -> str:
    """Run a command; return what it prints. One that may fail prints its complaints there, too."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert fails or done.returncode == 0, f"{shlex.join(words)}: {done.stdout}"
    return done.stdout.strip()
