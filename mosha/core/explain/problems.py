"""What can be wrong, as kinds: the words that programs compare, where people read sentences.

docs/how-to/recover.md has a section for each of them; a test holds that.
"""

from __future__ import annotations

import enum


class ProblemKind(enum.StrEnum):
    """The kind of a problem of `mosha status` and hastat."""

    HOST = "host"  # this machine: its disk, its mounts, its clinit
    NO_QUORUM = "no-quorum"  # this node hears too few others; the groups that wait for it
    NODE_STALE = "node-stale"
    NODE_NEVER_HEARD = "node-never-heard"
    NODE_LATE = "node-late"
    NODE_UNCONFIRMED = "node-unconfirmed"  # nothing new of it since this monitor started
    NODE_FENCED = "node-fenced"
    SETTINGS_DIFFER = "settings-differ"  # what must be the same on all nodes is not
    GROUP = "group"  # it is not where hactl wants it
    ENTRY = "entry"  # the group is at its level, and an entry of it is not well
    OUTDATED = "outdated"  # the group runs as an older cltab had it
    TABLE_REFUSED = "table-refused"
    TABLE_REMARK = "table-remark"
    LEASE = "lease"  # its renewal takes too long
    NO_CGROUPS = "no-cgroups"  # what cuts all ties to its group may be overlooked


GROUP_KINDS = frozenset({ProblemKind.GROUP, ProblemKind.ENTRY, ProblemKind.OUTDATED})
"""The kinds whose text does not name what it is about: the subjects are groups."""
