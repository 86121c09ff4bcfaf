"""The command of an entry of mode `address`: what it may be, and what is wrong with others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats.address_command import FORM, AddressCommand, address_command
from mosha.formats.cltab import parse_cltab
from mosha.formats.mistakes import Mistakes


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.80/24 dev eth0", AddressCommand("192.0.2.80", 24, "eth0")),
        ("192.0.2.80 dev eth0", AddressCommand("192.0.2.80", 32, "eth0")),
        ("192.0.2.0/31 dev eth0", AddressCommand("192.0.2.0", 31, "eth0")),
        ("192.0.2.80 label a:b dev a", AddressCommand("192.0.2.80", 32, "a", "a:b")),
        ("2001:DB8::80/64  dev  br-0.7", AddressCommand("2001:db8::80", 64, "br-0.7")),
        ("fe80::1 dev eth0", AddressCommand("fe80::1", 128, "eth0")),
    ],
)
def test_an_address_is_written_as_for_ip(text: str, meant: AddressCommand) -> None:
    assert address_command(text) == meant


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("192.0.2.80", "no interface"),
        ("192.0.2.80/24 dev", "dev has no value"),
        ("192.0.2.80/24 eth0", "not eth0"),
        ("192.0.2.80/33 dev eth0", "not an address: 192.0.2.80/33"),
        ("www/24 dev eth0", "not an address: www/24"),
        ("192.0.2.0/24 dev eth0", "the address of a whole network, not of one host: 192.0.2.0/24"),
        ("192.0.2.255/24 dev a", "the address of a whole network, not of one host: 192.0.2.255/24"),
        ("224.0.0.1 dev eth0", "not an address of one host: 224.0.0.1"),
        ("255.255.255.255 dev eth0", "not an address of one host: 255.255.255.255"),
        (":: dev eth0", "not an address of one host: ::"),
        ("fe80::1%eth0 dev eth0", "the interface belongs after dev: fe80::1%eth0"),
        ("192.0.2.80 dev eth0 dev eth1", "dev is given twice"),
        ("192.0.2.80 dev eth0 scope link", "unknown word: scope"),
        ("192.0.2.80 dev a/b", "not the name of an interface: a/b"),
        ("192.0.2.80 dev sixteen-letters-", "not the name of an interface: sixteen-letters-"),
        ("192.0.2.80 dev eth0 label web", "the label does not begin with eth0: web"),
        ("2001:db8::1 dev eth0 label eth0:a", "an IPv6 address has no label"),
        (
            "192.0.2.80 dev eth0 label eth0:0123456789a",
            "the label is too long, at most 15 characters: eth0:0123456789a",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        address_command(text)


@given(st.text(min_size=1).filter(str.strip))
def test_no_command_crashes_it(text: str) -> None:
    try:
        command = address_command(text)
    except ValueError:
        return
    assert command.interface


def mistake(line: str) -> str:
    with pytest.raises(Mistakes) as raised:
        parse_cltab(f"{line}\n".encode(), "cltab")
    (told,) = map(str, raised.value.mistakes)
    return told


ADDRESS = "192.0.2.80 dev a"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("g:a:1:address:192.0.2.80", f"15: no interface: '192.0.2.80'; {FORM}"),
        (
            f"g:a:plan,start:address:{ADDRESS}",
            (
                "5: at level plan the address may be on two nodes at once: 'plan,start'; take it"
                " out of plan"
            ),
        ),
        (
            f"g:a:stop:address:{ADDRESS}",
            (
                "10: an address entry at level stop would never end: 'address'; the address is"
                " removed there anyway"
            ),
        ),
        (
            f"g:a:1:address(timeout=3s):{ADDRESS}",
            (
                "15: timeout is not an option of address: 'timeout=3s'; timeout is for wait, once,"
                " test, ocf, monitor"
            ),
        ),
    ],
)
def test_a_mistake_is_told_with_place_and_remedy(line: str, told: str) -> None:
    assert mistake(line) == f"cltab:1:{told}"
