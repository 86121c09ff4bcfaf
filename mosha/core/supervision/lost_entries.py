"""What follows when an agent, a unit or an address fails at its level.

What comes after it in the table may use it: a database on a volume. So that is stopped, is not
started meanwhile, and is started in order as soon as the entry is ready again. A process that waits
to be told before it stops its service is told when all that is gone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mosha.core.supervision.process_events import Scope, Signal
from mosha.core.supervision.process_record import Process
from mosha.core.supervision.process_table import ProcessState


def dependants(processes: Sequence[Process]) -> frozenset[str]:
    """Return the tags of what comes after the first entry that is lost, in the order of the file.

    What an operator has stopped stays stopped: it is none of them.
    """
    after = itertools.islice(itertools.dropwhile(lambda p: not p.lost, processes), 1, None)
    return frozenset(p.entry.tag for p in after if p.state is not ProcessState.STOPPED)


def are_started(processes: Sequence[Process]) -> bool:
    """Say whether any of the dependants has been started at this level."""
    tags = dependants(processes)
    unstarted = (ProcessState.WAITING, ProcessState.OFF)
    return any(p.entry.tag in tags and p.state not in unstarted for p in processes)


def staying(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Return what need not be listed anew for its state when its group is at its level anew.

    What an operator has stopped is started again with its group, and so is a failed agent; what is
    done because of a lost entry leaves both as they are.
    """
    lost = any(p.lost for p in processes)
    return tuple(p for p in processes if lost or not (p.held or p.in_vain))


def told_to_stop(processes: Sequence[Process]) -> tuple[Signal, ...]:
    """Return the signals to what waits to be told that it may stop its service."""
    return tuple(Signal(p.entry, p.run, "TERM", Scope.LEADER) for p in processes if p.asks)
