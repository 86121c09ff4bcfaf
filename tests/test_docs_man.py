"""The man pages are well-formed, lose nothing, and can be read in 80 columns."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest

from mosha.cli.clinit import main as clinit_command
from mosha.cli.main import COMMANDS
from mosha.cli.main import root as mosha_command
from mosha.core.wish_options import NAMES
from tests import docs_man
from tests.docs_man import SECTIONS
from tests.docs_roff import head_of, parsed, plain, roff

COLUMNS = 80
LIMIT_S = 30.0


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing, and say which package of Debian has it."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"needs {program}; on Debian: apt install {package}"
    )


def output_of(*words: str) -> tuple[str, str]:
    """Run a program; return what it printed and what it complained of."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=LIMIT_S)
    return done.stdout, done.stderr


@pytest.fixture(scope="module", name="pages")
def _pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("man")
    assert docs_man.main([str(directory)]) == 0
    return {name: directory / f"man{n}" / f"{name}.{n}" for name, n in SECTIONS.items()}


@cache
def words_of(name: str) -> str:
    """Return a page without its roff: fonts, escapes and macros, and with single blanks."""
    text = re.sub(
        r"^\.(?:PP|IP|TP|EX|EE|RS|RE|br).*$", "", docs_man.man_page(name), flags=re.MULTILINE
    )
    text = re.sub(r"\\f[BIR]|\\&", "", text)
    for escape, char in (
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(dq", '"'),
        ("\\(ga", "`"),
        ("\\e", "\\"),
    ):
        text = text.replace(escape, char)
    text = text.replace("\\(ti", "~").replace("\\(ha", "^")
    text = re.sub(r"\\\[u(\w+)\]", lambda found: chr(int(found[1], 16)), text)
    return " ".join(text.split())


# --- form ---------------------------------------------------------------------------------


@needs("mandoc", "mandoc")
@pytest.mark.parametrize("name", SECTIONS)
def test_mandoc_has_nothing_to_say_of_a_page(pages: dict[str, Path], name: str) -> None:
    assert output_of("mandoc", "-T", "lint", "-W", "style", str(pages[name])) == ("", "")


@needs("groff", "groff-base")
@pytest.mark.parametrize("name", SECTIONS)
def test_groff_sets_a_page_in_80_columns_without_a_warning(
    pages: dict[str, Path], name: str
) -> None:
    options = ("-man", "-ww", "-T", "utf8", "-P-c", f"-rLL={COLUMNS - 2}n")
    printed, warnings = output_of("groff", *options, str(pages[name]))
    assert warnings == ""
    lines = re.sub(".\b", "", printed).split("\n")  # bold and underlined as on a typewriter
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_a_page_has_the_usual_sections_in_the_usual_order(name: str) -> None:
    found = re.findall(r'^\.SH "(.*)"$', docs_man.man_page(name), re.MULTILINE)
    assert found[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    usual = ["OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"]
    if SECTIONS[name] == 8:
        assert [each for each in found if each in usual] == [
            each for each in usual if each in found
        ]
        assert {"OPTIONS", "EXIT STATUS"} <= set(found)
    assert found[-3:] == ["FILES", "EXAMPLES", "SEE ALSO"]


@pytest.mark.parametrize("name", SECTIONS)
def test_the_name_of_a_page_is_as_whatis_wants_it(name: str) -> None:
    lines = docs_man.man_page(name).split("\n")
    assert re.fullmatch(rf"{re.escape(name)} \\- \w.*[^.]", lines[lines.index('.SH "NAME"') + 1])


@pytest.mark.parametrize("name", SECTIONS)
def test_a_page_names_all_others(name: str) -> None:
    end = docs_man.man_page(name).rpartition('.SH "SEE ALSO"')[2]
    assert [other for other in SECTIONS if other != name and f"\\fB{other}\\fR(" not in end] == []


def test_the_day_of_a_page_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert '.TH "HACTL" 5 "1970-01-02" "mosha ' in docs_man.man_page("hactl")


# --- completeness -------------------------------------------------------------------------


def options_of(command: click.Command) -> list[str]:
    """Return the names of all options of a command."""
    return [name for param in command.params for name in param.opts if name.startswith("-")]


def test_every_option_of_clinit_is_in_its_page() -> None:
    text = words_of("clinit")
    assert [name for name in options_of(clinit_command) if name not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_mosha_is_in_its_page_with_all_options(name: str) -> None:
    command = mosha_command.get_command(click.Context(mosha_command), name)
    assert command
    part = words_of("mosha").partition(f'.SS "mosha {name} ')[2].partition(".SS ")[0]
    missing = [each for each in options_of(command) if each not in part]
    assert [each for each in missing if each not in options_of(mosha_command)] == []


def test_every_option_of_hactl_is_in_its_page() -> None:
    assert [name for name in NAMES if f"{name}=" not in words_of("hactl")] == []


@pytest.mark.parametrize("name", ["clinit", "cltab", "hactl", "mosha.toml"])
def test_every_text_of_a_page_of_reference_is_in_the_man_page(name: str) -> None:
    page = docs_man.reference(name)
    text = words_of(name).replace(" ", "")
    said = [
        part
        for source in (page.beginning, *page.sections.values())
        for block in parsed(source).walk()
        if block.type in ("td", "paragraph", "fence")  # the heads of tables need not be there
        for node in block.walk()
        if node.type in ("text", "code_inline", "fence")
        for part in [plain(node)]
    ]
    assert len(said) > 50
    assert [part for part in said if "".join(part.split()) not in text] == []


# --- the renderer -------------------------------------------------------------------------


def as_it_is(text: str, target: str) -> str:
    """Leave a link without its target."""
    del target
    return text


def test_no_line_of_text_is_taken_for_a_macro() -> None:
    assert roff("a\n\n.b\n\n'c'\n\n```sh\n.d\n```\n", as_it_is).split("\n") == [
        *(".PP", "a", ".PP", "\\&.b", ".PP", "\\&'c'"),
        *(".PP", ".RS 4", ".EX", "\\&.d", ".EE", ".RE", ""),
    ]


def test_characters_that_roff_would_change_are_escaped() -> None:
    assert roff("`a-b'\\` … **c *d*** e", as_it_is) == (
        ".PP\n\\fBa\\-b\\(aq\\e\\fR \\[u2026] \\fBc \\fId\\fB\\fR e\n"
    )


def test_a_sentence_begins_a_line_and_long_ones_are_broken() -> None:
    assert roff(f"One. Two {'x ' * 40}end", as_it_is).split("\n")[1:] == [
        "One.",
        "Two " + " ".join("x" * 37),
        "x x x end",
        "",
    ]


def test_a_table_becomes_a_list() -> None:
    table = "| key | default | meaning | seen in |\n|--|--|--|--|\n| `a` | 1 | b | c and d |\n"
    more = "| | | e | |\n"
    assert roff(table + more, as_it_is).split("\n") == [
        *(".TP 7", "\\fBa\\fR (default: 1)", "b", ".br", "Seen in: c and d", ".br", "e", "")
    ]


def test_output_is_folded_and_shell_only_after_a_pipe() -> None:
    long = "w " * 20 + "| " + "w " * 20
    assert "| w" in roff(f"```text\n{long}\n```", as_it_is)
    assert "|\n    w" in roff(f"```sh\n{long}\n```", as_it_is)
    assert roff(f"```sh\n{'w ' * 40}\n```", as_it_is).count("\n") == 6


def test_lists_and_quotations_are_indented() -> None:
    assert roff("- a\n\n  b\n- c\n  1. d\n\n> e\n", as_it_is).split("\n") == [
        *(".IP \\(bu 2", "a", ".IP", "b", ".IP \\(bu 2", "c", ".RS", '.IP "1." 4', "d", ".RE"),
        *(".RS 4", ".PP", "e", ".RE", ""),
    ]


def test_a_link_may_become_something_else() -> None:
    def linked(text: str, target: str) -> str:
        return f"**{text}**(5)" if target == "x" else f"{text} (see *{target}*)"

    assert roff("[`a`](y) [b](x)", linked) == ".PP\n\\fBa\\fR (see \\fIy\\fR) \\fBb\\fR(5)\n"


def test_a_heading_takes_the_place_of_a_paragraph() -> None:
    assert roff('## a "b"\n\nc\n\n### `d` e\n\nf\n', as_it_is) == (
        '.SH "A \\(dqB\\(dq"\nc\n.SS "d e"\nf\n'
    )


def test_what_has_no_form_in_roff_is_refused() -> None:
    with pytest.raises(ValueError, match="no roff for image"):
        roff("![a](b)", as_it_is)
    with pytest.raises(ValueError, match="no roff for hr"):
        roff("---\n", as_it_is)


def test_the_head_of_a_page_says_what_it_is() -> None:
    head = head_of("a", 5, {"date": "d", "source": "s", "manual": "m"})
    assert '.TH "A" 5 "d" "s" "m"\n' in head
