"""The command of an entry of mode `address`: `192.0.2.80/24 dev eth0`, as ip-address(8) has it.

Without a length of the prefix it is that of a single address: no route to a network is added.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

FORM = "write ADDRESS/PREFIX dev INTERFACE, and label INTERFACE:NAME if it is to have one"
NAME_MAX_CHARS = 15
"""IFNAMSIZ of Linux, without the zero at the end."""

_INTERFACE = re.compile(r"[^\s/:%]+")
_WORDS = ("dev", "label")


class AddressCommand(Struct, frozen=True):
    """An address, the length of its prefix, and the interface that is to have it."""

    address: str
    prefix: int
    interface: str
    label: str = ""


def address_command(command: str) -> AddressCommand:
    """Parse the command of an entry.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    first, *rest = command.split()
    address, prefix = _address(first)
    if len(rest) % 2:
        raise ValueError(f"{rest[-1]} has no value" if rest[-1] in _WORDS else f"not {rest[-1]}")
    given: dict[str, str] = {}
    for word, value in zip(rest[::2], rest[1::2], strict=True):
        if word not in _WORDS:
            raise ValueError(f"unknown word: {word}")
        if word in given:
            raise ValueError(f"{word} is given twice")
        given[word] = value
    interface = given.get("dev", "")
    if not interface:
        raise ValueError("no interface")
    if not _INTERFACE.fullmatch(interface) or len(interface) > NAME_MAX_CHARS:
        raise ValueError(f"not the name of an interface: {interface}")
    label = given.get("label", "")
    if label:
        _judge_label(label, interface, address)
    return AddressCommand(str(address), prefix, interface, label)


def _address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    if "%" in text:
        raise ValueError(f"the interface belongs after dev: {text}")
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ValueError(f"not an address: {text}") from error
    address, network = interface.ip, interface.network
    if address.is_multicast or address.is_unspecified or address == _BROADCAST:
        raise ValueError(f"not an address of one host: {text}")
    whole = network.max_prefixlen - network.prefixlen > 1
    if whole and address.version == _IPV4 and address in (network[0], network[-1]):
        raise ValueError(f"the address of a whole network, not of one host: {text}")
    return address, network.prefixlen


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_IPV4 = 4


def _judge_label(
    label: str, interface: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    if address.version != _IPV4:
        raise ValueError("an IPv6 address has no label")
    if len(label) > NAME_MAX_CHARS:
        raise ValueError(f"the label is too long, at most {NAME_MAX_CHARS} characters: {label}")
    if not label.startswith(f"{interface}:"):
        raise ValueError(f"the label does not begin with {interface}: {label}")
