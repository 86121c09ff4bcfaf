"""The kinds of problems: programs compare these words, people read sentences.

docs/how-to/recover.md has a section for each of them; a test checks that.
"""

from __future__ import annotations

import enum


class ProblemKind(enum.StrEnum):
    """The kind of a problem of `mosha status` and hastat."""

    HOST = "host"  # this machine: its disk, its mounts, its clinit
    NO_QUORUM = "no-quorum"  # this node hears too few others; groups wait for that
    NODE_STALE = "node-stale"
    NODE_NEVER_HEARD = "node-never-heard"
    NODE_LATE = "node-late"
    NODE_UNCONFIRMED = "node-unconfirmed"  # no new status since this monitor started
    NODE_FENCED = "node-fenced"
    NODE_PROBATION = "node-probation"  # found dead too often, it owns no group for a while
    NODE_UNABLE = "node-unable"  # it cannot end a group, and may ask to be shot for it
    NODE_CUT_OFF = "node-cut-off"  # its storage does not let it in, so it can own no group
    FENCING = "fencing"  # a method failed its test, or was not tested for long
    SHOT_OUTLIVED = "shot-outlived"  # a node is heard although a shot at it had a receipt
    FENCING_HELD = "fencing-held"  # stale nodes are not shot: disarmed, the brake, the budget
    SETTINGS_DIFFER = "settings-differ"  # settings that must be the same on all nodes are not
    GROUP = "group"  # it is not where hactl wants it
    ENTRY = "entry"  # the group is at its level, but one of its entries is in trouble
    OUTDATED = "outdated"  # the group runs with an outdated cltab
    STOPPED = "stopped"  # an operator has stopped an entry of a group that runs
    TABLE_REFUSED = "table-refused"
    TABLE_REMARK = "table-remark"
    LEASE = "lease"  # its renewal takes too long
    NO_CGROUPS = "no-cgroups"  # a process that hides from its group may be overlooked


GROUP_KINDS = frozenset(
    {ProblemKind.GROUP, ProblemKind.ENTRY, ProblemKind.OUTDATED, ProblemKind.STOPPED}
)
"""The kinds whose text does not name its subjects: these are groups."""
