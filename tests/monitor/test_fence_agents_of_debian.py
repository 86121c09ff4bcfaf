"""The real fence agents: Debian's package fence-agents, where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mosha.cli.check import fence_agents
from mosha.formats.fence_metadata import parse_metadata
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.formats.settings import settings_from
from mosha.host import killable
from mosha.host.abandonable import Abandonable
from mosha.monitor import fence_test
from mosha.monitor.fence_agent import SYSTEM_DIRECTORIES, agent_environment
from mosha.monitor.fence_test import OF_ANOTHER
from mosha.monitor.fencing import shoot

LIMIT_S = 60.0

AGENTS = sorted(
    {path.name: path for place in SYSTEM_DIRECTORIES for path in Path(place).glob("fence_*")}
)
NO_AGENTS = "the package fence-agents is not installed"

# An operator acknowledges by hand: it describes nothing, and has no protocol.
NOT_AN_AGENT = "fence_ack_manual"
PROVE_NOTHING = {
    *("fence_heuristics_ping", "fence_kdump", "fence_ovh", "fence_rcd_serial"),
}

pytestmark = pytest.mark.skipif(not AGENTS, reason=NO_AGENTS)


def dummy(**more: Any) -> FencingMethod:
    table = {"type": "agent", "agent": "fence_dummy", "targets": {"1": {}}, "retries": 0, **more}
    (method,) = settings_from({"fencing": {"methods": [table]}}, "test").fencing.methods
    return method


def findings(method: FencingMethod) -> list[str]:
    found = fence_agents.agent_findings(Fencing(methods=(method,)), (), "fencing")
    return [f"{it.level}: {it.text}; {it.remedy}" for it in found]


@pytest.mark.parametrize("name", [name for name in AGENTS if name != NOT_AN_AGENT])
async def test_the_metadata_of_each_agent_is_read(name: str) -> None:
    path = shutil.which(name, path=":".join(SYSTEM_DIRECTORIES))
    assert path is not None
    ended = await killable.run(
        [path],
        limit_s=LIMIT_S,
        given=b"action=metadata\n",
        environment=agent_environment(),
        output_max_bytes=1 << 20,
        with_stderr=False,
        kills_rest=True,
    )
    assert ended.status == 0
    metadata = parse_metadata(ended.output)
    assert {"action"} <= set(metadata.options)
    assert ({"off", "status"} <= metadata.actions) == (name not in PROVE_NOTHING)
    deprecated = [option.name for option in metadata.options.values() if option.deprecated]
    assert [name for name in deprecated if not metadata.newer(name) and "-" not in name] == []


@pytest.mark.parametrize(
    ("agent", "options", "target", "told"),
    [
        ("fence_ipmilan", {"username": "f", "lanplus": True}, {"ip": "bmc"}, []),
        (
            "fence_ipmilan",
            {"login": "f", "lanplus": True, "ipadress": "bmc"},
            {"ipaddr": "bmc"},
            [
                "warning: method 1 (fence_ipmilan): its option login is deprecated; write username",
                (
                    "mistake: method 1 (fence_ipmilan): it has no option ipadress; did you mean"
                    " 'ipaddr'?"
                ),
                "warning: method 1 (fence_ipmilan): its option ipaddr is deprecated; write ip",
            ],
        ),
        ("fence_apc", {"username": "f", "ip": "pdu"}, "4", []),
        (
            "fence_apc",
            {"ip": "pdu"},
            {"power_wait": 5},
            [
                (
                    "mistake: method 1 (fence_apc): node 1 has no plug, which it requires; write"
                    ' targets = {1 = "its plug"}'
                ),
                (
                    "mistake: method 1 (fence_apc): it requires the option username; write username"
                    " under options or targets, or into the file of secrets"
                ),
            ],
        ),
        (
            "fence_scsi",
            {"devices": "/dev/sdx"},
            {"key": "a1"},
            [
                (
                    "warning: method 1 (fence_scsi): it cuts a node off its storage or network: the"
                    " node itself runs on; use it only for groups that need nothing but that"
                    " storage"
                ),
                (
                    "warning: method 1 (fence_scsi): a node that it has cut off stays so: nobody"
                    " has it let in again (on); write unfence = true"
                ),
            ],
        ),
        (
            "fence_kdump",
            {},
            {},
            [
                (
                    "mistake: method 1 (fence_kdump): it has no action status: it can prove"
                    " nothing; use another agent, or a command that makes sure"
                )
            ],
        ),
        ("fence_redfish", {"username": "f", "ssl": True}, {"ip": "bmc"}, []),
        ("fence_virsh", {"username": "f", "ip": "host"}, "guest", []),
    ],
)
def test_options_of_real_agents_are_judged(
    agent: str, options: dict[str, object], target: object, told: list[str]
) -> None:
    if agent not in AGENTS:
        pytest.skip(f"there is no {agent} here")
    assert sorted(findings(dummy(agent=agent, options=options, targets={"1": target}))) == sorted(
        told
    )


def test_what_acknowledges_by_hand_is_no_agent() -> None:
    if NOT_AN_AGENT not in AGENTS:
        pytest.skip(f"there is no {NOT_AN_AGENT} here")
    (told,) = findings(dummy(agent=NOT_AN_AGENT))
    assert "does not describe itself (action=metadata): exit 1" in told


class Witness:
    """Node 1 alone."""

    me = 1

    def is_fresh(self, node: int) -> bool:
        return node == self.me

    async def is_heard_again(self, node: int) -> bool:
        return node == self.me


@pytest.mark.skipif("fence_dummy" not in AGENTS, reason="there is no fence_dummy here")
class TestFenceDummy:
    """The dummy of the package: a file has its power; or it fails."""

    async def test_its_power_goes_off(self, tmp_path: Path) -> None:
        status = tmp_path / "status"
        status.write_text("on")
        outcome = await shoot(1, [dummy(options={"status_file": str(status)}, limit=LIMIT_S)])
        assert outcome.outcome == "receipt", outcome.detail
        assert status.read_text() == "off"
        assert "off: exit 0 in " in outcome.detail
        assert outcome.detail.endswith("s: Status: OFF")

    async def test_a_node_that_is_off_is_off(self, tmp_path: Path) -> None:
        status = tmp_path / "status"
        status.write_text("off")
        outcome = await shoot(1, [dummy(options={"status_file": str(status)}, limit=LIMIT_S)])
        assert outcome.outcome == "receipt"
        assert "Success: Already OFF" in outcome.detail

    async def test_its_way_to_fail_is_a_failed_shot(self) -> None:
        options = {"type": "fail"}
        outcome = await shoot(1, [dummy(options=options, targets={"1": "p"}, limit=LIMIT_S)])
        assert outcome.outcome == "failed"
        assert outcome.detail.startswith("off: exit 1 in ")

    @pytest.mark.parametrize(
        ("power", "outcome", "text"),
        [
            ("on", "good", "status says ON, node 1 is this one"),
            ("off", "failed", f"node 1 is this one, but status says OFF: {OF_ANOTHER}"),
        ],
    )
    async def test_it_is_tested_without_a_shot(
        self, tmp_path: Path, power: str, outcome: str, text: str
    ) -> None:
        status = tmp_path / "status"
        status.write_text(power)
        method = dummy(options={"status_file": str(status)}, limit=LIMIT_S)
        (test,) = await fence_test.run_tests(1, [method], Witness(), Abandonable("files"))
        assert (test.outcome, test.text) == (outcome, text)
        assert status.read_text() == power

    async def test_what_may_be_asked_and_not_be_switched_off_is_good(self) -> None:
        """As docs/reference/fencing.md says: only a shot proves that `off` is allowed."""
        method = dummy(options={"type": "fail"}, targets={"1": "p"}, limit=LIMIT_S)
        (test,) = await fence_test.run_tests(1, [method], Witness(), Abandonable("files"))
        assert test.outcome == "good"

    async def test_one_that_sleeps_longer_than_the_limit_is_killed(self, tmp_path: Path) -> None:
        sleepy = {"status_file": str(tmp_path / "status"), "delay": "1000"}  # refused as a setting
        outcome = await shoot(1, [replace(dummy(limit=1.0), options=sleepy)])
        assert outcome.detail == "off: no answer in 1 s"
