"""The man pages, made from what the manual is made from: commands, pages of reference, conf.

    python -m tests.docs_man DIRECTORY

writes DIRECTORY/man8/mosha.8 and the others. A page is put together as Markdown, section by
section, and `tests/docs_roff.py` turns it into roff. Nothing is said here that is said elsewhere.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from mosha import __version__
from mosha.cli.clinit import main as clinit_command
from mosha.cli.config import CONFIG_FILE
from mosha.cli.help_text import with_examples
from mosha.cli.main import COMMANDS
from mosha.cli.main import root as mosha_command
from tests.docs_roff import head_of, roff

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

SECTIONS = {"mosha": 8, "clinit": 8, "cltab": 5, "hactl": 5, "mosha.toml": 5}
"""Page -> section of the system's manual. Each has a page of reference of the same name."""

COVERED = {"files": "mosha", "exit-status": "mosha"}
"""Pages of reference that are in the man page of another."""

OTHER_NAMES = {"How mistakes are reported": "Diagnostics"}
"""Headings of ours that have a usual name in man pages."""

_COMMON = "Every command takes `--config` and `--help`, after its name too."

_GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->\n?", re.DOTALL)
_MARK = re.compile(r"<!-- .*? -->\n?")
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reference:
    """A page of reference: its title, what precedes the first heading, and its sections."""

    name: str
    about: str
    beginning: str
    sections: dict[str, str]


@cache
def reference(name: str) -> Reference:
    """Return a page of reference taken apart."""
    text = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    beginning, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, beginning = beginning.removeprefix("# ").partition("\n")
    sections = dict(part.split("\n", 1) for part in rest)
    return Reference(
        title.partition(": ")[0],
        title.partition(": ")[2],
        _GENERATED.sub("", beginning),
        {heading: _MARK.sub("", body) for heading, body in sections.items()},
    )


# --- pages --------------------------------------------------------------------------------


def man_page(name: str) -> str:
    """Return a man page as roff."""
    makers = {"mosha": _mosha, "clinit": _clinit}
    sections = dict(makers[name]() if name in makers else _file(name))
    sections["See also"] = _see_also(name, "\n".join(sections.values()))
    markdown = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())

    def linked(text: str, target: str) -> str:
        return _linked(name, text, target)

    fields = {"date": _date(), "source": f"mosha {__version__}", "manual": "The manual of mosha"}
    return head_of(name, SECTIONS[name], fields) + roff(markdown, linked)


def _mosha() -> Iterator[tuple[str, str]]:
    prose, examples = _help_of(mosha_command)
    commands = {name: mosha_command.get_command(_context(mosha_command), name) for name in COMMANDS}
    about = (mosha_command.help or "").partition(".\n")[0]
    yield "Name", f"mosha - {about[:1].lower()}{about[1:]}"
    usages = [_usage(command, f"mosha {name}") for name, command in commands.items() if command]
    yield "Synopsis", _fenced("\n".join([_usage(mosha_command, "mosha"), *usages]))
    yield "Description", prose
    yield "Options", f"{_COMMON}\n\n{_options(mosha_command)}"
    yield (
        "Commands",
        "\n\n".join(
            f"### {_usage(command, f'mosha {name}')}\n\n{_told_of(command)}"
            for name, command in commands.items()
            if command
        ),
    )
    exits, files = reference("exit-status"), reference("files")
    yield "Exit status", exits.beginning
    yield "Environment", files.sections["Environment"]
    places = (
        f"### {heading}\n{text}"
        for heading, text in files.sections.items()
        if heading != "Environment"
    )
    yield "Files", "\n".join((files.beginning, *places))
    yield "Examples", examples


def _clinit() -> Iterator[tuple[str, str]]:
    page = reference("clinit")
    prose, examples = _help_of(clinit_command)
    yield "Name", f"clinit - {page.about}"
    yield "Synopsis", _fenced(_usage(clinit_command, "clinit"))
    yield "Description", f"{page.beginning}\n\n{prose}"
    yield "Options", _options(clinit_command)
    for heading, text in page.sections.items():
        if heading != "Alone":
            yield OTHER_NAMES.get(heading, heading), text
    yield "Exit status", _rows_of(reference("exit-status").beginning, "")
    yield "Files", _files_of("clinit")
    yield "Examples", f"{examples}\n\n{page.sections['Alone']}"


def _file(name: str) -> Iterator[tuple[str, str]]:
    page = reference(name)
    place = next(iter(reference("files").sections)).partition("`")[2].rstrip("`")
    yield "Name", f"{name} - {page.about}"
    yield "Synopsis", f"`{CONFIG_FILE if name == Path(CONFIG_FILE).name else place + name}`"
    yield "Description", page.beginning
    for heading, text in page.sections.items():
        yield OTHER_NAMES.get(heading, heading), text
    yield "Files", _files_of(name)
    lines = (ROOT / "conf" / name).read_text(encoding="utf-8").split("\n")
    example = "\n".join(line for line in lines if line and not line.startswith("#"))
    told = f"`conf/{name}` in the source, here without its comments:"
    yield "Examples", f"{told}\n\n{_fenced(example, name)}"


