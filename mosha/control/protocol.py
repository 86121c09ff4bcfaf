"""The messages of the unix sockets `clinit.s` and `mosha.s`: one JSON object per line.

A client sends requests, each is answered by one `Reply`, in order. After `Subscribe` the
server keeps sending: one `Update` with everything, then one for each change. `op` names
the kind of a message. Times are seconds of CLOCK_BOOTTIME (`mosha.host.clock.boottime`), which
all processes of a machine share.
"""

from __future__ import annotations

import msgspec

from mosha.core.status import EntryVerb, Verb
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import EntryOrder, Tell
from mosha.core.watchdog import ArmedWatchdog

PROTOCOL_VERSION = 1

MALFORMED = "malformed request"
"""What the refusal of an unknown request begins with: of a later version, mostly."""


class Message(msgspec.Struct, omit_defaults=True):
    """The base of all messages."""


# --- requests to clinit ------------------------------------------------------------


class Hello(Message, tag="hello", tag_field="op"):
    """Asks the daemon to identify itself; the reply's `text` is `clinit PID VERSION`."""

    version: int = PROTOCOL_VERSION


class Lease(Message, tag="lease", tag_field="op"):
    """Renews deadlines: group -> (term, stop_at, kill_at). Other terms are ignored."""

    leases: dict[str, tuple[int, float, float]]


class Reread(Message, tag="reread", tag_field="op"):
    """Reads cltab again (C4.14): what was removed is stopped; nothing else moves."""


class Ask(Message, tag="ask", tag_field="op"):
    """Asks for everything once; the reply's `update` has it."""


class Subscribe(Message, tag="subscribe", tag_field="op"):
    """Asks for everything now and every change from now on."""


class Shutdown(Message, tag="shutdown", tag_field="op"):
    """Halts all groups, then ends the daemon (C8.3)."""


AnyMessage = Message | Tell | EntryOrder
"""All messages; orders for groups have one type everywhere."""

ClinitRequest = Hello | Tell | EntryOrder | Lease | Reread | Ask | Subscribe | Shutdown


# --- messages of clinit ------------------------------------------------------------


class Update(Message):
    """An update from clinit: changed groups, groups that are gone, and mistakes in cltab.

    In the first one `full` is true and `groups` is everything; `no_cgroups` says why this clinit
    has none, empty if it has, or was started without. `spawn` is how it starts processes
    (docs/reference/clinit.md), `spawn_refused` which ways it tried before, and why they failed.
    `watchdog` is the armed watchdog; None in the first one means that there is none.
    """

    groups: tuple[GroupReport, ...] = ()
    gone: tuple[str, ...] = ()
    full: bool = False
    pid: int = 0
    cltab_errors: tuple[str, ...] | None = None
    halting: bool = False
    no_cgroups: str = ""
    spawn: str = ""
    spawn_refused: str = ""
    watchdog: ArmedWatchdog | None = None


class Reply(Message):
    """The reply to one request: `ok`, the text for people, and for `Ask` the update."""

    ok: bool
    text: str = ""
    update: Update | None = None


# --- requests to the monitor (mosha.s) -------------------------------------------------


class AskReport(Message, tag="report", tag_field="op"):
    """Asks for the consolidated view; the reply's `report` is the JSON text of hastat.

    With a `group` it is about that one only, with the last lines that its entries printed here.
    """

    group: str = ""


class SetWish(Message, tag="set", tag_field="op"):
    """Edits hactl: replaces `group`'s line, as the newest version everywhere (`mosha set`).

    Options that are not named stay as they are. `force` allows levels that cltab does not have and
    unknown nodes. An empty `level` is the one at which the group runs (`mosha start`).
    """

    group: str
    level: str
    options: tuple[str, ...] = ()
    force: bool = False


class Confirm(Message, tag="confirm", tag_field="op"):
    """The operator vouches that a node is dead (`mosha confirm`)."""

    node: int


class ShootNode(Message, tag="fence", tag_field="op"):
    """The operator orders a node to be shot, from here (`mosha fence NODE`)."""

    node: int


class DisarmAll(Message, tag="disarm", tag_field="op"):
    """No node is shot for so many seconds, 0: fencing is armed again (`mosha disarm`, `arm`)."""

    for_s: float
    reason: str = ""


class Leave(Message, tag="leave", tag_field="op"):
    """Orderly stop of this node: all groups, then clinit, then the monitor (`mosha shutdown`).

    The reply comes when the node has left, which takes as long as its groups take to stop.
    """


class Reload(Message, tag="reload", tag_field="op"):
    """Reads mosha.toml again and checks both tables, as SIGHUP does."""


class Follow(Message, tag="follow", tag_field="op"):
    """Asks for the report now and after every change."""


class Explain(Message, tag="explain", tag_field="op"):
    """Asks why a group is where it is, or, with a node (not 0), why it is not there.

    The reply's `report` is an explanation; an unknown group is refused.
    """

    group: str
    node: int = 0


class AskEvents(Message, tag="events", tag_field="op"):
    """Asks for the latest transitions; with `follow`, for all later ones too.

    The `report` of the reply and of every later message is a list of events.
    """

    follow: bool = False


class GiveOrder(Message, tag="order", tag_field="op"):
    """Orders something that is not in hactl: `verb` is one of `core.status.Verb`.

    `node` 0 means none. The reply comes when the nodes that it concerns have obeyed; for a restart
    at once, unless `wait`: then after at most `limit_s` seconds, if that is not 0.
    """

    verb: Verb
    group: str = ""
    node: int = 0
    wait: bool = False
    limit_s: float = 0.0


class OrderEntry(Message, tag="order-entry", tag_field="op"):
    """Orders one entry of a group to start, stop or restart where the group runs.

    The reply comes when that is done, after at most `limit_s` seconds. It is a request of its own:
    a monitor of an older version must not take it for an order for the whole group.
    """

    verb: EntryVerb
    group: str
    tag: str
    limit_s: float


class AskFenceNodes(Message, tag="fence-nodes", tag_field="op"):
    """Asks which nodes fencing methods can shoot, and how long their tests may take.

    With a `node` (not 0) it is about that one only; an unknown one is refused. The reply's `report`
    is a list of `formats.fence_tests.FenceNode`.
    """

    node: int = 0


class RunFenceTest(Message, tag="fence-test", tag_field="op"):
    """Tests all fencing methods for a node, without a shot (`mosha fence --test`).

    The reply comes when that is done; its `report` is a list of `formats.fence_tests.FenceTest`.
    """

    node: int


class FailGroup(Message, tag="fail", tag_field="op"):
    """A watcher reports that a group has failed on this node (`mosha fail`)."""

    group: str
    reason: str


MonitorRequest = (
    AskReport
    | SetWish
    | Confirm
    | ShootNode
    | DisarmAll
    | Leave
    | Reload
    | Follow
    | Explain
    | AskEvents
    | GiveOrder
    | OrderEntry
    | FailGroup
    | AskFenceNodes
    | RunFenceTest
)


class MonitorReply(Message):
    """The monitor's reply; `report` is raw JSON: what was requested (hastat, mostly).

    It is empty where none was requested: msgspec cannot decode a union of raw JSON and null. Not
    `ok` but `tried`: it was not refused but failed, and `text` says how. `level` is that of hactl
    for the group of a wish or an order, at the moment when that was accepted.
    """

    ok: bool
    text: str = ""
    report: msgspec.Raw = msgspec.Raw()
    tried: bool = False
    level: str = ""
