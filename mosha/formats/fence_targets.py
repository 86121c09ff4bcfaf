"""What an agent needs to know of each node: `targets` and `options` of a fencing method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from mosha.formats import settings_rules as rules
from mosha.formats.fence_options import OPTIONS_MAX, PLUG_NAMES, is_secret, option
from mosha.formats.key_tables import KeyTables, spelled
from mosha.formats.toml_places import Path as Key

TARGET_RULES: dict[str, rules.Rule] = {"secrets": rules.absolute_path}


class FenceTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent needs to know of one node: its plug, options and secrets, each may be empty."""

    plug: str = ""
    options: dict[str, str] = {}
    secrets: str = ""


def read_options(tables: KeyTables, at: Key, values: Mapping[str, object]) -> dict[str, str]:
    """Return the options of all nodes."""
    for name in PLUG_NAMES:
        if name in values:
            remedy = f'write targets = {{1 = "the {name} of node 1"}}'
            tables.note((*at, name), "", f"{name} cannot be the same for every node", remedy)
    rest = {name: value for name, value in values.items() if name not in PLUG_NAMES}
    return _passed(tables, at, rest)


def nodes_in(
    tables: KeyTables, at: Key, values: Mapping[str, object]
) -> Iterator[tuple[int, str, object]]:
    """Yield node, key and value of a table whose keys are nodes."""
    for name, value in values.items():
        try:
            yield rules.node(int(name) if str(name).isdecimal() else name), name, value
        except rules.WrongValue as wrong:
            problem = f"{spelled(at)} has a key that {wrong.problem}"
            tables.note((*at, name), str(name), problem, wrong.remedy)


def read_targets(
    tables: KeyTables, at: Key, values: Mapping[str, object]
) -> dict[int, FenceTarget]:
    """Return what is special for each node: a string is short for its plug."""
    found: dict[int, FenceTarget] = {}
    for node, name, value in nodes_in(tables, at, values):
        key = (*at, name)
        if not isinstance(value, Mapping):
            value = {"plug": value}  # noqa: PLW2901 - what it is short for
        rest = dict(value)
        given = [rest.pop(plug) for plug in PLUG_NAMES if plug in rest]
        if len(given) > 1:
            tables.note(key, "", "plug and port are two names of one option", "keep plug")
        secrets = (
            tables.table(key, {"secrets": rest.pop("secrets")}, TARGET_RULES)
            if ("secrets" in rest)
            else {}
        )
        plug = _passed(tables, key, {"plug": given[0]}).get("plug", "") if given else ""
        options = _passed(tables, key, rest)
        found[node] = FenceTarget(plug=plug, options=options, **secrets)
    return found


def _passed(tables: KeyTables, at: Key, values: Mapping[str, object]) -> dict[str, str]:
    """Return the options that can be passed to an agent; no mistake shows a value."""
    good: dict[str, str] = {}
    if len(values) > OPTIONS_MAX:
        tables.note(at, "", f"has more than {OPTIONS_MAX} options", "remove some")
        return good
    for name, value in values.items():
        key = (*at, name)
        try:
            text = option(name, value)
        except rules.WrongValue as wrong:
            tables.note(key, "", f"{spelled(key)} {wrong.problem}", wrong.remedy)
            continue
        if is_secret(name):
            problem = f"{spelled(key)} is a secret, and others may read this file"
            remedy = f'write {name}=… into a file of mode 600, and secrets = "/path/of/the/file"'
            tables.note(key, "", problem, remedy)
        good[name] = text
    return good
