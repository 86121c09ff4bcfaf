"""What a run finds on this machine, and what it gives to each node: a log, a limit, no cgroups."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from mosha.cli.demo import processes
from mosha.errors import HostError
from tests.chaos import net, views
from tests.chaos.machines import Machine
from tests.chaos.net import Net
from tests.chaos.schedule import Equipment, World
from tests.chaos.sinks import Disk, File, Pipe, missing_disks
from tests.e2e.cluster import Cluster

PIDS_V1 = Path("/sys/fs/cgroup/pids")

WITHOUT_CGROUPS = (
    *("unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c"),
    'umount --lazy --all --types cgroup2; exec "$0" "$@"',
)
"""What begins a node in which no cgroup v2 is mounted; the chaos itself ends it by its cgroup."""

WITHOUT_CAP_KILL = ("setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill")
"""What begins a node whose daemons may not signal the processes of other users: EPERM."""

WITH_LIMIT = ("/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs"; exec "$@"')
"""What begins a node in a cgroup that limits its threads; the directory comes next."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a run is asked for besides its seed and length.

    `shared`: it may also take what the machine has for everybody, loop devices for example.
    """

    cgroups: bool = True
    sshfs: bool = False
    shared: bool = True


def look(choices: Choices) -> tuple[Equipment, list[str]]:
    """Return what there is, and what is missing with the reasons.

    Raises:
        HostError: something that was asked for by name is missing.
    """
    root = os.geteuid() == 0
    why = {
        "FUSE": views.missing(),
        "disks": missing_disks() if choices.shared else "not asked for",
        "threads": "" if root and PIDS_V1.is_dir() else "no pids controller",
    }
    if choices.sshfs and (problem := net.missing()):
        raise HostError(f"no sshfs between namespaces: {problem}")
    has = Equipment(
        fuse=not why["FUSE"] and not choices.sshfs,
        sshfs=choices.sshfs,
        cgroups=choices.cgroups,
        disks=not why["disks"],
        pids=not why["threads"],
        root=root,
    )
    return has, [f"no {what}: {reason}" for what, reason in why.items() if reason]


def give(
    world: World,
    cluster: Cluster,
    machines: dict[int, Machine],
    network: Net | None,
    ends: contextlib.ExitStack,
) -> None:
    """Give each node its log, and the words that begin it in its surroundings."""
    for number, machine in machines.items():
        _give_log(world.logs[number - 1], cluster, machine, ends)
        within: list[str] = []
        if world.equipment.pids:
            machine.pids = PIDS_V1 / f"{_name(cluster)}.{number}"
            machine.pids.mkdir()
            ends.callback(processes.remove_cgroup, machine.pids)  # when all are reaped
            within += [*WITH_LIMIT, str(machine.pids)]
        if network is not None:
            within += network.within(number)
        if not world.equipment.cgroups:
            within += WITHOUT_CGROUPS
        if world.weak:
            within += WITHOUT_CAP_KILL
        machine.node.within = within


def connect(world: World, cluster: Cluster, ends: contextlib.ExitStack) -> Net | None:
    """Return the network of the nodes, if they shall have one."""
    if not world.equipment.sshfs:
        return None
    if cluster.box is None:
        raise HostError("no sshfs between namespaces: no cgroup v2 to hold what belongs to them")
    return ends.enter_context(Net(cluster.base, world.nodes, cluster.box / "net"))


def _name(cluster: Cluster) -> str:
    return cluster.nodes[1].mark.rpartition(".")[0]


def _give_log(kind: str, cluster: Cluster, machine: Machine, ends: contextlib.ExitStack) -> None:
    node = machine.node
    if kind.startswith("disk"):
        machine.sink = machine.disk = Disk(cluster.base, node.number)
        if kind == "disk-setting":
            with node.config.open("r+") as file:
                text = file.read()
                file.seek(0)
                file.write(f'log_file = "{machine.disk.point}/mosha.log"\n{text}')
    else:
        machine.sink = Pipe(node.log) if kind == "pipe" else File(node.log)
    ends.callback(machine.sink.close)
