"""The lines of clstat about fencing: receipts, shots under way, what holds shots back.

- `Mosha::Fenced NODE inc=N method=WORD grade=GRADE`: a receipt: that node is dead.
- `Mosha::Shot NODE inc=N state=aiming|running|shot`: this node is about to shoot that one, does, or
  has, and its receipt does not count yet.
- `Mosha::Disarm NUMBER node=NODE left_s=SECONDS REASON`: no node is shot for so long.
- `Mosha::Probation NODE SECONDS`: that node may own nothing for so long.
- `Mosha::Pill NODE inc=N`: that incarnation of that node is to end all its groups at once.
- `Mosha::PillObeyed NODE inc=N`: by the order of NODE this incarnation of this node has done so.
- `Mosha::Death NODE SECONDS`: that node was shot or found dead so long ago.
- `Mosha::Unended GROUP asks=yes|no REASON`: this node cannot end that group.
- `Mosha::LateKill GROUP MILLISECONDS`: this node ended that group too late by so much.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import GRADES, OPERATOR, Disarm, Grade, Receipt, ShotLine, Status, Unended
from mosha.formats.clstat_words import (
    WORD_MAX_CHARS,
    counter_in,
    group_in,
    node_in,
    number_in,
    pairs_of,
    word_in,
)
from mosha.formats.names import one_line


def fencing_lines(s: Status) -> list[str]:
    """Return the lines of a status about fencing, each class by node or by number."""
    return [
        *(
            f"Mosha::Fenced {n} inc={r.inc} method={_one_word(r.method)} grade={r.grade.text}"
            for n, r in sorted(s.fenced.items())
        ),
        *(f"Mosha::Shot {n} inc={x.inc} state={x.outcome}" for n, x in sorted(s.shots.items())),
        *(
            f"Mosha::Disarm {n} node={d.node} left_s={d.left_s} {one_line(d.reason)}".rstrip()
            for n, d in sorted(s.disarms.items())
        ),
        *(f"Mosha::Probation {n} {left_s}" for n, left_s in sorted(s.probations.items())),
        *(f"Mosha::Death {n} {ago_s}" for n, ago_s in sorted(s.deaths.items())),
        *(
            f"Mosha::Unended {g} asks={'yes' if u.asks else 'no'} {one_line(u.reason)}".rstrip()
            for g, u in sorted(s.unended.items())
        ),
        *(f"Mosha::LateKill {g} {late_ms}" for g, late_ms in sorted(s.late_kills.items())),
        *(f"Mosha::Pill {n} inc={inc}" for n, inc in sorted(s.pills.items())),
        *(f"Mosha::PillObeyed {n} inc={inc}" for n, inc in sorted(s.pills_obeyed.items())),
    ]


def _one_word(text: str) -> str:
    return "-".join(one_line(text)[:WORD_MAX_CHARS].split())


def _read_fenced(rest: str) -> tuple[int, Receipt]:
    pairs = pairs_of(rest)
    method = word_in(pairs["method"])
    # Older versions publish none, later ones may have others.
    least = Grade.OPERATOR_SAID_SO
    former = least if method == OPERATOR else Grade.COMMAND_SAID_SO
    grade = GRADES.get(pairs["grade"], least) if "grade" in pairs else former
    return _node(rest), Receipt(counter_in(pairs["inc"]), method, grade)


def _read_shot(rest: str) -> tuple[int, ShotLine]:
    pairs = pairs_of(rest)
    return _node(rest), ShotLine(counter_in(pairs["inc"]), word_in(pairs["state"]))


def _read_disarm(rest: str) -> tuple[int, Disarm]:
    words = rest.split(" ", 3)
    pairs = pairs_of(" ".join(words[:3]))
    reason = one_line(words[3]) if len(words) > 3 else ""
    disarm = Disarm(node_in(pairs["node"]), number_in(pairs["left_s"]), reason)
    return counter_in(words[0]), disarm


def _read_seconds(rest: str) -> tuple[int, int]:
    return _node(rest), number_in(rest.split(" ")[1])


def _read_inc(rest: str) -> tuple[int, int]:
    return _node(rest), counter_in(pairs_of(rest)["inc"])


def _read_unended(rest: str) -> tuple[str, Unended]:
    words = rest.split(" ", 2)
    reason = one_line(words[2]) if len(words) > 2 else ""
    return group_in(rest), Unended(reason, asks=pairs_of(words[1])["asks"] == "yes")


def _read_late_kill(rest: str) -> tuple[str, int]:
    return group_in(rest), number_in(rest.split(" ")[1])


def _node(rest: str) -> int:
    return node_in(rest.partition(" ")[0])


FENCING_READERS: dict[str, tuple[str, Callable[[str], tuple[int | str, object]]]] = {
    "Mosha::Fenced": ("fenced", _read_fenced),
    "Mosha::Shot": ("shots", _read_shot),
    "Mosha::Disarm": ("disarms", _read_disarm),
    "Mosha::Probation": ("probations", _read_seconds),
    "Mosha::Death": ("deaths", _read_seconds),
    "Mosha::Unended": ("unended", _read_unended),
    "Mosha::LateKill": ("late_kills", _read_late_kill),
    "Mosha::Pill": ("pills", _read_inc),
    "Mosha::PillObeyed": ("pills_obeyed", _read_inc),
}
"""The class of a line -> the field of Status that it goes into, and its parser."""
