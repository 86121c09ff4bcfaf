"""The JSON of `mosha why` and `mosha why-not`: an explanation, rule by rule."""

from __future__ import annotations

from typing import Any

import msgspec

from mosha.core.explain.reasons import FORMAT, Explanation

_DECODER = msgspec.json.Decoder(Explanation)


def render_explanation(explanation: Explanation) -> bytes:
    """Return an explanation as indented JSON with a line end."""
    return msgspec.json.format(msgspec.json.encode(explanation), indent=2) + b"\n"


def parse_explanation(data: bytes) -> Explanation:
    """Parse an explanation.

    Raises:
        ValueError: it is not one, or of another format.
    """
    try:
        found = _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if found.format != FORMAT:
        raise ValueError(f"format {found.format}, this mosha reads format {FORMAT}")
    return found


def explanation_schema() -> dict[str, Any]:
    """Return the JSON schema of an explanation."""
    return msgspec.json.schema(Explanation)
