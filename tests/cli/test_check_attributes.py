"""`mosha check` of what entries want for their processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.cli.check.attributes import attribute_findings
from mosha.core.tables import Cltab
from tests.core.unit_world import entry


def found(line: str) -> list[str]:
    """Return what is said of one entry."""
    cltab = Cltab((entry(line, 3),))
    return [f"{it.level} {it.where} {it.text}" for it in attribute_findings(cltab, "cltab")]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("user=no-such-user", "user=no-such-user: there is no such user"),
        ("group=no-such-group", "group=no-such-group: there is no such group"),
        ("dir=/none/here", "dir=/none/here: there is no such directory"),
        ("envfile=/none/here", "envfile=/none/here: No such file or directory"),
    ],
)
def test_what_this_machine_does_not_have_is_a_warning(option: str, why: str) -> None:
    told = f"warning cltab:3 d could not run on this machine: {why}"
    assert found(f"g:d:1:respawn({option}):x") == [told]
    assert found(f"g:d:1:off({option}):x") == []


def test_what_it_has_is_not(tmp_path: Path) -> None:
    file = tmp_path / "vars"
    file.write_text("A=1\n", encoding="utf-8")
    assert found(f"g:d:1:respawn(user=root,group=root,dir={tmp_path},envfile={file}):x") == []
    assert found("g:d:1:respawn:x") == []
