"""What a process is to have from its start, looked up: users, groups, files with variables.

`ProcessAttributes` of cltab has names; the fork server gets numbers (`preparing.py`). They are
looked up before each run, in a thread: a directory service or a file system may hang.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import resource
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from mosha.clinit.forker import CommandError
from mosha.core.tables import ProcessAttributes, ResourceLimit
from mosha.formats.process_options import limit_text
from mosha.host.files import read_head

LOOK_LIMIT_S = 5.0
ENVFILE_MAX_BYTES = 1 << 16
LIMITS = {
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
    "memlock": resource.RLIMIT_MEMLOCK,
    "stack": resource.RLIMIT_STACK,
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTES = ('"', "'")


class Resolved(Struct, frozen=True):
    """What to do before an exec (`preparing.prepared`), variables, and the user of the pipes."""

    wanted: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    uid: int | None = None


class _Account(Struct, frozen=True):
    """A user as it is to be: its groups are None if they stay."""

    uid: int | None
    gid: int | None
    groups: tuple[int, ...] | None
    variables: dict[str, str]


def resolve(attributes: ProcessAttributes) -> Resolved:
    """Look up what is wanted on this host. May block.

    Raises:
        CommandError: a user or group is not known, or the file of variables cannot be used.
    """
    account = _account(attributes)
    wanted: dict[str, Any] = {}
    limits = [(name, getattr(attributes, name)) for name in LIMITS]
    if given := [_limit(name, limit) for name, limit in limits if limit is not None]:
        wanted["limits"] = given
    for name in ("nice", "oom", "umask"):
        if (value := getattr(attributes, name)) is not None:
            wanted[name] = value
    for name in ("uid", "gid", "groups"):
        if (value := getattr(account, name)) is not None:
            wanted[name] = value
    if attributes.directory is not None:
        wanted["directory"] = os.fsencode(attributes.directory)
    variables = account.variables
    if attributes.envfile is not None:
        variables = variables | _from_file(attributes.envfile)
    return Resolved(wanted, variables, account.uid)


def why_not_prepared(attributes: ProcessAttributes, step: tuple[str, int], number: int) -> str:
    """Return in words which attribute a child could not be given, and why.

    `step` is the system call that failed, with its first argument, `number` its error.
    """
    call, argument = step
    named = next((name for name, known in LIMITS.items() if known == argument), "")
    option, value = {
        "setrlimit": (named, limit_text(getattr(attributes, named)) if named else ""),
        "setpriority": ("nice", attributes.nice),
        "setgroups": ("user", attributes.user),
        "setresuid": ("user", attributes.user),
        "setresgid": ("group", attributes.group) if attributes.group else ("user", attributes.user),
        "chdir": ("dir", attributes.directory),
    }.get(call, ("oom", attributes.oom))
    hint = ""
    if number in (errno.EPERM, errno.EACCES) and call != "chdir" and os.geteuid() != 0:
        hint = ": clinit does not run as root"
    return f"{option}={value}: {os.strerror(number)}{hint}"


def _limit(name: str, limit: ResourceLimit) -> tuple[int, int | None, int | None]:
    return LIMITS[name], limit.soft, limit.hard


def _account(attributes: ProcessAttributes) -> _Account:
    gid = _group(attributes.group) if attributes.group is not None else None
    if attributes.user is None:
        return _Account(None, None if gid == os.getegid() else gid, None, {})
    found = _user(attributes.user)
    if found is None:
        if gid is None:
            raise _refused(f"user={attributes.user}: no user has this number: add group=")
        return _own_or(_Account(int(attributes.user), gid, (gid,), {}))
    gid = found.pw_gid if gid is None else gid
    variables = {
        "HOME": found.pw_dir,
        "USER": found.pw_name,
        "LOGNAME": found.pw_name,
        "SHELL": found.pw_shell or "/bin/sh",
    }
    groups = tuple(os.getgrouplist(found.pw_name, gid))
    return _own_or(_Account(found.pw_uid, gid, groups, variables))


def _own_or(account: _Account) -> _Account:
    """Return who an ordinary user is without what only root may do, and needs not to be done."""
    own = (os.geteuid(), os.getegid())
    if own[0] == 0 or (account.uid, account.gid) != own:
        return account
    return _Account(None, None, None, account.variables)


def _user(name: str) -> pwd.struct_passwd | None:
    """Return a user by name or number; None for a number that nobody has."""
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            return None
        raise _refused(f"user={name}: there is no such user") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise _refused(f"group={name}: there is no such group") from None


def _refused(text: str) -> CommandError:
    return CommandError(errno.EINVAL, text)


def _from_file(path: str) -> dict[str, str]:
    """Read a file of variables (docs/reference/cltab.md)."""
    try:
        text = read_head(Path(path), ENVFILE_MAX_BYTES + 1)
        if len(text) > ENVFILE_MAX_BYTES:
            raise _refused(f"envfile={path}: it has more than {ENVFILE_MAX_BYTES} bytes")
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise _refused(f"envfile={path}: it is not UTF-8") from None
    except CommandError:
        raise
    except OSError as error:
        raise _refused(f"envfile={path}: {error.strerror or error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, value = _variable(line, f"envfile={path}: line {number}")
            found[name] = value
    return found


def _variable(line: str, where: str) -> tuple[str, str]:
    name, equals, value = line.strip().partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise _refused(f"{where} is not NAME=VALUE")
    if "\0" in value:
        raise _refused(f"{where} has a NUL")
    if value[:1] in _QUOTES:
        if len(value) < 2 or value[-1] != value[0]:
            raise _refused(f"{where} has a quote that is not closed")
        return name, value[1:-1]
    return name, value
