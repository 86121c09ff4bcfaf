"""A level of several methods: the devices of one node that only together switch it off.

First each gets its `off`, then each has to prove it, so that there is a moment at which all of them
are off. Nothing is switched on in between. If one device cannot be used or refuses, those after it
are left alone: the node would run on.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.status import Grade
from mosha.formats.fencing_methods import FencingMethod, Level
from mosha.monitor.fence_agent import (
    AgentShot,
    Attempt,
    Prepared,
    attempted,
    grade_of,
    prepared_in_time,
)
from mosha.monitor.fence_command import shoot_by_command
from mosha.monitor.fence_outcome import ShotOutcome


class _Device(Struct):
    """One method of the level; `agent` is None for a command."""

    label: str
    method: FencingMethod
    agent: Prepared | None


async def shoot_by_level(node: int, level: Level) -> ShotOutcome:
    """Switch a node off with all devices of a level; the grade is the lowest of theirs."""
    name = level.name
    devices: list[_Device] = []
    for number, method in level.methods:
        label = f"method {number} ({method.name})"
        agent = await prepared_in_time(node, method) if method.type == "agent" else None
        if isinstance(agent, str):
            return ShotOutcome("failed", name, f"{label}: failed: {agent}")
        devices.append(_Device(label, method, agent))
    made = await attempted(level.attempts, lambda: _attempt(node, devices))
    if not made.proven:
        return ShotOutcome("failed", name, made.text, may_be_off=made.may_be_off)
    agents = {device.agent.path: device.agent for device in devices if device.agent is not None}
    grades = [await grade_of(agent) for agent in agents.values()]  # each program is asked once
    if any(device.agent is None for device in devices):
        grades.append(Grade.COMMAND_SAID_SO)
    return ShotOutcome("receipt", name, made.text, min(grades))


async def _attempt(node: int, devices: list[_Device]) -> Attempt:
    """Order `off` of all devices, then ask for all proofs: all have to succeed."""
    said: dict[str, str] = {}
    may_be_off = False
    shots: list[tuple[str, AgentShot]] = []
    for device in devices:
        if device.agent is None:  # which proves its success by itself
            outcome = await shoot_by_command(node, device.method)
            good, said[device.label] = outcome.outcome == "receipt", outcome.detail
            may_be_off |= good or outcome.may_be_off
        else:
            shot = AgentShot(device.agent, device.method.limit)
            shots.append((device.label, shot))
            good, said[device.label] = await shot.switched(), shot.text
            may_be_off |= shot.may_be_off
        if not good:
            return Attempt(False, _told(said, failed=device.label), may_be_off)
    for label, shot in shots:
        good, said[label] = await shot.confirmed(), shot.text
        if not good:
            return Attempt(False, _told(said, failed=label), may_be_off)
    return Attempt(True, _told(said), may_be_off)


def _told(said: dict[str, str], failed: str = "") -> str:
    """Return what came of each device so far; the one that failed comes first."""
    labels = sorted(said, key=lambda label: label != failed)
    how = {failed: "failed: "}
    return "; ".join(f"{label}: {how.get(label, '')}{said[label]}".rstrip(": ") for label in labels)
