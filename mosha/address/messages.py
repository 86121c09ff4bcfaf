"""The messages of rtnetlink(7) about addresses, as pyroute2 defines them, and nothing else of it.

`import pyroute2` loads everything that it has: 0.3 s and 24 MB more, for each address at each start
(measured with 0.9.7 on Python 3.11). The module with these messages takes 25 ms and 4 MB. A module
without content therefore stands for the package, with its path: its parts are found, and the
package's own file is not executed.
"""

from __future__ import annotations

import errno
import importlib.util
import sys
from types import ModuleType
from typing import Any

PACKAGE = "pyroute2"
MESSAGE = "pyroute2.netlink.rtnl.ifaddrmsg"


def address_message(data: bytes | None = None) -> Any:
    """Return a message about an address: an empty one, or the decoded `data`."""
    message = _message_type()(data)
    if data is not None:
        message.decode()
    return message


def _message_type() -> Any:
    """Return the class of such messages.

    Raises:
        OSError: it is not installed.
    """
    if MESSAGE not in sys.modules:
        _stand_in()
    return importlib.import_module(MESSAGE).ifaddrmsg


def _stand_in() -> None:
    """Have the package found without being executed, unless somebody has loaded it already."""
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise OSError(errno.ENOPKG, f"the Python package {PACKAGE} is not installed")
    package = ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[PACKAGE] = package
