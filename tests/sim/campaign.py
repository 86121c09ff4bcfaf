"""Many worlds one after the other: failures with the command that replays them, speed, coverage."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from mosha.errors import UsageError
from tests.sim import shrink, story, worldtext
from tests.sim.cluster import Cluster
from tests.sim.coverage import missing
from tests.sim.draw import draw
from tests.sim.shrink import FAILURES
from tests.sim.world import World
from tests.sim.worldrules import ALL_KINDS, unknown


def say(line: str) -> None:
    """Write a line to stdout at once: who waits for many seeds wants to see the first one."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Summary(Struct):
    """What many runs came to."""

    worlds: int = 0
    node_hours: float = 0.0
    cpu_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    settled_heartbeats: list[float] = field(default_factory=list)
    cold_heartbeats: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Simulated node-hours per minute of one core."""
        return self.node_hours / max(self.cpu_s, 1e-9) * 60


def run_world(world: World, summary: Summary) -> str:
    """Run one world; return what was violated, "" if nothing."""
    began = time.process_time()
    cluster = Cluster(world)
    heartbeat_s = world.timing.heartbeat_s
    told = ""
    try:
        outcome = cluster.run()
        if outcome.settled_s is not None:
            summary.settled_heartbeats.append(outcome.settled_s / heartbeat_s)
        if outcome.cold_s is not None:
            summary.cold_heartbeats.append(outcome.cold_s / heartbeat_s)
    except FAILURES as error:
        told = str(error)
    summary.worlds += 1
    summary.node_hours += cluster.agenda.now * world.nodes / 3600
    summary.counts += cluster.truth.counts
    summary.cpu_s += time.process_time() - began
    return told


def run_seeds(
    first: int,
    count: int,
    *,
    brief: bool = False,
    storm: tuple[str, ...] = (),
    on_failure: Callable[[int, str], None] | None = None,
) -> Summary:
    """Run worlds of consecutive seeds; `on_failure` hears at once of a seed that fails, and why."""
    summary = Summary()
    for seed in range(first, first + count):
        told = run_world(draw(seed, storm), summary)
        if told:
            summary.failures[seed] = told
            if on_failure is not None:
                on_failure(seed, told)
            if brief:
                break
    return summary


def fresh_seed() -> int:
    """Return a seed that nobody has seen, short enough to type."""
    return random.SystemRandom().randrange(10**6, 10**9)


def run(options: argparse.Namespace) -> int:
    """Carry out the command line; 1 if a promise was broken."""
    if options.scenario:
        return _judge(options)
    if options.seed is not None:
        return _run_one(options)
    storm = _storm(options)
    first = fresh_seed() if options.first is None else options.first
    say(f"seeds {first} to {first + options.seeds - 1}")
    replay = story.command_of("tests.sim")
    replay += f" --storm {options.storm}" if storm else ""
    replay += f" --mutant '{options.mutant}'" if options.mutant else ""
    began = time.monotonic()

    def fails(seed: int, told: str) -> None:
        if options.brief:
            say(f"seed {seed - first + 1}: {told}")
        else:
            say(f"FAILED {told}\n  {replay} --seed {seed}")

    summary = run_seeds(first, options.seeds, brief=options.brief, storm=storm, on_failure=fails)
    if not options.brief:
        _say(summary, time.monotonic() - began)
    return 1 if summary.failures else 0


def _judge(options: argparse.Namespace) -> int:
    scenario = story.read(story.named(options.scenario))
    told = story.judge(scenario)
    say(f"scenario {options.scenario}: {told or 'passed'}")
    if told and not options.brief:
        say(f"  if the new story is right, rewrite with: {story.rewrite_command(options.scenario)}")
    return 1 if told else 0


def _storm(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the kinds of a storm.

    Raises:
        UsageError: one is none.
    """
    kinds = tuple(options.storm.split(",")) if options.storm else ()
    wrong = [kind for kind in kinds if kind not in ALL_KINDS]
    if wrong:
        raise UsageError("\n".join(f"--storm: {unknown('fault', it, ALL_KINDS)}" for it in wrong))
    return kinds


def _say(summary: Summary, wall_s: float) -> None:
    for what, count in sorted(summary.counts.items()):
        say(f"{count:9} {what}")
    say(
        f"{summary.worlds} worlds, {summary.node_hours:.1f} node-hours,"
        f" {summary.speed:.0f} node-hours per CPU minute ({summary.cpu_s:.0f} s of CPU in"
        f" {wall_s:.0f} s)"
    )
    say(f"{len(summary.failures)} failed" if summary.failures else "all passed")
    unmet = missing(summary.counts)
    say(f"never exercised: {', '.join(unmet)}" if unmet else "every fault and rule was exercised")
    for name, values in (
        ("cold start", summary.cold_heartbeats),
        ("all well after the last fault", summary.settled_heartbeats),
    ):
        if values:
            median, most = statistics.median(values), max(values)
            say(f"{name}: median {median:.1f} heartbeats, at most {most:.1f}")


def _run_one(options: argparse.Namespace) -> int:
    world = draw(options.seed, _storm(options))
    say(worldtext.render(world))
    told = run_world(world, Summary())
    if options.shrink and not told:
        say("nothing to shrink: the world passes")
    elif options.shrink:
        world, told = shrink.shrink(world, told)
        say("shrunk:")
        say(worldtext.render(world))
    cluster = Cluster(world, telling=True)
    try:
        cluster.run()
    except FAILURES as error:
        told = str(error)
    for at, line in cluster.truth.story:
        say(f"{at:10.4f} {line}")
    say(f"FAILED {told}" if told else "passed")
    if options.write_scenario:
        _write(world, Path(options.write_scenario), failed=bool(told))
    return 1 if told else 0


def _write(world: World, path: Path, *, failed: bool) -> None:
    """Write a world and its story into a file.

    Raises:
        UsageError: the file cannot be written.
    """
    text = worldtext.render(world) + story.RULER + story.tell(world)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--write-scenario: cannot write {path}: {error.strerror}") from error
    say(f"written: {path}" if failed else f"written: {path}, a world that passes")
