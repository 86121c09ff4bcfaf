"""From the command of an entry to words, with the words of the shell as the shell has them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from mosha.clinit.command import SHELL_WORDS, argv_of


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sleep 10", ["sleep", "10"]),
        ("  /bin/echo  a:b  # c ", ["/bin/echo", "a:b", "#", "c"]),
        ("sleep 1; true", None),
        ("echo $HOME", None),
        ("echo 'a b'", None),
        ("a && b", None),
        ("x > y", None),
        ("ls *.c", None),
        ("A=1 env", None),
        ("exec sleep 1", None),
        ("exit 7", None),
        (". /etc/profile", None),
        ("cd /", None),
        ("export-db --all", ["export-db", "--all"]),
        ("a=b", None),
        ("command -v nginx", None),
        ("hash ls", None),
        ("readonly", None),
        ("times", None),
        ("kill -HUP 1", ["kill", "-HUP", "1"]),
        ("echo a\u00a0b\u202f\u2028\u0085\x1cc", ["echo", "a\u00a0b\u202f\u2028\u0085\x1cc"]),
        ("echo\ta \x0b\x0c\rb", ["echo", "a", "b"]),
        ("\u00a0", ["\u00a0"]),
        ("", []),
        ("   ", []),
    ],
)
def test_only_what_needs_a_shell_gets_one_c3_14(command: str, words: list[str] | None) -> None:
    assert argv_of(command) == (["/bin/sh", "-c", command] if words is None else words)


PROGRAMS_TOO = {"[", "echo", "false", "kill", "printf", "pwd", "test", "true"}
"""Builtins that are programs as well, which do the same."""


def test_every_word_of_the_shell_is_known_as_one() -> None:
    names = _lines_of("/bin/bash", "compgen -b; compgen -k")
    # One question for all of them: `type` says of each what it is to /bin/sh.
    script = "".join(f"type '{name}' 2>&1 || :\n" for name in names)
    told = [line for line in _lines_of("/bin/sh", script) if "not found" not in line]
    builtin = {line.split()[0] for line in told if re.search("builtin|keyword|reserved", line)}
    portable = builtin - BASH_ONLY if "bash" in os.path.realpath("/bin/sh") else builtin
    assert portable - SHELL_WORDS - {"{", "}", "[["} == PROGRAMS_TOO


BASH_ONLY = {
    *("bind", "builtin", "caller", "compgen", "complete", "compopt", "coproc", "declare", "dirs"),
    *("disown", "enable", "function", "help", "history", "let", "logout", "mapfile", "popd"),
    *("pushd", "readarray", "select", "shopt", "source", "suspend", "time", "typeset"),
}


def _lines_of(shell: str, script: str) -> list[str]:
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False)
    return sorted(set(done.stdout.split("\n")) - {""})
