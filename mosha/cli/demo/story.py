"""The steps of the demo, and what is measured meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from msgspec import UNSET, Struct, UnsetType, field

from mosha.cli.ask import ask_report
from mosha.cli.demo.cluster import TIMEOUT_S, DemoCluster
from mosha.cli.demo.overlaps import Overlap, overlaps, read_witness
from mosha.core.status import GroupLine, GroupState
from mosha.errors import HostError
from mosha.formats.hastat import Report
from mosha.formats.settings import Settings
from mosha.host.clock import boottime
from mosha.host.programs import command_of

LOOK_S = 0.01
"""How often the published statuses are read; it is part of what is measured."""

START_LIMIT_S = 20.0
MOVE_LIMIT_S = TIMEOUT_S + 10.0
COMMAND_LIMIT_S = 10.0
SETTLE_LIMIT_S = 3.0

HOME = GroupLine("start", GroupState.DONE)
Places = dict[str, dict[int, GroupLine]]


class Narrator(Protocol):
    """Shows people what goes on."""

    def step(self, title: str) -> None:
        """Begin a step."""

    def note(self, text: str) -> None:
        """Show a remark during a step."""

    def waiting(self, what: str) -> None:
        """Show what is being waited for."""

    def done(self, text: str, places: Places | None = None) -> None:
        """Show the outcome, and where the groups are now."""

    def command(self, words: list[str], output: str) -> None:
        """Show a command and what it printed."""

    def report(self, report: Report) -> None:
        """Show the status of the cluster."""


class DemoFailed(HostError):  # noqa: N818 - it names what happened
    """A step did not complete in time; the message says which."""


class Summary(Struct):
    """The measurements; seconds, null for what was not reached.

    `overlaps` counts pairs of processes of one group that ran at the same time on two nodes,
    `together` lists them; `directory` is there with `--keep`.
    """

    nodes: int
    groups: int
    timeout_s: float = TIMEOUT_S
    all_running_s: float | None = None
    moved: int = 0
    failover_s: float | None = None
    rejoin_s: float | None = None
    leave_s: float | None = None
    stop_s: float | None = None
    instances: int = 0
    overlaps: int | None = None
    together: list[str] = field(default_factory=list)
    total_s: float = 0.0
    ok: bool = False
    error: str = ""
    directory: str | UnsetType = UNSET
    format: Literal[1] = 1


def tell_story(
    cluster: DemoCluster, narrator: Narrator, summary: Summary, *, seconds: float = 0.0
) -> None:
    """Run all steps; measurements go to `summary` at once, so that a failure keeps them.

    `seconds` is how long the cluster goes on before it ends.

    Raises:
        DemoFailed: a step did not complete in time.
    """
    story = _Story(cluster, narrator, summary)
    began = time.monotonic()
    try:
        story.start()
        victim = story.kill()
        story.bring_back(victim)
        story.leave(victim)
        story.edit()
        story.look(seconds)
        story.end()
    finally:
        summary.total_s = round(time.monotonic() - began, 2)
        story.count()
    summary.ok = summary.overlaps == 0


class _Story:
    def __init__(self, cluster: DemoCluster, narrator: Narrator, summary: Summary) -> None:
        self.cluster = cluster
        self.tell = narrator
        self.sums = summary

    # --- steps ---------------------------------------------------------------------------

    def start(self) -> None:
        nodes, groups = len(self.cluster.nodes), len(self.cluster.groups)
        self.tell.step(f"Start {nodes} nodes with {groups} groups")
        self.cluster.write_files()
        began = boottime()
        for node in self.cluster.nodes.values():
            node.start()
        self.sums.all_running_s = self._until_home("all groups run", began, START_LIMIT_S)
        self._done(f"all groups run after {self.sums.all_running_s:.2f} s")

    def kill(self) -> int:
        """Kill the node with the most groups; of several the second, which is easier to follow."""
        places = self.cluster.places()
        first, *others = self.cluster.numbers
        victim = max((*others, first), key=lambda n: len(self._at(places, n)))
        moved = self._at(places, victim)
        self.tell.step(f"Node {victim} loses power, with {', '.join(moved) or 'no group'}")
        self.cluster.dead.add(victim)
        began = boottime()
        killed = self.cluster.nodes[victim].kill()
        self.tell.note(f"SIGKILL to its {killed} processes: monitor, clinit and all they started")
        self.sums.failover_s = self._until_home("its groups run elsewhere", began, MOVE_LIMIT_S)
        self.sums.moved = len(moved)
        self._done(
            f"they run elsewhere after {self.sums.failover_s:.2f} s:"
            f" after {TIMEOUT_S:g} s without a new status a node counts as dead"
        )
        return victim

    def bring_back(self, number: int) -> None:
        self.tell.step(f"Node {number} comes back")
        self.sums.rejoin_s = self._restart(number)
        self._done(f"it votes again after {self.sums.rejoin_s:.2f} s; no group moves back")

    def leave(self, victim: int) -> None:
        """Make a node leave, other than the one that was killed."""
        number = next(n for n in reversed(self.cluster.numbers[1:]) if n != victim)
        self.tell.step(f"Node {number} leaves in an orderly way (SIGTERM)")
        node = self.cluster.nodes[number]
        began = boottime()
        node.leave()
        self.sums.leave_s = self._until_home(
            "its groups run elsewhere", began, MOVE_LIMIT_S, without=number
        )
        if not node.wait_left():
            raise DemoFailed(f"node {number} did not leave as it should")
        self._done(f"its groups run elsewhere after {self.sums.leave_s:.2f} s")
        self._restart(number)

    def edit(self) -> None:
        """Stop a group by a command, and start it on a chosen node."""
        group, target = self.cluster.groups[-1], self.cluster.numbers[-1]
        self.tell.step(f"Stop {group} everywhere, then start it on node {target}")
        began = boottime()
        self._mosha("set", group, "stop")
        self.sums.stop_s = self._until(
            f"{group} is stopped", lambda p: not p[group], began, MOVE_LIMIT_S
        )
        self._mosha("set", group, "start", f"only={target}")
        self._until(
            f"{group} runs on node {target}",
            lambda p: p[group] == {target: HOME},
            began,
            MOVE_LIMIT_S,
        )
        self._done("both were done")

    def look(self, seconds: float) -> None:
        first = self.cluster.nodes[self.cluster.numbers[0]]
        self.tell.step("See how it stands: mosha status")
        self.tell.report(self._settled(first.settings))
        if seconds:
            self.tell.note(
                f"it goes on for {seconds:g} s; look from another terminal:"
                f" mosha status --watch --config {first.config}"
            )
            time.sleep(seconds)

    def end(self) -> None:
        self.tell.step("End all nodes in an orderly way")
        bad = self.cluster.leave_all()
        if bad:
            raise DemoFailed(f"node {', '.join(map(str, bad))} did not leave as it should")
        self.tell.done("all have left")

    def count(self) -> None:
        """Read the witness file: evidence that does not come from mosha itself."""
        if not self.cluster.witness.exists():
            return
        ran = read_witness(self.cluster.witness.read_text(encoding="ascii"))
        found: list[Overlap] = overlaps(ran)
        self.sums.instances, self.sums.overlaps = len(ran), len(found)
        self.sums.together = [str(overlap) for overlap in found]

    @staticmethod
    def _settled(settings: Settings) -> Report:
        """Return a node's report once it has seen what the others had published before."""
        began = boottime()
        while True:
            report, _ = ask_report(settings)
            if all(group.ok for group in report.groups) or boottime() - began > SETTLE_LIMIT_S:
                return report
            time.sleep(LOOK_S)

    # --- helpers -------------------------------------------------------------------------

    def _restart(self, number: int) -> float:
        """Start a node again; return how long until all others have echoed it."""
        before = self.cluster.nodes[number].status()
        began = boottime()
        self.cluster.nodes[number].start()
        self.cluster.dead.discard(number)
        old = before.inc if before else 0
        return self._until(
            f"node {number} is back", lambda _: self._is_back(number, old), began, START_LIMIT_S
        )

    def _is_back(self, number: int, old: int) -> bool:
        own = self.cluster.nodes[number].status()
        if own is None or own.inc <= old or not own.quorum:
            return False
        others = (self.cluster.nodes[n].status() for n in self.cluster.numbers if n != number)
        return all(
            other is not None and number in other.seen and other.seen[number].inc == own.inc
            for other in others
        )

    def _mosha(self, *words: str) -> None:
        config = self.cluster.nodes[self.cluster.numbers[0]].config
        done = subprocess.run(
            [*command_of("mosha.cli.main"), *words, "--config", str(config)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_LIMIT_S,
            text=True,
            check=False,
        )
        self.tell.command(["mosha", *words], (done.stdout + done.stderr).strip())
        if done.returncode != 0:
            raise DemoFailed(f"mosha {' '.join(words)} ended with status {done.returncode}")

    @staticmethod
    def _at(places: Places, node: int) -> list[str]:
        return [group for group, nodes in places.items() if node in nodes]

    def _done(self, text: str) -> None:
        self.tell.done(text, self.cluster.places())

    def _until_home(
        self, what: str, began: float, limit_s: float, without: int | None = None
    ) -> float:
        def at_home(places: Places) -> bool:
            return all(
                list(nodes.values()) == [HOME] and without not in nodes for nodes in places.values()
            )

        return self._until(what, at_home, began, limit_s)

    def _until(
        self, what: str, holds: Callable[[Places], bool], began: float, limit_s: float
    ) -> float:
        """Wait for a condition on the statuses; return the seconds since `began`."""
        self.tell.waiting(what)
        while not holds(places := self.cluster.places()):
            self._check_alive()
            if boottime() - began > limit_s:
                raise DemoFailed(f"not within {limit_s:g} s: {what}; {'; '.join(_told(places))}")
            time.sleep(LOOK_S)
        return round(boottime() - began, 3)

    def _check_alive(self) -> None:
        for number in self.cluster.alive():
            node = self.cluster.nodes[number]
            status = node.status()
            if not node.runs and not (status and status.state == "left"):
                raise DemoFailed(f"the monitor of node {number} has ended")


def _told(places: Places) -> Iterable[str]:
    for group, nodes in places.items():
        where = ", ".join(f"{line.level} {line.state} on {n}" for n, line in nodes.items())
        yield f"{group}: {where or 'nowhere'}"
