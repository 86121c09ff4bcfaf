"""Which units are refused, and with which command; what a unit gets until the next boot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mosha.systemd.drop_in import DropIn
from mosha.systemd.fitness import objections

UNIT = "web.service"
GOOD: dict[str, Any] = {
    "LoadState": "loaded",
    "LoadError": ("", ""),
    "Id": UNIT,
    "UnitFileState": "static",
    "PartOf": [],
    "Requires": ["system.slice"],
    "Wants": [],
    "BindsTo": [],
    "Type": "notify",
    "RemainAfterExit": False,
    "RefuseManualStart": False,
    "RefuseManualStop": False,
    "PAMName": "",
}
ON = {"ActiveState": "active", "UnitFileState": "static"}
OFF = {"ActiveState": "inactive", "UnitFileState": "disabled"}


def told(
    facts: dict[str, Any], triggers: dict[str, dict[str, Any]] | None = None
) -> list[tuple[str, str]]:
    found = objections(UNIT, GOOD | facts, triggers or {})
    return [(it.text, it.remedy) for it in found]


@pytest.mark.parametrize(
    ("facts", "text", "remedy"),
    [
        ({"LoadState": "not-found"}, "there is no unit web.service", "install its package"),
        ({"LoadState": "masked"}, "web.service is masked", "systemctl unmask web.service"),
        (
            {"LoadState": "bad-setting", "LoadError": ("x", "Unit has no ExecStart")},
            "web.service cannot be loaded: Unit has no ExecStart",
            "systemd-analyze verify web.service",
        ),
        (
            {"LoadState": "error", "LoadError": ("x", "")},
            "web.service cannot be loaded: error",
            "systemd-analyze verify web.service",
        ),
        ({"Id": "httpd.service"}, "another name of httpd.service", "write httpd.service"),
        ({"UnitFileState": "enabled"}, "is enabled", "systemctl disable web.service"),
        (
            {"UnitFileState": "enabled-runtime", "WantedBy": ["multi-user.target"]},
            "is enabled",
            "systemctl disable --runtime web.service",
        ),
        (
            {"WantedBy": ["b.target", "a.target"]},
            "is started by systemd with a.target, b.target (WantedBy)",
            "systemctl edit --full b.target",
        ),
        ({"BoundBy": ["x.mount"]}, "with x.mount (BoundBy)", "systemctl edit --full x.mount"),
        ({"OnFailureOf": ["x.service"]}, "with x.service (OnFailureOf)", "take it out there"),
        ({"RequiredBy": ["x.service"]}, "with x.service (RequiredBy)", "edit --full x.service"),
        ({"UpheldBy": ["x.service"]}, "with x.service (UpheldBy)", "edit --full x.service"),
        ({"OnSuccessOf": ["x.service"]}, "with x.service (OnSuccessOf)", "edit --full x.service"),
        ({"PartOf": ["a.target"]}, "is part of a.target", "systemctl edit --full web.service"),
        ({"Type": "oneshot"}, "is a oneshot", "RemainAfterExit=yes"),
        ({"RefuseManualStart": True}, "has RefuseManualStart=yes", "RefuseManualStart=no"),
        ({"RefuseManualStop": True}, "has RefuseManualStop=yes", "RefuseManualStop=no"),
        ({"PAMName": "login"}, "has PAMName=login", "User="),
    ],
)
def test_a_unit_that_is_not_mosha_s_alone_is_refused(
    facts: dict[str, Any], text: str, remedy: str
) -> None:
    ((said, mends),) = told(facts)
    assert text in said
    assert remedy in mends


def test_a_trigger_counts_if_it_is_on_or_will_be_or_is_started_with_the_unit() -> None:
    assert told({}, {"web.socket": OFF}) == []
    starts = ("web.socket starts web.service", "systemctl disable --now web.socket")
    assert told({}, {"web.socket": ON}) == [starts]
    assert told({}, {"web.socket": OFF | {"UnitFileState": "enabled"}}) == [starts]
    assert told({}, {"web.socket": OFF | {"UnitFileState": "enabled-runtime"}}) == [starts]
    assert told({}, {"web.socket": OFF | {"ActiveState": "failed"}}) == []
    for how in ("Wants", "Requires", "BindsTo"):
        ((text, _),) = told({how: ["web.socket"]}, {"web.socket": OFF})
        assert "needs web.socket, which starts it again" in text


def test_a_good_unit_is_not_refused() -> None:
    assert told({}) == []
    assert told({"Type": "oneshot", "RemainAfterExit": True, "UnitFileState": "disabled"}) == []


def test_the_drop_in_is_written_once_and_allows_starts_while_its_process_lives(
    tmp_path: Path,
) -> None:
    drop_in = DropIn(UNIT, "mosha-x.slice", tmp_path)
    drop_in.forbid()
    assert drop_in.write()
    assert not drop_in.write()
    link = tmp_path / f"{UNIT}.d/mosha"
    assert f"\nAssertPathExists={link}\n" in drop_in.text
    assert "\n[Unit]\nBefore=mosha-clinit.service\n" in drop_in.text
    assert "\n[Service]\nRestart=no\n" in drop_in.text
    assert [path.name for path in link.parent.iterdir()] == ["zzz-mosha.conf"]
    assert (link.parent / "zzz-mosha.conf").read_text() == drop_in.text
    drop_in.allow()
    drop_in.allow()
    assert link.resolve() == Path(f"/proc/{os.getpid()}")
    drop_in.forbid()
    assert not link.is_symlink()
    assert DropIn(UNIT, "mosha-y.slice", tmp_path).write()


def test_what_another_drop_in_overrides_is_named(tmp_path: Path) -> None:
    drop_in = DropIn(UNIT, "mosha-x.slice", tmp_path)
    asserts = [("AssertPathExists", False, False, str(tmp_path / f"{UNIT}.d/mosha"), 0)]
    good = {
        "NeedDaemonReload": False,
        "Restart": "no",
        "Slice": "mosha-x.slice",
        "Asserts": asserts,
    }
    assert drop_in.why_not_in_force(good) == ""
    negated = [(name, trigger, True, path, state) for name, trigger, _, path, state in asserts]
    for change, why in (
        ({"NeedDaemonReload": True}, "systemd has not read it"),
        ({"Restart": "always"}, "Restart=always stands in another file"),
        ({"Slice": "system.slice"}, "Slice=system.slice stands in another file"),
        ({"Asserts": []}, "AssertPathExists= is emptied in another file"),
        ({"Asserts": negated}, "AssertPathExists= is emptied in another file"),
    ):
        assert drop_in.why_not_in_force(good | change) == why
