"""The command line of the holder: how its words are made, and read.

ADDRESS/PREFIX INTERFACE [LABEL]
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from mosha.errors import UsageError

FORM = "write ADDRESS/PREFIX INTERFACE [LABEL]"


class HeldAddress(NamedTuple):
    """An address as it is to be on an interface; a `label` is that of ip-address(8)."""

    address: str
    prefix: int
    interface: str
    label: str = ""

    @property
    def family(self) -> socket.AddressFamily:
        """Its address family."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def packed(self) -> bytes:
        """The address as packets have it."""
        return socket.inet_pton(self.family, self.address)

    def __str__(self) -> str:
        """Return it as people call it."""
        return f"{self.address}/{self.prefix} on {self.interface}"


def holder_words(held: HeldAddress) -> list[str]:
    """Return the words for an address."""
    words = [f"{held.address}/{held.prefix}", held.interface]
    return [*words, held.label] if held.label else words


def read_holder_words(words: Sequence[str]) -> HeldAddress:
    """Parse a command line.

    Raises:
        UsageError: it is none.
    """
    if len(words) not in (2, 3):
        raise UsageError(FORM)
    address, _, prefix = words[0].partition("/")
    if not (prefix.isascii() and prefix.isdecimal()):
        raise UsageError(f"not the length of a prefix: {prefix!r}; {FORM}")
    held = HeldAddress(address, int(prefix), *words[1:])
    try:
        socket.inet_pton(held.family, held.address)
    except OSError as error:
        raise UsageError(f"not an address: {address!r}; {FORM}") from error
    return held
