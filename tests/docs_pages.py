"""The parts of the manual that are made from the code, and the command that makes them anew.

    python -m tests.docs_pages --rewrite

A page holds such a part between two marks, `generated: NAME` and `end`, as comments of
Markdown. `tests/test_docs.py` holds that each part is what the code says now.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from mosha.cli.clinit import main as clinit_command
from mosha.cli.main import COMMANDS
from mosha.cli.main import root as mosha_command
from mosha.cli.scripts import PAGES
from mosha.core.cluster.timing import explain
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    Receipt,
    Stamp,
    Status,
    TableVersion,
    Term,
    Trouble,
    TroubleKind,
    Vote,
)
from mosha.core.wish_options import OPTIONS as WISH_OPTIONS
from mosha.formats import hastat, hastat_perl
from mosha.formats.clstat import render_clstat
from mosha.formats.cltab import parse_cltab
from mosha.formats.entry_options import OPTIONS
from mosha.formats.hactl import parse_hactl
from mosha.formats.mistakes import Mistakes
from mosha.formats.settings import parse_settings
from mosha.host.logs import EVENTS
from tests import docs_machines, docs_names, docs_rules, docs_schemas, five_tasks

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_PART = re.compile(r"(<!-- generated: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return all pages of the manual, the README too."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def refreshed(text: str) -> str:
    """Return a page with all its generated parts made anew."""

    def made(part: re.Match[str]) -> str:
        return f"{part[1]}\n{_part(part[2])}\n{part[4]}"

    return _PART.sub(made, text)


def parts_of(text: str) -> list[str]:
    """Return the names of the generated parts of a page."""
    return [part[2] for part in _PART.finditer(text)]


def _part(name: str) -> str:
    kind, _, argument = name.partition(" ")
    return MAKERS[kind](argument)


# --- help texts and events ---------------------------------------------------------------


def _help(words: str) -> str:
    """Return what `mosha … --help` or `clinit -h` prints on 80 columns, as a block of a page."""
    return _fenced(_help_page(words))


def _help_page(words: str) -> str:
    """Return what `mosha … --help` or `clinit -h` prints on 80 columns."""
    program, *rest = words.split()
    command: click.Command = clinit_command if program == "clinit" else mosha_command
    result = CliRunner().invoke(
        command, [*rest, "--help"], prog_name=program, terminal_width=80, catch_exceptions=False
    )
    if result.exit_code:
        raise ValueError(f"{words}: {result.output}")
    return result.output


def script_pages() -> dict[Path, str]:
    """Return the pages that the scripts print without click, by their files."""
    return {Path(PAGES, f"{name}.txt"): _help_page(name) for name in ("mosha", "clinit")}


def _commands(argument: str) -> str:
    """Return a section for each command of mosha, with its help."""
    del argument
    return "\n\n".join(f"## mosha {name}\n\n{_help(f'mosha {name}')}" for name in COMMANDS)


def _events(argument: str) -> str:
    del argument
    return _table(("event", "meaning"), ((f"`{name}`", text) for name, text in EVENTS.items()))


def _entry_options(argument: str) -> str:
    """Return the table of the options of an entry of cltab."""
    del argument
    rows = (
        (f"`{o.form}`", ", ".join(f"`{mode}`" for mode in o.modes), o.default, o.meaning)
        for o in OPTIONS.values()
    )
    return _table(("option", "modes", "default", "meaning"), rows)


def _wish_options(argument: str) -> str:
    """Return the table of the options of a line of hactl."""
    del argument
    rows = ((f"`{o.form}`", f"`{o.default}`", o.meaning) for o in WISH_OPTIONS)
    return _table(("option", "default", "meaning"), rows)


# --- hastat ------------------------------------------------------------------------------


def _hastat(argument: str) -> str:
    """Return the sample in one of its forms, or the fields of all its objects."""
    if argument == "fields":
        return _fields()
    if argument == "json":
        return _fenced(hastat.render_hastat(sample()).decode(), "json")
    return _fenced(hastat_perl.render_perl(sample()), "perl")


def sample() -> hastat.Report:
    """Return a report in which little is as it should be, so that most fields say something."""
    table = {
        "cltab": hastat.TableSeen(mtime_ns=1_763_800_100_000_000_000, digest="90b2e11c52a8d0f3")
    }
    return hastat.Report(
        node=1,
        time="2025-11-22T10:15:03.120+00:00",
        quorum=hastat.Quorum(
            has=True,
            policy="majority",
            seen=2,
            electorate=[1, 2, 3],
            needed=2,
            reason="2 of 3 nodes fresh, 2 needed; not fresh: 3",
        ),
        nodes=[
            hastat.NodeReport(
                node=1,
                state="self",
                age_s=0.41,
                inc=1_763_800_000,
                seq=1041,
                run="5f0c91aa",
                boot="77de02c1",
                version=1,
                tables=table,
                load=1,
            ),
            hastat.NodeReport(
                node=3,
                state="stale",
                age_s=63.2,
                inc=1_763_790_000,
                seq=884,
                run="0c44aa17",
                boot="12ab34cd",
                version=1,
                roundtrip_s=0.0113,
            ),
        ],
        groups=[_sample_group()],
        shots=[
            hastat.ShotReport(
                node=3, inc=1_763_790_000, method="print", outcome="no receipt", age_s=2.9
            )
        ],
        fencing=[
            hastat.FencingReport(
                node=2,
                number=1,
                method="fence_ipmilan",
                good_at="2025-11-22T09:58:11.402193+00:00",
                good_age_s=1011.718,
            )
        ],
        margin=hastat.Margin(lease_margin=7.19, roundtrip_s=0.0113),
        timing=hastat.Times(timeout_s=60.0, heartbeat_s=5.0, lease_s=36.0, stop_budget_s=18.0),
        problems=["node 3 is stale: nothing new for 60.1 s when it was declared stale"],
    )


def _sample_group() -> hastat.GroupView:
    return hastat.GroupView(
        group="web",
        wanted="start",
        where=[1],
        ok=True,
        instances=[
            hastat.Instance(
                node=1, level="start", state=GroupState.DONE, age_s=0.0, claim_term=9, said_by=1
            )
        ],
        term=9,
        lease_s=34.8,
        votes={1: 1, 2: 1},
        bans=[hastat.BanReport(node=2, left_s=240.0, reason="test entry webtest: exit 1")],
        not_here={2: "banned there for 240 s: test entry webtest: exit 1"},
        entries=[
            hastat.EntryState(
                tag="webd",
                mode="respawn",
                state="running",
                pid=4711,
                starts=1,
                for_s=3600.2,
                command="/usr/sbin/nginx -g 'daemon off;'",
            )
        ],
        prefer=[1, 2],
    )


def _fields() -> str:
    definitions: Mapping[str, Any] = hastat.hastat_schema()["$defs"]
    order = ["Report", *(name for name in definitions if name != "Report")]
    return "\n".join(
        _object(name, definitions[name]) for name in order if _is_object(definitions[name])
    )


def _is_object(definition: Mapping[str, Any]) -> bool:
    return definition.get("type") == "object"


def _object(name: str, definition: Mapping[str, Any]) -> str:
    required = set(definition.get("required", ()))
    rows = [
        (f"`{field}`", _kind(kind), "" if field in required else _default(kind))
        for field, kind in definition["properties"].items()
    ]
    told = definition.get("description", "")
    return f"### {name}\n\n{told}\n\n" + _table(("field", "type", "default"), rows)


def _kind(kind: Mapping[str, Any]) -> str:
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "GroupState" else "a state of a group"
    if "anyOf" in kind:
        return " or ".join(_kind(one) for one in kind["anyOf"])
    if "enum" in kind:
        return ", ".join(f"`{word}`" for word in kind["enum"])
    if kind.get("type") == "array":
        return f"list of {_kind(kind['items'])}"
    if kind.get("type") == "object":
        return f"object: name or node → {_kind(kind['additionalProperties'])}"
    return str(kind.get("type", "any"))


def _default(kind: Mapping[str, Any]) -> str:
    default = kind.get("default")
    return f"`{json.dumps(default)}`" if not isinstance(default, dict) or not default else ""


# --- the demo ----------------------------------------------------------------------------


def _demo(argument: str) -> str:
    """Return the summary of the demo as the tutorial shows it."""
    del argument
    text = (DOCS / "tutorial" / "one-machine.md").read_text(encoding="utf-8")
    printed = text.partition("$ make demo\n")[2].partition("```")[0]
    return _fenced(printed.strip().rpartition("\n\n")[2])


def _schemas(argument: str) -> str:
    """Return which command prints which form of JSON."""
    del argument
    return _table(("printed by", "what it is", ""), docs_schemas.rows())


# --- clstat ------------------------------------------------------------------------------


def _clstat(argument: str) -> str:
    """Return a status with a line of every class."""
    del argument
    status = Status(
        node=2,
        inc=1_763_800_000,
        run="5f0c91aa",
        boot="77de02c1",
        seq=1041,
        timeout_ms=60_000,
        heartbeat_ms=5_000,
        seen={1: Stamp(1_763_790_000, 884), 3: Stamp(1_763_700_000, 52)},
        votes={
            "mail": Vote(term=17, node=1, inc=1_763_790_000, seq=880),
            "web": Vote(term=9, node=2, inc=1_763_800_000, seq=0),
        },
        terms={"mail": Term(17, voted=17), "web": Term(9, voted=9)},
        claims={"web": 9},
        groups={"web": GroupLine("start", GroupState.DONE)},
        bans={"mail": Ban(240, "test entry check: exit 1")},
        fenced={3: Receipt(1_763_700_000, "power-off-node")},
        tables={"cltab": TableVersion(1_763_799_000_000_000_000, "90b2e11c52a8d0f3")},
        pasts={"cltab": (TableVersion(1_763_798_900_000_000_000, "5b1f0a2277aa4de0"),)},
        refused={"hactl": "hactl:2:1: group without level: 'web'"},
        troubles={
            ("web", "webd"): Trouble(
                "webd", TroubleKind.PAUSING, 6, 12, "exit 1: bind: address in use"
            )
        },
    )
    return _fenced(render_clstat(status), "clstat")


# --- mistakes and times --------------------------------------------------------------------

CLTAB_MISTAKES = """\
web:webd:start:respwan:/usr/sbin/nginx
web:check:test:/usr/sbin/nginx -t
web:webd2:start:respawn:
web:warm:start:wait(timeot=2m):/usr/local/bin/warm-up
web:conf:test:test(timeout=soon):/usr/sbin/nginx -t
web:app:start:respawn(stop=TERM:30,KILL):/usr/local/bin/app
we b:x:start:once:true
mail:webd:start:respawn:/usr/sbin/exim
::socket:/run/clinit.s
:::sokcet:/run/clinit.s
"""

HACTL_MISTAKES = """\
web
mail:start
web start prefer=two
web start perfer=2
web start prefer=2,2
web start failback=maybe
web start on-failure=move:3
web start on-failure=move:3/10m,stop
web start on-failure=restart:3/10m,stop,move
web start on-failure=restart:3/10m,move:2
web start only=1 only=2
web start after=db,,db weight=-1
web start after=web
db start with=web apart=store priority=high
mail start on=all prefer=1
"""

HACTL_CONTRADICTIONS = """\
web start after=db
db start with=store
store start after=web
mail start with=list only=1,2
list start apart=mail only=3
"""

SETTINGS_MISTAKES = """\
timeout = 10.0
lease = 8.0
stop_budget = 3.0
heartbeat = "1"
nodes = [1, 2, 2]
mynod = 1
rundir = "run"

