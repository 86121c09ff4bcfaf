"""From the command of an entry to what is executed.

A command without shell characters is executed directly, else by `sh -c` (C3.14; the
characters are those of Perl's exec, which the original used).
"""

from __future__ import annotations

import re

SHELL = "/bin/sh"

_SHELL_CHARACTERS = re.compile(r"[$&*(){}\[\]'\";\\|?<>~`\n]")
_ASSIGNMENT = re.compile(r"\w+=")

# What is no program but a word of the shell. `exit 7` is a fine test entry (C3.15).
_SHELL_WORDS = frozenset(
    {".", ":", "cd", "eval", "exec", "exit", "export", "read", "set", "trap"}
    | {"type", "ulimit", "umask", "unset", "wait", "if", "while", "until", "for", "case", "!"}
)


def argv_of(command: str) -> list[str]:
    """Return the words to execute; empty for a command of blanks."""
    words = command.split()
    if not words:
        return []
    needs_shell = (
        _SHELL_CHARACTERS.search(command) is not None
        or _ASSIGNMENT.match(words[0]) is not None
        or words[0] in _SHELL_WORDS
    )
    return [SHELL, "-c", command] if needs_shell else words
