"""`mosha check` warns of commands that hand their work to somebody else."""

from __future__ import annotations

import pytest

from mosha.cli.check.handed import handed_findings
from mosha.formats.cltab import parse_cltab


def programs_told(command: str) -> list[str]:
    """Return the programs that are warned of in an entry with this command."""
    parsed = parse_cltab(f"g:a:start:respawn:{command}\n".encode(), "cltab")
    return [found.text.split()[5].rstrip(":") for found in handed_findings(parsed, "cltab")]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("docker run --rm nginx", "docker"),
        ("exec /usr/bin/podman run x", "podman"),
        ("test -d /srv && A=1 systemd-run --scope x", "systemd-run"),
        ("systemctl start nginx; sleep inf", "systemctl"),
        ("echo x | at now", "at"),
        ("su - www -c 'run me'", "su"),
        ("su --login www -c 'run me'", "su"),
        ("env A=1 nohup docker run --rm nginx", "docker"),
        ("'docker' run --rm nginx", "docker"),
        ("if true; then /usr/sbin/crond; fi", "crond"),
    ],
)
def test_an_order_to_somebody_else_is_warned_of(command: str, told: str) -> None:
    assert programs_told(command) == [told]


def test_what_is_off_hands_nothing_over() -> None:
    parsed = parse_cltab(b"g:a:start:off:docker run --rm nginx\n", "cltab")
    assert list(handed_findings(parsed, "cltab")) == []


@pytest.mark.parametrize(
    "command",
    ["nginx -g 'daemon off;'", "su www -c run", "/opt/at-home/run", "echo docker", "sleep 5"],
)
def test_a_program_of_its_own_is_not(command: str) -> None:
    assert programs_told(command) == []
