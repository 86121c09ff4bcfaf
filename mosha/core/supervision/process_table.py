"""The states of an entry, and every transition between them (catalogue C3, C6)."""

from __future__ import annotations

import enum


class ProcessState(enum.StrEnum):
    """What an entry is doing."""

    WAITING = "waiting"  # not started yet, or stopped
    RUNNING = "running"
    PAUSING = "pausing"  # respawned too rapidly
    RETRYING = "retrying"  # its host could not start it, and tries again soon
    IDLE = "idle"  # a monitor between two runs
    CLEARING = "clearing"  # the leader is dead, what it left behind is being ended
    STOPPING = "stopping"
    TIMED_OUT = "timed-out"  # it exceeded its time limit, or was not ready, and is being ended
    DONE = "done"
    PASSED = "passed"
    FAILED = "failed"
    OFF = "off"
    STOPPED = "stopped"  # by an operator, until it is ordered to start or its group starts anew


FINISHED = frozenset({ProcessState.DONE, ProcessState.PASSED, ProcessState.FAILED})
ENDING = frozenset({ProcessState.STOPPING, ProcessState.TIMED_OUT})
"""The states in which all its processes are being ended."""

LIVE = frozenset(
    {
        ProcessState.RUNNING,
        ProcessState.PAUSING,
        ProcessState.RETRYING,
        ProcessState.IDLE,
        ProcessState.CLEARING,
        ProcessState.STOPPING,
        ProcessState.TIMED_OUT,
    }
)


class EntryTrigger(enum.Enum):
    """What an event means to an entry of its mode."""

    START = enum.auto()
    FINISH = enum.auto()
    PASS = enum.auto()
    FAIL = enum.auto()
    RESPAWN = enum.auto()
    PAUSE = enum.auto()
    TURN = enum.auto()  # it is started when its turn comes
    UNDO = enum.auto()  # what nobody attends is stopped: by its agent, or by signals
    UNDO_ORDERED = enum.auto()  # the same, for an operator
    RETRY = enum.auto()
    LOSE = enum.auto()
    CLEAR = enum.auto()
    STOP = enum.auto()
    KILL = enum.auto()
    ALARM = enum.auto()
    TIME_OUT = enum.auto()
    READY = enum.auto()
    REST = enum.auto()
    LEADER_DEAD = enum.auto()
    GONE = enum.auto()
    GONE_FOR_GOOD = enum.auto()
    GONE_TO_START = enum.auto()
    STOP_ORDERED = enum.auto()
    START_ORDERED = enum.auto()
    RESTART_ORDERED = enum.auto()


_S = ProcessState
_T = EntryTrigger

