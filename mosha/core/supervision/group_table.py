"""The transitions between the states of a group, and the orders of each (C7.3, C4.22)."""

from __future__ import annotations

import enum

from mosha.core.status import GroupState


class EntriesOrder(enum.Enum):
    """An order of a group to the unit that holds its entries."""

    STOP_LEAVERS = enum.auto()
    STOP_ALL = enum.auto()
    KILL_ALL = enum.auto()
    LIST_ENTRIES = enum.auto()  # list those of the wanted level, in file order; forget others
    SWEEP = enum.auto()  # send the signal of the current step to what is left, watch it go
    SWEEP_ON = enum.auto()  # the next signal


class GroupTrigger(enum.Enum):
    """What an event means to a group."""

    TELL = enum.auto()
    LAPSE = enum.auto()
    KILL = enum.auto()
    HALT = enum.auto()
    GONE = enum.auto()
    LISTED = enum.auto()
    STARTED = enum.auto()
    LOST = enum.auto()
    ENDED = enum.auto()
    EMPTY = enum.auto()
    SWEEP_ON = enum.auto()
    DONE = enum.auto()
    PASS = enum.auto()
    FAIL = enum.auto()


_G = GroupState
_T = GroupTrigger

# C7.3, C4.22. An ignored trigger is a row that keeps the state.
TABLE: dict[tuple[GroupState, GroupTrigger], GroupState] = {
    (_G.CONFIGURED, _T.TELL): _G.STARTING,
    (_G.CONFIGURED, _T.HALT): _G.CONFIGURED,
    (_G.STARTING, _T.TELL): _G.STOPPING,
    (_G.STARTING, _T.LAPSE): _G.STOPPING,
    (_G.STARTING, _T.KILL): _G.STOPPING,
    (_G.STARTING, _T.HALT): _G.HALTING,
    (_G.STARTING, _T.STARTED): _G.CHECKING,
    (_G.STARTING, _T.LOST): _G.STOPPING,
    (_G.CHECKING, _T.TELL): _G.STOPPING,
    (_G.CHECKING, _T.LAPSE): _G.STOPPING,
    (_G.CHECKING, _T.KILL): _G.STOPPING,
    (_G.CHECKING, _T.HALT): _G.HALTING,
    (_G.CHECKING, _T.ENDED): _G.CHECKING,
    (_G.CHECKING, _T.SWEEP_ON): _G.CHECKING,
    (_G.CHECKING, _T.EMPTY): _G.CHECKING,
    (_G.CHECKING, _T.DONE): _G.DONE,
    (_G.CHECKING, _T.PASS): _G.PASSED,
    (_G.CHECKING, _T.FAIL): _G.FAILED,
    (_G.DONE, _T.TELL): _G.STOPPING,
    (_G.DONE, _T.LAPSE): _G.STOPPING,
    (_G.DONE, _T.KILL): _G.STOPPING,
    (_G.DONE, _T.HALT): _G.HALTING,
    (_G.DONE, _T.FAIL): _G.FAILED,  # an agent cannot run its service here any more
    (_G.DONE, _T.LOST): _G.STOPPING,  # of the same level, for what comes after it
    (_G.PASSED, _T.TELL): _G.STOPPING,
    (_G.PASSED, _T.LAPSE): _G.STOPPING,
    (_G.PASSED, _T.KILL): _G.STOPPING,
    (_G.PASSED, _T.HALT): _G.HALTING,
    (_G.FAILED, _T.TELL): _G.STOPPING,
    (_G.FAILED, _T.LAPSE): _G.STOPPING,
    (_G.FAILED, _T.KILL): _G.STOPPING,
    (_G.FAILED, _T.HALT): _G.HALTING,
    (_G.STOPPING, _T.TELL): _G.STOPPING,
    (_G.STOPPING, _T.LAPSE): _G.STOPPING,
    (_G.STOPPING, _T.KILL): _G.STOPPING,
    (_G.STOPPING, _T.HALT): _G.HALTING,
    (_G.STOPPING, _T.GONE): _G.DUMPING,
    (_G.DUMPING, _T.LISTED): _G.STARTING,
    (_G.HALTING, _T.HALT): _G.HALTING,
    (_G.HALTING, _T.KILL): _G.HALTING,
    (_G.HALTING, _T.GONE): _G.HALTING,
    (_G.HALTING, _T.SWEEP_ON): _G.HALTING,
    (_G.HALTING, _T.EMPTY): _G.CONFIGURED,
}

# The orders of each transition. One that is not listed has none.
ASKS: dict[tuple[GroupState, GroupTrigger], tuple[EntriesOrder, ...]] = {
    (_G.STARTING, _T.TELL): (EntriesOrder.LIST_ENTRIES,),
    (_G.STOPPING, _T.TELL): (EntriesOrder.STOP_LEAVERS,),
    (_G.STOPPING, _T.LAPSE): (EntriesOrder.STOP_LEAVERS,),
    (_G.STOPPING, _T.LOST): (EntriesOrder.STOP_LEAVERS,),
    (_G.STOPPING, _T.KILL): (EntriesOrder.KILL_ALL,),
    (_G.DUMPING, _T.GONE): (EntriesOrder.LIST_ENTRIES,),
    (_G.CHECKING, _T.ENDED): (EntriesOrder.SWEEP,),
    (_G.CHECKING, _T.SWEEP_ON): (EntriesOrder.SWEEP_ON,),
    (_G.HALTING, _T.HALT): (EntriesOrder.STOP_ALL,),
    (_G.HALTING, _T.KILL): (EntriesOrder.KILL_ALL,),
    (_G.HALTING, _T.GONE): (EntriesOrder.SWEEP,),
    (_G.HALTING, _T.SWEEP_ON): (EntriesOrder.SWEEP_ON,),
}
