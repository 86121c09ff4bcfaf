"""`mosha check` of fence agents: what it finds by their metadata, and what it never shows."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mosha.core.status import Status
from mosha.formats.clstat import render_clstat
from mosha.monitor import fence_agent
from tests import fence_switch
from tests.cli.conftest import Home, Mosha, Said
from tests.cli.test_check import CLTAB
from tests.monitor.test_fencing import gone
from tests.waiting import wait_until

ROOM = 'options = {room = "/room"}'
TARGETS = 'targets = {1 = "p1", 2 = "p2", 3 = "p3"}'

Check = Callable[..., Said]


@pytest.fixture
def check(mosha: Mosha, home: Home) -> Check:
    """Check a node whose fencing method is an agent, the switch of the tests or another text."""
    (home.tables / "cltab").write_text(CLTAB)
    (home.tables / "hactl").write_text("web start prefer=2\ndb stop\n")
    own = home.config.read_text()

    def run(*lines: str, agent: str = "", text: str = "", before: str = "") -> Said:
        path = agent or fence_switch.installed(home.base, text=text)
        method = "\n".join(['[[fencing.methods]]\ntype = "agent"', f'agent = "{path}"', *lines])
        home.config.write_text(f"{before}{own}{method}\n")
        return mosha("check")

    return run


def described(change: Callable[[str], str]) -> str:
    """Return an agent with other metadata."""
    return f"print({change(fence_switch.METADATA)!r})"


def test_an_agent_without_mistakes_is_ok(check: Check) -> None:
    said = check(ROOM, TARGETS)
    assert "0 mistakes, 0 warnings" in said.out
    assert said.status == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            'room = "/r", usrname = "x"',
            (
                "mistake: fencing: method 1 (fence_switch): it has no option usrname; did you mean"
                " 'username'?\n"
            ),
        ),
        (
            'room = "/r", colour = "red"',
            "it has no option colour; see what it has: action=metadata",
        ),
        (
            'room = "/r", login = "x"',
            (
                "warning: fencing: method 1 (fence_switch): its option login is deprecated; write"
                " username\n"
            ),
        ),
        ('mode = "good"', "it requires the option room; write room under options or targets, or"),
        ('room = "/r", power-wait = "soon"', "its option power-wait has a wrong value; write a s"),
        ('room = "/r", lanplus = "maybe"', "its option lanplus has a wrong value; write a boolean"),
        ('room = "/r", ssl = "maybe"', "its option ssl has a wrong value; write no or yes\n"),
    ],
)
def test_options_are_compared_with_the_metadata(check: Check, options: str, told: str) -> None:
    said = check(f"options = {{{options}}}", TARGETS)
    assert told in said.out
    assert said.out.count("fencing: method 1") == 1
    assert said.status == ("mistake:" in said.out)


def test_a_deprecated_name_of_a_required_option_is_enough(check: Check) -> None:
    text = described(lambda it: it.replace('"username" required="0"', '"username" required="1"'))
    said = check('options = {room = "/r", login = "x"}', TARGETS, text=text)
    assert "its option login is deprecated; write username" in said.out
    assert said.status == 0


def test_a_required_option_that_is_deprecated_need_not_be_given(check: Check) -> None:
    text = described(lambda it: it.replace('"login" required="0"', '"login" required="1"'))
    said = check(ROOM, TARGETS, text=text)
    assert "0 mistakes, 0 warnings" in said.out


def test_a_deprecated_option_without_a_newer_name_is_to_be_removed(check: Check) -> None:
    text = described(lambda it: it.replace(' obsoletes="login"', ""))
    said = check('options = {room = "/r", login = "x"}', TARGETS, text=text)
    assert "its option login is deprecated; remove it\n" in said.out


@pytest.mark.parametrize("options", ["power_wait = -1", 'lanplus = "Yes"'])
def test_what_agents_take_is_no_mistake(check: Check, options: str) -> None:
    assert check(f'options = {{room = "/r", {options}}}', TARGETS).status == 0


def test_options_of_one_node_are_checked_too(check: Check) -> None:
    said = check(ROOM, 'targets = {1 = {plug = "p1", colour = 1}, 2 = "p2", 3 = "p3"}')
    assert "it has no option colour" in said.out


def test_a_node_without_a_plug_is_a_mistake(check: Check) -> None:
    said = check(ROOM, 'targets = {1 = {mode = "good"}, 2 = "p2", 3 = "p3"}')
    assert "node 1 has no plug, which it requires; write targets = {1 = " in said.out


def test_a_key_takes_the_place_of_a_plug(check: Check) -> None:
    key = '<parameter name="key" required="0"><content type="string"/></parameter></parameters>'
    text = described(lambda it: it.replace("</parameters>", key))
    said = check(ROOM, 'targets = {1 = {key = "a"}, 2 = "p2", 3 = "p3"}', text=text)
    assert said.status == 0, said.out


def test_a_plug_for_an_agent_without_plugs_is_a_mistake(check: Check) -> None:
    def without(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if "plug" not in line and "port" not in line)

    said = check(ROOM, TARGETS, text=described(without))
    assert "it has no plugs, node 1 has the plug 'p1'; write its address" in said.out


def test_a_node_that_no_method_can_shoot_is_a_mistake(check: Check) -> None:
    said = check(ROOM, 'targets = {1 = "p1"}')
    assert "mistake: fencing: no method can shoot nodes 2, 3; write targets = {2 = …}" in said.out
    other = '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/true"'
    assert "no method can shoot" not in check(ROOM, 'targets = {1 = "p1"}', other).out
    printed = check(ROOM, 'targets = {1 = "p1"}', '[[fencing.methods]]\ntype = "print"').out
    assert "no method can shoot nodes 2, 3" in printed


@pytest.mark.parametrize("member", [2, 3])
def test_a_witness_needs_no_method_that_can_shoot_it(check: Check, home: Home, member: int) -> None:
    for node in (2, 3):
        said = Status(node=node, inc=1, run="r", boot="b", seq=1, witness=node != member)
        directory = home.base / f"mfs/{node}/var/mosix-ha"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "clstat").write_text(render_clstat(said))
    told = f"mistake: fencing: no method can shoot node {member}; write targets = {{{member} = …}}"
    assert told in check(ROOM, 'targets = {1 = "p1"}').out


def test_a_witness_needs_none_before_it_has_published_anything(check: Check) -> None:
    said = check(ROOM, 'targets = {2 = "p2", 3 = "p3"}', before='role = "witness"\n')
    assert "no method can shoot" not in said.out


def test_a_program_that_is_not_there_is_a_mistake(check: Check, home: Home) -> None:
    said = check(ROOM, TARGETS, agent="fence_nothing")
    assert "method 1 (fence_nothing): could not run on this machine: it is not in " in said.out
    assert "; install the package fence-agents, or mend the name\n" in said.out
    said = check(ROOM, TARGETS, agent=f"{home.base}/none")
    assert f"could not run on this machine: there is no {home.base}/none" in said.out
    assert said.status == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemExit(1)", "exit 1"),
        ("print('hello')", "no XML: syntax error: line 1, column 0"),
        (
            "print('<!DOCTYPE a [<!ENTITY b \"c\">]><resource-agent/>')",
            "its document type declares something, which no agent needs",
        ),
        ("print('x' * 3_000_000)", "more than 262144 bytes"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
    ],
)
def test_a_program_that_is_no_agent_is_a_mistake(check: Check, text: str, reason: str) -> None:
    said = check(ROOM, TARGETS, text=text)
    assert f"does not describe itself (action=metadata): {reason}" in said.out
    assert said.status == 1


def test_what_an_agent_says_beside_its_metadata_is_not_read(check: Check) -> None:
    text = f"import sys; print('old library', file=sys.stderr)\n{described(str)}"
    assert check(ROOM, TARGETS, text=text).status == 0


def test_an_agent_is_asked_in_the_environment_of_a_shot(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCMK_service", "pacemaker-fenced")
    text = f"import os\nassert 'PCMK_service' not in os.environ\n{described(str)}"
    assert check(ROOM, TARGETS, text=text).status == 0


def test_what_an_agent_leaves_behind_is_ended(check: Check, home: Home) -> None:
    text = (
        "import subprocess\n"
        "child = subprocess.Popen(['/bin/sleep', '1000'], start_new_session=True)\n"
        f"open('{home.base}/pid', 'w').write(str(child.pid))\n{described(str)}"
    )
    assert check(ROOM, TARGETS, text=text).status == 0
    pid = int((home.base / "pid").read_text())
    try:
        wait_until(partial(gone, pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_an_agent_that_hangs_is_given_up(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_agent, "METADATA_LIMIT_S", 0.5)
    began = time.monotonic()
    said = check(ROOM, TARGETS, text="import signal; signal.pause()")
    assert "does not describe itself (action=metadata): no answer in 0.5 s" in said.out
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("actions", "level", "told"),
    [
        (("status",), "mistake", "it has no action status: it can prove nothing"),
        (("off", "status"), "mistake", "it has no action off and no action status: it can prove"),
        (("reboot",), "warning", "it cuts a node off its storage or network: the node itself runs"),
    ],
)
def test_an_agent_whose_success_says_less_is_told(
    check: Check, actions: tuple[str, ...], level: str, told: str
) -> None:
    def without(text: str) -> str:
        for action in actions:
            text = text.replace(f'<action name="{action}"/>', "")
        return text

    said = check(ROOM, TARGETS, text=described(without))
    assert f"{level}: fencing: method 1 (fence_switch): {told}" in said.out


@pytest.mark.parametrize(
    ("lines", "change", "told"),
    [
        (
            (),
            ("storage",),
            "warning: fencing: method 1 (fence_switch): a node that it has cut off st",
        ),
        (("unfence = true",), ("storage",), ""),
        (
            ("unfence = true",),
            (),
            "mistake: fencing: method 1 (fence_switch): it switches power: a n",
        ),
        (
            ("unfence = true",),
            ("storage", "no on"),
            "mistake: fencing: method 1 (fence_switch): it has no action on, which unfence",
        ),
    ],
)
def test_an_agent_that_cuts_off_has_to_let_in_again(
    check: Check, lines: tuple[str, ...], change: tuple[str, ...], told: str
) -> None:
    def changed(text: str) -> str:
        if "storage" in change:
            text = text.replace('<action name="reboot"/>', "")
            text = text.replace('name="on" automatic="0"', 'name="on" automatic="1"')
        return text.replace('<action name="on" automatic="1"/>', "") if "no on" in change else text

    said = check(ROOM, TARGETS, *lines, text=described(changed))
    assert told in said.out
    assert ("unfence" in said.out) == bool(told)


# --- secrets ------------------------------------------------------------------------------


@pytest.fixture
def secret(home: Home) -> Path:
    path = home.base / "x.secret"
    path.touch(0o600)
    path.write_text("password=hunter2\n")
    return path


def test_options_of_a_file_of_secrets_are_checked_and_never_shown(
    check: Check, secret: Path
) -> None:
    assert check(ROOM, TARGETS, f'secrets = "{secret}"').status == 0
    secret.write_text("pasword=hunter2\nssl=hunter2\n")
    said = check(ROOM, TARGETS, f'secrets = "{secret}"')
    assert "it has no option pasword; did you mean 'password'?" in said.out
    assert "its option ssl has a wrong value; write no or yes" in said.out
    assert "hunter2" not in said.out


def test_two_nodes_at_one_plug_by_different_files_of_secrets_are_a_mistake(
    check: Check, home: Home, secret: Path
) -> None:
    other = home.base / "y.secret"
    other.touch(0o600)
    other.write_text("username=else\npassword=hunter3\n")
    more = (
        f'[[fencing.methods]]\ntype = "agent"\nagent = "{home.base}/fence_switch"\n{ROOM}\n'
        f'targets = {{2 = "p1", 3 = "p3"}}\nsecrets = "{other}"'
    )
    said = check(ROOM, 'targets = {1 = "p1"}', f'secrets = "{secret}"', more)
    assert (
        "mistake: fencing: nodes 1 and 2 are at the same plug of fence_switch; write what is"
        " different: the plug, the address or the key\n"
    ) in said.out
    assert said.status == 1
    other.write_text("room=/another\npassword=hunter3\n")
    said = check(ROOM, 'targets = {1 = "p1"}', f'secrets = "{secret}"', more)
    assert "at the same plug" not in said.out


def test_a_file_of_secrets_that_would_be_refused_is_a_mistake(check: Check, secret: Path) -> None:
    secret.chmod(0o644)
    said = check(ROOM, TARGETS, f'secrets = "{secret}"')
    assert f"{secret}: others may use it (mode 644): chmod 600 {secret}" in said.out
    assert said.status == 1
    secret.unlink()
    said = check(ROOM, TARGETS, f'secrets = "{secret}"')
    assert f"mistake: fencing: method 1 (fence_switch): {secret}: No such file" in said.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_secrets_that_only_root_can_read_is_a_warning(check: Check, secret: Path) -> None:
    secret.chmod(0)
    assert (
        "Permission denied; check it as root" in check(ROOM, TARGETS, f'secrets = "{secret}"').out
    )
