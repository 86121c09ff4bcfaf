"""The parts of the manual that show the machines of the core, and the mutants of their rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from mosha.core.escalation import KILL_RUNG, Limits, ladder_step
from mosha.core.supervision import group_table, process_table
from tests.mutants.shell import SHELL
from tests.sim import story as scenarios
from tests.sim.mutants import KILLED, MUTANTS

# (state, trigger) -> state, or what is asked for; the enums differ from machine to machine.
Table = Mapping[Any, Any]

TABLES: dict[str, Table] = {"group": group_table.TABLE, "process": process_table.TABLE}
RUNGS_SHOWN = KILL_RUNG + 3


def machine(name: str) -> str:
    """Return the diagram of a machine of clinit and its table, or the ladder of signals."""
    if name == "ladder":
        return "\n".join(_ladder())
    table = TABLES[name]
    asks: Table = group_table.ASKS if name == "group" else {}
    return "\n".join([*_diagram(table), "", *_rows(table, asks)])


def _diagram(table: Table) -> Iterator[str]:
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, trigger), after in table.items():
        if state is not after:
            arrows.setdefault((str(state.value), str(after.value)), []).append(_said(trigger))
    yield "```mermaid"
    yield "stateDiagram-v2"
    for (state, after), triggers in arrows.items():
        yield f"    {state} --> {after}: {', '.join(triggers)}"
    yield "```"


def _rows(table: Table, asks: Table) -> Iterator[str]:
    yield "| state | on | goes to | and asks for |" if asks else "| state | on | goes to |"
    yield "| --- | --- | --- | --- |" if asks else "| --- | --- | --- |"
    for (state, trigger), after in table.items():
        goes = "stays" if after is state else f"`{after.value}`"
        orders = ", ".join(_said(order) for order in asks.get((after, trigger), ()))
        yield f"| `{state.value}` | {_said(trigger)} | {goes} |" + (f" {orders} |" if asks else "")


def _ladder() -> Iterator[str]:
    yield "| signal | seconds until the next |"
    yield "| --- | --- |"
    for escalation_step in range(RUNGS_SHOWN):
        signal, next_s = ladder_step(escalation_step, Limits())
        yield f"| `{signal}` | {next_s:g} |"


def _said(thing: Enum) -> str:
    return thing.name.lower().replace("_", " ")


def story(name: str) -> str:
    """Return the story of a golden scenario."""
    told = scenarios.read(scenarios.SCENARIOS / f"{name}.txt").story
    return f"```text\n{told.rstrip()}\n```"


def mutants(argument: str) -> str:
    """Return which rule was broken how, and what noticed it, from the last whole hunt."""
    del argument
    noticed = noticed_by(KILLED)
    lines = ["| rule | broken | noticed by |", "| --- | --- | --- |"]
    lines += [f"| {m.rule} | {m.name} | {noticed[m.name]} |" for m in MUTANTS]
    return "\n".join(lines)


def shell_mutants(argument: str) -> str:
    """Return for what the lines of the shell are that are broken, and what has to notice."""
    del argument
    lines = ["| what is broken | where | noticed by |", "| --- | --- | --- |"]
    for mutant in SHELL:
        test = mutant.test.rpartition("::")[2].partition("[")[0]
        lines.append(f"| {mutant.why} | `{mutant.path}` | {test} |")
    return "\n".join(lines)


def noticed_by(path: Path) -> dict[str, str]:
    """Read what the last whole hunt wrote: the name of each mutant, and what noticed it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines)
