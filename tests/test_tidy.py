"""The project keeps the rules of `tests/tidy.py`, and each rule can tell when it does not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mosha.host.logs import EVENTS
from tests import tidy

ROOT = Path(__file__).parent.parent
# Where sleeping is the job: one place for all waiting, the bench, which is no test, and a
# process of chaos that has nothing to do but to be there.
MAY_SLEEP = ("tests/waiting.py", "tests/bench/", "tests/chaos/witness.py")
TEXT_SUFFIXES = {".py", ".md", ".sh", ".toml", ".lock", ".service", ".json", ".txt", ""}

Rule = Callable[[str, str], list[str]]


def files(*tops: str, suffixes: set[str]) -> dict[str, str]:
    """Return path -> text of the project's own files, below `tops`."""

    def paths() -> Iterator[Path]:
        for top in tops:
            path = ROOT / top
            yield from path.rglob("*") if path.is_dir() else [path]

    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted(paths())
        if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts
    }


MOSHA = files("mosha", suffixes={".py"})
TESTS = files("tests", suffixes={".py"})
DOCS = files("docs", "README.md", "CHANGELOG.md", suffixes={".md"})
TEXTS = files(
    *("mosha", "tests", "docs", "conf", ".ci", "Makefile", "README.md", "CHANGELOG.md"),
    *("pyproject.toml", "requirements.lock", "requirements-dev.lock", ".gitignore"),
    suffixes=TEXT_SUFFIXES,
)


def assert_none(complaints: Iterable[str]) -> None:
    """Fail with all complaints, one a line."""
    found = "\n".join(complaints)
    assert not found, f"\n{found}"


@pytest.mark.parametrize(
    "rule",
    [
        tidy.import_complaints,
        tidy.purity_complaints,
        tidy.size_complaints,
        tidy.docstring_complaints,
    ],
)
def test_the_code_keeps(rule: Rule) -> None:
    assert_none(complaint for path, text in MOSHA.items() for complaint in rule(path, text))


def test_a_public_name_means_one_thing() -> None:
    assert_none(tidy.name_complaints(MOSHA))


def test_a_public_name_of_two_things_is_found() -> None:
    texts = {
        "a.py": "class Key: pass\nclass _Own: pass",
        "b.py": "class _Own: pass\nclass Key: pass",
    }
    assert tidy.name_complaints(texts) == ["a.py:1 and b.py:2: Key means two things"]


def test_no_file_names_a_path_of_one_machine_or_unfinished_work() -> None:
    assert_none(it for path, text in TEXTS.items() for it in tidy.text_complaints(path, text))


def test_what_is_logged_and_what_is_documented_are_the_same() -> None:
    assert_none(tidy.event_complaints(MOSHA, EVENTS))


def test_tests_wait_for_something_instead_of_sleeping() -> None:
    assert_none(
        complaint
        for path, text in TESTS.items()
        if not path.startswith(MAY_SLEEP)
        for complaint in tidy.sleep_complaints(path, text)
    )


def test_every_test_can_fail() -> None:
    assert_none(tidy.assertion_complaints(TESTS))


def test_every_requirement_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert_none(tidy.lock_complaints(wanted, lock, "requirements.lock"))
    wanted += project["project"]["optional-dependencies"]["dev"]
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert_none(tidy.lock_complaints(wanted, lock, "requirements-dev.lock"))


def test_what_is_locked_for_the_tests_is_what_is_locked_for_mosha() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    more = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[\w.-]+==\S+", lock, re.MULTILINE)
    assert pins
    assert_none(pin for pin in pins if f"\n{pin} " not in more)


def test_modules_named_in_the_documents_exist_and_the_core_is_described_completely() -> None:
    named = {path: tidy.modules_named(text) for path, text in DOCS.items()}
    assert_none(
        f"{path}: there is no mosha/{module}"
        for path, modules in named.items()
        for module in sorted(modules)
        if f"mosha/{module}" not in MOSHA
    )
    page = "docs/explanation/architecture.md"
    core = {path.removeprefix("mosha/") for path in MOSHA if path.startswith("mosha/core/")}
    assert_none(
        f"{page}: {path} is missing"
        for path in core - named[page]
        if not path.endswith("__init__.py")
    )


LONG_FUNCTION = "def long() -> None:\n" + "    pass\n" * tidy.FUNCTION_LINES_MAX

