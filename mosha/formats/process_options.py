"""The options of an entry that are about the process itself: `user=`, `dir=`, `nofile=` ….

One of them that changes restarts the entry, as its command does. `clinit/attributes.py` applies
them. Agents run as root: a service takes another user by a parameter of its agent.
"""

from __future__ import annotations

import re

from mosha.core.tables import ResourceLimit
from mosha.formats.mistakes import BLANKS
from mosha.formats.option import COMMANDS, PROCESSES, Option

ID_MAX = 2**32 - 2
"""The greatest user or group; the next one means "unchanged" to setresuid(2)."""

NUMBER_MAX = 2**63 - 1
NICE = (-20, 19)
OOM = (-1000, 1000)
UNLIMITED = "unlimited"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

# As useradd(8) and large directories have them: no blanks, and nothing that a table separates by.
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,255}\$?")
_SIZE = re.compile(r"([0-9]{1,19})([KMG]?)")
_UMASK = re.compile(r"0?[0-7]{3}")


def _read_account(text: str) -> str:
    if text.isascii() and text.isdecimal():
        if int(text) > ID_MAX:
            raise ValueError(f"the number is too great: {text}")
        return str(int(text))
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"not a name or number: {text}")
    return text


def _read_path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"the path does not begin with /: {text}")
    return text


def _read_umask(text: str) -> int:
    if not _UMASK.fullmatch(text):
        raise ValueError(f"not a umask: {text}")
    return int(text, 8)


def _read_nice(text: str) -> int:
    return _within(text, *NICE)


def _read_oom(text: str) -> int:
    return _within(text, *OOM)


def _within(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise ValueError(f"not a number from {least} to {most}: {text}")
    return int(text)


def _read_limit(text: str) -> ResourceLimit:
    """Parse `65536`, `64M`, `unlimited` or `1024/65536`: soft and hard."""
    words = [word.strip(BLANKS) for word in text.split("/")]
    if len(words) > 2:
        raise ValueError("more than a soft and a hard limit")
    soft, hard = _read_size(words[0]), _read_size(words[-1])
    if hard is not None and (soft is None or soft > hard):
        raise ValueError(f"the soft limit is above the hard one: {text}")
    return ResourceLimit(soft, hard)


def _read_size(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    if text == UNLIMITED:
        return None
    if found is None or (size := int(found[1]) * UNITS[found[2]]) > NUMBER_MAX:
        raise ValueError(f"not a limit: {text}")
    return size


def limit_text(limit: ResourceLimit) -> str:
    """Return a limit as cltab has it."""
    soft, hard = _size_text(limit.soft), _size_text(limit.hard)
    return soft if soft == hard else f"{soft}/{hard}"


def _size_text(size: int | None) -> str:
    if size is None:
        return UNLIMITED
    unit = next((u for u, n in reversed(UNITS.items()) if size and size % n == 0), "")
    return f"{size // UNITS[unit]}{unit}"


_AS_CLINIT = "as clinit has it"
_PATH_RULE = "write its path from the root; it has no ':', ',', '(' and ')'"
_LIMIT_RULE = f"write a number, with K, M or G if you like, or {UNLIMITED}; or SOFT/HARD"


def _account(name: str, meaning: str) -> Option:
    rule = f"write the name or the number of a {name}"
    return Option(name, f"{name}=NAME", COMMANDS, _read_account, str, rule, _AS_CLINIT, meaning)


def _limit(name: str, meaning: str) -> Option:
    text = f"{meaning}; one number, or `SOFT/HARD`"
    form = f"{name}=LIMIT"
    return Option(name, form, PROCESSES, _read_limit, limit_text, _LIMIT_RULE, _AS_CLINIT, text)


PROCESS_OPTIONS: dict[str, Option] = {
    "user": _account(
        "user",
        "the user that it runs as, with the groups and the `HOME`, `USER`, `LOGNAME` and `SHELL` of"
        " that user",
    ),
    "group": _account("group", "its group, if it is not that of its user"),
    "directory": Option(
        "dir",
        "dir=PATH",
        PROCESSES,
        _read_path,
        str,
        _PATH_RULE,
        _AS_CLINIT,
        "its working directory",
    ),
    "envfile": Option(
        "envfile",
        "envfile=PATH",
        PROCESSES,
        _read_path,
        str,
        _PATH_RULE,
        "none",
        "a file with [variables](#files-with-variables) for its environment",
    ),
    "umask": Option(
        "umask",
        "umask=NNN",
        PROCESSES,
        _read_umask,
        lambda mask: f"{mask:03o}",
        "write three octal digits: umask=027",
        _AS_CLINIT,
        "the permissions that its new files do not have, umask(2)",
    ),
    "nice": Option(
        "nice",
        "nice=N",
        PROCESSES,
        _read_nice,
        str,
        "write nice=10 for less, nice=-5 for more of the processor",
        _AS_CLINIT,
        f"its nice value, {NICE[0]} to {NICE[1]}",
    ),
    "oom": Option(
        "oom",
        "oom=N",
        PROCESSES,
        _read_oom,
        str,
        "write oom=500 for what may be killed first, oom=-500 for what is to live",
        "0, or as clinit has it if that is more",
        f"its oom_score_adj of proc(5), {OOM[0]} to {OOM[1]}: the greater, the earlier it is killed"
        " when memory is short",
    ),
    "nofile": _limit("nofile", "how many files it may have open"),
    "nproc": _limit("nproc", "how many processes its user may have"),
    "core": _limit("core", "the size of a core dump"),
    "memlock": _limit("memlock", "how much memory it may lock"),
    "stack": _limit("stack", "the size of its stack"),
}
"""Field of `core.tables.ProcessAttributes` -> the option that fills it, in the order of writing."""