[fencing]
required = "yes"

[[fencing.methods]]
type = "command"
"""

_READERS: dict[str, tuple[str, Callable[[bytes, str], object]]] = {
    "cltab": (CLTAB_MISTAKES, parse_cltab),
    "hactl": (HACTL_MISTAKES, parse_hactl),
    "hactl contradictions": (HACTL_CONTRADICTIONS, parse_hactl),
    "mosha.toml": (SETTINGS_MISTAKES, parse_settings),
}


def _mistakes(file: str) -> str:
    """Return a file full of mistakes, and what its reader says of it."""
    text, read = _READERS[file]
    try:
        read(text.encode(), file.partition(" ")[0])
    except Mistakes as mistakes:
        return f"{_fenced(text, 'text')}\n\nis answered with\n\n{_fenced(str(mistakes))}"
    raise ValueError(f"no mistake in the mistakes of {file}")


def _rules(argument: str) -> str:
    head = ["rule", "in", "what it says", "if not", "next step"]
    rows = list(docs_rules.rows(argument))
    return _table(head[: len(rows[0])], rows)


def _times(settings: str) -> str:
    """Return the arithmetic of a mosha.toml that is written in one line."""
    timing = parse_settings(settings.replace("; ", "\n").encode(), "mosha.toml").timing
    rows = ((line.name, f"{line.value:g}", line.formula) for line in explain(timing))
    return _table(("name", "value", "how it comes about"), rows)


def _five_tasks(argument: str) -> str:
    assert argument == ""
    rows = [
        (task.name, *(str(task.lines(tool) or "-") for tool in five_tasks.TOOLS))
        for task in five_tasks.tasks()
    ]
    return _table(("lines to write", *five_tasks.TOOLS), rows)


# --- Markdown --------------------------------------------------------------------------------


def _fenced(text: str, kind: str = "text") -> str:
    return f"```{kind}\n{text.rstrip()}\n```"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _file(path: str) -> str:
    """Return a file of the source as it is."""
    return _fenced((ROOT / path).read_text(encoding="utf-8"))


MAKERS: dict[str, Callable[[str], str]] = {
    "file": _file,
    "help": _help,
    "commands": _commands,
    "events": _events,
    "hastat": _hastat,
    "schemas": _schemas,
    "clstat": _clstat,
    "demo": _demo,
    "mistakes": _mistakes,
    "entry-options": _entry_options,
    "wish-options": _wish_options,
    "times": _times,
    "five-tasks": _five_tasks,
    "machine": docs_machines.machine,
    "mutants": docs_machines.mutants,
    "shell-mutants": docs_machines.shell_mutants,
    "story": docs_machines.story,
    "names": docs_names.names,
    "rules": _rules,
}


def main(arguments: Sequence[str]) -> int:
    """Say which pages are not current, or with --rewrite make them so."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs_pages", allow_abbrev=False)
    parser.add_argument("--rewrite", action="store_true", help="make the pages current")
    options = parser.parse_args(arguments)
    wanted = {page: refreshed(page.read_text(encoding="utf-8")) for page in pages()}
    wanted |= docs_schemas.schema_files() | script_pages()
    stale = [
        page
        for page, text in wanted.items()
        if not page.exists() or page.read_text(encoding="utf-8") != text
    ]
    for page in stale:
        sys.stdout.write(f"{page.relative_to(ROOT)}\n")
        if options.rewrite:
            page.write_text(wanted[page], encoding="utf-8")
    return 0 if options.rewrite else bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
