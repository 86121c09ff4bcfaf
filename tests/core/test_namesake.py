from __future__ import annotations

import pytest

from mosha.core.cluster.namesake import NamesakeFinding, OwnStatusFile
from mosha.core.status import Stamp, Status

OURS = Stamp(10, 5)
WATCH_S = 2.0


def status(run: str, inc: int, seq: int) -> Status:
    return Status(node=2, inc=inc, run=run, boot="b", seq=seq)


@pytest.fixture
def file() -> OwnStatusFile:
    return OwnStatusFile("ours", WATCH_S)


def test_what_is_ours_or_not_there_may_be_written_over(file: OwnStatusFile) -> None:
    file.remember("before")
    for found in (None, status("ours", 10, 4), status("before", 9, 7)):
        assert file.judge(found, OURS, 0.0) is NamesakeFinding.OURS


def test_a_greater_stamp_of_another_run_is_a_namesakes(file: OwnStatusFile) -> None:
    assert file.judge(status("theirs", 10, 6), OURS, 0.0) is NamesakeFinding.NAMESAKE
    assert file.judge(status("theirs", 11, 1), OURS, 0.0) is NamesakeFinding.NAMESAKE


def test_an_older_status_counts_as_put_back_when_it_has_stayed_as_it_is(
    file: OwnStatusFile,
) -> None:
    old = status("long ago", 3, 900)
    assert file.judge(old, OURS, 100.0) is NamesakeFinding.UNCLEAR
    assert file.judge(old, OURS, 100.0 + WATCH_S - 0.1) is NamesakeFinding.UNCLEAR
    assert file.judge(old, OURS, 100.0 + WATCH_S) is NamesakeFinding.SET_BACK


def test_an_older_status_that_moves_on_is_a_namesakes(file: OwnStatusFile) -> None:
    assert file.judge(status("theirs", 3, 900), OURS, 0.0) is NamesakeFinding.UNCLEAR
    assert file.judge(status("theirs", 3, 901), OURS, 1.0) is NamesakeFinding.NAMESAKE


@pytest.mark.parametrize(("run", "inc", "seq"), [("long ago", 3, 899), ("later", 4, 1)])
def test_another_backup_that_is_put_back_is_watched_anew(
    file: OwnStatusFile, run: str, inc: int, seq: int
) -> None:
    file.judge(status("long ago", 3, 900), OURS, 0.0)
    again = status(run, inc, seq)
    assert file.judge(again, OURS, 1.9) is NamesakeFinding.UNCLEAR
    assert file.judge(again, OURS, 2.1) is NamesakeFinding.UNCLEAR
    assert file.judge(again, OURS, 1.9 + WATCH_S) is NamesakeFinding.SET_BACK


def test_after_a_write_of_ours_all_is_watched_anew(file: OwnStatusFile) -> None:
    old = status("long ago", 3, 900)
    file.judge(old, OURS, 0.0)
    file.wrote()
    assert file.judge(old, OURS, WATCH_S) is NamesakeFinding.UNCLEAR


def test_what_was_there_at_the_start_is_expected_until_the_first_write(file: OwnStatusFile) -> None:
    file.expect(status("theirs", 3, 900), exactly=True)
    assert file.judge(status("theirs", 3, 900), OURS, 0.0) is NamesakeFinding.OURS
    assert file.judge(status("theirs", 3, 901), OURS, 0.0) is NamesakeFinding.UNCLEAR
    file.expect(status("theirs", 3, 900), exactly=False)
    assert file.judge(status("theirs", 3, 901), OURS, 0.0) is NamesakeFinding.OURS
    file.wrote()
    assert file.judge(status("theirs", 3, 901), OURS, 0.0) is NamesakeFinding.UNCLEAR
