"""The names of instances: `dns@3` is that of group `dns` on node 3 (`on=all` of hactl).

No table has such a name. This imports nothing: commands that only look at names start at once.
"""

from __future__ import annotations

INSTANCE_MARK = "@"


def instance(group: str, node: int) -> str:
    """Return the name of a group's instance on a node."""
    return f"{group}{INSTANCE_MARK}{node}"


def single(group: str) -> str:
    """Return the group in the tables that an instance is of; any other group is its own."""
    return group.partition(INSTANCE_MARK)[0]


def node_of(group: str) -> int | None:
    """Return the node of an instance, None for any other group."""
    _, mark, node = group.partition(INSTANCE_MARK)
    return int(node) if mark else None