# All transitions of an entry. An ignored trigger is a row that keeps the state.
TABLE: dict[tuple[ProcessState, EntryTrigger], ProcessState] = {
    (_S.WAITING, _T.START): _S.RUNNING,
    (_S.WAITING, _T.STOP): _S.WAITING,
    (_S.WAITING, _T.UNDO): _S.STOPPING,
    (_S.WAITING, _T.UNDO_ORDERED): _S.STOPPING,
    (_S.STOPPED, _T.UNDO): _S.STOPPING,
    (_S.STOPPED, _T.UNDO_ORDERED): _S.STOPPING,
    (_S.PAUSING, _T.UNDO): _S.STOPPING,
    (_S.PAUSING, _T.UNDO_ORDERED): _S.STOPPING,
    (_S.RETRYING, _T.UNDO): _S.STOPPING,
    (_S.RETRYING, _T.UNDO_ORDERED): _S.STOPPING,
    (_S.WAITING, _T.KILL): _S.WAITING,
    (_S.RUNNING, _T.FINISH): _S.DONE,
    (_S.RUNNING, _T.PASS): _S.PASSED,
    (_S.RUNNING, _T.FAIL): _S.FAILED,
    (_S.RUNNING, _T.RESPAWN): _S.RUNNING,
    (_S.RUNNING, _T.PAUSE): _S.PAUSING,
    (_S.RUNNING, _T.TURN): _S.WAITING,
    (_S.RUNNING, _T.CLEAR): _S.CLEARING,
    (_S.RUNNING, _T.RETRY): _S.RETRYING,
    (_S.RUNNING, _T.LOSE): _S.CLEARING,
    (_S.RUNNING, _T.TIME_OUT): _S.TIMED_OUT,
    (_S.RUNNING, _T.READY): _S.RUNNING,
    (_S.RUNNING, _T.STOP): _S.STOPPING,
    (_S.RUNNING, _T.KILL): _S.STOPPING,
    (_S.PAUSING, _T.ALARM): _S.RUNNING,
    (_S.PAUSING, _T.TURN): _S.WAITING,
    (_S.PAUSING, _T.STOP): _S.WAITING,
    (_S.PAUSING, _T.KILL): _S.WAITING,
    (_S.RETRYING, _T.ALARM): _S.RUNNING,
    (_S.RETRYING, _T.TURN): _S.WAITING,
    (_S.RETRYING, _T.STOP): _S.WAITING,
    (_S.RETRYING, _T.KILL): _S.WAITING,
    (_S.RUNNING, _T.REST): _S.IDLE,
    (_S.IDLE, _T.ALARM): _S.RUNNING,
    (_S.IDLE, _T.STOP): _S.WAITING,
    (_S.IDLE, _T.KILL): _S.WAITING,
    (_S.CLEARING, _T.REST): _S.IDLE,
    (_S.TIMED_OUT, _T.REST): _S.IDLE,
    (_S.CLEARING, _T.ALARM): _S.CLEARING,
    (_S.CLEARING, _T.RETRY): _S.RETRYING,
    (_S.CLEARING, _T.RESPAWN): _S.RUNNING,
    (_S.CLEARING, _T.PAUSE): _S.PAUSING,
    (_S.CLEARING, _T.TURN): _S.WAITING,
    (_S.CLEARING, _T.FAIL): _S.FAILED,  # an agent, which is in vain here
    (_S.CLEARING, _T.STOP): _S.STOPPING,
    (_S.CLEARING, _T.KILL): _S.STOPPING,
    (_S.STOPPING, _T.ALARM): _S.STOPPING,
    (_S.STOPPING, _T.LEADER_DEAD): _S.STOPPING,
    (_S.STOPPING, _T.GONE): _S.WAITING,
    (_S.STOPPING, _T.STOP): _S.STOPPING,  # C6.8: the escalation goes on as it was
    (_S.STOPPING, _T.KILL): _S.STOPPING,
    (_S.TIMED_OUT, _T.ALARM): _S.TIMED_OUT,
    (_S.TIMED_OUT, _T.LEADER_DEAD): _S.TIMED_OUT,
    (_S.TIMED_OUT, _T.RETRY): _S.RETRYING,  # it never started, so it took no time
    (_S.TIMED_OUT, _T.LOSE): _S.CLEARING,
    (_S.TIMED_OUT, _T.FINISH): _S.DONE,
    (_S.TIMED_OUT, _T.FAIL): _S.FAILED,
    (_S.TIMED_OUT, _T.RESPAWN): _S.RUNNING,  # it was not ready in time
    (_S.TIMED_OUT, _T.PAUSE): _S.PAUSING,
    (_S.TIMED_OUT, _T.TURN): _S.WAITING,
    (_S.TIMED_OUT, _T.STOP): _S.STOPPING,  # the escalation goes on as it was
    (_S.TIMED_OUT, _T.KILL): _S.STOPPING,
    (_S.DONE, _T.STOP): _S.DONE,
    (_S.DONE, _T.KILL): _S.DONE,
    (_S.PASSED, _T.STOP): _S.PASSED,
    (_S.PASSED, _T.KILL): _S.PASSED,
    (_S.FAILED, _T.STOP): _S.FAILED,
    (_S.FAILED, _T.KILL): _S.FAILED,
    (_S.OFF, _T.STOP): _S.OFF,
    (_S.OFF, _T.KILL): _S.OFF,
    (_S.STOPPED, _T.STOP): _S.STOPPED,
    (_S.STOPPED, _T.KILL): _S.STOPPED,
    # What an operator orders for this entry alone. Of PASSED, FAILED and OFF see `entry_refusals`.
    (_S.STOPPING, _T.GONE_FOR_GOOD): _S.STOPPED,
    (_S.STOPPING, _T.GONE_TO_START): _S.RUNNING,
    (_S.WAITING, _T.STOP_ORDERED): _S.STOPPED,
    (_S.RUNNING, _T.STOP_ORDERED): _S.STOPPING,
    (_S.PAUSING, _T.STOP_ORDERED): _S.STOPPING,  # something that left its session may be alive
    (_S.RETRYING, _T.STOP_ORDERED): _S.STOPPING,
    (_S.IDLE, _T.STOP_ORDERED): _S.STOPPING,
    (_S.CLEARING, _T.STOP_ORDERED): _S.STOPPING,
    (_S.STOPPING, _T.STOP_ORDERED): _S.STOPPING,  # the escalation goes on as it was
    (_S.TIMED_OUT, _T.STOP_ORDERED): _S.STOPPING,
    (_S.DONE, _T.STOP_ORDERED): _S.STOPPING,  # a daemon that it left behind may be alive
    (_S.PASSED, _T.STOP_ORDERED): _S.PASSED,
    (_S.FAILED, _T.STOP_ORDERED): _S.FAILED,
    (_S.OFF, _T.STOP_ORDERED): _S.OFF,
    (_S.STOPPED, _T.STOP_ORDERED): _S.STOPPED,
    (_S.WAITING, _T.START_ORDERED): _S.WAITING,  # its turn comes
    (_S.RUNNING, _T.START_ORDERED): _S.RUNNING,
    (_S.PAUSING, _T.START_ORDERED): _S.RUNNING,
    (_S.RETRYING, _T.START_ORDERED): _S.RUNNING,
    (_S.IDLE, _T.START_ORDERED): _S.IDLE,
    (_S.CLEARING, _T.START_ORDERED): _S.CLEARING,  # it is started again as soon as it is clear
    (_S.STOPPING, _T.START_ORDERED): _S.STOPPING,  # ended first, then started
    (_S.TIMED_OUT, _T.START_ORDERED): _S.TIMED_OUT,
    (_S.DONE, _T.START_ORDERED): _S.DONE,
    (_S.PASSED, _T.START_ORDERED): _S.PASSED,
    (_S.FAILED, _T.START_ORDERED): _S.FAILED,
    (_S.OFF, _T.START_ORDERED): _S.OFF,
    (_S.STOPPED, _T.START_ORDERED): _S.WAITING,  # for its turn, which may be now
    (_S.WAITING, _T.RESTART_ORDERED): _S.WAITING,
    (_S.RUNNING, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.PAUSING, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.RETRYING, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.IDLE, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.CLEARING, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.STOPPING, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.TIMED_OUT, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.DONE, _T.RESTART_ORDERED): _S.STOPPING,
    (_S.PASSED, _T.RESTART_ORDERED): _S.PASSED,
    (_S.FAILED, _T.RESTART_ORDERED): _S.FAILED,
    (_S.OFF, _T.RESTART_ORDERED): _S.OFF,
    (_S.STOPPED, _T.RESTART_ORDERED): _S.WAITING,
}
