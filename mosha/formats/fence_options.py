"""The options of fence agents: what can be passed to one at all, and the file of secrets.

An agent reads `key=value` lines from its standard input. It removes blanks around a line and one
pair of outer double quotes of a value (process_input of the package fence-agents): values with
those never arrive as they were written. An option that would let an agent call a machine off that
is not, or do anything but what mosha asks for, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mosha.formats import settings_rules as rules
from mosha.formats.mistakes import Findings

SECRETS_MAX_BYTES = 16 << 10
OPTIONS_MAX = 100

PLUG_NAMES = ("plug", "port")
"""The option that names an outlet or a machine: today's name, and the one that all agents know."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_QUOTED = re.compile(r'".*"')
_NOT_DEVICE = re.compile(r"delay|timeout|wait|sleep|retry|verbose|quiet|debug|username|login|passw")
_SECRET_WORDS = ("passw", "secret", "token", "apikey", "community", "hexadecimal_kg")
_NOT_SECRET = ("_script", "_file")

_REFUSED: Mapping[str, tuple[str, str]] = {
    "action": ("is set by mosha: off, then status", "remove it"),
    "option": ("is an old name of action, which mosha sets", "remove it"),
    "delay": (
        "is a matter of the node: while an agent waits, its limit runs",
        "write delays = {1 = 20} under [fencing]",
    ),
    "missing_as_off": (
        "calls a plug off that does not exist: a misspelt one would be a receipt",
        "remove it",
    ),
}


def same_option(name: str) -> str:
    """Return the form of a name in which agents compare it: `-` and `_` are the same."""
    return name.replace("-", "_")


def is_secret(name: str) -> bool:
    """Say whether an option is by its name something that nobody else may read."""
    plain = same_option(name).lower()
    return any(word in plain for word in _SECRET_WORDS) and not plain.endswith(_NOT_SECRET)


def device_of(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that say which device it is: not those of times, users and output."""
    plain = {same_option(name): value for name, value in options.items()}
    if "ipaddr" in plain:
        plain["ip"] = plain.pop("ipaddr")
    return {name: value for name, value in plain.items() if not _NOT_DEVICE.search(name)}


def option(name: str, value: object) -> str:
    """Return the value of an option as an agent gets it.

    Raises:
        WrongValue: it could not be passed, or may not be; its text never has the value.
    """
    if not _NAME.fullmatch(name):
        raise rules.WrongValue("is no name of an option", "write letters, digits, _ and -")
    plain = same_option(name).lower()
    if plain in _REFUSED:
        raise rules.WrongValue(*_REFUSED[plain])
    text = _text(value)
    if plain == "method" and text != "onoff":
        remedy = 'write method = "onoff", or remove it'
        raise rules.WrongValue("must be onoff: a cycle proves nothing", remedy)
    return text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return rules.shown(value)
    text = rules.text(value)
    script = "have a script print it (password_script)"
    if text != text.strip():
        raise rules.WrongValue("begins or ends with a blank, which agents remove", script)
    if _QUOTED.fullmatch(text):
        problem = "is in double quotes, which agents remove"
        raise rules.WrongValue(problem, f"remove them; if they belong to it, {script}")
    return text


def parse_secrets(data: bytes, file: str) -> dict[str, str]:
    """Return the options of a file of secrets; blank lines and `#` lines are comments.

    Raises:
        Mistakes: all of them, with lines, never with any text of the file.
    """
    findings = Findings(file)
    found: dict[str, str] = {}
    if len(data) > SECRETS_MAX_BYTES:
        problem = f"the file is too big: {len(data)} bytes"
        findings.add(0, 0, "", problem, f"at most {SECRETS_MAX_BYTES} bytes are read")
    else:
        for number, line in enumerate(data.split(b"\n"), 1):
            _read_secret(number, line.removesuffix(b"\r"), found, findings)
    findings.raise_if_any()
    return found


def _read_secret(number: int, line: bytes, found: dict[str, str], findings: Findings) -> None:
    if not line.strip() or line.startswith(b"#"):
        return
    remedy = "write password=…, one option a line"
    try:
        name, is_option, value = line.decode("utf-8").partition("=")
    except UnicodeDecodeError:
        findings.add(number, 1, "", "not UTF-8", "save the file as UTF-8")
        return
    if not is_option:
        findings.add(number, 1, "", "the line is no key=value", remedy)
        return
    if same_option(name) in PLUG_NAMES:
        findings.add(number, 1, "", f"{name} is no secret", "write it under targets")
        return
    try:
        found[name] = option(name, value)
    except rules.WrongValue as wrong:
        shown = name if _NAME.fullmatch(name) else "the key"
        findings.add(number, 1, "", f"{shown} {wrong.problem}", wrong.remedy)
