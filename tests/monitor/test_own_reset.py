"""What is said after a node has reset itself, for how long, and what ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.formats.self_reset import SELF_RESET_FILE, SelfReset, render_self_reset
from mosha.host.clock import boot_id, boottime
from mosha.monitor import own_reset
from tests.monitor.house import prepared
from tests.waiting import until

TIME = "2026-11-30T11:12:13.000+00:00"
AT_S = datetime(2026, 11, 30, 11, 12, 13, tzinfo=UTC).timestamp()


def note(boot: str = "other", *, at: str = TIME, groups: tuple[str, ...] = ("g",)) -> SelfReset:
    return SelfReset(boot=boot, time=at, how="watchdog", reason="why", groups=groups)


def write(directory: Path, made: SelfReset) -> Path:
    path = directory / SELF_RESET_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_self_reset(made))
    return path


def test_a_note_counts_only_after_another_boot(tmp_path: Path) -> None:
    assert own_reset.load(tmp_path) is None
    write(tmp_path, note())
    assert own_reset.load(tmp_path) == note()
    write(tmp_path, note(boot_id()))
    assert own_reset.load(tmp_path) is None


def test_a_note_that_cannot_be_read_is_logged_and_no_reset(tmp_path: Path) -> None:
    (tmp_path / SELF_RESET_FILE).write_bytes(b"[]")
    with capture_logs() as lines:
        assert own_reset.load(tmp_path) is None
    (line,) = lines
    assert line["event"] == "memory_failed"


@pytest.mark.parametrize(
    ("at", "now", "left"),
    [(TIME, AT_S, 86_400.0), (TIME, AT_S + 86_000, 400.0), (TIME, AT_S + 90_000, -3_600.0)],
)
def test_it_is_told_for_a_day(at: str, now: float, left: float) -> None:
    assert own_reset.left_s(note(at=at), now) == left


def test_a_time_that_is_none_is_over() -> None:
    assert own_reset.left_s(note(at="soon"), 0.0) == 0.0


def test_without_a_group_only_time_ends_it() -> None:
    text = own_reset.problem(note(groups=()))
    assert text.endswith("this stands for a day")
    assert "it did not feed its watchdog): why;" in text


async def test_a_cleanup_of_one_of_its_groups_ends_it_and_of_another_does_not(
    short_dir: Path,
) -> None:
    now = datetime.now(UTC).isoformat()
    path = write(short_dir / "run" / "state", note(at=now, groups=("g", "h")))
    async with prepared(short_dir) as monitor:
        telling = asyncio.ensure_future(own_reset.tell(monitor))
        await until(lambda: monitor.troubles)
        (text,) = monitor.troubles
        assert text.endswith("until you say that you know: mosha cleanup g")
        monitor.node.state.record("other").cleaned_at = boottime()
        monitor.announce()
        assert not own_reset.is_known(note(groups=("g", "h")), monitor.node.state)
        monitor.node.state.record("h").cleaned_at = boottime()
        monitor.announce()
        await telling
        assert monitor.troubles == []
        assert not path.exists()


async def test_an_old_reset_is_forgotten(short_dir: Path) -> None:
    path = write(short_dir / "run" / "state", note(at="2001-01-01T00:00:00+00:00"))
    async with prepared(short_dir) as monitor:
        await own_reset.tell(monitor)
        assert monitor.troubles == []
        assert not path.exists()