def _see_also(name: str, text: str) -> str:
    others = ", ".join(
        f"**{other}**({number})" for other, number in SECTIONS.items() if other != name
    )
    pages = {
        page
        for target in re.findall(r"\]\(([^)#:\s]+\.md)", text)
        if (page := _page_of(target)).rpartition("/")[2] not in (*SECTIONS, *COVERED)
    }
    titles = (
        f"- `{page}`: {(DOCS / f'{page}.md').read_text(encoding='utf-8').partition(chr(10))[0][2:]}"
        for page in sorted(pages)
    )
    manual = "In the manual, which is `docs` in the source and becomes a site by `make docs`:"
    return f"{others}\n\n{manual}\n\n" + "\n".join(titles)


def _linked(name: str, text: str, target: str) -> str:
    """Return the text of a link, with the man page or the page of the manual that it leads to."""
    if "://" in target:
        return f"{text} ({target})"
    page = _page_of(target.partition("#")[0]) if not target.startswith("#") else name
    last = page.rpartition("/")[2]
    other = COVERED.get(last, last)
    if other == name:
        return text
    if other not in SECTIONS:
        return f"{text} \\[{page}\\]"
    found = f"**{other}**({SECTIONS[other]})"
    return found if text == other else f"{text} ({found})"


def _page_of(target: str) -> str:
    """Return what a link of a page of reference leads to, below `docs`."""
    return posixpath.normpath(f"reference/{target}").removesuffix(".md")


# --- parts of pages ------------------------------------------------------------------------


def _files_of(name: str) -> str:
    """Return the lines of all files that name one, as one list."""
    files = reference("files").sections
    texts = (text for heading, text in files.items() if heading != "Environment")
    return "\n\n".join(rows for text in texts if (rows := _rows_of(text, name)))


def _rows_of(text: str, word: str) -> str:
    """Return the tables of a text, and of their rows those that have a word."""
    lines = _ROW.findall(text)
    rows = [line for line in lines[2:] if re.search(rf"\b{re.escape(word)}\b", line)]
    return "\n".join([*lines[:2], *rows]) if rows else ""


def _usage(command: click.Command, words: str) -> str:
    return " ".join([words, *command.collect_usage_pieces(_context(command))])


def _told_of(command: click.Command) -> str:
    prose, examples = _help_of(command)
    return "\n\n".join((prose, _options(command, besides=mosha_command), examples))


def _help_of(command: click.Command) -> tuple[str, str]:
    """Return what a command's help says, and its examples, as Markdown."""
    prose: list[str] = []
    examples: list[str] = []
    for paragraph in (with_examples(command.help) or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            told, *lines = paragraph[2:].split("\n")
            text = f"{_prose(told)}\n\n{_fenced(chr(10).join(line[4:] for line in lines))}"
            listed = told.rstrip(":").startswith("Options of")
            (prose if listed else examples).append(text)
        elif not (command is mosha_command and paragraph.startswith("Exit status")):
            prose.append(_prose(" ".join(paragraph.split())))
    return "\n\n".join(prose), "\n\n".join(examples)


def _options(command: click.Command, *, besides: click.Command | None = None) -> str:
    """Return a table of a command's options, without those of another."""
    context = _context(command)
    known = {option.name for option in besides.get_params(context)} if besides else set()
    records = (
        option.get_help_record(context)
        for option in command.get_params(context)
        if isinstance(option, click.Option) and option.name not in known
    )
    rows = [f"| {_option(record[0])} | {_prose(record[1])} |" for record in records if record]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def _context(command: click.Command) -> click.Context:
    return click.Context(command, **command.context_settings)


def _option(words: str) -> str:
    """Return `-c, --cltab PATH` with its names and its value marked."""
    return " ".join(
        f"`{word}`".replace(",`", "`,") if word.startswith("-") else f"*{_prose(word)}*"
        for word in words.split()
    )


def _prose(text: str) -> str:
    """Return a help text as Markdown: what stands between backticks is code, nothing is a mark."""
    parts = re.split(r"(`[^`]*`)", text)
    marked = (
        part if place % 2 else re.sub(r"([\\*_\[\]<>|])", r"\\\1", part)
        for place, part in enumerate(parts)
    )
    return "".join(marked)


def _fenced(text: str, kind: str = "sh") -> str:
    return f"```{kind}\n{text.rstrip()}\n```"


def _date() -> str:
    """Return the day of today, or of $SOURCE_DATE_EPOCH, for builds that can be repeated."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def main(arguments: Sequence[str]) -> int:
    """Write all pages below a directory."""
    (directory,) = map(Path, arguments)
    for name, section in SECTIONS.items():
        path = directory / f"man{section}" / f"{name}.{section}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(man_page(name), encoding="ascii")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
