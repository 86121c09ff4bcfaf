"""What a child becomes before its exec: another user, with other limits, in another directory.

The order: what only root may do (limits, priority, the OOM score) before the child becomes another
user, and what is judged by the rights of that user (the directory) after it. Supplementary groups
are set before the group, and that before the user, since only root may. Who becomes another user
loses the parent-death signal (prctl(2)), so it is asked for again.

A child that changes its user or its OOM score must not share the fork server's memory: the kernel
sets the score of all who share it, and a process of another user would have that of a root process
in its hands.

Part of the fork server: it imports next to nothing.
"""

from __future__ import annotations

import ctypes

from mosha.clinit.child_steps import PR_SET_PDEATHSIG, SIGKILL, Preparation

TYPE_CHECKING = False  # as in typing, which the fork server does not import
if TYPE_CHECKING:
    from typing import Any

PRIO_PROCESS = 0
UNLIMITED = (1 << 64) - 1
_O_RDONLY, _O_WRONLY = 0, 1
_OOM_FILE, _NULL_FILE = b"/proc/self/oom_score_adj", b"/dev/null"


def prepared(wanted: dict[str, Any], parent: int) -> Preparation:
    """Return the steps for what is wanted, by a child of `parent`.

    `wanted` may have `limits` (resource, soft and hard of each; None is no limit), `nice`, `oom`,
    `umask`, `groups`, `gid`, `uid` and `directory` (bytes).
    """
    made = Preparation()
    for resource, soft, hard in wanted.get("limits", ()):
        _limit(made, resource, soft, hard)
    if "nice" in wanted:
        made.steps.append(("setpriority", (PRIO_PROCESS, 0, wanted["nice"]), 0))
    if "oom" in wanted:
        made.private = True
        _write_oom(made, b"%d" % wanted["oom"])
    if "umask" in wanted:
        made.steps.append(("umask", (wanted["umask"],), None))
    if "uid" in wanted or "gid" in wanted:
        made.private = True
        _become(made, wanted, parent)
    if "directory" in wanted:
        made.steps.append(("chdir", (_bytes(made, wanted["directory"]),), 0))
    return made


def _limit(made: Preparation, resource: int, soft: int | None, hard: int | None) -> None:
    values = (UNLIMITED if value is None else value for value in (soft, hard))
    limit = (ctypes.c_uint64 * 2)(*values)
    made.kept.append(limit)
    made.steps.append(("setrlimit", (resource, ctypes.addressof(limit)), 0))


def _write_oom(made: Preparation, text: bytes) -> None:
    """Write it by the descriptor of stdin: the first one that is free when that is closed."""
    score, null = _bytes(made, _OOM_FILE), _bytes(made, _NULL_FILE)
    made.steps += (
        ("close", (0,), 0),
        ("open", (score, _O_WRONLY), 0),
        ("write", (0, _bytes(made, text), len(text)), len(text)),
        ("close", (0,), 0),
        ("open", (null, _O_RDONLY), 0),
    )


def _become(made: Preparation, wanted: dict[str, Any], parent: int) -> None:
    if "groups" in wanted:
        groups = (ctypes.c_uint32 * len(wanted["groups"]))(*wanted["groups"])
        made.kept.append(groups)
        made.steps.append(("setgroups", (len(groups), ctypes.addressof(groups)), 0))
    if "gid" in wanted:
        made.steps.append(("setresgid", (wanted["gid"],) * 3, 0))
    if "uid" in wanted:
        made.steps.append(("setresuid", (wanted["uid"],) * 3, 0))
    made.steps += (
        ("prctl", (PR_SET_PDEATHSIG, SIGKILL), None),
        ("getppid", (), parent),  # if clinit died earlier, no signal will come
    )


def _bytes(made: Preparation, text: bytes) -> int:
    kept = ctypes.create_string_buffer(text)
    made.kept.append(kept)
    return ctypes.addressof(kept)
