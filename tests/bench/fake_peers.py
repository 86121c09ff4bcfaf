"""Writes the clstats of all nodes of a big cluster but one: a process of its own.

    python -m tests.bench.fake_peers BASE NODES HEARTBEAT_S

Nodes 2 to NODES each run one group of their own, echo each other, echo what node 1 has published,
and vote for its claims. Their writes are spread over each heartbeat, as those of real nodes are.
"""

from __future__ import annotations

import contextlib
import sys
import time
import zlib
from pathlib import Path

from mosha.core.status import GroupLine, GroupState, Stamp, Status, Term, Vote
from mosha.formats.clstat import UnreadableStatus, parse_clstat, render_clstat
from tests.bench import clusters

INC = 1_763_800_000
REAL = 1
MARGIN_S = 0.001


class FakePeers:
    """All nodes but the first, as texts that change with each heartbeat."""

    def __init__(self, base: Path, nodes: int) -> None:
        self.groups = clusters.names(nodes)
        self.numbers = range(REAL + 1, nodes + 1)
        self.seq = 100
        self._seen_at: dict[int, bytes] = {}
        self._real: Status | None = None
        self._changed = -1
        self._votes: dict[str, Vote] = {}
        self._tail_of_votes = b""
        self._paths = {n: base / str(n) / "var/mosix-ha" / "clstat" for n in range(1, nodes + 1)}
        for path in self._paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Begin a heartbeat: let all count on."""
        self.seq += 1
        echoes = [f"Mosha::Seen {n} inc={INC} seq={self.seq - 1}\n".encode() for n in self.numbers]
        self._seen_at = dict(zip(self.numbers, echoes, strict=True))

    def _look(self) -> None:
        """Read the real node's status if it has changed, and vote for what it claims."""
        with contextlib.suppress(OSError, UnreadableStatus):
            changed = self._paths[REAL].stat().st_mtime_ns
            if changed == self._changed:
                return
            self._real = parse_clstat(self._paths[REAL].read_bytes())
            self._changed = changed
        votes = {self.groups[n - 1]: Vote(1, n, INC, 5) for n in self.numbers}
        seen = {}
        if real := self._real:
            seen = {REAL: Stamp(real.inc, real.seq)}
            for group, term in real.claims.items():
                given = self._votes.get(group)
                if given is None or (given.term, given.inc) != (term, real.inc):
                    self._votes[group] = Vote(term, REAL, real.inc, real.seq)
                votes[group] = self._votes[group]
        terms = {group: Term(vote.term, vote.term) for group, vote in votes.items()}
        shared = Status(REAL + 1, INC, "0", "0", 0, seen=seen, votes=votes, terms=terms)
        lines = render_clstat(shared).encode().splitlines(keepends=True)
        self._tail_of_votes = b"".join(lines[1:-1])

    def write(self, node: int) -> None:
        """Replace the status of one node."""
        self._look()
        group, line = self.groups[node - 1], GroupLine("start", GroupState.DONE)
        status = Status(
            node, INC, f"{node:08x}", "77de02c1", self.seq, claims={group: 1}, groups={group: line}
        )
        own = render_clstat(status).encode().splitlines(keepends=True)
        seen = b"".join(line for n, line in self._seen_at.items() if n != node)
        body = b"".join([own[0], seen, self._tail_of_votes, *own[1:-1]])
        path = self._paths[node]
        draft = path.with_name(".clstat.draft.tmp")
        draft.write_bytes(
            body + f"Mosha::End seq={self.seq} crc32={zlib.crc32(body):08x}\n".encode()
        )
        draft.rename(path)


def main(base: Path, nodes: int, heartbeat_s: float) -> None:
    """Write until killed; a line on stdout says that all have written once."""
    peers = FakePeers(base, nodes)
    peers.begin()
    for node in peers.numbers:
        peers.write(node)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    due = time.monotonic()
    while True:
        peers.begin()
        for node in peers.numbers:
            due += heartbeat_s / len(peers.numbers)
            if (pause_s := due - time.monotonic()) > MARGIN_S:
                time.sleep(pause_s)
            peers.write(node)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
