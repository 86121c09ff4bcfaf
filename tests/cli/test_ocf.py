"""`mosha ocf list` and `info`: what is installed, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.ocf.forms import OcfInfo, OcfList
from tests.cli.conftest import Mosha
from tests.cli.test_json_forms import assert_form
from tests.ocf.fake_agent import METADATA

BROKEN = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "ocf/resource.d/heartbeat"
    place.mkdir(parents=True)
    agents = {"Sleeper": f"#!/bin/sh\ncat <<'END'\n{METADATA}END\n", "broken": BROKEN}
    for name, text in agents.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("OCF_ROOT", str(tmp_path / "ocf"))
    return place


@pytest.mark.usefixtures("root")
def test_agents_are_listed_with_what_they_are(mosha: Mosha) -> None:
    said = mosha.bare("ocf", "list")
    assert said.status == 0
    assert said.out == (
        "broken   does not describe itself: meta-data: exit 1 (error)\nSleeper  Runs a sleep\n"
    )
    shown = assert_form(mosha.bare("ocf", "list", "SLEEP", "--json").out, OcfList)
    assert [it["agent"] for it in shown["agents"]] == ["Sleeper"]


def test_no_agent_is_said_with_what_to_do(mosha: Mosha, root: Path) -> None:
    said = mosha.bare("ocf", "list", "nginx")
    assert (said.status, said.out) == (1, "")
    assert said.err.endswith("ocf has 'nginx' in its name\n")
    for path in root.iterdir():
        path.unlink()
    said = mosha.bare("ocf", "list")
    assert said.err.endswith("ocf: install the package resource-agents\n")
    assert said.status == 1


@pytest.mark.usefixtures("root")
def test_an_agent_is_explained(mosha: Mosha) -> None:
    said = mosha.bare("ocf", "info", "heartbeat:Sleeper")
    assert said.status == 0
    assert said.out.startswith("Sleeper 2.1: Runs a sleep\n\nSleeps, and that is all.\n")
    assert "  state (string, required, default /run/s)\n      State file\n" in said.out
    assert "  loud (boolean, default false, deprecated)\n" in said.out
    assert "  monitor, depth 10    within 20 s, every 300 s\n" in said.out
    shown = assert_form(mosha.bare("ocf", "info", "--json", "Sleeper").out, OcfInfo)
    assert shown["actions"][0] == {
        "name": "start",
        "depth": 0,
        "limit_s": 30.0,
        "interval_s": 0.0,
    }


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("info", "Sleepr"), 2, "there is no resource agent Sleepr in "),
        (("info", "Sleepr"), 2, "did you mean 'Sleeper'?"),
        (("test", "x:Sleeper", "a=1"), 2, "there is no resource agent x:Sleeper in "),
        (("test", "../Sleeper"), 2, "not the name of a resource agent: '../Sleeper'"),
        (("test", "Sleeper", "state"), 2, "not a parameter: 'state'; write NAME=VALUE"),
        (("info",), 2, "say which agent: mosha ocf info AGENT"),
        (("show",), 2, "'show' is not one of 'list', 'info', 'test'."),
        (("info", "broken"), 1, "broken does not describe itself: meta-data: exit 1 (error)"),
    ],
)
def test_what_is_refused(mosha: Mosha, words: tuple[str, ...], status: int, text: str) -> None:
    said = mosha.bare("ocf", *words)
    assert text in said.err
    assert (said.status, said.out) == (status, "")
