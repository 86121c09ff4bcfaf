"""cltab: which processes make up which group (catalogue C1 to C3).

A line is an entry ``group:tag:level:mode:command``, whose mode may have options
(``test(timeout=10s)``, `formats.entry_options`), a variable ``:::name:value``, a comment
or empty. The command is the rest of the line after the fourth colon. Where the original
silently accepted a typing error, it is a mistake with its place here.
"""

from __future__ import annotations

from typing import NamedTuple

from mosha.core.tables import (
    AGENT_STOP_TAG,
    PLAN_LEVEL,
    RESPAWNING,
    STOP_LEVEL,
    Cltab,
    Entry,
    Mode,
    Options,
)
from mosha.formats.address_command import FORM as ADDRESS_FORM
from mosha.formats.address_command import address_command
from mosha.formats.entry_options import mode_text, read_mode
from mosha.formats.mistakes import BLANKS, FILE_MAX_BYTES, Findings, readable_lines
from mosha.formats.names import NAME_MAX_CHARS, NAME_RULE, is_name, nearest
from mosha.formats.ocf_command import FORM, ocf_words
from mosha.formats.units import FORM as FORM_OF_UNIT
from mosha.formats.units import NAME_MAX_CHARS as UNIT_MAX_CHARS
from mosha.formats.units import PLACE_DIGITS, slice_named, unit_named

VARIABLES = ("socket", "clstat", "log")
"""The variables that a cltab can set; any other name could redirect the parser (C1.7)."""

_FIELDS = ("group", "tag", "level", "mode", "command")
_FORM = "write group:tag:level:mode:command"
_LONGEST_NODE = "@65535"
"""What follows the name of a group that runs on all nodes, at most."""

_ENDING_RULE = "use wait, once or test there"
_STOPPED_ANYWAY = {
    Mode.OCF: "its agent is stopped there anyway",
    Mode.SYSTEMD: "its unit is stopped anyway when the group leaves its level",
    Mode.ADDRESS: "the address is removed there anyway",
}
_WITH_ARTICLE = {Mode.OCF: "an ocf", Mode.ADDRESS: "an address"}
_VARIABLE_FORM = "write :::NAME:VALUE, where NAME is socket, clstat or log"


class _Field(NamedTuple):
    """A trimmed field and its column."""

    name: str
    text: str
    column: int


def parse_cltab(data: bytes, file: str) -> Cltab:
    """Parse a cltab; `file` is its name in messages.

    Blanks around fields and around the parts of a comma list of levels are removed (C1.4, C2.5).
    The last line of a variable wins (C1.6).

    Raises:
        Mistakes: with every mistake of the file.
    """
    findings = Findings(file)
    entries: list[Entry] = []
    variables: dict[str, str] = {}
    first_lines: dict[str, int] = {}
    for number, line in readable_lines(data, findings):
        text = line.strip(BLANKS)
        if not text or text.startswith("#"):  # C1.2, C1.3
            continue
        if text.startswith(":::"):
            _read_variable(number, line, variables, findings)
        elif text.startswith("::"):  # C1.9
            problem = "neither an entry nor a variable"
            findings.add(number, line.index("::") + 1, text, problem, _VARIABLE_FORM)
        else:
            entry = _read_entry(number, line, first_lines, findings)
            if entry is not None:
                entries.append(entry)
    findings.raise_if_any()
    return Cltab(tuple(entries), variables)


def parse_variables(data: bytes) -> dict[str, str]:
    """Parse only the variables, whatever else is in the file (C1.10).

    A client must find the socket even if an entry is wrong. Never raises.
    """
    findings = Findings("")
    variables: dict[str, str] = {}
    for number, line in readable_lines(data[:FILE_MAX_BYTES], findings):
        if line.strip(BLANKS).startswith(":::"):
            _read_variable(number, line, variables, findings)
    return variables


def cltab_group(line: str) -> str:
    """Return the group of an entry line, `:::NAME` for a variable, "" for a remark."""
    text = line.strip(BLANKS)
    if text.startswith(":::"):
        return ":::" + text[3:].partition(":")[0].strip(BLANKS)
    return "" if text.startswith("#") else text.partition(":")[0].strip(BLANKS)


def render_cltab(cltab: Cltab) -> str:
    """Return a cltab as text: variables first, then the entries in their order."""
    lines = [f":::{name}:{value}\n" for name, value in cltab.variables.items()]
    lines += [
        f"{e.group}:{e.tag}:{e.level}:{mode_text(e.mode, e.options)}:{e.command}\n"
        for e in cltab.entries
    ]
    return "".join(lines)


def _read_variable(number: int, line: str, variables: dict[str, str], findings: Findings) -> None:
    column = line.index(":::") + 4
    name, colon, value = line[column - 1 :].partition(":")
    name, value = name.strip(BLANKS), value.strip(BLANKS)
    if name not in VARIABLES:
        remedy = f"{nearest(name, VARIABLES)}{_VARIABLE_FORM}"
        findings.add(number, column, name or line, "unknown variable", remedy)
    elif not colon or not value:
        problem = f"variable {name} has no value"
        findings.add(number, column, line.strip(BLANKS), problem, _VARIABLE_FORM)
    else:
        variables[name] = value


