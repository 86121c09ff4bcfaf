"""A room with the switch of `tests/fence_switch.py`, and fencing methods that use it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mosha.formats.fencing_methods import FencingMethod
from mosha.formats.settings import settings_from
from tests import fence_switch

SHORT_S = 2.0

TARGETS = {"1": "p1", "2": {"plug": "p2", "lanplus": True}, "3": {"port": "p3"}}


def furnish(room: Path) -> Path:
    """Make a place where the plugs of nodes 1 to 3 are on."""
    for plug in ("p1", "p2", "p3"):
        (room / plug).write_text("on")
    os.mkfifo(room / "gate")
    return room


def switch_method(room: Path, mode: str = "good", **more: object) -> FencingMethod:
    """Make a method for the switch of tests, with options of mosha.toml."""
    path = room / "fence_switch"
    if not path.exists():
        fence_switch.installed(room)
    table = {
        "type": "agent",
        "agent": str(path),
        "options": {"room": str(room), "mode": mode},
        "targets": TARGETS,
        "limit": SHORT_S,
        "retries": 0,
        **more,
    }
    (made,) = settings_from({"fencing": {"methods": [table]}}, "test").fencing.methods
    return made


def asked(room: Path) -> list[dict[str, Any]]:
    """Return what the switch was asked for: options, arguments, environment."""
    path = room / "asked"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def actions(room: Path) -> list[str]:
    """Return the actions that the switch was asked for."""
    return [one["options"]["action"] for one in asked(room)]
