"""What each kind of fault does to the cluster, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S
from mosha.core.status import Order, Verb
from tests.sim import edits
from tests.sim.agenda import chance
from tests.sim.world import HARMLESS, HIDING, ON_PURPOSE, WEATHER, Fault

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine

Deed = Callable[["Machine", Fault], None]

POWER = frozenset({"crash", "wipe", "losewrites", "renode"})


class Faults:
    """Carries out the faults of one world."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.current: list[Fault] = []
        self.begun = 0
        self.unwell_at = -math.inf  # until then a node may not see what others do
        self.disturbed_at = -math.inf  # until then something was wrong besides failing processes
        self._begin: dict[str, Deed] = {
            "vanish": self._vanish,
            "killmonitor": self._kill_monitor,
            "pausemonitor": self._pause_monitor,
            "killclinit": lambda machine, _: machine.kill_clinit(),
            "stopclinit": lambda machine, _: machine.stop_clinit(),
            "join": self._join,
            "pauseclinit": self._pause_clinit,
            "crash": lambda machine, _: machine.crash(),
            "wipe": self._wipe,
            "losedir": lambda machine, _: machine.lose_directory(),
            "leave": lambda machine, fault: machine.leave(fault.at + fault.lasts),
            "wallclock": self._jump,
            "die": self._die,
            "edit": self._edit,
            "badedit": self._bad_edit,
            "cltab": self._edit_cltab,
            "badcltab": self._bad_cltab,
            "confirm": self._confirm,
            "losewrites": self._lose_writes,
            "oldclstat": self._old_clstat,
            "retime": self._retime,
            "losestate": self._lose_state,
            "newrundir": self._lose_state,
            "standstill": lambda machine, _: machine.stand_still(),
            "renode": self._renode,
            "errconfirm": self._confirm_wrongly,
            **dict.fromkeys(("restart", "move", "cleanup", "standby"), cluster.operators.order),
            "fail": cluster.operators.fail,
            "shoot": cluster.operators.shoot,
            **dict.fromkeys(("disarm", "arm"), cluster.operators.disarm),
        }
        self._end: dict[str, Deed] = {
            "vanish": lambda machine, _: cluster.files.gone.discard(machine.id),
            "killmonitor": lambda machine, _: machine.start_monitor(),
            "pausemonitor": self._resume_monitor,
            "pauseclinit": self._resume_clinit,
            "crash": self._boot,
            "wipe": self._boot,
            "wallclock": self._jump_back,
            "losewrites": self._boot,
            "oldclstat": lambda machine, _: machine.start_monitor(),
            "retime": self._retime_back,
            "losestate": lambda machine, _: machine.start_monitor(),
            "newrundir": lambda machine, _: machine.start_monitor(),
            "standstill": lambda machine, _: machine.go_on(),
            "renode": self._renode_back,
            "standby": self._unstandby,
            "join": self._joined,
        }

    def begin(self, fault: Fault) -> None:
        """Begin a fault, and plan its end."""
        cluster = self.cluster
        cluster.truth.cover(f"fault {fault.kind}")
        cluster.story(f"fault {text_of(fault)}")
        self.current.append(fault)
        self.begun += 1
        if fault.kind not in HARMLESS:
            self.disturbed_at = max(self.disturbed_at, fault.at + fault.lasts)
        if fault.kind not in HARMLESS | ON_PURPOSE:
            self.unwell_at = max(self.unwell_at, fault.at + fault.lasts)
        if fault.kind in HIDING:
            cluster.hidden_at = fault.at + fault.lasts
        if fault.kind in WEATHER:
            cluster.weather.begin(fault)
        else:
            for node in fault.nodes:
                # Nobody does anything on a machine that stands still, but takes its power away.
                if not cluster.machines[node].clock.still or fault.kind in POWER:
                    self._begin[fault.kind](cluster.machines[node], fault)
        cluster.agenda.at(fault.at + fault.lasts, partial(self.end, fault))

    def end(self, fault: Fault) -> None:
        """End a fault that is still in force."""
        if not any(it is fault for it in self.current):
            return
        self.current = [it for it in self.current if it is not fault]
        cluster = self.cluster
        if fault.kind in WEATHER:
            cluster.weather.end(fault)
            if fault.kind == "cut":
                links = [(a, b) for a in fault.nodes for b in fault.others]
                cluster.healed(links + [(b, a) for a, b in links])
            return
        deed = self._end.get(fault.kind)
        for node in fault.nodes if deed is not None else ():
            assert deed is not None
            deed(cluster.machines[node], fault)

    def end_all(self) -> None:
        """End all faults; some nodes stay dead, all others come back."""
        self.disturbed_at = self.unwell_at = self.cluster.agenda.now
        for fault in tuple(self.current):
            self.end(fault)
        for machine in self.cluster.machines.values():
            machine.wall_jump_s = 0.0
            if machine.timing != self.cluster.world.timing:
                machine.retime(1.0)
                machine.restart_monitor()
            for shelf in machine.disk.tables.values():
                if shelf.is_refused(int(machine.wall_s * NS_PER_S)):
                    shelf.file = None  # somebody removes it
            if machine.id in self.cluster.stay_dead():
                machine.crash()
                continue
            machine.boot()
            if machine.monitor is None and machine.leaving_until is None:
                machine.start_monitor()
            machine.leaving_until = None if machine.leaving_until is None else 0.0

    # --- deeds -------------------------------------------------------------------------

    def _vanish(self, machine: Machine, fault: Fault) -> None:
        del fault
        self.cluster.files.gone.add(machine.id)

    def _kill_monitor(self, machine: Machine, fault: Fault) -> None:
        del fault
        machine.kill_monitor()

    def _pause_monitor(self, machine: Machine, fault: Fault) -> None:
        del fault
        if machine.monitor is not None:
            machine.monitor.pause()

    def _resume_monitor(self, machine: Machine, fault: Fault) -> None:
        del fault
        if machine.monitor is not None:
            machine.monitor.resume()

    def _pause_clinit(self, machine: Machine, fault: Fault) -> None:
        del fault
        if machine.clinit is not None:
            machine.clinit.pause()

    def _resume_clinit(self, machine: Machine, fault: Fault) -> None:
        del fault
        if machine.clinit is not None and machine.clinit.paused:
            machine.clinit.resume()

    def _wipe(self, machine: Machine, fault: Fault) -> None:
        del fault
        machine.crash()
        machine.lose_directory()

    def _lose_writes(self, machine: Machine, fault: Fault) -> None:
        """Cut the power; what the file server had not yet written is lost with it."""
        machine.crash()
        if self.cluster.files.go_back(machine.id, int(fault.amount)):
            self.cluster.truth.cover("fault last clstats lost")

    def _old_clstat(self, machine: Machine, fault: Fault) -> None:
        machine.kill_monitor()
        if machine.up and self.cluster.files.go_back(machine.id, int(fault.amount)):
            self.cluster.truth.cover("fault older clstat of the same boot")

    def _retime(self, machine: Machine, fault: Fault) -> None:
        machine.retime(fault.amount)
        machine.restart_monitor()

    def _retime_back(self, machine: Machine, fault: Fault) -> None:
        del fault
        machine.retime(1.0)
        machine.restart_monitor()

    def _lose_state(self, machine: Machine, fault: Fault) -> None:
        if machine.up:
            machine.kill_monitor()
            machine.lose_state(clinit=fault.kind == "newrundir")

    def _renode(self, machine: Machine, fault: Fault) -> None:
        """Take a node out of the list, on one node after the other (`nodes` of mosha.toml)."""
        if machine.id in fault.others:
            machine.crash()
            return
        self._relist(machine, fault, machine.nodes - set(fault.others))

    def _renode_back(self, machine: Machine, fault: Fault) -> None:
        if machine.id in fault.others:
            self._boot(machine, fault)
            return
        self._relist(machine, fault, frozenset(self.cluster.world.ids))

    def _relist(self, machine: Machine, fault: Fault, nodes: frozenset[int]) -> None:
        def restart() -> None:
            machine.nodes = nodes
            machine.restart_monitor()

        step_s = fault.lasts / (2 * self.cluster.world.nodes)
        self.cluster.agenda.at(self.cluster.agenda.now + machine.id * step_s, restart)

    def keep_out(self) -> None:
        """Let nobody know of those that will join, from the start."""
        for fault in self.cluster.world.faults:
            if fault.kind == "join":
                for machine in self.cluster.machines.values():
                    machine.joins = machine.joins or machine.id in fault.others
                    machine.nodes -= set(fault.others)

    def _join(self, machine: Machine, fault: Fault) -> None:
        """Add a node to the list of one node after the other; it boots when that is done."""
        self._relist(machine, fault, frozenset(self.cluster.world.ids))

    def _joined(self, machine: Machine, fault: Fault) -> None:
        """Boot the node that joins; one that stood still gets the new list when it goes on."""
        everyone = frozenset(self.cluster.world.ids)
        if machine.id in fault.others:
            machine.joins, machine.nodes = False, everyone
            self._boot(machine, fault)
        elif machine.nodes != everyone:
            machine.nodes = everyone
            if machine.clock.still:
                machine.defer(machine.restart_monitor)
            else:
                machine.restart_monitor()

    def _boot(self, machine: Machine, fault: Fault) -> None:
        del fault
        if machine.id not in self.cluster.stay_dead():
            machine.boot()

    def _unstandby(self, machine: Machine, fault: Fault) -> None:
        for other in fault.others:
            self.cluster.operators.give(machine, Order(Verb.UNSTANDBY, "", other))

    def _jump(self, machine: Machine, fault: Fault) -> None:
        machine.wall_jump_s += fault.amount

    def _jump_back(self, machine: Machine, fault: Fault) -> None:
        machine.wall_jump_s -= fault.amount

    def _die(self, machine: Machine, fault: Fault) -> None:
        if machine.clinit is not None:
            machine.clinit.die(fault.word)

    def _edit(self, machine: Machine, fault: Fault) -> None:
        """Edit hactl in the node's own directory, at the time of its wall clock or before."""
        before = machine.disk.tables[HACTL].file
        text = edits.edited_hactl(
            before[0] if before else b"", fault.word, self.cluster.world.groups
        )
        self._save(machine, HACTL, text, age_s=fault.amount)

    def _edit_cltab(self, machine: Machine, fault: Fault) -> None:
        before = machine.disk.tables[CLTAB].file
        specs = self.cluster.world.groups
        text = edits.edited_cltab(before[0] if before else b"", fault.word, specs)
        self._save(machine, CLTAB, text, age_s=fault.amount)

    def _bad_edit(self, machine: Machine, fault: Fault) -> None:
        del fault
        self._save(machine, HACTL, edits.BAD[HACTL])

    def _bad_cltab(self, machine: Machine, fault: Fault) -> None:
        del fault
        self._save(machine, CLTAB, edits.BAD[CLTAB])

    def _save(self, machine: Machine, table: str, text: bytes, age_s: float = 0.0) -> None:
        """Write a table, in two parts where editors do so; one that is older is copied whole."""
        world, agenda = self.cluster.world, self.cluster.agenda

        def whole() -> None:
            self.cluster.tables.whole(machine.id, table, text)
            self._write(machine, table, text, age_s)

        if not world.editor_s or age_s:
            whole()
            return
        rng = chance(world.seed, "editor", machine.id, agenda.now)
        half = text[: rng.randrange(len(text) + 1)]
        machine.cover("fault table edited in two parts")
        self.cluster.tables.half(machine.id, table, machine.disk.text(table) or b"", half)
        self._write(machine, table, half)
        agenda.at(agenda.now + world.editor_s * rng.random(), whole)

    @staticmethod
    def _write(machine: Machine, table: str, text: bytes, age_s: float = 0.0) -> None:
        machine.disk.tables[table].file = (text, int((machine.wall_s - age_s) * 1e9))

    def _confirm_wrongly(self, machine: Machine, fault: Fault) -> None:
        for other in fault.others:
            until = min(fault.at + fault.lasts, self.cluster.world.chaos_s)
            self.cluster.fences.confirm_wrongly(machine, self.cluster.machines[other], until)

    def _confirm(self, machine: Machine, fault: Fault) -> None:
        for other in fault.others:
            self.cluster.fences.confirm(machine, self.cluster.machines[other])


def text_of(fault: Fault) -> str:
    """Return a fault as a line of a story."""
    words = [fault.kind, ",".join(map(str, fault.nodes))]
    words += [f"others={','.join(map(str, fault.others))}"] if fault.others else []
    words += [f"word={fault.word.replace(' ', '_')}"] if fault.word else []
    words += [f"amount={fault.amount:g}"] if fault.amount else []
    words += [f"lasts={fault.lasts:g}"] if fault.lasts else []
    return " ".join(words)
