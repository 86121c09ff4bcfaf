"""What an agent may leave on a machine after its stop: mounts, addresses, interfaces, devices.

Read from /proc and /sys, so that no program is needed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path

from mosha.host.mounts import read_mounts

_LEAF = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_V6_DIGITS = 32


def kernel_state() -> Mapping[str, frozenset[str]]:
    """Return what the kernel has now, by kind: what an agent adds, and a stop has to remove.

    Raises:
        OSError: /proc or /sys cannot be read.
    """
    return {
        "mount": frozenset(one.mountpoint for one in read_mounts(fresh=True).all),
        "address": frozenset((*_addresses_4(), *_addresses_6())),
        "interface": frozenset(_names("/sys/class/net")),
        "route": frozenset(_routes()),
        "device": frozenset((*_loops(), *_mapped())),
    }


def left_since(before: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what is there now and was not before, as `mount /srv`."""
    now = kernel_state()
    return [
        f"{kind} {name}"
        for kind, names in now.items()
        for name in sorted(names - before.get(kind, frozenset()))
    ]


def _addresses_4() -> list[str]:
    return _LEAF.findall(_text("/proc/net/fib_trie"))


def _addresses_6() -> list[str]:
    words = (line.split() for line in _text("/proc/net/if_inet6").splitlines())
    return [
        f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(each[0]))} on {each[-1]}"
        for each in words
        if each and len(each[0]) == _V6_DIGITS
    ]


def _routes() -> list[str]:
    lines = _text("/proc/net/route").splitlines()[1:]
    return [f"{_dotted(at)} by {name}" for name, at, *_ in map(str.split, lines)]


def _dotted(digits: str) -> str:
    return socket.inet_ntoa(bytes.fromhex(digits)[::-1])


def _loops() -> list[str]:
    return [path.parts[3] for path in Path("/sys/block").glob("loop*/loop")]


def _mapped() -> list[str]:
    return [_text(str(path)).strip() for path in Path("/sys/block").glob("dm-*/dm/name")]


def _names(directory: str) -> list[str]:
    return [path.name for path in Path(directory).iterdir()]


def _text(path: str) -> str:
    """Return a file; a kernel without IPv6, say, has not each of them."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
