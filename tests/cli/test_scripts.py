"""The scripts: their own help costs no click, and is what click says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import docs_pages

SCRIPTS = Path(sys.executable).parent
REWRITE = "rewrite with: .venv/bin/python -m tests.docs_pages --rewrite"


def run(*words: str, stdout: int = subprocess.PIPE, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPTS / words[0], *words[1:]],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        # What is written at once leaves nothing to be written at the end.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        | variables,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def loads_click(stderr: str) -> bool:
    return any(line.endswith(" click.core") for line in stderr.splitlines())


def test_the_pages_are_what_click_says() -> None:
    for path, page in docs_pages.script_pages().items():
        assert path.read_text(encoding="ascii") == page, REWRITE


@pytest.mark.parametrize("word", ["-h", "--help"])
@pytest.mark.parametrize("name", ["mosha", "clinit"])
def test_the_help_of_a_script_is_its_page_and_needs_no_click(name: str, word: str) -> None:
    status, out, err = run(name, word, COLUMNS="80")
    page = next(p for path, p in docs_pages.script_pages().items() if path.stem == name)
    assert (status, out) == (0, page)
    assert not loads_click(err)


@pytest.mark.parametrize("name", ["mosha", "clinit"])
def test_on_a_narrow_terminal_click_wraps_it(name: str) -> None:
    status, out, err = run(name, "-h", COLUMNS="60")
    assert status == 0
    assert out not in docs_pages.script_pages().values()
    assert loads_click(err)


@pytest.mark.parametrize("words", [("mosha", "set", "-h"), ("mosha", "--version")])
def test_whatever_else_is_asked_for_click_answers(words: tuple[str, ...]) -> None:
    status, out, err = run(*words, COLUMNS="80")
    assert status == 0
    assert not out.startswith("Usage: mosha [OPTIONS]")
    assert loads_click(err)


@pytest.mark.parametrize("name", ["mosha", "clinit"])
def test_help_that_cannot_be_written_is_no_success(name: str) -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        status, _, err = run(name, "-h", stdout=full.fileno(), COLUMNS="80")
    assert status == 1
    assert "No space left on device" in err
