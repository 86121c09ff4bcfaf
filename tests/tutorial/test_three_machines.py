"""The tutorial on three machines, typed on three machines with systemd; then an upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos import views
from tests.docs_console import ROOT, typed
from tests.systemd.machine import NEWCOMER, CannotBootError, base_tree
from tests.tutorial import newcomer
from tests.tutorial.three import PAGE, ThreeMachines, parts_of

if TYPE_CHECKING:
    from pathlib import Path

UPGRADE = ROOT / "docs/how-to/upgrade.md"
# Where the group mail is when the tutorial ends.
LAST = "node1"
CHANGED = "mosha/__init__.py"


def upgrade(three: ThreeMachines) -> None:
    """Bring the next version, with one line more, to the last machine, as the manual says."""
    machine, shell = three.machines[LAST], three.shells[LAST]
    changed = machine.read(f"{newcomer.REPOSITORY}/{CHANGED}") + "NEXT_VERSION = True\n"
    machine.write(f"{newcomer.REPOSITORY}/{CHANGED}", changed)
    newcomer.commit(machine)
    install, restart = (step.command for step in typed(UPGRADE.read_text(encoding="utf-8"))[:2])
    shell.must(install)
    shell.must(restart)


def test_every_command_of_the_tutorial_works_and_an_upgrade_keeps_the_groups(
    machines_dir: Path,
) -> None:
    if why := views.missing():
        pytest.skip(f"no file system for three machines here: {why}")
    try:
        base_tree(NEWCOMER)
        three = ThreeMachines(machines_dir)
        three.__enter__()
    except CannotBootError as reason:
        pytest.skip(f"no machine can be booted here: {reason}")
    try:
        for part in parts_of(PAGE)[1]:
            try:
                three.follow(part, fresh=False)
            except AssertionError as failure:
                if newcomer.NO_INDEX.search(str(failure)):
                    pytest.skip(f"pip reaches no package index from here: {failure}")
                failure.add_note(three.told())
                raise
        shell = three.shells[LAST]
        before = shell.run("pgrep -x sleep")
        monitor = three.machines[LAST].show("mosha", "MainPID")
        upgrade(three)
        assert shell.run("pgrep -x sleep") == before != ""
        assert three.machines[LAST].show("mosha", "MainPID") != monitor
        newer = shell.run("/opt/mosha/bin/python -c 'import mosha; print(mosha.NEXT_VERSION)'")
        assert newer == "True\n"
    finally:
        three.__exit__()
