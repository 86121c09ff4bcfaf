"""`mosha check` and entries with units: what needs no systemd; the rest is in tests/systemd."""

from __future__ import annotations

from mosha.cli.check.commands import command_findings
from mosha.cli.check.handed import handed_findings
from mosha.cli.check.stops import stop_findings
from mosha.cli.check.units import unit_findings
from mosha.core.cluster.timing import derive
from mosha.formats.cltab import parse_cltab
from mosha.systemd.bus import is_booted

TABLE = (
    "g:a:start:systemd(stop=TERM/20s):docker.service\n"
    "g:b:start:systemd(stop=TERM/30s):systemctl.service\n"
)


def test_a_unit_is_no_command() -> None:
    cltab = parse_cltab(TABLE.encode(), "cltab")
    assert list(handed_findings(cltab, "cltab")) == []
    assert command_findings(cltab, "cltab") == []


def test_units_stop_one_after_the_other() -> None:
    cltab = parse_cltab(TABLE.encode(), "cltab")
    (found,) = stop_findings(cltab, derive(60.0), {}, "cltab")
    assert "may take 50 s (stop= of b 30 s + stop= of a 20 s)" in found.text


def test_without_systemd_a_unit_could_not_run_here() -> None:
    if is_booted():
        return
    found = list(unit_findings(parse_cltab(TABLE.encode(), "cltab"), "cltab"))
    assert [(it.level, it.where) for it in found] == [
        ("warning", "cltab:1"),
        ("warning", "cltab:2"),
    ]
    assert all("could not run on this machine: systemd is missing" in it.text for it in found)


def test_a_table_without_units_asks_nobody() -> None:
    assert list(unit_findings(parse_cltab(b"g:a:1:once:true\n", "cltab"), "cltab")) == []
