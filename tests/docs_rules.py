"""The rules that `mosha why` and `mosha why-not` report, as tables of the manual."""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.cluster.eligibility import ALL, GROUP
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.status import Ban, GroupLine, GroupState
from mosha.core.tables import Wish
from tests.core.story import TIMING, G, hactl, one_of_three, status

OTHER_NODE = 2
BOTH = frozenset(rule.name for rule in GROUP) | {"quorum", "after"}


OTHER_RULES = {
    "member": ("why-not", "only if it is not a node of this cluster"),
    "cltab refused": ("both", "the first mistake of a newer text that is not adopted"),
    "hactl refused": ("both", "the same for hactl"),
    "place": ("why", "where the group is, according to every status that shows it (C1)"),
    "entry": ("why", "each entry on this node, and those of other nodes that have a problem"),
    "restarts": (
        "why",
        "how often a node has restarted the group in place because a monitor failed, and why last",
    ),
    "gave-way": (
        "both",
        (
            "to which group of a higher [`priority=`](hactl.md#priority) it gave way, where and"
            " when: `why` has the last time on any node, `why-not` that on the node. Until it is"
            " claimed there again"
        ),
    ),
    "failures": (
        "why",
        (
            "only with [`on-failure=`](hactl.md#on-failure) or a monitor: how often its "
            "entries have failed on this node within that time, how often it was moved, what "
            "the next failure will do (which node would take the group, that it stays, or "
            "that it is stopped for good), and when the oldest and the last failure and move "
            "are forgotten. A node that does not run the group names the node that counts"
        ),
    ),
    "candidate": ("why", "each node that could take it, by rank, or why it could not"),
    "votes": ("why", "how many votes a claim has (C3)"),
    "vote": ("both", "each vote (V1 to V3)"),
    "lease": (
        "why",
        "how long the lease of this node runs, or until when a claim must be granted (C4, C6)",
    ),
    "silence": ("both", "only while this node must not vote yet (V5)"),
    "back-off": ("why", "only while this node waits after a collision (C6)"),
    "unheard": ("why", "nodes that others vote for and that this node has not heard yet (C1)"),
    "free": ("why-not", "no other node has the group, or may still run it (C1)"),
    "fence": ("both", "for dead nodes: the receipt (R1)"),
    "shot": (
        "both",
        (
            "the last shot of this node at it and its outcome, or why there is none; `NO` only"
            " while a receipt is awaited"
        ),
    ),
    "receipt": ("both", "for stale nodes: whether a receipt is awaited"),
    "rank": ("why-not", "the node is the first choice among those that could take it"),
    "failback": (
        "why-not",
        (
            "only if `prefer=` names the node and `failback=no` keeps the group where it is, or if"
            " this node has already given way to it and the group did not get there"
        ),
    ),
    "instance": (
        "why",
        "of a group with `on=all`: each instance and where it is; `mosha why dns@2` has its rules",
    ),
    "turn": (
        "why",
        "the row of the table that holds on this node now, and when it may claim",
    ),
}
"""What is reported besides the rules of eligibility: by which command, and what it says."""


def a_case() -> Case:
    """Node 2 as node 1 knows it, where nothing speaks for giving it the group."""
    wish = Wish(G, "start", only=(1,), after=("db",), with_=("disk",), apart=("mail",))
    story = one_of_three(wish)
    story.wishes = hactl(wish, *(Wish(name, "start") for name in ("db", "disk", "mail")))
    story.adopt_tables(1)
    node, began = story.nodes[1], story.now
    bans = {G: Ban(240, "test entry probe: exit 3")}
    last = status(
        OTHER_NODE,
        5,
        standby=True,
        cut_off=True,
        quorum=False,
        bans=bans,
        claims={"mail": 3},
    )
    node.peer_read(OTHER_NODE, last, began=began, now=began)
    later = began + TIMING.timeout_s + 1
    node.peer_read(OTHER_NODE, None, began=later, now=later)
    reason = "failed 4 times in 10m (on-failure=restart:3/10m,stop), last entry webd: exit 1"
    groups = {"db": GroupLine("test", GroupState.STARTING)}
    third = status(3, 9, exhausted={G: reason}, claims={"db": 4}, groups=groups)
    node.peer_read(3, third, began=later, now=later)
    return Case(node.state, G, OTHER_NODE, later)


def rows(argument: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table: of `eligibility`, or of the `others`."""
    if argument == "others":
        for name, (command, about) in OTHER_RULES.items():
            yield f"`{name}`", command, about
        return
    case = a_case()
    for rule in ALL:
        command = "both" if rule.name in BOTH else "why-not"
        yield f"`{rule.name}`", command, rule.about, rule.why(case), rule.remedy(case)
