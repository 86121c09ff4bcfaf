"""Checks what entries want for their processes, as this machine would give it to them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mosha.cli.check.files import Finding
from mosha.clinit.attributes import LOOK_LIMIT_S, resolve
from mosha.clinit.forker import CommandError
from mosha.core.tables import Cltab, Mode, ProcessAttributes
from mosha.host.abandonable import within

REMEDY = "mend the option, or make it on each node that may run the group"


def attribute_findings(cltab: Cltab, file: str) -> Iterator[Finding]:
    """Warn of users, groups, directories and files of entries that this machine does not have."""
    for entry in cltab.entries:
        wanted = entry.options.process
        if wanted is not None and entry.mode is not Mode.OFF:
            late = f"no answer within {LOOK_LIMIT_S:g} s"
            problem = within(partial(_problem, wanted), late, LOOK_LIMIT_S)
            if problem:
                text = f"{entry.tag} could not run on this machine: {problem}"
                yield Finding("warning", f"{file}:{entry.line}", text, REMEDY)


def _problem(wanted: ProcessAttributes) -> str:
    try:
        resolve(wanted)
    except CommandError as error:
        return error.strerror or str(error)
    if wanted.directory is not None and not Path(wanted.directory).is_dir():
        return f"dir={wanted.directory}: there is no such directory"
    return ""
