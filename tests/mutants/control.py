"""Mutants of sockets, files and the host."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

CONTROL: tuple[ShellMutant, ...] = (
    M(
        "a socket is its owner's alone",
        "control/address.py",
        "os.fchmod(listener.fileno(), 0o600)",
        "os.fchmod(listener.fileno(), 0o666)",
        "monitor/test_service.py::test_the_socket_is_its_owners_alone",
    ),
    M(
        "another user is refused",
        "control/server.py",
        "if uid not in (0, os.geteuid()):",
        "if False:",
        "control/test_sockets.py::test_another_user_is_refused_whatever_the_mode_of_the_file",
    ),
    M(
        "a socket at which somebody answers is not taken",
        "control/address.py",
        "    refuse_taken(path)\n    path.unlink",
        "    path.unlink",
        "control/test_sockets.py::test_a_socket_somebody_answers_at_is_not_taken",
    ),
    M(
        "a torn status is no status",
        "formats/clstat.py",
        'if end.get("crc32") != f"{zlib.crc32(body):08x}":',
        "if False:",
        "formats/test_clstat.py::test_any_other_byte_anywhere_is_noticed",
    ),
)
