"""What the scripts `mosha` and `clinit` run: the command, or a page that is ready.

The help of the command itself is a file beside this one, as click prints it on 80 columns (a test
compares them): importing click to make it anew takes longer than all else. Whatever else is asked
for, and on a narrower terminal, click answers.
"""

from __future__ import annotations

import os
import sys

PAGES = os.path.join(os.path.dirname(__file__), "pages")  # noqa: PTH118, PTH120 - pathlib is slow
HELP_WORDS = ("-h", "--help")
WIDTH = 80


def mosha() -> None:
    """Run as the script `mosha`."""
    if not _has_printed("mosha"):
        from mosha.cli.main import main  # noqa: PLC0415 - click

        main()


def clinit() -> None:
    """Run as the script `clinit`."""
    if not _has_printed("clinit"):
        from mosha.cli.clinit import main  # noqa: PLC0415 - click

        main()


def _has_printed(name: str) -> bool:
    """Print the help page of a script if nothing else is asked for; return whether it could."""
    script, *words = sys.argv
    if len(words) != 1 or words[0] not in HELP_WORDS or os.path.basename(script) != name:  # noqa: PTH119
        return False
    try:
        if _columns() < WIDTH or sys.stdout is None:
            return False
        with open(f"{PAGES}/{name}.txt", encoding="ascii") as page:  # noqa: PTH123
            text = page.read()
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):  # the command says what is wrong
        return False
    return True


def _columns() -> int:
    """Return how wide the terminal is, as shutil.get_terminal_size does, which takes longer."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else -1).columns
    except OSError:  # no terminal
        return WIDTH
