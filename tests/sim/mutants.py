"""One-line breaks of the rules, and how many seeds it takes until a checker notices.

`python -m tests.sim.mutants` prints the table. Each mutant runs in a process of its own,
whose build of the core has one place changed: the source is altered while it is imported,
the product's files stay as they are. A place that is not found exactly once is an error, so
a mutant cannot silently stop being one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule, where it lives, and the line that breaks it.

    It is to be noticed within `seeds_max` seeds, of worlds with the `storm` if one is named,
    or in a directed `scenario`, for schedules that chance comes upon too rarely. Where two
    rules guard the same, `more` names what else is broken: (module, sound, broken).
    """

    name: str
    rule: str
    module: str
    sound: str
    broken: str
    storm: str = ""
    scenario: str = ""
    more: tuple[tuple[str, str, str], ...] = ()
    seeds_max: int = 300


MUTANTS: tuple[Mutant, ...] = (
    # --- the list at the end of section 5 of the design ---
    Mutant(
        "votes while silent",
        "V5",
        "mosha.core.turn",
        "seat.ballot.vote is not None or mind.silent(now)",
        "seat.ballot.vote is not None",
        scenario="voter-loses-its-memory",
    ),
    Mutant(
        "votes not bound to a term",
        "V2",
        "mosha.core.lease",
        "vote.node == me and vote.term == term",
        "vote.node == me",
        "cut,lag,cut",
        more=(("mosha.core.turn", " and status.seen[mind.me].seq >= first", ""),),
    ),
    Mutant(
        "q is half",
        "C3",
        "mosha.core.quorum",
        "return len(self.nodes) // 2 + 1",
        "return (len(self.nodes) + 1) // 2",
        "cut",
    ),
    Mutant(
        "lease counted from the read",
        "C4",
        "mosha.core.turn",
        "max(seat.lease_until, start + mind.timing.lease_s)",
        "max(seat.lease_until, now + mind.timing.lease_s)",
        "cut,hangstop",
    ),
    Mutant(
        "vote released at T/2",
        "V3",
        "mosha.core.peers",
        "if due is not None and began > due:",
        "if due is not None and began > due - timeout_s / 2:",
        "cut,hangstop,pausemonitor",
    ),
    Mutant(
        "votes not recovered",
        "V4",
        "mosha.core.recovery",
        "for group, vote in former.votes.items():",
        "for group, vote in ():",
        scenario="voter-restarts",
    ),
    Mutant(
        "recovered candidate not just heard",
        "V4",
        "mosha.core.recovery",
        "mind.view.recovered(vote.node, birth.now)",
        "mind.view.recovered(vote.node, birth.now - mind.timing.timeout_s)",
        scenario="voter-restarts",
    ),
    Mutant(
        "older status accepted",
        "O1",
        "mosha.core.peers",
        "status.stamp <= known.stamp",
        "status.stamp == known.stamp",
        scenario="old-versions-are-read",
    ),
    Mutant(
        "clean exit drops votes",
        "V4",
        "mosha.core.account",
        "votes={s.group: s.ballot.vote for s in seats if s.ballot.vote is not None}",
        "votes={s.group: s.ballot.vote for s in seats if s.ballot.vote is not None and not left}",
        scenario="voter-leaves-and-returns",
    ),
    Mutant(
        "clinit ignores kill_at",
        "C5",
        "mosha.core.group_table",
        "(_G.STOPPING, _T.KILL): (Order.KILL_ALL,),",
        "(_G.STOPPING, _T.KILL): (Order.STOP_LEAVERS,),",
        "cut,hangstop",
    ),
    Mutant(
        "term not increased",
        "C2",
        "mosha.core.turn",
        "term = 1 + max(mind.view.terms.get(seat.group, 0), seat.ballot.voted)",
        "term = max(1, mind.view.terms.get(seat.group, 0), seat.ballot.voted)",
        "cut,crash",
    ),
    Mutant(
        "release on an older status",
        "V3",
        "mosha.core.ballot",
        "status is not None and status.stamp > vote.stamp and",
        "status is not None and",
        scenario="voter-reads-an-old-status",
    ),
    # --- of our own: votes and claims ---
    Mutant(
        "two votes in one term",
        "V2",
        "mosha.core.ballot",
        "if claim.term < ballot.voted or (claim.term == ballot.voted and not claim.running):",
        "if claim.term < ballot.voted:",
        "cut,lag,crash",
    ),
    Mutant(
        "claim dropped before all is gone",
        "C7",
        "mosha.core.life",
        "f.claimed and not f.here and f.stopping",
        "f.claimed and f.stopping",
        "edit,hangstop,leave",
        more=(
            (
                "mosha.core.status",
                'return not (self.level == "stop" and self.state in STOPPED)',
                'return self.level != "stop" and self.state in SETTLED',
            ),
        ),
    ),
    Mutant(
        "what runs is not adopted",
        "C7",
        "mosha.core.recovery",
        "if seat.claim is not None or not local.present or local.term == 0:",
        "if local.group:",
        scenario="rolling-restart",
    ),
    Mutant(
        "lease longer than L",
        "C4",
        "mosha.core.turn",
        "start + mind.timing.lease_s)",
        "start + mind.timing.timeout_s)",
        "cut,hangstop",
    ),
    Mutant(
        "a forgotten vote does not matter",
        "V5",
        "mosha.core.turn",
        "\n        and not doubtful(mind, seat.group, claim.node, now)",
        "",
        scenario="voter-forgets-a-vote-just-read",
    ),
    Mutant(
        "an echo of any status counts",
        "C4",
        "mosha.core.turn",
        " and status.seen[mind.me].seq >= first",
        "",
        "wipe,cut,lag",
    ),
    Mutant(
        "no back-off",
        "C6",
        "mosha.core.turn",
        "seat.backoff_until = now + chance",
        "seat.backoff_until = now + 0.0 * chance",
        "cut,lag",
    ),
    Mutant(
        "no claim with a higher term when the votes are split",
        "C6",
        "mosha.core.turn",
        "return spent > 0 and support < mind.view.electorate.needed",
        "return False",
        "killmonitor,lag",
    ),
    Mutant(
        "no late vote for a claim that runs",
        "V2",
        "mosha.core.ballot",
        "(claim.term == ballot.voted and not claim.running)",
        "claim.term == ballot.voted",
        "crash,lag",
    ),
    Mutant(
        "an active group does not keep from voting",
        "V2",
        "mosha.core.ballot",
        "if runs_in(peer.status, group):",
        "if False:",
        "cut,lag,crash",
    ),
    Mutant(
        "claimed while it runs elsewhere",
        "C1",
        "mosha.core.candidacy",
        "if not free or unwanted_because",
        "if unwanted_because",
    ),
    Mutant(
        "a lapsed lease is no reason to stop",
        "C5",
        "mosha.core.life",
        "lambda f: f.proven and not f.granted and not f.stopping",
        "lambda f: False",
    ),
    Mutant(
        "the own vote is free before its claim has ended",
        "V3",
        "mosha.core.turn",
        "gone = mind.clinit_known and seat.claim != vote.term",
        "gone = mind.clinit_known",
    ),
    Mutant(
        "a paused node trusts a look that began before",
        "O3",
        "mosha.core.peers",
        "if due is not None and began > due:",
        "if due is not None and now > due:",
        "hangread,pausemonitor",
    ),
    # --- placement ---
    Mutant(
        "no failback",
        "7",
        "mosha.core.candidacy",
        "if wish is None or not wish.failback:",
        "if True:",
    ),
    Mutant(
        "bans of others ignored",
        "7",
        "mosha.core.view",
        "and group not in status.bans",
        "",
        scenario="failed-test-seeks-a-node",
    ),
    Mutant(
        "all ranks claim at once",
        "7",
        "mosha.core.candidacy",
        "due = seat.free_since + order.index(mind.me) * short_wait_s(mind)",
        "due = seat.free_since",
        scenario="failed-test-seeks-a-node",
    ),
    Mutant(
        "only= ignored",
        "7",
        "mosha.core.tables",
        "return not self.only or node in self.only",
        "return True",
    ),
    Mutant(
        "prefer= ignored",
        "7",
        "mosha.core.placement",
        "preference = wish.prefer.index(node) if node in wish.prefer else last",
        "preference = last",
    ),
    Mutant(
        "no ban after a failed test",
        "7",
        "mosha.core.turn",
        "seat.ban_until = now + mind.timing.ban_s",
        "seat.ban_until = now",
        scenario="failed-test-seeks-a-node",
    ),
    # --- quorum ---
    Mutant(
        "quorum counts the stale",
        "O4",
        "mosha.core.view",
        "up = frozenset(self.fresh_nodes()) | {self.me}\n        looked",
        "up = frozenset(self._peers) | {self.me}\n        looked",
        scenario="partition-2-2",
    ),
    Mutant(
        "the adaptive number follows at once",
        "H2.1",
        "mosha.core.view",
        "now - self._up_since >= timeout_s",
        "True",
        scenario="quorum-lost-and-regained",
    ),
    Mutant(
        "half is enough for the adaptive quorum",
        "H2.1",
        "mosha.core.quorum",
        "10 * len(up) < 6 * electorate.remembered",
        "10 * len(up) < 5 * electorate.remembered",
        scenario="quorum-lost-and-regained",
    ),
    Mutant(
        "the adaptive number is forgotten",
        "H2.4",
        "mosha.core.quorum",
        "remembered = max(electorate.remembered, len(up))",
        "remembered = 0",
        scenario="adaptive-partition",
    ),
    Mutant(
        "a lost quorum stops nothing",
        "O4",
        "mosha.core.candidacy",
        "if mind.view.sight is Sight.NO:",
        "if False:",
        scenario="partition-2-2",
    ),
    # --- fencing ---
    Mutant(
        "a receipt of an earlier life counts",
        "V3",
        "mosha.core.ballot",
        "receipt.inc >= max(vote.inc, candidate.inc)",
        "True",
        "crash,confirm,cut",
    ),
    Mutant(
        "who lives again is dead still",
        "6",
        "mosha.core.view",
        "del self.receipts[status.node]  # it lives again",
        "pass",
    ),
    Mutant(
        "all shoot at once",
        "6",
        "mosha.core.fencing",
        "due = begins + position * rules.takeover_s",
        "due = begins",
        scenario="node-dies",
    ),
    Mutant(
        "who left is shot",
        "6",
        "mosha.core.peers",
        "if peer.status.state is NodeState.LEFT:",
        "if False:",
        "leave",
    ),
    Mutant(
        "receipts not required",
        "6",
        "mosha.core.ballot",
        "if not fencing_required and candidate.stale_since is not None:",
        "if candidate.stale_since is not None:",
        more=(("mosha.core.view", "({Standing.STALE} if stale_too else set())", "set()"),),
    ),
    Mutant(
        "shot without a majority",
        "O4",
        "mosha.core.node",
        "return len(seen & mind.view.electorate.nodes) >= mind.view.electorate.needed",
        "return True",
        scenario="paused-node-shoots-nobody",
    ),
    Mutant(
        "shot before the healed are heard",
        "O4",
        "mosha.core.node",
        "healed_at=self._quorum_since + mind.timing.lease_s,",
        "healed_at=self._quorum_since,",
        scenario="minority-shoots-nobody",
    ),
    Mutant(
        "shot in the grace time",
        "H3.6",
        "mosha.core.fencing",
        "max(started_at + start_grace_s, healed_at",
        "max(started_at, healed_at",
    ),
    # --- replication ---
    Mutant(
        "invalid table adopted",
        "H4",
        "mosha.core.replication",
        "    if found.mistakes:\n        return Verdict(Do.REFUSE, found.mistakes)\n",
        "",
        scenario="config-conflict",
    ),
    Mutant(
        "older table wins too",
        "H4",
        "mosha.core.replication",
        "return candidate.order > in_force.order",
        "return candidate.order != in_force.order",
        scenario="config-conflict",
    ),
    Mutant(
        "of two edits at one time each node keeps its own",
        "H4",
        "mosha.core.status",
        "return (self.mtime_ns, self.digest)",
        'return (self.mtime_ns, "")',
        "edit,lag",
    ),
    Mutant(
        "a table from the future is adopted",
        "H4",
        "mosha.core.replication",
        "return round(ahead) if ahead > FUTURE_MAX_S else 0",
        "return 0",
        "wallclock,edit",
    ),
    Mutant(
        "an edit is not replicated",
        "H4",
        "mosha.core.replication",
        "return candidate.order > in_force.order",
        "return False",
    ),
)


