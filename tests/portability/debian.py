"""A tree of Debian packages, unpacked beside the system: for a Python or a processor it has not.

apt does what it does elsewhere, with a state of its own: it resolves, downloads, and checks
signatures. Nothing is installed, no script of a package runs. The mirror is that of this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIMIT_S = 900.0
SHELL = ("base-files", "bash", "dash", "coreutils", "grep", "sed", "findutils", "procps")
"""What commands of the tests need."""


class CannotRunError(Exception):
    """What is missing here."""


def needed(*programs: str) -> None:
    """Raise CannotRunError if one of these programs is not there; each is `name (package)`."""
    missing = [each for each in programs if not shutil.which(each.split()[0])]
    if missing:
        raise CannotRunError(f"needs {', '.join(missing)}")


def unpack(tree: Path, suite: str, architecture: str, packages: Sequence[str]) -> None:
    """Make a tree of packages and all that they depend on, unless it is there already."""
    if (tree / "complete").exists():
        return
    needed("apt-get (apt)", "dpkg-deb (dpkg)")
    shutil.rmtree(tree, ignore_errors=True)
    apt = tree.with_name(f"{tree.name}.apt")
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    source = f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n"
    (apt / "sources.list").write_text(source, encoding="utf-8")
    settings = {
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
    }
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    (apt / "apt.conf").write_text("".join(lines), encoding="utf-8")
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
    download = ("install", "-q", "-y", "--download-only", "--no-install-recommends")
    for words in (("update", "-q"), (*download, *packages)):
        run("apt-get", *words, environment=environment)
    tree.mkdir()
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        run("dpkg-deb", "-x", str(package), str(tree))
    shutil.rmtree(apt)
    (tree / "complete").touch()


def run(*words: str, environment: dict[str, str] | None = None) -> None:
    """Run a program; what it prints is shown only if it fails.

    Raises:
        CannotRunError: it fails.
    """
    done = subprocess.run(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=LIMIT_S,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-5:])
        raise CannotRunError(f"`{' '.join(words[:3])}` fails: {last}")


def _mirror() -> str:
    """Return where this machine has its own packages from."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    found = subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    mirrors = [line for line in found.stdout.splitlines() if "security" not in line]
    if not mirrors or not KEYRING.exists():
        raise CannotRunError("needs a Debian whose lists are there (apt-get update)")
    return mirrors[0]
