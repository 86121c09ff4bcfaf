"""Which units mosha does not run: others start or stop them, or a kill does not reach them.

A unit that something else starts runs on every node. What is wrong is read off the properties of
the unit and of what triggers it: org.freedesktop.systemd1(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mosha.systemd.bus import SystemdBus

STARTERS = ("WantedBy", "RequiredBy", "BoundBy", "UpheldBy", "OnFailureOf", "OnSuccessOf")
"""Properties that name the units which start this one; older versions lack some."""


class Objection:
    """What is wrong with a unit, and the command that mends it."""

    __slots__ = ("remedy", "text")

    def __init__(self, text: str, remedy: str) -> None:
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        """Return both, for people."""
        return f"{self.text}; {self.remedy}"


def objections_to(unit: str, bus: SystemdBus) -> list[Objection]:
    """Return all that is wrong with a unit.

    Raises:
        BusLostError, RefusedError: see `bus.py`.
    """
    facts = bus.properties()
    if facts["LoadState"] == "loaded":
        facts |= bus.properties("Service")
    triggers = {name: bus.properties(unit=name) for name in facts["TriggeredBy"]}
    return list(objections(unit, facts, triggers))


def objections(
    unit: str, facts: Mapping[str, Any], triggers: Mapping[str, Mapping[str, Any]]
) -> Iterator[Objection]:
    """Yield what is wrong with a unit; `triggers` are the properties of what triggers it."""
    state = facts["LoadState"]
    if state == "not-found":
        yield Objection(f"there is no unit {unit}", "install its package, or mend the name")
    elif state == "masked":
        yield Objection(f"{unit} is masked", f"systemctl unmask {unit}")
    elif state != "loaded":
        why = facts["LoadError"][1] or state
        yield Objection(f"{unit} cannot be loaded: {why}", f"systemd-analyze verify {unit}")
    elif facts["Id"] != unit:
        yield Objection(f"{unit} is another name of {facts['Id']}", f"write {facts['Id']}")
    else:
        yield from _of_starts(unit, facts, triggers)
        yield from _of_itself(unit, facts)


def _of_starts(
    unit: str, facts: Mapping[str, Any], triggers: Mapping[str, Mapping[str, Any]]
) -> Iterator[Objection]:
    """Yield who else starts or stops it."""
    edit = "systemctl edit --full"
    enabled = facts["UnitFileState"]
    if enabled in {"enabled", "enabled-runtime"}:
        how = "disable --runtime" if enabled == "enabled-runtime" else "disable"
        text = f"{unit} is enabled: systemd starts it by itself, on every node"
        yield Objection(text, f"systemctl {how} {unit}")
    else:
        for name in STARTERS:
            if others := facts.get(name):
                text = f"{unit} is started by systemd with {_listed(others)} ({name})"
                yield Objection(text, f"take it out there: {edit} {others[0]}")
    if others := facts["PartOf"]:
        text = f"{unit} is part of {_listed(others)}: systemd stops and restarts it with that"
        yield Objection(text, f"take PartOf= out: {edit} {unit}")
    pulled = {name for key in ("Requires", "Wants", "BindsTo") for name in facts[key]}
    for name, its in triggers.items():
        on = its["ActiveState"] not in {"inactive", "failed"}
        if on or str(its["UnitFileState"]).startswith("enabled"):
            yield Objection(f"{name} starts {unit}", f"systemctl disable --now {name}")
        elif name in pulled:
            text = f"{unit} needs {name}, which starts it again when it has been stopped"
            yield Objection(text, f"take it out: {edit} {unit}")


def _of_itself(unit: str, facts: Mapping[str, Any]) -> Iterator[Objection]:
    """Yield why nobody can run it as a service that goes on until it is stopped."""
    edit = f"systemctl edit {unit}"
    if facts["Type"] == "oneshot" and not facts["RemainAfterExit"]:
        text = f"{unit} is a oneshot: it ends by itself"
        yield Objection(text, f"write RemainAfterExit=yes with {edit}, or use a wait entry")
    for name in ("RefuseManualStart", "RefuseManualStop"):
        if facts[name]:
            yield Objection(f"{unit} has {name}=yes", f"write {name}=no with {edit}")
    if facts["PAMName"]:
        text = f"{unit} has PAMName={facts['PAMName']}: logins leave the cgroup of the unit"
        yield Objection(text, f"write User= instead, with {edit}")


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names))
