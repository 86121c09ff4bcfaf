"""`make pythons`: the quick part of the suite with each Python that mosha is for.

An interpreter is taken from $PYTHONS (paths, with spaces), from PATH, from pyenv, or, for root,
from a tree of Debian's newest packages. Each gets an environment of its own in build/pythons/.

Exit status: 0 all that were found passed; 1 one did not. What was not found is said at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.portability.debian import SHELL, CannotRunError, needed, run, unpack

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/pythons"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SUITE = "sid"
# What depends on the interpreter: the whole core, texts, files, sockets, processes, events.
QUICK = (
    *("tests/core", "tests/formats", "tests/control", "tests/host", "tests/monitor/test_watch.py"),
    *("tests/clinit/test_forkserver.py", "tests/clinit/test_spawn_ways.py"),
    "tests/clinit/test_processes.py",
)
ASK = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
# In a mount namespace of its own: nothing of it is left when it ends.
ENTER = """
set -e
for name in proc sys dev; do mount --rbind /$name "$1/$name"; done
mount --bind "$2" "$1/repository"
mount -t tmpfs tmpfs "$1/run"
tree=$1; shift 2
exec chroot "$tree" /usr/bin/env -i TMPDIR=/run PATH=/venv/bin:/usr/bin:/usr/sbin LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 sh -c 'cd /repository && exec "$@"' sh "$@"
"""


def main(words: Sequence[str]) -> int:
    """Run pytest with these words, if any, instead of the quick part."""
    results: dict[str, str] = {}
    for version in VERSIONS:
        try:
            results[version] = _tested(version, words or QUICK)
        except CannotRunError as error:
            results[version] = f"not found: {error}"
    sys.stdout.write("\n")
    for version, result in results.items():
        sys.stdout.write(f"Python {version}: {result}\n")
    return 1 if any(result.startswith("failed") for result in results.values()) else 0


def _tested(version: str, words: Sequence[str]) -> str:
    interpreter = next(_found(version), None)
    if interpreter is not None:
        venv = f"VENV={BUILD / version}"
        command = ["make", venv, f"PYTHON={interpreter}", "test", f"ARGS={' '.join(words)}"]
        where = str(interpreter)
    else:
        tree = _tree(version)
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
        pytest = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-n", "2"]
        command = [*enter, str(tree), str(ROOT), *pytest, *words]
        where = f"Debian {SUITE}"
    sys.stdout.write(f"Python {version} of {where}\n")
    sys.stdout.flush()
    done = subprocess.run(command, cwd=ROOT, check=False)
    return f"{'failed' if done.returncode else 'passed'} ({where})"


def _found(version: str) -> Iterator[Path]:
    """Find interpreters of this version that can make environments."""
    named = [Path(word) for word in os.environ.get("PYTHONS", "").split()]
    on_path = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    of_pyenv = sorted((root / "versions").glob(f"{version}.*/bin/python3"))
    for path in (*named, *([Path(on_path)] if on_path else ()), *of_pyenv):
        words = [str(path), "-c", ASK]
        asked = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
        if asked.stdout.strip() == version:
            yield path


def _tree(version: str) -> Path:
    """Return a tree with this Python, what the tests need, and mosha in it as make installs it."""
    if os.geteuid() != 0:
        raise CannotRunError("no such interpreter, and only root can use a tree of Debian's")
    needed("unshare (util-linux)", "chroot (coreutils)")
    BUILD.mkdir(parents=True, exist_ok=True)
    tree = BUILD / f"debian-{version}"
    python = f"python{version}"
    packages = (*SHELL, python, f"{python}-venv", "hostname", "mount", "util-linux")
    unpack(tree, SUITE, _architecture(), packages)
    site = tree / f"venv/lib/{python}/site-packages"
    if not (site / "complete").exists():
        run(
            "chroot",
            str(tree),
            f"/usr/bin/{python}",
            "-m",
            "venv",
            "--clear",
            "--without-pip",
            "/venv",
        )
        install(site, version, ROOT / "requirements-dev.lock")
        (site / "repository.pth").write_text("/repository\n", encoding="ascii")
        (tree / "repository").mkdir(exist_ok=True)
        (site / "complete").touch()
    return tree


def install(site: Path, version: str, lock: Path, *platforms: str) -> None:
    """Install what is locked, and the name of mosha, for another interpreter or processor."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    others = [word for platform in platforms for word in ("--platform", platform)]
    run(
        *(*pip, "--target", str(site), "--python-version", version, *others),
        *("--only-binary=:all:", "--require-hashes", "--requirement", str(lock)),
    )
    own = Path(sys.executable).parents[1] / "lib"
    for info in own.glob("python3*/site-packages/mosha-*.dist-info"):
        shutil.copytree(info, site / info.name, dirs_exist_ok=True)


def _architecture() -> str:
    words = ["dpkg", "--print-architecture"]
    return subprocess.run(words, check=True, capture_output=True, encoding="ascii").stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
