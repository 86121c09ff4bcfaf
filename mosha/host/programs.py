"""How mosha starts a Python of its own: without the modules of whatever directory it is in.

`python -m` looks in the working directory first, where somebody else's `json.py` or `asyncio/` may
lie. `-P` (python(1)) leaves that out. mosha's own packages are looked for last, in case that very
directory is where mosha was found. Nothing is put into the environment: services would inherit it.
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGES = str(Path(__file__).parents[2])
"""The directory that the package `mosha` is in."""


def source_of(module: str) -> str:
    """Return a program for `python -c` that runs `main` of a module of mosha."""
    path = f"import sys; sys.path.append({PACKAGES!r})"
    return f"{path}; from {module} import main; main()"


def command_of(module: str) -> list[str]:
    """Return the words that run `main` of a module of mosha; its arguments follow."""
    return [sys.executable, "-P", "-c", source_of(module)]
