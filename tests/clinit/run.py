"""Runs clinit as a program with options that its command line does not have."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO, cast

from mosha import logs
from mosha.clinit.daemon import run_clinit
from mosha.clinit.logsink import LogSink
from mosha.clinit.options import ClinitOptions
from mosha.core.ladder import Limits
from mosha.errors import MoshaError

PATHS = ("cltab", "socket", "clstat", "state_dir")


def main(text: str) -> int:
    """Be the clinit that the JSON text describes."""
    given = json.loads(text)
    options: dict[str, Any] = {k: Path(v) if v and k in PATHS else v for k, v in given.items()}
    options["limits"] = Limits(**given.get("limits", {}))
    logs.configure(people=False, stream=cast("TextIO", LogSink(2)))
    try:
        return asyncio.run(run_clinit(ClinitOptions(**options)))
    except MoshaError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
