"""The command of an entry of mode `ocf`: a resource agent and its parameters.

`Filesystem device=/dev/sdb1 directory=/srv/web options="noatime,nodev"`: words as in a shell, and
nothing is expanded. An agent is TYPE or PROVIDER:TYPE.
"""

from __future__ import annotations

import re
import shlex

FORM = "write TYPE NAME=VALUE ..., quoted as in a shell"

_AGENT = re.compile(r"(ocf:)?([A-Za-z0-9_][A-Za-z0-9_.+-]*:)?[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=.*", re.DOTALL)


def ocf_words(command: str) -> list[str]:
    """Return the name of the agent and its parameters, NAME=VALUE, with their quotes removed.

    Raises:
        ValueError: it is not that; the text says what is wrong.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:  # an open quote, or a backslash at the end
        raise ValueError(f"not words: {str(error).lower()}") from error
    if not words or not _AGENT.fullmatch(words[0]):
        raise ValueError(f"not the name of a resource agent: {words[0] if words else ''}")
    known: set[str] = set()
    for word in words[1:]:
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise ValueError(f"not a parameter: {word}")
        if match[1] in known:
            raise ValueError(f"the parameter {match[1]} is given twice")
        known.add(match[1])
    return words
