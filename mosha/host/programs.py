"""How mosha starts Python: without modules of the working directory.

`python -m` searches the working directory first, which may contain an unrelated `json.py` or
`asyncio/`. `-P` (python(1)) excludes it. mosha's package directory is searched last, in case it is
the working directory. Nothing is put into the environment: services would inherit it.
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGES = str(Path(__file__).parents[2])
"""The directory that contains the package `mosha`."""


def source_of(module: str) -> str:
    """Return a program for `python -c` that runs `main` of a module of mosha."""
    path = f"import sys; sys.path.append({PACKAGES!r})"
    return f"{path}; from {module} import main; main()"


def command_of(module: str) -> list[str]:
    """Return the command that runs `main` of a module of mosha; its arguments follow."""
    return [sys.executable, "-P", "-c", source_of(module)]
