"""Each mosha.toml of the page about fencing is accepted by `mosha check`, with the real agents."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from mosha.monitor.fence_agent import search_path
from tests.cli.test_check import CLTAB
from tests.docs_pages import DOCS

if TYPE_CHECKING:
    from tests.cli.conftest import Home, Mosha

PAGE = (DOCS / "how-to" / "fencing.md").read_text(encoding="utf-8")

_EXAMPLE = re.compile(r"^#+ ([^\n]*)$|^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SECTION = "## 2. Configure"

TO_BE_EXPECTED = {
    "fence_scsi": ["it cuts a node off its storage or network: the node itself runs on"],
    'type = "poison"': [
        "poison is the only method that ends anything",
        "runs no stop entries, and is not restarted",
    ],
    "nodes = [1, 2]\n": ["two nodes: when one dies the other stops everything"],
}
"""What is warned of where settings have this text; the page explains it."""


def examples() -> list[tuple[str, str]]:
    """Return the settings, each with the heading that it is under."""
    heading, found = "", []
    for match in _EXAMPLE.finditer(PAGE[PAGE.index(_SECTION) :]):
        heading = match[1] or heading
        if match[2]:
            found.append((heading, match[2]))
    return found


def agents_in(text: str) -> list[str]:
    return re.findall(r'^agent = "(\w+)"$', text, re.MULTILINE)


def furnish(home: Home, text: str) -> None:
    """Make a node of these settings, with what they name of the machine."""
    secret = home.base / "fence.secret"
    secret.touch(0o600)
    secret.write_text("password=x\n")
    text = text.replace("/etc/mosha/fence.secret", str(secret))
    text = text.replace("/dev/watchdog", "/dev/null")  # a character device that is everywhere
    text = re.sub("/usr/local/sbin/[a-z-]+", "/bin/true", text)
    own = f'mfsbase = "{home.base}/mfs"\nrundir = "{home.rundir}"\nmynode = 1\n'
    nodes = "" if "nodes = " in text else "nodes = [1, 2, 3]\n"
    home.config.write_text(own + nodes + text)
    (home.tables / "cltab").write_text(CLTAB)
    (home.tables / "hactl").write_text("web start prefer=2\ndb stop\n")


def test_all_kinds_of_methods_have_an_example() -> None:
    found = [agent for _, text in examples() for agent in agents_in(text)]
    assert set(found) == {
        *("fence_ipmilan", "fence_redfish", "fence_apc", "fence_virsh", "fence_aws", "fence_scsi")
    }
    assert any('type = "command"' in text for _, text in examples())


@pytest.mark.parametrize(
    "text", [text for _, text in examples()], ids=[name for name, _ in examples()]
)
def test_an_example_of_fencing_passes_mosha_check(mosha: Mosha, home: Home, text: str) -> None:
    for agent in agents_in(text):
        if shutil.which(agent, path=search_path()) is None:
            pytest.skip(f"there is no {agent} here")
    furnish(home, text)
    lines = [it for it in mosha("check").out.splitlines() if it.startswith(("warning", "mistake"))]
    # Whether this very machine could reboot itself is not the question.
    told = [line for line in lines if ": self_fence: this machine" not in line]
    expected = [it for part, warnings in TO_BE_EXPECTED.items() if part in text for it in warnings]
    assert len(told) == len(expected), told
    assert all(warning in line for warning, line in zip(expected, told, strict=True))


def test_the_warnings_that_the_page_shows_are_printed(mosha: Mosha, home: Home) -> None:
    shown = re.findall(r"^(?:warning|mistake): fencing: .*$", PAGE, re.MULTILINE)
    texts = dict(reversed(examples()))
    ipmi = texts["IPMI"].replace('username = "fence"', 'login = "fence"')
    ipmi = ipmi.replace("privlvl", "timeout = 9, privlevel").replace('3 = {ip = "node3-ipmi"}', "")
    printed = ""
    for text in (texts["SCSI reservations"], ipmi):
        for agent in agents_in(text):
            if shutil.which(agent, path=search_path()) is None:
                pytest.skip(f"there is no {agent} here")
        furnish(home, text)
        printed += mosha("check").out
    assert len(shown) == 5
    assert [line for line in shown if line not in printed] == []
