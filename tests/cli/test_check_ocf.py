"""`mosha check` compares entries of mode `ocf` with their agents, and says what outlives a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.cli.check.commands import command_findings
from mosha.cli.check.handed import handed_findings
from mosha.cli.check.ocf_agents import ocf_findings
from mosha.cli.check.stops import stop_findings
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_hactl
from mosha.formats.settings import settings_from
from tests.ocf.fake_agent import METADATA


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "resource.d/heartbeat"
    place.mkdir(parents=True)
    for name in ("Sleeper", "Filesystem"):
        (place / name).write_text(f"#!/bin/sh\ncat <<'END'\n{METADATA}END\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("OCF_ROOT", str(tmp_path))
    return place


def found(command: str, *, hactl: str = "", **fencing: object) -> list[str]:
    cltab = parse_cltab(f"g:a:start:ocf:{command}\n".encode(), "cltab")
    settings = settings_from({"fencing": fencing} if fencing else {}, "test")
    wishes = parse_hactl(hactl.encode(), "hactl")
    return [
        f"{it.level}: {it.where}: {it.text}; {it.remedy}"
        for it in ocf_findings(cltab, wishes, settings, "cltab")
    ]


def test_parameters_that_fit_are_good() -> None:
    assert found("Sleeper state=x rounds=3") == []


def test_an_unknown_a_missing_and_a_wrong_parameter_are_told_with_their_line() -> None:
    unknown, wrong, missing = found("Sleeper sate=x rounds=two")
    assert unknown == (
        "mistake: cltab:1: a (Sleeper): it has no parameter sate;"
        " did you mean 'state'? see mosha ocf info Sleeper"
    )
    assert wrong == (
        "warning: cltab:1: a (Sleeper): its parameter rounds is 'two', and should be of kind"
        " integer; write a whole number"
    )
    assert missing == (
        "mistake: cltab:1: a (Sleeper): it requires the parameter state;"
        " write state=VALUE: State file"
    )


def test_an_agent_that_is_missing_or_broken_is_a_warning(root: Path) -> None:
    (root / "broken").write_text("#!/bin/sh\nexit 1\n")
    (root / "broken").chmod(0o755)
    (missing,) = found("nginx")
    assert missing == (
        f"warning: cltab:1: a could not run on this machine: there is no {root}/nginx;"
        " install its package, or mend the name"
    )
    assert "broken does not describe itself: meta-data: exit 1 (error)" in found("broken")[0]


@pytest.mark.parametrize(
    ("hactl", "fencing", "warned"),
    [
        ("g start\n", {}, True),
        ("g start fence=lease-elapsed\n", {"required": True}, True),
        ("g start\n", {"required": True}, False),
        ("g start fence=off-confirmed\n", {}, False),
        ("", {}, False),
    ],
)
def test_what_outlives_a_kill_needs_evidence_of_a_death(
    hactl: str, fencing: dict[str, object], *, warned: bool
) -> None:
    texts = found("Filesystem state=x", hactl=hactl, **fencing)
    assert [text.partition(" does not end")[0] for text in texts] == [
        "warning: cltab:1: a mount of a (Filesystem)"
    ] * warned
    assert found("Sleeper state=x", hactl=hactl, **fencing) == []


def test_a_command_of_an_agent_is_no_command_of_a_shell() -> None:
    cltab = parse_cltab(b"g:a:start:ocf:docker image='a b'\n", "cltab")
    assert command_findings(cltab, "cltab") == []
    assert list(handed_findings(cltab, "cltab")) == []


def test_the_stops_of_agents_add_up() -> None:
    text = b"g:a:1:ocf(stop=TERM/10s,timeout=1h):x\ng:b:1:ocf(stop=TERM/15s):x\n"
    (finding,) = stop_findings(parse_cltab(text, "cltab"), 18.0, "cltab")
    assert "the stop of g may take 25 s (stop= of a 10 s + stop= of b 15 s)" in finding.text
