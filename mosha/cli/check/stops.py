"""Checks the time limits of stops against the stop budget after a lost lease.

A stop that an operator orders takes as long as its schedule says. After the lease has run out,
everything is killed when the stop budget has passed: a slower unmount never completes.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.cli.check.files import Finding
from mosha.core.durations import number_text
from mosha.core.tables import STOP_LEVEL, Cltab, Entry, Mode


def stop_findings(cltab: Cltab, stop_budget_s: float, file: str) -> Iterator[Finding]:
    """Warn of each group whose own limits allow its stop more time than the stop budget."""
    for group in cltab.groups():
        entries = [entry for entry in cltab.entries_of(group) if entry.mode is not Mode.OFF]
        parts = _parts(entries)
        total_s = sum(limit_s for _, limit_s in parts)
        if total_s > stop_budget_s:
            told = " + ".join(f"{name} {number_text(limit_s)} s" for name, limit_s in parts)
            sum_of = f"{number_text(total_s)} s ({told})" if len(parts) > 1 else told
            text = (
                f"the stop of {group} may take {sum_of}, and after a lost lease it is killed when"
                f" {number_text(stop_budget_s)} s (stop_budget) have passed"
            )
            remedy = "shorten it, or raise timeout, of which stop_budget is 0.3"
            yield Finding("warning", f"{file}:{entries[0].line}", text, remedy)


def _parts(entries: list[Entry]) -> list[tuple[str, float]]:
    """Return the consecutive parts of a stop with their limits in seconds, where entries give one.

    All processes are stopped at once, so the longest schedule counts; then one agent or unit
    after the other. Each `wait` and `test` among the stop entries delays those after it.
    """
    running = [
        (
            f"stop= of {entry.tag}",
            sum(escalation_step.wait_s for escalation_step in entry.options.stop),
        )
        for entry in entries
        if entry.options.stop is not None and not entry.runs_at(STOP_LEVEL) and not entry.wrapped
    ]
    agents = [
        (f"stop= of {entry.tag}", sum(step.wait_s for step in entry.options.stop))
        for entry in entries
        if entry.options.stop is not None and entry.wrapped
    ]
    ending = [
        (entry.mode, f"timeout= of {entry.tag}", entry.limit_s)
        for entry in entries
        if entry.limit_s is not None and entry.runs_at(STOP_LEVEL)
    ]
    in_turn = [(name, limit_s) for mode, name, limit_s in ending if mode is not Mode.ONCE]
    beside = [(name, limit_s) for mode, name, limit_s in ending if mode is Mode.ONCE]
    return [*_longest(running), *agents, *in_turn, *_longest(beside)]


def _longest(parts: list[tuple[str, float]]) -> list[tuple[str, float]]:
    return [max(parts, key=lambda part: part[1])] if parts else []
