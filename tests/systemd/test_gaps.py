"""nginx as a unit of systemd with an address, in one group: what two faults lead to.

How long the page was gone is not judged here, beyond that it came back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.systemd.gaps import measure
from tests.systemd.machine import CannotBootError
from tests.systemd.web_sites import MoshaSite, web_site
from tests.web.network import CannotRunError, look_for_what_is_needed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root("boots systemd in a container"),
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("systemd"),
]


@pytest.fixture
def site() -> Iterator[MoshaSite]:
    try:
        look_for_what_is_needed()
        with web_site(MoshaSite) as made:
            assert isinstance(made, MoshaSite)
            made.start()
            yield made
    except (CannotBootError, CannotRunError) as lack:
        pytest.skip(str(lack))


def test_the_page_is_back_when_nginx_is_killed_or_hangs_and_mosha_says_why_it_was_gone(
    site: MoshaSite,
) -> None:
    killed = measure(site, "master")
    assert killed is not None
    assert killed.served == [1]
    assert site.group()["restarted"] == ""
    hung = measure(site, "hang")
    assert hung is not None
    assert hung.failed > 0
    assert hung.served == [1]
    assert "monitor ck failed" in str(site.group()["restarted"])
    assert site.node.running() == {"web"}
