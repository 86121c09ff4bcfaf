"""Python packages that some modes of entries need: what is said where one cannot be imported."""

from __future__ import annotations

import sys
from collections.abc import Callable


def why_missing(package: str, load: Callable[[], object]) -> str:
    """Return why a package cannot be used, "" if it can; `load` imports what is needed of it."""
    try:
        load()
    except (ImportError, OSError, AttributeError) as error:
        return f"the Python package {package} cannot be imported: {error}"
    return ""


def install(package: str) -> str:
    """Return the remedy: on every node, since each may run the group."""
    return f"install it on each node of the group: {sys.executable} -m pip install {package}"
