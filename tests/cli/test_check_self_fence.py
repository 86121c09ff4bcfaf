"""`mosha check` of `self_fence`: whether this machine could, and nothing is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from mosha.cli.check.self_fence import self_fence_findings
from mosha.formats.fencing_methods import Fencing
from mosha.formats.settings import Settings, settings_from
from tests.cli.conftest import Home, Mosha


def settings(**given: object) -> Settings:
    return settings_from(given, "test")


def test_nothing_is_said_where_nothing_is_done() -> None:
    assert not list(self_fence_findings(Settings()))


def test_a_reboot_by_the_kernel_needs_its_file(tmp_path: Path) -> None:
    trigger = tmp_path / "sysrq-trigger"
    made = settings(self_fence="sysrq", on_stop_failure="fence")
    (found,) = self_fence_findings(made, trigger)
    assert found.level == "mistake"
    assert found.text.endswith(f"{trigger}: No such file or directory")
    trigger.touch()
    (found,) = self_fence_findings(made, trigger)
    told = "a group that cannot be ended or stopped ends this machine: sysrq"
    assert (found.level, found.text) == ("ok", told)
    assert not trigger.read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_a_mistake(tmp_path: Path) -> None:
    trigger = tmp_path / "sysrq-trigger"
    trigger.touch(0o400)
    (found,) = self_fence_findings(settings(self_fence="sysrq"), trigger)
    assert found.text.endswith("may not be written by this user")


def test_a_command_that_could_not_run_here_is_a_mistake() -> None:
    (found,) = self_fence_findings(settings(self_fence="/none/reboot -f"))
    assert found.level == "mistake"
    assert "this machine could not fence itself: there is no /none/reboot" in found.text
    (found,) = self_fence_findings(settings(self_fence="/bin/true -f"))
    assert found.text == "a group that cannot be ended ends this machine: /bin/true -f"


def test_failed_stops_that_nothing_follows_are_warned_of() -> None:
    (found,) = self_fence_findings(settings(on_stop_failure="fence"))
    assert (found.level, found.where) == ("warning", "on_stop_failure")
    assert 'does nothing while self_fence is "off"' in found.text


def test_of_a_setting_with_a_mistake_nothing_is_said_but_the_mistake(
    mosha: Mosha, home: Home
) -> None:
    with home.config.open("a") as config:
        config.write('self_fence = 5\non_stop_failure = "fence"\n')
    said = mosha("check")
    assert said.status == 1
    assert "does nothing while" not in said.out


def test_a_node_without_self_fence_may_ask_others() -> None:
    (found,) = self_fence_findings(settings(on_stop_failure="fence", stomith="/bin/true"))
    assert (found.level, found.text) == (
        "ok",
        "with a group that cannot be ended, this node asks to be shot",
    )


def test_to_be_cut_off_from_storage_is_no_end_of_a_node() -> None:
    (method,) = settings(stomith="/bin/true").fencing.methods
    storage = replace(method, unfence=True)
    for methods, level in (((storage,), "warning"), ((storage, method), "ok")):
        made = replace(settings(on_stop_failure="fence"), fencing=Fencing(methods=methods))
        (found,) = self_fence_findings(made)
        assert found.level == level
    assert "is only cut off from its storage" not in found.text


def test_its_time_is_printed_with_the_others(mosha: Mosha, home: Home) -> None:
    with home.config.open("a") as config:
        config.write('self_fence = "/bin/true"\n')
    said = mosha("check", "-v").out
    assert "56.7 s  a node that cannot end a group fences itself: L + D + half of what" in said
    assert "ok: self_fence: a group that cannot be ended ends this machine: /bin/true" in said
