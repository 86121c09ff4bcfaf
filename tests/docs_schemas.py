"""The JSON schemas of the manual: which file holds which form, and what prints it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
import msgspec

from mosha.cli.answer import Answer
from mosha.cli.check.form import Check
from mosha.cli.commands.drill import Drill
from mosha.cli.demo.story import Summary
from mosha.cli.main import root
from mosha.formats.events import cluster_event_schema
from mosha.formats.explanation import explanation_schema
from mosha.formats.fence_tests import FenceTests
from mosha.formats.hastat import hastat_schema
from mosha.formats.views import views_schema
from mosha.ocf.forms import OcfInfo, OcfList, OcfTest

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log. Other fields depend on the event; `from`, `to`, `cause` are usual."""

    timestamp: str
    level: Literal["debug", "info", "warning", "error", "critical"]
    event: str
    node: int | msgspec.UnsetType = msgspec.UNSET
    group: str | msgspec.UnsetType = msgspec.UNSET


def schema_of(form: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON schema of what a command prints: only what may be unset can be missing."""
    schema = msgspec.json.schema(form)
    fields = msgspec.structs.fields(form)
    needed = [f.encode_name for f in fields if f.default is not msgspec.UNSET]
    schema["$defs"][form.__name__]["required"] = needed
    return schema


def answering() -> list[str]:
    """Return the commands whose --json is the monitor's answer, by their help."""
    context = click.Context(root)
    commands = {name: root.get_command(context, name) for name in root.list_commands(context)}
    return [
        name
        for name, command in commands.items()
        if command is not None
        and any(getattr(param, "help", "") == ANSWER_HELP for param in command.params)
    ]


ANSWER_HELP = "The answer as one JSON object."


class Form(NamedTuple):
    """A form of JSON: what prints it, its schema, and what it is in a few words."""

    printed_by: str
    schema: Callable[[], Mapping[str, Any]]
    told: str


FORMS: dict[str, Form] = {
    "hastat": Form("mosha status", hastat_schema, "[the whole view](hastat.md)"),
    "explanation": Form("mosha why, mosha why-not", explanation_schema, "[reasons](why.md)"),
    "views": Form("mosha views", views_schema, "all views, and where they disagree"),
    "event": Form("mosha events", cluster_event_schema, "one transition; an object a line"),
    "log-line": Form(
        "mosha logs",
        lambda: schema_of(LogLine),
        "one line of [the log](events.md); an object a line",
    ),
    "check": Form("mosha check", lambda: schema_of(Check), "every mistake, and times"),
    "fence-tests": Form(
        "mosha fence --test",
        lambda: schema_of(FenceTests),
        "[tests of fencing](fencing.md#tests)",
    ),
    "drill": Form(
        "mosha drill", lambda: schema_of(Drill), "each [step](mosha.md#mosha-drill) and its time"
    ),
    "ocf-list": Form(
        "mosha ocf list",
        lambda: schema_of(OcfList),
        "[agents](mosha.md#mosha-ocf), and what they are",
    ),
    "ocf-info": Form("mosha ocf info", lambda: schema_of(OcfInfo), "what an agent says of itself"),
    "ocf-test": Form("mosha ocf test", lambda: schema_of(OcfTest), "each step of a test"),
    "answer": Form(
        f"mosha {', '.join(answering())}",
        lambda: schema_of(Answer),
        "whether it was done, and the text",
    ),
    "demo": Form("mosha demo", lambda: schema_of(Summary), "what was measured"),
}
"""Name of the file (`NAME.schema.json`) -> the form."""


def schema_files() -> dict[Path, str]:
    """Return each file of a schema with the text that it has to have."""
    return {
        REFERENCE / f"{name}.schema.json": json.dumps(form.schema(), indent=2, ensure_ascii=False)
        + "\n"
        for name, form in FORMS.items()
    }


def rows() -> list[tuple[str, str, str]]:
    """Return the rows of the table of forms."""
    return [
        (f"`{form.printed_by} --json`", form.told, f"[schema]({name}.schema.json)")
        for name, form in FORMS.items()
    ]
