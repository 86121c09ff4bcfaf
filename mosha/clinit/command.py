"""Turns an entry into the words to execute.

A command without shell characters is executed directly, else by `sh -c` (C3.14; the
characters are those of Perl's exec, which the original used).
"""

from __future__ import annotations

import re

from mosha.address.words import HeldAddress, holder_words
from mosha.core.tables import Entry, Mode
from mosha.formats.address_command import address_command
from mosha.formats.ocf_command import ocf_words
from mosha.formats.units import unit_named
from mosha.host.programs import command_of
from mosha.ocf.wrapper_words import wrapper_words

SHELL = "/bin/sh"
WRAPPER = "mosha.ocf.wrapper"
UNIT_WRAPPER = "mosha.systemd.wrapper"
HOLDER = "mosha.address.holder"

_SHELL_CHARACTERS = re.compile(r"[$&*(){}\[\]'\";\\|?<>~`\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z0-9_]+=")

# Split where a shell splits: a no-break space belongs to a word.
_WORD = re.compile(r"[^ \t\r\n\v\f]+")

# Builtins for which there is no program that does the same. `exit 7` is a valid test entry (C3.15).
# A test compares them with the builtins of the shell.
RESERVED_WORDS = frozenset(
    {"!", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then"}
    | {"until", "while"}
)
_SPECIAL_BUILTINS = frozenset(
    {".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return"}
    | {"set", "shift", "times", "trap", "unset"}
)
# POSIX has these as programs too, which could not do the work, or are never installed.
_OTHER_BUILTINS = frozenset(
    {"alias", "bg", "cd", "command", "fc", "fg", "getopts", "hash", "jobs", "read", "type"}
    | {"ulimit", "umask", "unalias", "wait"}
    | {"chdir", "local"}  # of dash
)
SHELL_WORDS = RESERVED_WORDS | _SPECIAL_BUILTINS | _OTHER_BUILTINS


def argv_of(command: str) -> list[str]:
    """Return the words to execute; empty for a blank command."""
    words: list[str] = _WORD.findall(command)
    if not words:
        return []
    needs_shell = (
        _SHELL_CHARACTERS.search(command) is not None
        or _ASSIGNMENT.match(words[0]) is not None
        or words[0] in SHELL_WORDS
    )
    return [SHELL, "-c", command] if needs_shell else words


def words_of(entry: Entry) -> list[str]:
    """Return the words to execute: of a process of mosha for an agent, a unit or an address."""
    if entry.mode is Mode.OCF or entry.stops:
        return _agent_words(entry)
    if entry.mode is Mode.SYSTEMD:
        return [*command_of(UNIT_WRAPPER), unit_named(entry.command)]
    if entry.mode is Mode.ADDRESS:
        return [*command_of(HOLDER), *holder_words(held_address(entry))]
    return argv_of(entry.command)


def held_address(entry: Entry) -> HeldAddress:
    """Return what an entry of mode `address` holds."""
    read = address_command(entry.command)
    return HeldAddress(read.address, read.prefix, read.interface, read.label)


def _agent_words(entry: Entry) -> list[str]:
    options = entry.options
    words = wrapper_words(
        ocf_words(entry.command),
        instance=entry.stops or entry.tag,
        stop_only=bool(entry.stops),
        start_s=options.start_s,
        stop_s=None if options.stop is None else sum(step.wait_s for step in options.stop),
        timeout_s=options.timeout_s,
        intervals=((0, options.interval_s or 0.0), *(options.depths or ())),
    )
    return [*command_of(WRAPPER), *words]
