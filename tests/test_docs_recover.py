"""What mosha can complain of and the page about recovering are the same, looked at both ways."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mosha.core.explain.problems import ProblemKind
from tests.docs_pages import DOCS, ROOT

PAGE = DOCS / "how-to" / "recover.md"

# --- what is printed is on the page ---------------------------------------------------------
COMPLAINERS = (
    *(
        "core/cluster/candidacy",
        "core/cluster/gave_way",
        "core/cluster/relations",
        "core/explain/verdicts",
        "core/replication/judging",
    ),
    *(
        "core/explain/deaths",
        "core/explain/quorate",
        "core/explain/related",
        "core/explain/shooting",
        "core/explain/unended",
    ),
    *("monitor/startup", "monitor/clinit_link", "monitor/daemon", "monitor/files/hastat_file"),
    *(
        "monitor/identity",
        "monitor/files/membership",
        "monitor/files/publisher",
        "monitor/files/reader",
    ),
    *(
        "monitor/problems",
        "monitor/report",
        "monitor/tables/files",
        "monitor/tables/ports",
        "monitor/tables/wish_edits",
    ),
    *(
        "core/replication/table_adoption",
        "core/replication/table_edits",
        "core/replication/table_own",
        "core/replication/table_peers",
    ),
    *("core/replication/table_record", "monitor/unfence", "monitor/own_reset"),
)
"""The modules whose words become problems, reasons and remedies of `mosha status`."""

NOT_COMPLAINTS = (
    # threads and tasks
    *(
        "publisher of node",
        "reader of node",
        "reader of local nodes",
        "tables of node",
        "look at node",
        "fence ",
        "own ",
        "the programs and secrets of",
    ),
    *("tables in force", " of peers", "own tables"),
    # only in the log
    "its file shows another text",
    # good news
    *("hactl says so already", "in force on node"),
)


def told_by(path: Path) -> Iterator[str]:
    """Yield the longest fixed part of every text with a blank that a module has, for people."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))  # docstrings, of attributes too
        elif isinstance(node, ast.JoinedStr):
            silent.update(id(part) for part in node.values)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BugError":
            silent.update(id(part) for part in ast.walk(node))  # it ends the process
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in silent:
            fixed = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield max((str(part) for part in fixed), key=len, default="")
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield node.value


def test_every_text_that_status_can_print_is_in_the_page_about_recovering() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    missing = [
        f"{module}: {text!r}"
        for module in COMPLAINERS
        for text in told_by(ROOT / "mosha" / f"{module}.py")
        if re.search(r"\w \w", text)
        and not any(word in text for word in NOT_COMPLAINTS)
        and " ".join(text.split()).strip(" ;:,(") not in page
    ]
    assert not missing, "not in docs/how-to/recover.md:\n" + "\n".join(missing)


# --- what is on the page is printed ---------------------------------------------------------

HOLES = re.compile(
    r"\b\d[\d.]*(?: s\b)?|\b[A-Z]{1,9}(?:/[\w.]+)*\b|…|'[^']*'|`\w+`|(?<!\S)/[\w./*-]*|[;:,()]"
)
"""What stands in the page for what changes (N, DIR, 42 s, a path), and what divides a text."""

GAP = "\0"
"""Where the product fills something in: one word, or a few."""

TOGETHER = (
    "groups wait for it",
    "moved to node",
    "its groups are",
    "did you mean",
    "it gave way to",
    "then clinit -s",
    "cannot make the directory of node",
    "was never heard from",
)
"""Put together from several texts, or made by a library."""

COMMANDS = re.compile(r"(?:mosha|clinit|ls|cp) ")


@cache
def all_texts() -> tuple[tuple[str, ...], ...]:
    """Return every text of the product and of the system as words, with gaps for what changes."""
    texts = [os.strerror(number) for number in range(1, 134)]
    for path in sorted((ROOT / "mosha").rglob("*.py")):
        texts += whole_texts(ast.parse(path.read_text(encoding="utf-8")))
    words = (re.sub(r"[;:,()]", " ", text).split() for text in texts)
    return tuple(tuple(GAP if GAP in word else word.strip(".?") for word in ws) for ws in words)


def whole_texts(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module but for its docstrings."""
    silent = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else GAP for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in silent:
            yield str(node.value)


def begins(wanted: tuple[str, ...], text: tuple[str, ...], in_gaps: int) -> bool:
    """Say whether a text may begin with these words, so many of them at most in its gaps."""
    if not wanted or not text or in_gaps < 0:
        return not wanted and in_gaps >= 0
    if text[0] != GAP:
        return wanted[0] == text[0] and begins(wanted[1:], text[1:], in_gaps)
    return any(begins(wanted[n:], text[1:], in_gaps - n) for n in range(1, len(wanted) + 1))


def is_printed(wanted: tuple[str, ...]) -> bool:
    """Say whether some text has these words in a row, most of them not in a gap."""
    return any(
        begins(wanted, text[at:], (len(wanted) - 1) // 2)
        for text in all_texts()
        if {*wanted} & {*text}
        for at in range(len(text))
    )


def printed_by_nobody(page: str) -> Iterator[str]:
    """Yield the quoted texts of a page with three words in a row that the product has nowhere."""
    inline = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    for pair in re.findall(r"``(.+?)``|`([^`]+)`", inline, re.DOTALL):
        quoted = " ".join(max(pair, key=len).split())
        if COMMANDS.match(quoted):
            continue
        for part in HOLES.split(quoted):
            words = tuple(word.strip(".?") for word in part.split() if word.strip(".?"))
            if len(words) < 3 or COMMANDS.match(part.strip()) or " ".join(words) in TOGETHER:
                continue
            if not is_printed(words):
                yield quoted


def test_every_text_of_the_page_about_recovering_is_one_that_is_printed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert list(printed_by_nobody(page)) == []


def test_a_text_that_nobody_prints_is_noticed() -> None:
    page = "### `not wanted on this node's tables`\n\n`hactl wants it at start, but …`, `no quorum`"
    assert list(printed_by_nobody(page)) == ["not wanted on this node's tables"]


def test_the_kinds_of_problems_and_those_of_the_page_about_recovering_are_the_same() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition("| kind | see |")[2].partition("\n\n")[0]
    told = [kind for row in table.splitlines() for kind in re.findall(r"`([a-z-]+)`", row)]
    assert sorted(told) == sorted(kind.value for kind in ProblemKind)
