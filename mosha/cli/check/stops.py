"""Checks the time limits of stops against the stop budget after a lost lease.

A stop that an operator orders takes as long as its schedule says. After the lease has run out,
everything is killed when the stop budget has passed: a slower unmount never completes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mosha.cli.check.files import Finding
from mosha.cli.check.ocf_agents import Described
from mosha.core.cluster.timing import CLOCK_RATE_ERROR, Timing
from mosha.core.durations import number_text
from mosha.core.tables import STOP_LEVEL, Cltab, Entry, Mode
from mosha.formats.ocf_command import ocf_words

Part = tuple[str, float]
"""A part of a stop in words, and how many seconds it may take."""


def stop_findings(
    cltab: Cltab, timing: Timing, described: Described, file: str
) -> Iterator[Finding]:
    """Warn of each group whose stop may take longer than the stop budget.

    `described` is what agents say of themselves: also how long their stops may take.
    """
    budget_s = timing.stop_budget_s
    for group in cltab.groups():
        entries = [entry for entry in cltab.entries_of(group) if entry.mode is not Mode.OFF]
        parts = _parts(entries, described)
        total_s = sum(limit_s for _, limit_s in parts)
        if total_s > budget_s:
            told = " + ".join(f"{name} {number_text(limit_s)} s" for name, limit_s in parts)
            sum_of = f"{number_text(total_s)} s ({told})" if len(parts) > 1 else told
            text = (
                f"the stop of {group} may take {sum_of}, and after a lost lease it is killed when"
                f" {number_text(budget_s)} s (stop_budget) have passed"
            )
            yield Finding("warning", f"{file}:{entries[0].line}", text, _remedy(total_s, timing))


def _remedy(needed_s: float, timing: Timing) -> str:
    """Return which setting would give a stop its time: `lease + stop_budget <= 0.99 timeout`."""
    rule = "lease + stop_budget <= 0.99 timeout"
    whole_s = math.ceil(needed_s)
    share = 1 - CLOCK_RATE_ERROR
    if timing.lease_s + whole_s <= share * timing.timeout_s:
        return f"shorten it, or set stop_budget = {whole_s}: {rule} still holds"
    # With a lease that stays the same part of the timeout.
    timeout_s = math.ceil(whole_s / (share - timing.lease_s / timing.timeout_s))
    return f"shorten it, or set timeout = {timeout_s} and stop_budget = {whole_s} ({rule})"


def _parts(entries: list[Entry], described: Described) -> list[Part]:
    """Return the consecutive parts of a stop with their limits, where there are any.

    All processes are stopped at once, so the longest schedule counts; then one agent or unit after
    the other, the last one first. Each `wait` and `test` among the stop entries delays those after
    it. The tests of agents at level `stop` repeat what has succeeded, which takes moments.
    """
    running = [
        (f"stop= of {entry.tag}", sum(step.wait_s for step in entry.options.stop))
        for entry in entries
        if entry.options.stop is not None and not entry.runs_at(STOP_LEVEL) and not entry.wrapped
    ]
    agents = [_of_agent(entry, described) for entry in entries if entry.wrapped]
    ending = [
        (entry.mode, f"timeout= of {entry.tag}", entry.limit_s)
        for entry in entries
        if entry.limit_s is not None and entry.runs_at(STOP_LEVEL)
    ]
    in_turn = [(name, limit_s) for mode, name, limit_s in ending if mode is not Mode.ONCE]
    beside = [(name, limit_s) for mode, name, limit_s in ending if mode is Mode.ONCE]
    in_order = [part for part in reversed(agents) if part is not None]
    return [*_longest(running), *in_order, *in_turn, *_longest(beside)]


def _of_agent(entry: Entry, described: Described) -> Part | None:
    """Return how long the stop of an agent or a unit may take, None if neither says it."""
    if entry.options.stop is not None:
        return f"stop= of {entry.tag}", sum(step.wait_s for step in entry.options.stop)
    if entry.mode is not Mode.OCF:
        return None
    name = ocf_words(entry.command)[0]
    metadata = described.get(name)
    if metadata is None or isinstance(metadata, str):
        return None
    return f"the stop of {entry.tag} as {name} has it", metadata.limit_s("stop")


def _longest(parts: list[Part]) -> list[Part]:
    return [max(parts, key=lambda part: part[1])] if parts else []
