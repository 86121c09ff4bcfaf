"""hastat in the form of the original: Perl, as Data::Dump writes it."""

from __future__ import annotations

import json
import re

from mosha.core.status import GroupLine
from mosha.formats.hastat import HEARD, Report

PERL_LINE_MAX_CHARS = 60
"""Data::Dump breaks longer hashes into lines."""

_Tree = dict[str, "_Tree | str"]
_BARE_KEY = re.compile(r"-?[A-Za-z_]\w*|-?[1-9]\d{0,8}", re.ASCII)
_BARE_VALUE = re.compile(r"-?[1-9]\d{0,8}|0", re.ASCII)


def render_perl(report: Report) -> str:
    """Return what is active where in the form of the original's hastat: Perl's Data::Dump (H3.4).

    ``{ group => { node => { level => "start", state => "DONE" } } }``; left out are instances that
    do not count as active (H3.1) or are on a node that is not heard (the original had the nodes
    that are up), and groups without instances.
    """
    heard = {node.node for node in report.nodes if node.state in HEARD}
    tree: _Tree = {}
    for view in sorted(report.groups, key=lambda view: view.group):
        nodes: _Tree = {
            str(instance.node): {"level": instance.level, "state": instance.state.value}
            for instance in sorted(view.instances, key=lambda instance: instance.node)
            if instance.node in heard and GroupLine(instance.level, instance.state).active
        }
        if nodes:
            tree[view.group] = nodes
    return _dump(tree) + "\n"


def _dump(tree: _Tree | str) -> str:
    if isinstance(tree, str):
        return tree if _BARE_VALUE.fullmatch(tree) else _quoted(tree)
    if not tree:
        return "{}"
    bare = all(_BARE_KEY.fullmatch(key) for key in tree)
    keys = [key if bare else _quoted(key) for key in tree]
    values = [_dump(value) for value in tree.values()]
    if len(" ".join(keys + values)) <= PERL_LINE_MAX_CHARS and "\n" not in "".join(values):
        pairs = (f"{key} => {value}" for key, value in zip(keys, values, strict=True))
        return "{ " + ", ".join(pairs) + " }"
    indented = (value.replace("\n", "\n  ") for value in values)
    pairs = (f"  {key} => {value},\n" for key, value in zip(keys, indented, strict=True))
    return "{\n" + "".join(pairs) + "}"


def _quoted(text: str) -> str:
    # JSON's escapes of quotes, backslashes and controls are Perl's too; sigils are not.
    return json.dumps(text).replace("$", "\\$").replace("@", "\\@")
