"""Carries out a schedule of faults against a running cluster, and keeps its nodes supervised.

One loop, in which nothing waits for the cluster: an end of a fault is an entry in the same
agenda as the beginnings. `exercised` counts what took effect, not what was planned.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from mosha.host.clock import boottime
from tests.chaos import host
from tests.chaos.edits import TABLES, Book, Wish
from tests.chaos.lives import StoodStill
from tests.chaos.machines import Machine
from tests.chaos.net import Net
from tests.chaos.schedule import DIRECTORY_FAULTS, Fault, World
from tests.chaos.views import Views
from tests.e2e.cluster import Cluster
from tests.waiting import pass_until, wait_until

STEP_S = 0.05
LOOK_EVERY_S = 0.5
COMMAND_LIMIT_S = 30.0
STATUSES_KEPT = 40
REMOUNT_EVERY_S = 2.0
"""RestartSec= of conf/mfs@.service."""


@dataclass(slots=True)
class Command:
    """A command of an operator that is under way; `then` gets its exit status."""

    process: subprocess.Popen[bytes]
    words: str
    name: str
    until: float
    wish: Wish | None
    then: Callable[[int], None]


@dataclass(slots=True)
class Storm:
    """One run of a schedule. `say` prints what happens."""

    world: World
    cluster: Cluster
    machines: dict[int, Machine]
    views: Views | None
    net: Net | None
    book: Book
    say: Callable[[str], None]
    exercised: Counter[str] = field(default_factory=Counter)
    late_max_s: float = 0.0
    # When (from, until) a node's monitor or clinit, or its view, was disturbed.
    disturbed: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    # Earlier clstats of each node, and the nodes that are on standby.
    statuses: dict[int, deque[bytes]] = field(default_factory=dict)
    standby: set[int] = field(default_factory=set)
    stood_still: list[StoodStill] = field(default_factory=list)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _commands: list[Command] = field(default_factory=list)
    _began: float = 0.0
    _remount_at: float = 0.0
    _faults_on: int = 0

    # --- the loop --------------------------------------------------------------------

    def run(self, faults: list[Fault]) -> None:
        self._began = boottime()
        for fault in faults:
            self.at(self._began + fault.at, partial(self._begin, fault))
        look_at = 0.0
        while self._agenda or self._commands:
            due = self._agenda[0][0] if self._agenda else boottime() + STEP_S
            self._sleep_until(min(due, boottime() + STEP_S))
            self._carry_out()
            self._supervise()
            if boottime() > look_at:
                self.book.look()
                self._keep_statuses()
                look_at = boottime() + LOOK_EVERY_S

    def _carry_out(self) -> None:
        """Do what is due: faults begin and end, commands are given once more."""
        while self._agenda and self._agenda[0][0] <= boottime():
            heapq.heappop(self._agenda)[2]()

    def busy(self) -> bool:
        """Say whether an end of a fault or of a command is awaited."""
        return bool(self._agenda or self._commands)

    def settle(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Keep the nodes supervised until `done`; tell whether it came to that."""

        def turn() -> bool:
            self._carry_out()
            self._supervise()
            return done()

        with contextlib.suppress(AssertionError):
            return wait_until(turn, limit_s)
        return False

    def _sleep_until(self, when: float) -> None:
        pass_until(when)
        # What this process does not get, clinit may not get either: see the verdict.
        self.late_max_s = max(self.late_max_s, boottime() - when - 0.02)

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._numbers), action))

    def _supervise(self) -> None:
        now = boottime()
        if self.net is not None and now > self._remount_at:
            self.net.remount_dead()
            self._remount_at = now + REMOUNT_EVERY_S
        for number, machine in self.machines.items():
            near = self.world.timeout_s
            blamed = any(a - near <= now <= b + near for a, b in self.disturbed.get(number, []))
            machine.supervise(blamed=blamed or machine.leaving)
        for command in list(self._commands):
            if command.process.poll() is None and now > command.until:
                command.process.kill()
            if command.process.poll() is not None:
                self._commands.remove(command)
                self._ended(command)

    def _ended(self, command: Command) -> None:
        status = command.process.returncode
        if command.wish is not None:
            command.wish.status, command.wish.ended_ns = status, time.time_ns()
        self.say(f"mosha {command.words} ended with {status}")
        self.exercised[command.name if status == 0 else f"{command.name}_refused"] += 1
        command.then(status)

    def _keep_statuses(self) -> None:
        for number, node in self.cluster.nodes.items():
            kept = self.statuses.setdefault(number, deque(maxlen=STATUSES_KEPT))
            with contextlib.suppress(OSError):
                kept.append((node.directory / "clstat").read_bytes())

    def command(
        self,
        number: int,
        words: list[str],
        name: str,
        wish: Wish | None = None,
        then: Callable[[int], None] = lambda _status: None,
    ) -> None:
        """Let an operator give a command on a node; it is awaited by the loop."""
        config = str(self.cluster.nodes[number].config)
        if wish is not None:
            self.book.wishes.append(wish)
        process = subprocess.Popen(
            [sys.executable, "-m", "mosha.cli.main", words[0], "--config", config, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = boottime() + COMMAND_LIMIT_S
        self._commands.append(Command(process, " ".join(words), name, until, wish, then))

    # --- faults ----------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        now = boottime()
        touched = [fault.node] if fault.node else list(self.machines)
        for node in touched:
            self.disturbed.setdefault(node, []).append((now, now + fault.lasts))
        self.say(str(fault))
        if fault.kind in DIRECTORY_FAULTS:
            self._disturb(fault, [(fault.node, peer) for peer in fault.peers], fault.kind)
        elif fault.kind in {"partition", "one_way"}:
            self._cut(fault)
        elif fault.kind in host.FAULTS:
            host.FAULTS[fault.kind](self, fault)
        elif "edit" in fault.kind or fault.kind.startswith("bad"):
            self._edit(fault)
        else:
            getattr(self, f"_{fault.kind}")(fault)

    def done(self, fault: Fault, effect: object) -> None:
        if effect:
            self.exercised[fault.kind] += 1

    def _disturb(self, fault: Fault, pairs: list[tuple[int, int]], kind: str) -> None:
        assert self.views is not None
        begun = []
        for node, peer in pairs:
            number = next(self._numbers)
            self.views.nodes[node].begin(number, peer, kind, fault.amount)
            begun.append((node, number))
        self.done(fault, begun)

        def end() -> None:
            assert self.views is not None
            for node, number in begun:
                self.views.nodes[node].end(number)

        self.at(boottime() + fault.lasts, end)

    def _cut(self, fault: Fault) -> None:
        rest = [node for node in self.machines if node not in fault.peers]
        pairs = [(node, peer) for node in fault.peers for peer in rest]
        if fault.kind == "partition":
            pairs += [(node, peer) for peer, node in pairs]
        self._disturb(fault, pairs, fault.what)

    def _edit(self, fault: Fault) -> None:
        chance = random.Random(fault.salt)  # noqa: S311 - faults, not secrets
        table = fault.kind.split("_")[1]
        if table == "both":
            table = chance.choice(TABLES)
        nodes = fault.peers or (fault.node,)
        if not all(self.book.may_edit(node, table) for node in nodes):
            self.say("  left out: the last edit there has not been noticed yet")
            return
        valid = not fault.kind.startswith("bad")
        for node in nodes:
            self.book.edit(node, table, chance, how=fault.what, valid=valid)
        self.done(fault, effect=True)

    def _set_wish(self, fault: Fault) -> None:
        chance = random.Random(fault.salt)  # noqa: S311 - faults, not secrets
        group = chance.choice(self.world.groups)
        words = [group, chance.choice(("start", "start", "stop"))]
        if words[1] == "start" and chance.random() < 0.5:
            words.append(f"prefer={chance.choice(list(self.machines))}")
        wish = Wish(tuple(words), time.time_ns())
        self.command(self.answering(fault.node), ["set", *words], "set_wish", wish)

    def answering(self, number: int) -> int:
        """Return this node, or the next one that has a monitor: where an operator would go."""
        order = [*range(number, self.world.nodes + 1), *range(1, number)]
        return next((one for one in order if self.machines[one].find("monitor")), number)

    # --- processes -------------------------------------------------------------------

    def one(self, fault: Fault, kind: str) -> list[int]:
        """Return one process of this kind, whichever the salt says."""
        found = sorted(self.machines[fault.node].find(kind))
        return [found[fault.salt % len(found)]] if found else []

    def _any_child(self, fault: Fault) -> tuple[Machine, list[int]]:
        """Return a child of the node, or of the next one that has any."""
        order = [*range(fault.node, self.world.nodes + 1), *range(1, fault.node)]
        for number in order:
            if found := sorted(self.machines[number].find("child")):
                return self.machines[number], [found[fault.salt % len(found)]]
        return self.machines[fault.node], []

    def _send(self, fault: Fault, kind: str, number: signal.Signals) -> None:
        pids = self.one(fault, kind)
        self.done(fault, self.machines[fault.node].send(pids, number))

    def _pause(self, fault: Fault, machine: Machine, pids: list[int]) -> None:
        paused = machine.pause(pids)
        self.done(fault, paused.handles)
        self.at(boottime() + fault.lasts, paused.go_on)

    def _kill_monitor(self, fault: Fault) -> None:
        self._send(fault, "monitor", signal.SIGKILL)

    def _kill_clinit(self, fault: Fault) -> None:
        self._send(fault, "clinit", signal.SIGKILL)

    def _kill_forkserver(self, fault: Fault) -> None:
        self._send(fault, "forkserver", signal.SIGKILL)

    def _kill_child(self, fault: Fault) -> None:
        machine, pids = self._any_child(fault)
        self.done(fault, machine.send(pids, signal.SIGKILL))

    def _stop_child(self, fault: Fault) -> None:
        self._pause(fault, *self._any_child(fault))

    def _stop_monitor_short(self, fault: Fault) -> None:
        self._pause(fault, self.machines[fault.node], self.one(fault, "monitor"))

    def _stop_monitor_long(self, fault: Fault) -> None:
        self._stop_monitor_short(fault)

    def _stop_clinit_short(self, fault: Fault) -> None:
        self._pause(fault, self.machines[fault.node], self.one(fault, "clinit"))

    def _stop_clinit_long(self, fault: Fault) -> None:
        self._stop_clinit_short(fault)

    def _stop_node_short(self, fault: Fault) -> None:
        machine = self.machines[fault.node]
        self._pause(fault, machine, machine.processes())

    def _stop_node_long(self, fault: Fault) -> None:
        """Stop a whole node; when it could go on, the watchdog has reset it."""
        machine = self.machines[fault.node]
        pids = machine.processes()
        paused = machine.pause(pids)
        stood = boottime()
        machine.down += 1
        self.done(fault, paused.handles)

        def reset() -> None:
            self.stood_still.append(StoodStill(frozenset(pids), stood, boottime()))
            machine.reset()
            paused.go_on()
            _return(machine)

        self.at(boottime() + fault.lasts, reset)

    def _kill_node(self, fault: Fault) -> None:
        self.lose([self.machines[fault.node]], fault)

    def _kill_all(self, fault: Fault) -> None:
        self.lose(list(self.machines.values()), fault)

    def lose(self, machines: list[Machine], fault: Fault) -> None:
        self.done(fault, [pid for machine in machines for pid in machine.find("monitor")])
        self.take_down(machines, fault.lasts)

    def take_down(self, machines: list[Machine], lasts_s: float) -> None:
        """Reset machines as a loss of power does; they start again after a while."""
        for machine in machines:
            machine.down += 1
            machine.reset()
            self.at(boottime() + lasts_s, partial(_return, machine))

    def _leave(self, fault: Fault) -> None:
        machine = self.machines[fault.node]
        machine.leaving = True
        machine.down += 1
        self.done(fault, machine.send(machine.find("monitor"), signal.SIGTERM))
        self.at(boottime() + fault.lasts, partial(_return, machine))


def _return(machine: Machine) -> None:
    """Let a node be started again, as soon as the last of its former life is gone."""
    machine.down -= 1