def _read_entry(
    number: int, line: str, first_lines: dict[str, int], findings: Findings
) -> Entry | None:
    before = findings.total
    fields = _split(line)
    if len(fields) < len(_FIELDS):
        missing = " and ".join(_FIELDS[len(fields) :])
        findings.add(number, len(line) + 1, line.strip(BLANKS), f"{missing} missing", _FORM)
    how = Mode.OFF, Options()
    for field in fields:
        problem, remedy = _judge(field)
        if field.name == "mode" and field.text:
            how = _read_mode(number, field, findings) or how
        elif problem:
            findings.add(number, field.column, field.text, problem, remedy)
        elif field.name == "tag":
            _note_tag(number, field, first_lines, findings)
    if findings.total > before:
        return None
    group, tag, level, _, command = (field.text for field in fields)
    mode, options = how
    if mode in RESPAWNING and STOP_LEVEL in _tidy_level(level).split(","):
        problem = f"{_WITH_ARTICLE.get(mode, f'a {mode}')} entry at level stop would never end"
        column, text = fields[3].column, fields[3].text
        remedy = _STOPPED_ANYWAY.get(mode, _ENDING_RULE)
        findings.add(number, column, text, problem, remedy)
        return None
    if mode is Mode.OCF and not _judge_agent(number, fields, first_lines, findings):
        return None
    if mode is Mode.SYSTEMD and not _judge_unit(number, fields, first_lines, findings):
        return None
    if mode is Mode.ADDRESS and not _judge_address(number, fields, findings):
        return None
    return Entry(group, tag, _tidy_level(level), mode, command, number, options)


def _judge_agent(
    number: int, fields: list[_Field], first_lines: dict[str, int], findings: Findings
) -> bool:
    """Judge the command of an agent, and the tag that its stop will have."""
    before = findings.total
    tag, command = fields[1], fields[4]
    try:
        ocf_words(command.text)
    except ValueError as error:
        findings.add(number, command.column, command.text, str(error), FORM)
    stop = tag.text + AGENT_STOP_TAG
    if not is_name(stop):
        remedy = f"a tag of an ocf entry has at most {NAME_MAX_CHARS - len(AGENT_STOP_TAG)}"
        findings.add(number, tag.column, tag.text, "the tag is too long", remedy)
    else:
        _note_tag(number, _Field("tag", stop, tag.column), first_lines, findings)
    return findings.total == before


def _judge_unit(
    number: int, fields: list[_Field], first_lines: dict[str, int], findings: Findings
) -> bool:
    """Judge the unit of an entry, which no other entry may have, and the name of its slice."""
    before = findings.total
    group, tag, command = fields[0], fields[1], fields[4]
    try:
        unit = unit_named(command.text)
    except ValueError as error:
        findings.add(number, command.column, command.text, str(error), FORM_OF_UNIT)
        return False
    first = first_lines.setdefault(f"unit:{unit}", number)  # no tag has a colon
    if first != number:
        problem = f"another entry has the unit {unit} (first in line {first})"
        remedy = "name it in one entry, with all its levels"
        findings.add(number, command.column, command.text, problem, remedy)
    if (
        len(slice_named(PLACE_DIGITS * "0", f"{group.text}{_LONGEST_NODE}", tag.text))
        > UNIT_MAX_CHARS
    ):
        problem = "group and tag are too long for the name of a slice"
        remedy = f"a slice has at most {UNIT_MAX_CHARS} characters, and '-' counts as four"
        findings.add(number, tag.column, tag.text, problem, remedy)
    return findings.total == before


def _judge_address(number: int, fields: list[_Field], findings: Findings) -> bool:
    """Judge the command and the levels of an address."""
    before = findings.total
    level, command = fields[2], fields[4]
    try:
        address_command(command.text)
    except ValueError as error:
        findings.add(number, command.column, command.text, str(error), ADDRESS_FORM)
    if PLAN_LEVEL in _tidy_level(level.text).split(","):
        problem = "at level plan the address may be on two nodes at once"
        findings.add(number, level.column, level.text, problem, "take it out of plan")
    return findings.total == before


def _read_mode(number: int, field: _Field, findings: Findings) -> tuple[Mode, Options] | None:
    found = read_mode(field.text)
    if isinstance(found, tuple):
        return found
    for wrong in found:
        findings.add(number, field.column + wrong.at, wrong.text, wrong.problem, wrong.remedy)
    return None


def _split(line: str) -> list[_Field]:
    fields = []
    column = 1
    for name, raw in zip(_FIELDS, line.split(":", len(_FIELDS) - 1), strict=False):
        blanks = len(raw) - len(raw.lstrip(BLANKS))
        fields.append(_Field(name, raw.strip(BLANKS), column + blanks))
        column += len(raw) + 1
    return fields


def _judge(field: _Field) -> tuple[str, str]:
    """Return the problem and the remedy of one field, both empty if it is valid."""
    if not field.text:
        return f"the {field.name} is empty", _FORM
    if field.name in ("mode", "command"):
        return "", ""
    return _judge_name(field)


def _judge_name(field: _Field) -> tuple[str, str]:
    is_level = field.name == "level"
    names = [name.strip(BLANKS) for name in field.text.split(",")] if is_level else [field.text]
    if len(names) > 1 and not names[-1]:
        names.pop()  # `long3,` is a list of one (C2.4)
    if all(map(is_name, names)):
        return "", ""
    if max(map(len, names)) > NAME_MAX_CHARS:
        return f"the {field.name} is too long", f"a name has at most {NAME_MAX_CHARS} characters"
    remedy = NAME_RULE + (", with commas between levels" if is_level else "")
    return f"not the name of a {field.name}", remedy


def _note_tag(number: int, field: _Field, first_lines: dict[str, int], findings: Findings) -> None:
    first = first_lines.setdefault(field.text, number)
    if first != number:  # C1.11 to C1.13: over all groups, compared as text
        problem = f"entry has duplicate tag: {field.text} (first in line {first})"
        findings.add(number, field.column, field.text, problem, "give each entry its own tag")


def _tidy_level(level: str) -> str:
    return ",".join(part.strip(BLANKS) for part in level.split(","))
