"""What commands print with --json is what the schemas in the manual say, no field more."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from mosha.cli.answer import Answer
from mosha.cli.check.form import Check
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report
from tests.docs_schemas import LogLine, schema_of


def assert_form(text: str, form: type[msgspec.Struct]) -> dict[str, Any]:
    """Fail unless the text keeps the schema of a form and has exactly its fields."""
    shown: dict[str, Any] = json.loads(text)
    jsonschema.validate(shown, schema_of(form))
    fields = {field.encode_name for field in msgspec.structs.fields(form)}
    assert shown.keys() <= fields
    return shown


@pytest.mark.parametrize(
    "words", [["set", "web", "start"], ["confirm", "3", "--yes"], ["shutdown"]]
)
def test_answers_have_their_form(mosha: Mosha, home: Home, words: list[str]) -> None:
    with FakeMonitor(home.rundir, report()):
        said = mosha(*words, "--json")
    assert_form(said.out, Answer)


def test_check_has_its_form_in_all_its_parts(mosha: Mosha, home: Home) -> None:
    (home.tables / "cltab").write_text("web:w:start:respwan:x\ndb:d:start:respawn:x\n")
    (home.tables / "hactl").write_text("mail start\ndb strat\n")
    shown = assert_form(mosha("check", "--json").out, Check)
    assert shown["files"]
    assert shown["findings"]
    assert shown["times"]
    assert shown["mistakes"] > 1


def test_a_line_of_the_log_has_its_form_and_more() -> None:
    line = {"timestamp": "2025-11-22T10:31:02Z", "level": "info", "event": "x", "term": 9}
    jsonschema.validate(line, schema_of(LogLine))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(line | {"level": "loud"}, schema_of(LogLine))
