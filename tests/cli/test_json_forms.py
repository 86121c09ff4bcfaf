"""What commands print with --json is what the schemas in the manual say, no field more."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from mosha.cli.demo.story import Summary
from mosha.formats import json_forms
from mosha.formats.json_forms import schema_of
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report


def assert_form(text: str, form: type[msgspec.Struct]) -> dict[str, Any]:
    """Fail unless the text keeps the schema of a form and has exactly its fields."""
    shown: dict[str, Any] = json.loads(text)
    jsonschema.validate(shown, schema_of(form))
    fields = {field.encode_name for field in msgspec.structs.fields(form)}
    needed = {f.encode_name for f in msgspec.structs.fields(form) if f.required}
    assert needed <= shown.keys() <= fields
    return shown


@pytest.mark.parametrize(
    "words", [["set", "web", "start"], ["confirm", "3", "--yes"], ["shutdown"]]
)
def test_answers_have_their_form(mosha: Mosha, home: Home, words: list[str]) -> None:
    with FakeMonitor(home.rundir, report()):
        said = mosha(*words, "--json")
    assert_form(said.out, json_forms.Answer)


def test_check_has_its_form_in_all_its_parts(mosha: Mosha, home: Home) -> None:
    (home.tables / "cltab").write_text("web:w:start:respwan:x\ndb:d:start:respawn:x\n")
    (home.tables / "hactl").write_text("mail start\ndb strat\n")
    shown = assert_form(mosha("check", "--json").out, json_forms.Check)
    parts: dict[str, type[msgspec.Struct]] = {
        "files": json_forms.CheckedFile,
        "findings": json_forms.CheckFinding,
        "times": json_forms.CheckedTime,
    }
    for name, form in parts.items():
        assert shown[name]
        for part in shown[name]:
            assert_form(json.dumps(part), form)


def test_the_demo_measures_what_its_form_says() -> None:
    fields = {field.name for field in msgspec.structs.fields(json_forms.Demo)}
    assert fields == {"format", "directory", *Summary.__struct_fields__}


def test_a_line_of_the_log_has_its_form_and_more() -> None:
    line = {"timestamp": "2025-11-22T10:31:02Z", "level": "info", "event": "x", "term": 9}
    jsonschema.validate(line, schema_of(json_forms.LogLine))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(line | {"level": "loud"}, schema_of(json_forms.LogLine))
