"""Tries an agent on this machine: `mosha ocf test`.

It does what the standard asks of an agent, as ocf-tester does: each action, twice and in the wrong
order. And what a cluster does to one besides: an action is killed in the middle, two run at once,
the service dies underneath. After each stop nothing may be left of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from mosha.core.lasting import is_known, lasting_effect
from mosha.ocf import results
from mosha.ocf.action import ActionEnded, BegunAction, run_action
from mosha.ocf.environment import Resource, action_environment
from mosha.ocf.kin import alive_below, reap
from mosha.ocf.leftovers import kernel_state, left_since
from mosha.ocf.metadata import OcfMetadata
from mosha.ocf.parameters import parameter_findings
from mosha.ocf.results import told_result
from mosha.ocf.signals import Signals

NEEDED_ACTIONS = ("start", "stop", "monitor", "meta-data", "validate-all")
INTERVAL_S = 10.0
"""A monitor with an interval is no probe."""

CUT_AT = 0.5
"""An action is killed after this part of the time that it took before."""

CUT_MIN_S = 0.005
SLOW_PART = 0.5
"""An action that takes more than this part of its limit here will be late somewhere else."""

DEATHS_LOOKS = 40
"""So often, a twentieth of a second apart, it is looked whether what a stop has ended is gone."""

LOOK_S = 0.05

_OK = frozenset({results.SUCCESS})


class TrialStep(Struct, frozen=True):
    """One step: `good`, `failed` or `skipped`, how many seconds it took, and what it came to."""

    step: str
    outcome: str
    took_s: float
    text: str


class Trial:
    """One trial of an agent; `report` gets each step when it has ended.

    The caller is the subreaper of its descendants. Whatever happens, the last thing is a stop.
    """

    def __init__(
        self,
        resource: Resource,
        metadata: OcfMetadata,
        signals: Signals,
        *,
        says: Callable[[str], None],
        report: Callable[[TrialStep], None],
    ) -> None:
        self.failed = False
        self._resource = resource
        self._metadata = metadata
        self._signals = signals
        self._says = says
        self._report = report
        self._took_s: dict[str, float] = {}
        self._before: Mapping[str, frozenset[str]] = kernel_state()

    def run(self) -> bool:
        """Try the agent; return whether no step failed."""
        self._read()
        if self._begin():
            try:
                self._live()
                self._cut("start")
                self._cut("stop")
                self._outlive()
            finally:
                if self._signals.stopping or not self._is_stopped():
                    self._act("stop", "the last stop", _OK)
        if self._signals.stopping:
            self._note("interrupted", "failed", "not all steps were made")
        return not self.failed

    # --- the parts ---------------------------------------------------------------------------

    def _read(self) -> None:
        """Compare what the agent says of itself with what was given, and with the standard."""
        known = {each.name for each in self._metadata.actions}
        missing = [name for name in NEEDED_ACTIONS if name not in known]
        text = f"no {', no '.join(missing)}" if missing else f"{len(known)} actions"
        self._note("actions", "failed" if missing else "good", text)
        found = list(parameter_findings(self._metadata, self._resource.parameters))
        grave = any(each.grave for each in found)
        text = "; ".join(each.text for each in found) or f"{len(self._resource.parameters)} given"
        self._note("parameters", "failed" if grave else "good", text)

    def _begin(self) -> bool:
        """Make sure that it does not run yet; say whether it may be started."""
        self._act("validate-all", "validate-all", _OK)
        unknown = frozenset({results.ERR_UNIMPLEMENTED})
        self._act("no-such-action", "unknown action", unknown)
        status = self._run("monitor").status
        if status in results.RUNNING:
            text = "it runs already, and is left alone: stop it first, then test it"
            self._note("not running", "failed", text)
            return False
        self._act("monitor", "probe", results.STOPPED)
        self._act("stop", "stop what is stopped", _OK)
        return not self._signals.stopping

    def _live(self) -> None:
        """Start it, do all that may be done while it runs, and stop it."""
        if not self._act("start", "start", _OK):
            return
        for depth in self._metadata.depths() or [0]:
            name = f"monitor, depth {depth}" if depth else "monitor"
            # A deeper monitor may need parameters that nobody has given.
            wanted = results.RUNNING | ({results.ERR_CONFIGURED} if depth else set())
            self._act("monitor", name, wanted, interval_s=INTERVAL_S, depth=depth)
        self._act("monitor", "probe while it runs", results.RUNNING)
        self._act("start", "start what runs", _OK)
        self._at_once("monitor", results.RUNNING, all)
        self._stop("stop")
        self._act("monitor", "monitor of what is stopped", results.STOPPED, interval_s=INTERVAL_S)
        if self._act("start", "start again", _OK):
            self._die()
            self._stop("stop what has died")
        self._at_once("start", _OK, any)
        self._stop("stop after that")

    def _die(self) -> None:
        """Kill the processes of the service: a monitor has to find that."""
        pids = alive_below()
        effect = lasting_effect(self._resource.agent.type)
        if effect or not pids:
            text = (
                f"it is {effect}, not a process" if effect else "it has no process below this one"
            )
            self._note("killed underneath", "skipped", text)
            return
        self._kill(pids)
        dead = frozenset(results.MEANINGS) - results.RUNNING
        self._act("monitor", "killed underneath", dead, interval_s=INTERVAL_S)

    def _cut(self, action: str) -> None:
        """Kill an action in the middle: the next stop has to clean up."""
        limit_s = max(self._took_s.get(action, 0.0) * CUT_AT, CUT_MIN_S)
        if self._signals.stopping or action not in self._took_s:
            return
        if action == "stop" and not self._act("start", "start to stop", _OK):
            return
        ended = self._run(action, limit_s=limit_s)
        late = ended.status is None
        outcome = "failed" if ended.undead else "good" if late else "skipped"
        text = f"killed after {limit_s:.2f} s" if late else "it was faster than that"
        self._note(f"{action}, killed in the middle", outcome, text, ended.took_s)
        self._stop(f"stop after a {action} that was killed")

    def _outlive(self) -> None:
        """Kill all processes that the service has, and say what is left of it: no step fails."""
        if self._signals.stopping or not self._act("start", "start, to be killed", _OK):
            return
        self._kill(alive_below())
        left = left_since(self._before)
        said = self._run("monitor")
        text = "; ".join(left) or "nothing that is known of"
        if said.status in results.RUNNING:
            text += "; its probe says that it runs"
        self._note("what outlives a kill of all processes", "good", text + self._advice(left))
        self._stop("stop after a kill")

    def _advice(self, left: Sequence[str]) -> str:
        """Return what to write in cltab, if mosha does not know what was found."""
        agent = self._resource.agent
        known = is_known(agent.provider, agent.type)
        if left and not lasting_effect(agent.type):
            return ": write ocf(lasts=yes)"
        return "" if left or known else ": if that is all there is, write ocf(lasts=no)"

    def _at_once(
        self, action: str, wanted: Collection[int], needed: Callable[[Iterable[bool]], bool]
    ) -> None:
        """Run an action twice at the same time: `all` of them have to succeed, or `any`."""
        if self._signals.stopping:
            return
        limit_s = self._metadata.limit_s(action)
        interval_s = INTERVAL_S if action == "monitor" else 0.0
        environment = action_environment(
            self._resource, action, limit_s=limit_s, interval_s=interval_s, inherited=os.environ
        )
        begun = [BegunAction(self._resource, action, environment, self._says) for _ in range(2)]
        both = [each.end(limit_s, self._signals, stoppable=True) for each in begun]
        good = needed(ended.status in wanted for ended in both)
        text = " and ".join(self._told(action, ended) for ended in both)
        took_s = max(ended.took_s for ended in both)
        self._note(f"two of {action} at once", "good" if good else "failed", text, took_s)

    def _stop(self, name: str) -> None:
        """Stop it, and make sure that it is stopped and nothing of it is left."""
        if self._signals.stopping:
            return  # there is a last stop
        self._act("stop", name, _OK)
        self._act("monitor", f"{name}, then probe", results.STOPPED)
        self._wait_for_deaths()
        pids = alive_below()
        left = [*(f"process {pid} ({_name_of(pid)})" for pid in pids), *left_since(self._before)]
        text = "; ".join(left) or "nothing"
        self._note(f"{name}, then what is left", "failed" if left else "good", text)
        self._kill(pids)  # what comes next begins with nothing

    def _kill(self, pids: Iterable[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # with another of them
                continue
        self._wait_for_deaths()

    def _wait_for_deaths(self) -> None:
        for _ in range(DEATHS_LOOKS):
            alive = alive_below()
            reap()  # after the look, or one that dies meanwhile is seen by the agent
            if not alive:
                return
            time.sleep(LOOK_S)

    def _is_stopped(self) -> bool:
        return self._run("monitor").status in results.STOPPED

    # --- one step ----------------------------------------------------------------------------

    def _act(
        self,
        action: str,
        name: str,
        wanted: Collection[int],
        *,
        interval_s: float = 0.0,
        depth: int = 0,
    ) -> bool:
        """Run an action, and report whether it ended as it has to."""
        stoppable = action != "stop"
        if stoppable and self._signals.stopping:
            return False
        ended = self._run(action, interval_s=interval_s, depth=depth, stoppable=stoppable)
        if ended.interrupted:
            return False
        good = ended.status in wanted
        text = self._told(action, ended)
        limit_s = self._metadata.limit_s(action, depth)
        if good:
            self._took_s.setdefault(action, ended.took_s)
            if ended.took_s > SLOW_PART * limit_s:
                text += f"; slow: its limit is {limit_s:g} s"
        else:
            text += f"; expected was {_listed(wanted)}"
        self._note(name, "good" if good else "failed", text, ended.took_s)
        return good

    def _told(self, action: str, ended: ActionEnded) -> str:
        limit_s = self._metadata.limit_s(action)
        told = told_result(action, ended.status, ended.reason, limit_s=limit_s)
        return told.removeprefix(f"{action}: ")

    def _run(
        self,
        action: str,
        *,
        limit_s: float | None = None,
        interval_s: float = 0.0,
        depth: int = 0,
        stoppable: bool = True,
    ) -> ActionEnded:
        return run_action(
            self._resource,
            action,
            limit_s=self._metadata.limit_s(action, depth) if limit_s is None else limit_s,
            interval_s=interval_s,
            depth=depth,
            says=self._says,
            signals=self._signals,
            stoppable=stoppable,
        )

    def _note(self, step: str, outcome: str, text: str, took_s: float = 0.0) -> None:
        self.failed = self.failed or outcome == "failed"
        self._report(TrialStep(step, outcome, round(took_s, 3), text))


def _listed(wanted: Collection[int]) -> str:
    numbers = sorted(wanted)
    return " or ".join(str(number) for number in numbers[:3]) if numbers else "nothing"


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return "gone"
