"""Removing an address: whose it is, and whether it is gone.

An address without a lifetime, or with a long one, is somebody else's, and is never removed.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from mosha.address.lifetime import LIFETIME_S
from mosha.address.rtnetlink import AddressFound, Rtnetlink
from mosha.address.words import HeldAddress


class Removal(NamedTuple):
    """Whether an address was removed, and whether somebody else's is left on this node."""

    removed: bool
    left: bool


def has_holder(found: AddressFound) -> bool:
    """Say whether a holder has added an address: nobody else gives so short a lifetime."""
    return found.left_s is not None and found.left_s <= LIFETIME_S


def remove_address(held: HeldAddress) -> Removal:
    """Remove an address that a holder has added, wherever it is, and see that it is gone.

    Raises:
        OSError: it is not.
    """
    kernel = Rtnetlink()
    try:
        ours = [*filter(has_holder, kernel.addresses(held))]
        for found in ours:
            kernel.remove(held, found)
        left = kernel.addresses(held)
        if any(map(has_holder, left)):
            raise OSError(errno.EADDRINUSE, "it is still there after it was removed")
        return Removal(bool(ours), bool(left))
    finally:
        kernel.close()
