"""Whether parameters are those of an agent: known, complete, and of the right kind.

Kinds are taken for hints: some agents declare a text as a number, which their own default shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from mosha.formats.names import nearest
from mosha.ocf.metadata import OcfMetadata, OcfParameter

BOOLEANS = frozenset({"1", "0", "yes", "no", "on", "off", "true", "false"})
"""What ocf-shellfuncs takes for true, and what people write for the opposite."""

_EXAMPLES = {"boolean": "true or false", "integer": "a whole number"}


class ParameterFinding(Struct, frozen=True):
    """What is wrong with a parameter; one that is not `grave` may be meant."""

    name: str
    text: str
    remedy: str
    grave: bool = True


def parameter_findings(
    metadata: OcfMetadata, given: Mapping[str, str]
) -> Iterator[ParameterFinding]:
    """Compare what is given with what the agent says of itself."""
    for name, value in given.items():
        known = metadata.parameters.get(name)
        if known is None:
            remedy = f"{nearest(name, metadata.parameters)}see mosha ocf info {metadata.name}"
            yield ParameterFinding(name, f"it has no parameter {name}", remedy)
        elif not fits(value, known):
            text = f"its parameter {name} is {value!r}, and should be of kind {known.kind}"
            yield ParameterFinding(name, text, f"write {_EXAMPLES[known.kind]}", grave=False)
        elif known.deprecated:
            text = f"its parameter {name} is deprecated"
            yield ParameterFinding(name, text, f"see mosha ocf info {metadata.name}", grave=False)
    for known in metadata.parameters.values():
        if known.required and known.name not in given:
            text = f"it requires the parameter {known.name}"
            yield ParameterFinding(known.name, text, f"write {known.name}=VALUE: {known.about}")


def fits(value: str, parameter: OcfParameter) -> bool:
    """Say whether a value is of the parameter's kind, as far as its own default is."""
    own = _is_of(parameter.default, parameter.kind) or not parameter.default
    return not own or _is_of(value, parameter.kind)


def _is_of(value: str, kind: str) -> bool:
    if kind == "boolean":
        return value.lower() in BOOLEANS
    if kind == "integer":
        return value.removeprefix("-").isdecimal()
    return True
