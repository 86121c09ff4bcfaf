"""All that one node knows about the others: peers, receipts, quorum, echoes.

A mutable collection of values; every change reports a fact. It answers the questions of the
protocol: which nodes are fresh, which hold a group, which support a claim and since when, how
long an echo takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from mosha.core.cluster import lease, peers
from mosha.core.cluster.ballot import Claim, claim_of, runs_in
from mosha.core.cluster.mentions import groups_in, parts_about_groups
from mosha.core.cluster.peers import Peer, Standing
from mosha.core.cluster.quorum import Electorate, Policy, QuorumState, follow, judge
from mosha.core.instances import KnownInstances
from mosha.core.status import Grade, Receipt, Stamp, Status, same

# The worst of the last echoes counts: one good echo does not end a bad period, and a healed cut is
# forgotten after as many heartbeats.
ROUNDTRIPS_KEPT = 8

HEARTBEATS_LATE = 3
"""One late heartbeat is a busy machine; this many in a row are worth a warning."""


class View:
    """What node `me` knows about its peers. `members` are the nodes to read, without `me`."""

    def __init__(self, me: int, electorate: Electorate, members: frozenset[int]) -> None:
        self.me = me
        self.electorate = electorate
        self.members = members - {me}
        self.quorum_state = QuorumState.UNKNOWN
        self.receipts: dict[int, Receipt] = {}
        self._remembered: set[int] = set()
        self.roundtrips: dict[int, float] = {}
        self.terms: dict[str, int] = {}
        self._peers: dict[int, Peer] = {}
        self._mentions: dict[str, set[int]] = {}
        self.instances = KnownInstances()
        self._echoed: dict[int, int] = {}
        self._looked: dict[int, float] = {}
        self._trips: dict[int, deque[float]] = {}
        self._judges: set[int] = set()  # who keeps nodes on probation
        self._up: frozenset[int] = frozenset()
        self._up_since = 0.0
        self.life_inc = 0  # in which this life began (E1): after it left, or its machine stopped
        self.gone = self.gone_before = frozenset[int]()  # voters that are, or were in this life
        self._certified: set[int] = set()  # this run has had them shot, or an operator's word
        self.is_half = False  # exactly half of the voters are heard, with this node
        self._other_half_gone = False

    # --- facts -----------------------------------------------------------------

    def peer(self, node: int) -> Peer:
        """Return the peer record of a node, known or not."""
        return self._peers.get(node) or Peer(node)

    def heard(self, status: Status, now: float) -> bool:
        """Handle a status that was read; return whether it was new (O1)."""
        before = self.peer(status.node)
        after = peers.heard(before, status, now)
        if after is before:
            return False
        self._peers[status.node] = after
        self._mention(before.status, status)
        self._know_terms(before.status, status)
        (self._judges.add if status.probations else self._judges.discard)(status.node)
        for node, receipt in status.fenced.items():
            self.receipt(node, receipt)
        known = self.receipts.get(status.node)
        if known is not None:
            left_behind = before.status is None and status.node in self._remembered
            if status.inc > known.inc or not left_behind:
                del self.receipts[status.node]  # R1: it is alive, whatever others report
                self._certified.discard(status.node)
        return True

    def _mention(self, old: Status | None, new: Status) -> None:
        """Remember which groups a status is about; most are the same as in the one before."""
        if old is not None and parts_about_groups(old) == parts_about_groups(new):
            return
        before, after = groups_in(old) if old is not None else frozenset(), groups_in(new)
        for group in before - after:
            self._mentions[group].discard(new.node)
        for group in after - before:
            self._mentions.setdefault(group, set()).add(new.node)
            self.instances.know(group)

    def _know_terms(self, old: Status | None, new: Status) -> None:
        """Remember the terms of a status; most are the same as in the one before."""
        if old is None or not same(old.terms, new.terms):
            for group, term in new.terms.items():
                self.know_term(group, term.known)
        if old is None or not same(old.claims, new.claims):
            for group, number in new.claims.items():
                self.know_term(group, number)
        if old is None or not same(old.votes, new.votes):
            for group, vote in new.votes.items():
                self.know_term(group, vote.term)

    def tried(
        self, node: int, *, began: float, now: float, timeout_s: float, error: str = ""
    ) -> None:
        """Handle: an attempt to read a node was completed (O3)."""
        before = self.peer(node)
        after = peers.tried(before, began=began, now=now, timeout_s=timeout_s, error=error)
        self._looked[node] = began
        if after is before:
            return
        self._peers[node] = after
        if before.stale_since is None and after.stale_since is not None:
            # Receipts of others were refused while the node was fresh here (R1).
            for status in self.fresh():
                if (receipt := status.fenced.get(node)) is not None:
                    self.receipt(node, receipt)

    def recovered(self, node: int, now: float) -> None:
        """Count a node that a recovered vote names as heard at `now` (V4)."""
        if node != self.me:
            self._peers[node] = peers.recovered(self.peer(node), now)

    def receipt(self, node: int, receipt: Receipt, *, own: bool = False) -> None:
        """Handle a receipt: a node is dead up to an incarnation, unless it is fresh here (R1).

        `own`: this node issued it. Another's does not count either while the node has to be read
        for T first, because a recovered vote names it.
        """
        known, peer = self.receipts.get(node), self.peer(node)
        old_news = known is not None and (known.inc, known.grade) >= (receipt.inc, receipt.grade)
        heard = peer.heard_at is not None and (peer.status is not None or not own)
        fresh = heard and peer.stale_since is None
        if node == self.me or fresh or peer.inc > receipt.inc:
            return
        if own:
            self._certified.add(node)
        if not old_news:
            self.receipts[node] = receipt
            self._remembered.discard(node)

    def remembered(self, receipts: Mapping[int, Receipt]) -> None:
        """Restore the receipts of an earlier run.

        The status that a dead node left behind does not contradict them; a newer one does.
        """
        self.receipts.update(receipts)
        self._remembered.update(receipts)

    def know_term(self, group: str, term: int) -> None:
        """Remember the highest term seen anywhere for a group (C2)."""
        if term > self.terms.get(group, 0):
            self.terms[group] = term
            self.instances.know(group)

    def echo(self, status: Status, inc: int, writes: lease.Writes, now: float) -> None:
        """Measure write -> echo from a status just read, once for each of this node's writes."""
        node, seen = status.node, status.seen.get(self.me)
        if seen is None or self._echoed.get(node) == seen.seq:
            return
        began = lease.echo_time(status, self.me, inc, writes)
        if began is None:
            return
        self._echoed[node] = seen.seq
        last = self._trips.get(node)
        if last is None:
            last = self._trips[node] = deque(maxlen=ROUNDTRIPS_KEPT)
        last.append(now - began)
        self.roundtrips[node] = max(last)

    def watched(self) -> frozenset[int]:
        """Return the nodes to read: the members, and former members that may hold a group.

        A node that is no longer a member (down according to hpcbase) may still run something. It
        is read until it is stale: only that frees its groups.
        """
        return self.members | self._peers.keys()

    def find_members(self, found: frozenset[int]) -> None:
        """Handle: these nodes exist, where no configuration names them."""
        self.members = found - {self.me}

    def judge_quorum(self, *, settled: bool) -> bool:
        """Judge quorum again; return whether the quorum state changed.

        `settled`: this node has run for T. When a whole cluster starts, no node is there at
        first; until then too few nodes mean "unknown", not "lost".
        """
        up = frozenset(self.fresh_nodes()) | {self.me}
        half, voters = self.electorate.half, self.electorate.nodes
        self.is_half = half > 0 and self.me in voters and len(up & voters) == half
        self.gone = frozenset(node for node in voters if half and self._is_gone(node))
        self._other_half_gone = half > 0 and len(voters - self.gone) == half
        looked = all(self.peer(node).looked_at for node in self.members)
        complete = looked and (settled or self.electorate.policy is Policy.ADAPTIVE)
        quorum_state, electorate = judge(self.electorate, up, self.gone, complete=complete)
        changed = quorum_state is not self.quorum_state
        self.quorum_state, self.electorate = quorum_state, electorate
        return changed

    def _is_gone(self, node: int) -> bool:
        """Say whether a node is gone for certain, and went after this node's life began (E1).

        What is known of an earlier end proves nothing: it may have come back where none can read.
        """
        if node in self._certified and node in self.receipts:
            return True
        status = self.peer(node).status
        if status is None:
            return node in self.gone_before
        if self.standing(node) not in (Standing.FENCED, Standing.LEFT):
            return False
        echo = status.seen.get(self.me)
        return echo is not None and echo.inc >= self.life_inc

    def follow(self, now: float, timeout_s: float) -> None:
        """Let the adaptive electorate follow the set of nodes that has been up for `timeout_s`.

        Call it once per heartbeat.
        """
        if self.electorate.policy is not Policy.ADAPTIVE:
            return
        up = frozenset(self.fresh_nodes()) | {self.me}
        if up != self._up:
            self._up, self._up_since = up, now
        if self.quorum_state is QuorumState.YES and now - self._up_since >= timeout_s:
            self.electorate = follow(self.electorate, up)

    # --- questions -------------------------------------------------------------

    @property
    def needed(self) -> int:
        """How many votes grant a claim: a majority, or half if the other half is gone (E1)."""
        return self.electorate.half if self._other_half_gone else self.electorate.needed

    def standing(self, node: int) -> Standing:
        """Return how this node sees a node."""
        return peers.standing(self.peer(node), self.receipts.get(node))

    def speaks(self, node: int) -> bool:
        """Say whether a member's newest status is fresh."""
        return node in self.members and peers.speaks(self.peer(node), self.receipts.get(node))

    def unconfirmed(self, node: int) -> bool:
        """Say whether a fresh node has published nothing since this monitor first read it.

        How old its status was then is not known here, though its age counts from then on (O2).
        """
        return self.speaks(node) and not self.peer(node).advanced

    def heartbeats_missed(self, node: int, heartbeat_s: float) -> int:
        """Return how many heartbeats a fresh node is late, 0 if it is not.

        It decides nothing: it is reported long before `timeout`. As in O3 only a completed read
        counts, not a timer; the time until a status is seen here (the round trip) is not the
        node's delay, however slow the medium. `heartbeat_s` is for nodes that do not publish
        theirs.
        """
        peer, looked = self.peer(node), self._looked.get(node)
        if peer.status is None or peer.heard_at is None or looked is None or not self.speaks(node):
            return 0
        every_s = peer.status.heartbeat_ms / 1000 or heartbeat_s
        silent_s = looked - peer.heard_at - self.roundtrips.get(node, 0.0)
        return int(silent_s / every_s) if silent_s > HEARTBEATS_LATE * every_s else 0

    def fresh_nodes(self) -> list[int]:
        """Return the members whose newest status is fresh, without this node."""
        return [node for node in self._peers if self.speaks(node)]

    def fresh(self) -> Iterator[Status]:
        """Yield the newest statuses of all fresh members."""
        for node in self.fresh_nodes():
            status = self._peers[node].status
            if status is not None:
                yield status

    def has_other_voters(self, status: Status) -> bool:
        """Say whether a node has published other voters than this node's: both may get a majority.

        False where one of them does not tell, as with the adaptive rule.
        """
        own = self.electorate.digest
        return bool(own) and status.voters not in ("", own)

    def known(self) -> list[Status]:
        """Return the newest status of every peer, however old."""
        return [peer.status for peer in self._peers.values() if peer.status is not None]

    def mentioning(self, group: str) -> list[Status]:
        """Return the newest statuses, however old, that show, claim or ban a group, by node.

        Most statuses are about few groups: in a big cluster this is what makes a question about
        one group cheap. Votes and terms do not count.
        """
        peers = (self._peers[node] for node in sorted(self._mentions.get(group, ())))
        return [peer.status for peer in peers if peer.status is not None]

    def pairs(self) -> list[tuple[Peer, Receipt | None]]:
        """Return all peers with their receipts, as `ballot.may_vote` wants them."""
        return [(peer, self.receipts.get(node)) for node, peer in self._peers.items()]

    def stale(self) -> list[Peer]:
        """Return the nodes that are stale: not left, not fenced."""
        return [self.peer(n) for n in sorted(self._peers) if self.standing(n) is Standing.STALE]

    def claims(self, group: str) -> list[Claim]:
        """Return the claims for a group in fresh statuses."""
        return [
            claim
            for status in self.mentioning(group)
            if (claim := claim_of(status, group)) is not None and self.speaks(status.node)
        ]

    def probation_of(self, node: int) -> int:
        """Return for how many seconds nodes that are heard keep one on probation."""
        known = (self._peers[judge].status for judge in self._judges if self.speaks(judge))
        return max((s.probations.get(node, 0) for s in known if s is not None), default=0)

    def holders(self, group: str, required: Grade) -> list[int]:
        """Return the nodes whose status claims a group or shows it active (C1).

        One that is not heard counts until there is evidence of its death of the `required` grade.
        """
        return [
            status.node
            for status in self.mentioning(group)
            if status.holds(group) and self._counts(status, required)
        ]

    def _counts(self, status: Status, required: Grade) -> bool:
        standing = self.standing(status.node)
        if standing is Standing.FENCED:
            return not self.receipts[status.node].covers(status.inc, required)
        if standing is Standing.STALE:
            return required is not Grade.LEASE_ELAPSED
        return standing in (Standing.FRESH, Standing.LEAVING)

    def runners(self, group: str) -> list[int]:
        """Return the fresh nodes that show the group active at more than `plan`."""
        return [
            status.node
            for status in self.mentioning(group)
            if runs_in(status, group) and self.speaks(status.node)
        ]

    def superseded(self, group: str, term: int) -> int | None:
        """Return the fresh node where the group runs under a higher term, None if there is none.

        At a level that needs a lease: a planner, and a planner that stops, may be wrong (G1).
        """
        for status in self.mentioning(group):
            claim = claim_of(status, group)
            above = claim is not None and claim.running and claim.term > term
            if above and self.speaks(status.node):
                return status.node
        return None

    def voters_for(self, group: str, node: int, term: int) -> list[Status]:
        """Return the newest statuses of others in the electorate that vote for a claim (C3)."""
        return [
            status
            for status in self.known()
            if status.node in self.electorate.nodes and lease.supports(status, group, node, term)
        ]

    def unheard(self, group: str) -> list[int]:
        """Return the nodes voted for that were never heard here, once per vote (C1)."""
        return [
            vote.node
            for status in self.fresh()
            if status.node in self.electorate.nodes
            and (vote := status.votes.get(group)) is not None
            and vote.node != self.me
            and self.peer(vote.node).status is None
        ]

    def all_echo(self, inc: int) -> bool:
        """Say whether every other node of the electorate has echoed this incarnation (V5)."""
        for node in self.electorate.nodes - {self.me}:
            status = self.peer(node).status
            seen = status.seen.get(self.me) if status else None
            if seen is None or seen.inc != inc:
                return False
        return True

    def seen(self) -> dict[int, Stamp]:
        """Return the stamps of the newest statuses, for the `Mosha::Seen` lines."""
        return {status.node: status.stamp for status in self.known()}
