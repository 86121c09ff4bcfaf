"""Why a program was not executed: what the kernel's ENOENT leaves open."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mosha.clinit.unexecuted import why_unexecuted
from mosha.host.abandonable import Abandonable
from tests.clinit.conftest import Start

PLAIN = "{path}: No such file or directory"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"#!/no/such/sh -e\nx\n", "the interpreter of {path}, /no/such/sh, does not exist"),
        (b"#! /no/such/sh", "the interpreter of {path}, /no/such/sh, does not exist"),
        (
            b"#!/bin/sh\r\nx\r\n",
            (
                "the interpreter of {path}, /bin/sh with a carriage return, does not exist;"
                " save the file with the line ends of Unix"
            ),
        ),
        (b"\x7fELF\x02\x01", "the loader that {path} needs does not exist here"),
        (b"#!\n", PLAIN),
        (b"", PLAIN),
    ],
)
async def test_a_program_that_exists_and_cannot_be_executed_is_explained(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    said = await why_unexecuted(str(path), errno.ENOENT, Abandonable("x"))
    assert said == told.format(path=path)


async def test_what_is_not_there_or_no_program_is_not_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path / "nothing", tmp_path, fifo / "below", Path("/dev/zero")):
        said = await why_unexecuted(str(path), errno.ENOENT, Abandonable("x"))
        assert said == PLAIN.format(path=path)
    said = await why_unexecuted(str(fifo), errno.EACCES, Abandonable("x"))
    assert said == f"{fifo}: Permission denied"


def test_an_entry_whose_interpreter_is_missing_says_so(start: Start, short_dir: Path) -> None:
    script = short_dir / "script"
    script.write_text("#!/no/such/perl -w\n")
    script.chmod(0o755)
    d = start(f"g:a:1:test:{script} x\n")
    d.tell("g", "1")
    d.wait_for("1 FAILED")
    told = f"cannot execute: the interpreter of {script}, /no/such/perl, does not exist"
    assert d.entry("a").error == told
    assert d.group().cause == f"test entry a: {told}"