class _Breaker(SourceFileLoader):
    """Loads a module with one place changed."""

    sound = ""
    broken = ""

    def source_to_code(  # type: ignore[override]
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> CodeType:
        source = bytes(data).decode()
        if source.count(self.sound) != 1:
            raise AssertionError(f"{path} has {self.sound!r} {source.count(self.sound)} times")
        return compile(source.replace(self.sound, self.broken), path, "exec", optimize=_optimize)

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    """Finds a mutant's modules before the ordinary importer does."""

    def __init__(self, mutant: Mutant) -> None:
        self.changes = {
            module: (sound, broken)
            for module, sound, broken in (
                (mutant.module, mutant.sound, mutant.broken),
                *mutant.more,
            )
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.changes:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        breaker = _Breaker(fullname, spec.origin)
        breaker.sound, breaker.broken = self.changes[fullname]
        spec.loader = breaker
        return spec


def find(name: str) -> Mutant:
    """Return a mutant by its name."""
    return next(mutant for mutant in MUTANTS if mutant.name == name)


def install(mutant: Mutant) -> None:
    """Break the core of this process; nothing of it may be imported yet."""
    loaded = [name for name in sys.modules if name.startswith("mosha.core")]
    if loaded:
        raise AssertionError(f"too late for a mutant: {loaded} are imported")
    sys.meta_path.insert(0, _Finder(mutant))


def hunt(mutant: Mutant, seeds_max: int) -> str:
    """Run seeds in a process of its own; return what the first checker to notice said."""
    command = [sys.executable, "-m", "tests.sim", "--mutant", mutant.name]
    command += ["--first", "0", "--seeds", str(seeds_max), "--brief"]
    command += ["--storm", mutant.storm] if mutant.storm else []
    command += ["--scenario", mutant.scenario] if mutant.scenario else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode == 1 and lines:
        return lines[-1]
    return "" if done.returncode == 0 else f"error: {done.stderr.strip()[-500:]}"


def say(line: str) -> None:
    """Write a line to stdout at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Hunt all mutants, or those named; print the table; 0 if all are killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants to hunt (default: all)")
    chosen = [find(name) for name in parser.parse_args().names] or list(MUTANTS)
    width = max(len(mutant.name) for mutant in chosen)
    survived = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for mutant, told in zip(
            chosen, pool.map(lambda m: hunt(m, m.seeds_max), chosen), strict=True
        ):
            killed = told.startswith(("seed ", "scenario "))
            survived += not killed
            verdict = told if killed else told or f"SURVIVED {mutant.seeds_max} seeds"
            say(f"{mutant.rule:5} {mutant.name:{width}}  {verdict}")
    say(f"{len(chosen) - survived} of {len(chosen)} killed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
