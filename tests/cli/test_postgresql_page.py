"""The tables and settings of the page about PostgreSQL are accepted by `mosha check`."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from mosha.monitor.fence_agent import search_path
from mosha.ocf.agents import OCF_ROOT, agent_named, why_no_agent
from tests.docs_pages import DOCS

if TYPE_CHECKING:
    from tests.cli.conftest import Home, Mosha

PAGE = (DOCS / "how-to" / "postgresql.md").read_text(encoding="utf-8")


def examples(kind: str) -> list[str]:
    """Return the examples of a kind, in the order of the page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("form", ["agents", "respawn"])
def test_the_tables_of_the_page_pass_mosha_check(mosha: Mosha, home: Home, form: str) -> None:
    for name in ("Filesystem", "pgsql"):
        if problem := why_no_agent(agent_named(name), OCF_ROOT):
            pytest.skip(problem)
    if shutil.which("fence_ipmilan", path=search_path()) is None:
        pytest.skip("there is no fence_ipmilan here")
    cltabs = examples("cltab")
    assert len(cltabs) == 2
    (home.tables / "cltab").write_text(cltabs[form == "respawn"])
    (home.tables / "hactl").write_text(*examples("hactl"))
    secret = home.base / "fence.secret"
    secret.touch(0o600)
    secret.write_text("password=x\n")
    (settings,) = examples("toml")
    settings = settings.replace('"/mfs"', f'"{home.base}/mfs"')
    settings = settings.replace("/etc/mosha/fence.secret", str(secret))
    home.config.write_text(f'rundir = "{home.rundir}"\nmynode = 1\n{settings}')
    done = mosha("check")
    assert "0 mistakes" in done.out, done.out
