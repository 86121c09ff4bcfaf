"""Units of systemd in cltab: the names that are accepted, and the slices that follow from them."""

from __future__ import annotations

import pytest

from mosha.core.tables import Mode, Readiness, ReadyKind
from mosha.formats.cltab import parse_cltab
from mosha.formats.mistakes import Mistakes
from mosha.formats.units import PLACE_DIGITS, slice_named, slice_path, unit_named

PLACE = "0" * PLACE_DIGITS


@pytest.mark.parametrize(
    "name", ["nginx.service", "pg@15-main.service", r"a\x2db_c:d.service", "a.b.service"]
)
def test_a_service_is_named_as_systemd_names_it(name: str) -> None:
    assert unit_named(name) == name


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "g:a:1:systemd:nginx",
            "1:15: not the name of a service of systemd: nginx: 'nginx'; write",
        ),
        ("g:a:1:systemd:x.timer", "1:15: not the name of a service of systemd: x.timer: 'x.timer'"),
        ("g:a:1:systemd:pg@.service", "1:15: not the name of a service of systemd: pg@.service"),
        ("g:a:1:systemd:a.service b", "1:15: not the name of a service of systemd: a.service b"),
        (f"g:a:1:systemd:{'x' * 248}.service", "1:15: the name of the unit is too long"),
        (
            "g:a:1:systemd:a.service\nh:b:2:systemd:a.service",
            "2:15: another entry has the unit a.service (first in line 1): 'a.service'; name it in",
        ),
        (
            f"{'g' * 120}:{'a' * 120}:1:systemd:a.service",
            "1:122: group and tag are too long for the name of a slice",
        ),
        (
            "g:a:stop:systemd:a.service",
            "1:10: a systemd entry at level stop would never end: 'systemd'; its unit is stopped",
        ),
        ("g:a:1:systemd(user=www):a.service", "1:15: user is not an option of systemd: 'user=www'"),
        ("g:a:1:systemd(timeout=1s):a.service", "1:15: timeout is not an option of systemd"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(line: str, told: str) -> None:
    with pytest.raises(Mistakes) as caught:
        parse_cltab(f"{line}\n".encode(), "cltab")
    assert f"cltab:{told}" in str(caught.value)


def test_a_unit_is_ready_when_its_wrapper_says_so_and_has_a_limit_for_that() -> None:
    line = b"web:u:start:systemd(start=1m,stop=TERM/2m):nginx.service\n"
    (entry,) = parse_cltab(line, "cltab").entries
    assert (entry.mode, entry.command) == (Mode.SYSTEMD, "nginx.service")
    assert entry.readiness == Readiness(ReadyKind.NOTIFY)
    assert entry.limit_s == 60.0
    assert entry.respawns
    assert not entry.lasts


def test_each_slice_lies_in_that_of_its_group_and_that_in_the_one_of_its_clinit() -> None:
    assert slice_path(PLACE, "my-web", "a.b") == (
        f"mosha.slice/mosha-{PLACE}.slice/mosha-{PLACE}-my\\x2dweb.slice/"
        f"mosha-{PLACE}-my\\x2dweb-a.b.slice"
    )
    assert slice_named(PLACE, "dns@3", "u") == f"mosha-{PLACE}-dns\\x403-u.slice"
    assert slice_named(PLACE, "my", "web-a") != slice_named(PLACE, "my-web", "a")
