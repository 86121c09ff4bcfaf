"""Fencing: carries out an order to shoot a node, level after level (docs/reference/fencing.md).

`print` writes the original's line `STOMITH node N` to stderr and proves nothing. `command`
gets the node number as its last argument and proves the death by exit status 0. `agent` runs a
program of the package fence-agents: `off`, then `status` until that says off. A callable
(Python API) gets the number too: True proves the death, False and exceptions are failures,
anything else means that a message was sent. `poison` is an order in this node's status
(`fence_poison`). Each has its time limit. Of a level of several methods all have to succeed
(`fence_level`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mosha.core.status import Grade
from mosha.formats.fencing_methods import FencingMethod, Level, levels_of
from mosha.host.log_stream import of_stderr
from mosha.monitor.fence_agent import shoot_by_agent
from mosha.monitor.fence_callable import CALLABLE_LIMIT_S, Stomith, name_of, shoot_by_callable
from mosha.monitor.fence_command import shoot_by_command
from mosha.monitor.fence_level import shoot_by_level
from mosha.monitor.fence_outcome import ShotOutcome
from mosha.monitor.fence_poison import Pill


async def shoot(
    node: int,
    methods: Sequence[FencingMethod],
    stomith: Stomith | None = None,
    *,
    required: Grade = Grade.OPERATOR_SAID_SO,
    callable_limit_s: float = CALLABLE_LIMIT_S,
    pill: Pill | None = None,
    begun: Callable[[str, str], object] = lambda *_: None,
) -> ShotOutcome:
    """Try the levels in order until one gives a receipt as required; a callable comes first.

    `begun` is called with the name of each method or level before it, and what failed so far.

    Returns the best receipt, else all failures as one, else the message that was sent. If a
    receipt is not as required, and another method has failed, the shot has: it is tried again.
    """
    outcomes: list[ShotOutcome] = []
    if stomith is not None:
        begun(name_of(stomith), "")
        outcomes.append(await shoot_by_callable(node, stomith, callable_limit_s))
    for level in levels_of(methods):
        if outcomes and outcomes[-1].outcome == "receipt" and outcomes[-1].grade >= required:
            break
        begun(level.name, _listed([it for it in outcomes if it.outcome == "failed"]))
        outcomes.append(await _shoot_by(node, level, pill))
    receipts = [outcome for outcome in outcomes if outcome.outcome == "receipt"]
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    if receipts:
        best = max(receipts, key=lambda outcome: outcome.grade)
        return best if best.grade >= required else _short(best, required, failed)
    if len(failed) > 1:
        may_be_off = any(outcome.may_be_off for outcome in failed)
        return ShotOutcome("failed", "all", _listed(failed), may_be_off=may_be_off)
    none = ShotOutcome("failed", "none", "no method is set")
    return [*failed, *outcomes][0] if outcomes else none


async def _shoot_by(node: int, level: Level, pill: Pill | None) -> ShotOutcome:
    if len(level.methods) > 1:
        return await shoot_by_level(node, level)
    ((_, method),) = level.methods
    if method.type == "agent":
        return await shoot_by_agent(node, method)
    if method.type == "command":
        return await shoot_by_command(node, method)
    if method.type == "poison" and pill is not None:
        return await pill.give(method.limit)
    return _print(node)


def _listed(failed: Sequence[ShotOutcome]) -> str:
    return "; ".join(f"{outcome.method}: {outcome.detail}" for outcome in failed)


def _short(best: ShotOutcome, required: Grade, failed: Sequence[ShotOutcome]) -> ShotOutcome:
    """Return a receipt that does not do for all, and why there is no better one."""
    told = [f"{best.method}: {best.grade.text}"] + ([best.detail] if best.detail else [])
    told.append(f"not {required.text}: {_listed(failed) or 'no method gives that'}")
    outcome = "failed" if failed else "receipt"
    return ShotOutcome(outcome, best.method, "; ".join(told), best.grade)


def _print(node: int) -> ShotOutcome:
    of_stderr().write(f"STOMITH node {node}\n")
    return ShotOutcome("no receipt", "print")