# A tilde keeps a sample from being found in this file; it is taken out before use.
BAD_SAMPLES = [
    (tidy.import_complaints, "mosha/core/x.py", "from mosha.formats import cltab"),
    (tidy.import_complaints, "mosha/core/x.py", "from mosha import clock"),
    (tidy.import_complaints, "mosha/formats/x.py", "def f():\n    import mosha.control.protocol"),
    (tidy.import_complaints, "mosha/monitor/x.py", "from mosha.clinit.daemon import run"),
    (tidy.import_complaints, "mosha/clinit/x.py", "from mosha import monitor"),
    (tidy.import_complaints, "mosha/control/x.py", "from mosha import HA"),
    (tidy.import_complaints, "mosha/errors.py", "import mosha.core.status"),
    (tidy.import_complaints, "mosha/core/x.py", "from . import status"),
    (tidy.import_complaints, "mosha/helpers/x.py", ""),
    (tidy.purity_complaints, "mosha/core/x.py", "import time"),
    (tidy.purity_complaints, "mosha/core/x.py", "from os import path"),
    (tidy.purity_complaints, "mosha/core/x.py", "def f():\n    import random"),
    (tidy.purity_complaints, "mosha/core/x.py", "import asyncio.events"),
    (tidy.purity_complaints, "mosha/core/x.py", "import json"),
    (tidy.purity_complaints, "mosha/core/x.py", "open('x')"),
    (tidy.purity_complaints, "mosha/formats/x.py", "import socket"),
    (tidy.purity_complaints, "mosha/formats/x.py", "def f(path): path.read_text()"),
    (tidy.size_complaints, "mosha/x.py", "\n" * (tidy.LINES_MAX + 1)),
    (tidy.size_complaints, "mosha/x.py", LONG_FUNCTION),
    (tidy.size_complaints, "mosha/x.py", "async " + LONG_FUNCTION),
    (tidy.docstring_complaints, "mosha/x.py", "X = 1"),
    (tidy.docstring_complaints, "mosha/x.py", '"""X."""\ndef public(): pass'),
    (tidy.docstring_complaints, "mosha/x.py", '"""X."""\nclass Public: pass'),
    (tidy.docstring_complaints, "mosha/x.py", '"""X."""\nclass A:\n "A."\n def b(self): pass'),
    (tidy.text_complaints, "docs/x.md", "see /wo~rk/there"),
    (tidy.text_complaints, "docs/x.md", "see /ro~ot/there"),
    (tidy.text_complaints, "docs/x.md", "see /t~mp/there"),
    (tidy.text_complaints, "docs/x.md", "see /ho~me/somebody"),
    (tidy.text_complaints, "mosha/x.py", "# TO~DO: later"),
    (tidy.sleep_complaints, "tests/x.py", "time.sleep(1)"),
    (tidy.sleep_complaints, "tests/x.py", "sleep(delay_s)"),
    (tidy.sleep_complaints, "tests/x.py", "wait_until(lambda: boottime() > when)"),
    (tidy.sleep_complaints, "tests/x.py", "async def f():\n    await asyncio.sleep(0.1)"),
    (tidy.sleep_complaints, "tests/x.py", "async def f():\n    await anyio.sleep(delay=0.1)"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD_SAMPLES)
def test_a_rule_complains_of_a_bad_sample(rule: Rule, path: str, text: str) -> None:
    (complaint,) = rule(path, text.replace("~", ""))
    assert complaint.startswith(path)


GOOD_SAMPLES = [
    (tidy.import_complaints, "mosha/cli/x.py", "from mosha import HA, __version__, monitor"),
    (tidy.import_complaints, "mosha/monitor/x.py", "from mosha.control import client"),
    (tidy.import_complaints, "mosha/core/x.py", "from mosha.core import status\nimport enum"),
    (tidy.purity_complaints, "mosha/core/x.py", "from collections.abc import Mapping"),
    (tidy.purity_complaints, "mosha/clinit/x.py", "import os\nopen('x')"),
    (tidy.size_complaints, "mosha/x.py", "\n" * tidy.LINES_MAX),
    (tidy.docstring_complaints, "mosha/x.py", '"""X."""\ndef _private(): pass'),
    (tidy.docstring_complaints, "mosha/x.py", ""),
    (tidy.text_complaints, "docs/x.md", "see /mfs/2/var/mosix-ha and workers"),
    (tidy.sleep_complaints, "tests/x.py", "async def f():\n    await anyio.sleep(0)"),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD_SAMPLES)
def test_a_rule_does_not_complain_of_a_good_sample(rule: Rule, path: str, text: str) -> None:
    assert rule(path, text) == []


@pytest.mark.parametrize(
    "call",
    [
        "log.info('surprise', node=1)",
        "self._log.error('surprise')",
        "logs.get().critical('surprise')",
        "self.log.bind(node=1).debug('surprise')",
        "entry_log.exception('surprise')",
        "logger.warning('known' if good else 'surprise')",
        "self.state.log('surprise', group=group)",
        "def f(x, event): state.log(event)\nf(1, 'surprise')",
        "class A:\n  def f(self, event): self._log.info(event)\n  def g(self): self.f('surprise')",
        "def f(*, event): log.info(event)\nf(event='surprise')",
    ],
)
def test_an_event_that_is_not_documented_is_found(call: str) -> None:
    found = tidy.event_complaints({"x.py": f"{call}\nlog.info('known')"}, ["known"])
    assert found == ["x.py: surprise is not in EVENTS"]


def test_an_event_that_nothing_logs_is_found_and_a_name_that_is_not_written_out() -> None:
    calls = "log.info(name)\nmath.log(1)\nx.info(1)\nlog.info(note.event)\nself.log(1)"
    found = tidy.event_complaints({"x.py": calls}, ["known"])
    assert found == [
        "x.py:1: the event name is not written out",
        "mosha/host/logs.py: nothing logs known",
    ]


def test_a_test_that_asserts_nothing_is_found() -> None:
    found = tidy.assertion_complaints({"x.py": "async def test_a(): helper()\ndef helper(): pass"})
    assert found == ["x.py:1: test_a asserts nothing"]


@pytest.mark.parametrize(
    "body",
    ["assert x", "with pytest.raises(E): f()", "direct()", "indirect()", "page.assert_same()"],
)
def test_a_test_may_assert_by_a_helper(body: str) -> None:
    helpers = "def direct(): assert x\nasync def indirect(): direct()"
    assert tidy.assertion_complaints({"x.py": f"def test_a():\n    {body}", "y.py": helpers}) == []


LOCK = """\
good==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via somebody
bare==2.0
"""


def test_a_missing_and_an_unhashed_requirement_are_found() -> None:
    assert tidy.lock_complaints(["good>=1", "bare", "gone[x]>=3; y"], LOCK, "a.lock") == [
        "a.lock: gone is missing: make lock",
        "a.lock: bare has no hash",
    ]


def test_modules_are_read_out_of_a_document() -> None:
    text = "`core/cluster/node.py` and `mosha/cli/main.py`, but not `x.py` or core/no.py"
    assert tidy.modules_named(text) == {"core/cluster/node.py", "cli/main.py"}
