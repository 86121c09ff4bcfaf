"""`mosha check` compares addresses with the machine, with each other and with the times."""

from __future__ import annotations

import pytest

from mosha.cli.check.addresses import address_findings
from mosha.formats.cltab import parse_cltab
from mosha.formats.settings import settings_from

TABLE = "g:a:start:address:192.0.2.80/24 dev lo\n"


def found(table: str, **settings: object) -> list[str]:
    cltab = parse_cltab(table.encode(), "cltab")
    given = settings_from(settings, "test")
    return [
        f"{it.level}: {it.where}: {it.text}; {it.remedy}"
        for it in address_findings(cltab, given, "cltab")
    ]


def test_what_fits_is_good() -> None:
    assert found(TABLE) == []
    assert found("g:a:start:respawn:sleep 1\n", timeout=1.0) == []
    assert found(f"{TABLE}g:b:drain:address:192.0.2.80/24 dev lo\n") == []


def test_an_interface_that_is_missing_is_a_warning() -> None:
    assert found(TABLE.replace("lo", "nic7")) == [
        (
            "warning: cltab:1: a: this machine has no interface nic7; `ip link` shows which it has;"
            " every node of the group needs it"
        )
    ]


def test_one_address_in_two_groups_is_a_warning() -> None:
    assert found(f"{TABLE}h:b:start:address:192.0.2.80 dev lo\n") == [
        (
            "warning: cltab:2: b: g has the address 192.0.2.80 too; give each group an address of"
            " its own: two nodes may run them"
        )
    ]


@pytest.mark.parametrize(
    ("timeout", "told"),
    [
        (3.2, ""),
        (
            2.0,
            (
                "an address may outlive kill_at by up to 0.95 s if this machine is frozen and has"
                " other addresses with a lifetime: lease + stop_budget - heartbeat is 1.6 s; for"
                " 2.5 s raise timeout to 3.2 s or more"
            ),
        ),
        (
            1.8,
            (
                "an address may disappear between two renewals: lease + stop_budget - heartbeat is"
                " 1.44 s, and its lifetime needs 1.55 s; raise timeout to 2 s or more"
            ),
        ),
    ],
)
def test_times_that_leave_no_room_for_a_lifetime_are_a_warning(timeout: float, told: str) -> None:
    assert found(TABLE, timeout=timeout) == ([f"warning: cltab: {told}"] if told else [])
