"""`mosha check` compares entries of mode `ocf` with their agents, and says what outlives a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.cli.check.commands import command_findings
from mosha.cli.check.handed import handed_findings
from mosha.cli.check.ocf_agents import described_agents, ocf_findings
from mosha.cli.check.stops import stop_findings
from mosha.core.cluster.timing import Timing, derive
from mosha.core.lasting import is_known
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_hactl
from mosha.formats.settings import settings_from
from mosha.ocf.agents import OCF_ROOT, installed_agents
from mosha.ocf.metadata import OcfParameter
from mosha.ocf.parameters import fits
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


def found(
    command: str,
    *,
    hactl: str = "",
    mode: str = "ocf(lasts=no)",
    fencing: dict[str, object] | None = None,
) -> list[str]:
    cltab = parse_cltab(f"g:a:start:{mode}:{command}\n".encode(), "cltab")
    settings = settings_from({"fencing": fencing} if fencing else {}, "test")
    wishes = parse_hactl(hactl.encode(), "hactl")
    return [
        f"{it.level}: {it.where}: {it.text}; {it.remedy}"
        for it in ocf_findings(cltab, wishes, settings, described_agents(cltab), "cltab")
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


def test_a_kind_that_is_not_even_that_of_the_default_is_no_rule() -> None:
    known = OcfParameter("limit", required=False, unique=False)
    known.kind = "integer"
    assert [fits(value, known) for value in ("7", "infinity")] == [True, False]
    known.default = "infinity"
    assert fits("-infinity", known)


def test_an_agent_that_is_missing_or_broken_is_a_warning(root: Path) -> None:
    (root / "broken").write_text("#!/bin/sh\nexit 1\n")
    (root / "broken").chmod(0o755)
    (missing,) = found("nginx")
    assert missing == (
        f"warning: cltab:1: a could not run on this machine: there is no {root}/nginx;"
        " install its package, or mend the name"
    )
    assert "broken does not describe itself: meta-data: exit 1 (error)" in found("broken")[0]
    root.rename(root.with_name("other"))
    assert found("nginx")[0].endswith(
        f"there is no {root}/nginx; install the package resource-agents on each node of the group"
    )
    assert found("linbit:drbd")[0].endswith("linbit/drbd; install its package, or mend the name")


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
    for name, mode, what in (
        ("Filesystem", "ocf", "a mount"),
        ("Sleeper", "ocf(lasts=yes)", "what is made by the agent"),
    ):
        texts = found(f"{name} state=x", hactl=hactl, mode=mode, fencing=fencing)
        assert [text.partition(" does not end")[0] for text in texts] == [
            f"warning: cltab:1: {what} of a ({name})"
        ] * warned
    for name in ("Filesystem", "Sleeper"):
        assert found(f"{name} state=x", hactl=hactl, fencing=fencing) == []


def test_of_an_agent_that_mosha_does_not_know_it_says_so() -> None:
    (text,) = found("Sleeper state=x", mode="ocf")
    assert text == (
        "warning: cltab:1: nothing is known of what outlives the processes of a (Sleeper): where"
        " its stop is cut short, g counts as stopped all the same; mosha ocf test Sleeper finds it"
        " out: then write ocf(lasts=yes) or ocf(lasts=no)"
    )
    assert "nothing is known" in found("mine:Filesystem state=x", mode="ocf")[1]


def test_every_agent_of_debian_is_in_one_of_the_lists() -> None:
    installed = [agent for agent in installed_agents(OCF_ROOT) if agent.provider == "heartbeat"]
    if not installed:
        pytest.skip("the package resource-agents is not installed")
    assert [str(it) for it in installed if not is_known(it.provider, it.type)] == []


def test_a_command_of_an_agent_is_no_command_of_a_shell() -> None:
    cltab = parse_cltab(b"g:a:start:ocf:docker image='a b'\n", "cltab")
    assert command_findings(cltab, "cltab") == []
    assert list(handed_findings(cltab, "cltab")) == []


TIMES = derive(60.0)


def stops(text: str, timing: Timing = TIMES) -> list[str]:
    cltab = parse_cltab(text.encode(), "cltab")
    agents = described_agents(cltab)
    return [f"{it.text}; {it.remedy}" for it in stop_findings(cltab, timing, agents, "cltab")]


def test_the_stops_of_agents_add_up() -> None:
    (text,) = stops("g:a:1:ocf(stop=TERM/10s,timeout=1h):x\ng:b:1:ocf(stop=TERM/15s):x\n")
    assert "the stop of g may take 25 s (stop= of b 15 s + stop= of a 10 s)" in text


def test_what_an_agent_says_of_its_stop_counts_too_and_the_setting_to_raise_is_named() -> None:
    (text,) = stops("g:w:1:respawn(stop=TERM/5s):x\ng:a:1:ocf:Sleeper\ng:b:1:ocf(stop=TERM/2s):x\n")
    assert text == (
        "the stop of g may take 47 s (stop= of w 5 s + stop= of b 2 s + the stop of a as Sleeper"
        " has it 40 s), and after a lost lease it is killed when 18 s (stop_budget) have passed;"
        " shorten it, or set timeout = 121 and stop_budget = 47 (lease + stop_budget <= 0.99"
        " timeout)"
    )
    assert stops("g:a:1:ocf:Sleeper\n", derive(121.0, stop_budget_s=47.0)) == []


def test_a_greater_stop_budget_is_enough_where_the_lease_leaves_room_for_it() -> None:
    (text,) = stops("g:a:1:ocf(stop=TERM/20s):x\n")
    assert "stop= of a 20 s, and after" in text
    assert text.endswith("set stop_budget = 20: lease + stop_budget <= 0.99 timeout still holds")


def test_an_agent_that_is_not_there_has_no_limit_that_is_known() -> None:
    assert stops("g:a:1:ocf:nowhere\n") == []
