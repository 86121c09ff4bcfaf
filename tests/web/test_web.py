"""nginx with a floating address on three nodes: a short form of `make demo-web`.

How long the page was gone is not judged here, beyond that it came back.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs_pages import DOCS
from tests.e2e.cluster import TIMEOUT_S
from tests.waiting import wait_until
from tests.web.events import measure, measure_act
from tests.web.keepalived import ACTS, PROGRAM, KeepalivedSite
from tests.web.network import CannotRunError, look_for_what_is_needed
from tests.web.site import CONF, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = DOCS.parent


@pytest.fixture
def possible() -> None:
    """Skip, and say why, where there are no namespaces or no nginx."""
    try:
        look_for_what_is_needed()
    except CannotRunError as lack:
        pytest.skip(str(lack))


@pytest.fixture
def site(possible: None) -> Iterator[Site]:
    del possible
    with Site(TIMEOUT_S) as made:
        made.start()
        yield made


def test_the_page_survives_nginx_a_leave_and_a_loss_of_power_from_one_node_at_a_time(
    site: Site,
) -> None:
    killed = measure(site, "nginx")
    assert len(killed.served) == 1
    for event in ("leave", "power"):
        result = measure(site, event)
        first, *_, last = result.served
        assert first != last
        assert result.requests > result.failed
    assert site.together() == []


def test_an_address_that_only_stop_entries_take_away_is_left_behind_and_that_is_noticed(
    possible: None,
) -> None:
    del possible
    with Site(TIMEOUT_S, plain=True) as site:
        site.start()
        number = site.serving()
        site.crash(number)
        site.wait_served_by_another(number)
        wait_until(lambda: sum(stay.until is None for stay in site.stays()) == 2)
        assert site.cluster.overlaps() == []
        assert any(
            re.search("the address was on nodes .* to the end", it) for it in site.together()
        )


def test_keepalived_is_measured_in_the_same_network(possible: None) -> None:
    del possible
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"needs {PROGRAM}")
    with KeepalivedSite() as site:
        site.start()
        result = measure_act(site, "leave", partial(ACTS["leave"], site))
        first, *_, last = result.served
        assert first != last
        assert site.together() == []


def test_without_its_programs_the_demonstration_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.web"],
        env={"PATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert re.search(r"apt install iproute2 iputils-arping nginx-light|needs root", done.stdout)


def test_the_script_of_the_guide_is_the_one_that_was_tested() -> None:
    page = (DOCS / "how-to" / "floating-ip-nginx.md").read_text(encoding="utf-8")
    assert (CONF / "watch-network").read_text(encoding="utf-8") in page
