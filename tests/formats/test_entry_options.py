"""Options of an entry of cltab: what is read, what is written, what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.core.durations import span_text
from mosha.core.escalation import EscalationStep
from mosha.core.tables import (
    Mode,
    Options,
    ProcessAttributes,
    Readiness,
    ReadyKind,
    ResourceLimit,
)
from mosha.formats.cltab import parse_cltab
from mosha.formats.durations import SPAN_RULE, seconds_in
from mosha.formats.entry_options import OPTIONS, mode_text, read_mode
from mosha.formats.mistakes import Mistakes
from mosha.formats.ocf_command import ocf_words
from tests.formats.strategies import spans


def of_process(**attributes: Any) -> Options:
    """Return options that are about the process only."""
    return Options(process=ProcessAttributes(**attributes))


NOTIFY = Options(ready=Readiness(ReadyKind.NOTIFY))
LIMIT, TERM_30 = Options(timeout_s=10.0), Options(stop=(EscalationStep("TERM", 30.0),))


@pytest.mark.parametrize(
    ("text", "mode", "options", "written"),
    [
        ("test", Mode.TEST, Options(), "test"),
        ("test(timeout=10)", Mode.TEST, LIMIT, "test(timeout=10s)"),
        ("test ( timeout = 10s )", Mode.TEST, LIMIT, "test(timeout=10s)"),
        ("wait(timeout=2m)", Mode.WAIT, Options(timeout_s=120.0), "wait(timeout=2m)"),
        ("once(timeout=0.5)", Mode.ONCE, Options(timeout_s=0.5), "once(timeout=0.5s)"),
        ("once(timeout=1.5h)", Mode.ONCE, Options(timeout_s=5400.0), "once(timeout=90m)"),
        ("respawn(stop=TERM/30s)", Mode.RESPAWN, TERM_30, "respawn(stop=TERM/30s)"),
        ("respawn(stop=SIGTERM/30/KILL)", Mode.RESPAWN, TERM_30, "respawn(stop=TERM/30s)"),
        ("respawn(stop=kill)", Mode.RESPAWN, Options(stop=()), "respawn(stop=KILL)"),
        (
            "test(stop=QUIT/1m/TERM/5s,timeout=1h)",
            Mode.TEST,
            Options(
                timeout_s=3600.0, stop=(EscalationStep("QUIT", 60.0), EscalationStep("TERM", 5.0))
            ),
            "test(timeout=1h,stop=QUIT/1m/TERM/5s)",
        ),
        ("off(timeout=10s)", Mode.OFF, LIMIT, "off(timeout=10s)"),
        ("respawn(ready=notify)", Mode.RESPAWN, NOTIFY, "respawn(ready=notify)"),
        (
            "respawn(start=30, ready = port / 8080)",
            Mode.RESPAWN,
            Options(ready=Readiness(ReadyKind.PORT, port=8080), start_s=30.0),
            "respawn(ready=port/8080,start=30s)",
        ),
        (
            "respawn(ready=pidfile/run/my d.pid)",
            Mode.RESPAWN,
            Options(ready=Readiness(ReadyKind.PIDFILE, path="/run/my d.pid")),
            "respawn(ready=pidfile/run/my d.pid)",
        ),
        ("off(ready=notify)", Mode.OFF, NOTIFY, "off(ready=notify)"),
        (
            "monitor(interval=10,timeout=5,failures=3)",
            Mode.MONITOR,
            Options(timeout_s=5.0, interval_s=10.0, failures=3),
            "monitor(timeout=5s,interval=10s,failures=3)",
        ),
        (
            "once(user=www-data,group=0033,dir=/srv/web,envfile=/etc/web,umask=0027)",
            Mode.ONCE,
            of_process(
                user="www-data", group="33", directory="/srv/web", envfile="/etc/web", umask=0o27
            ),
            "once(user=www-data,group=33,dir=/srv/web,envfile=/etc/web,umask=027)",
        ),
        (
            "test(nice=-5,oom=+500,nofile=65536,core=unlimited,memlock=1 / 64M)",
            Mode.TEST,
            of_process(
                nice=-5,
                oom=500,
                nofile=ResourceLimit(65536, 65536),
                core=ResourceLimit(None, None),
                memlock=ResourceLimit(1, 64 << 20),
            ),
            "test(nice=-5,oom=500,nofile=64K,core=unlimited,memlock=1/64M)",
        ),
        (
            "respawn(nproc=10/unlimited,stack=0)",
            Mode.RESPAWN,
            of_process(nproc=ResourceLimit(10, None), stack=ResourceLimit(0, 0)),
            "respawn(nproc=10/unlimited,stack=0)",
        ),
    ],
)
def test_a_mode_is_read_with_its_options_and_written_again(
    text: str, mode: Mode, options: Options, written: str
) -> None:
    assert read_mode(text) == (mode, options)
    assert mode_text(mode, options) == written
    assert read_mode(written) == (mode, options)


_STOP_RULE, _READY_RULE = OPTIONS["stop"].rule, OPTIONS["ready"].rule


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("test(timeot=10)", "5 unknown option: did you mean 'timeout'?"),
        ("test(timeout=10,timeout=20)", "16 timeout is given twice: keep one"),
        ("test(timeout=10,)", "16 an empty option: the options of test are timeout, stop"),
        ("test()", "5 an empty option"),
        ("test(timeout)", "5 timeout has no value: write timeout=TIME"),
        ("test(timeout=)", "5 timeout has no value: write timeout=TIME"),
        ("test(10)", "5 unknown option: the options of test are"),
        ("test(timeout=soon)", f"5 not a time: {SPAN_RULE}"),
        ("test(timeout=0)", f"5 not a time: {SPAN_RULE}"),
        ("test(timeout=32d)", f"5 not a time: {SPAN_RULE}"),
        ("test(timeout=-1)", f"5 not a time: {SPAN_RULE}"),
        ("respawn(timeout=9)", "8 timeout is not an option of respawn: timeout is for wait, once"),
        ("respawn(stop=TERM)", f"8 no time after TERM: {_STOP_RULE}"),
        ("respawn(stop=TERM/30s/)", f"8 no signal: {_STOP_RULE}"),
        ("respawn(stop=30s)", f"8 no time after 30s: {_STOP_RULE}"),
        ("respawn(stop=TERM/x)", f"8 not a time after TERM: x: {_STOP_RULE}"),
        (
            "respawn(stop=KILL/9s/TERM/9s)",
            f"8 KILL is the last signal, and waits for nothing: {_STOP_RULE}",
        ),
        ("respawn(stop=STOP/9s)", f"8 not a signal that asks a process to end: STOP: {_STOP_RULE}"),
        (f"respawn(stop={'INT/1/' * 9}KILL)", "8 9 signals, at most 8 are sent before KILL"),
        ("respawn(stop=TERM", "7 no ')' after the options: write respawn(NAME=VALUE,...)"),
        ("wait(ready=notify)", "5 ready is not an option of wait: ready is for respawn"),
        ("respawn(ready=yes)", f"8 not a way to be ready: yes: {_READY_RULE}"),
        ("respawn(ready=notify/1)", f"8 not a way to be ready: notify/1: {_READY_RULE}"),
        ("respawn(ready=port)", f"8 no port: {_READY_RULE}"),
        ("respawn(ready=port/http)", f"8 not a port: http: {_READY_RULE}"),
        ("respawn(ready=port/0)", f"8 not a port: 0: {_READY_RULE}"),
        ("respawn(ready=port/65536)", f"8 not a port: 65536: {_READY_RULE}"),
        ("respawn(ready=port/٨)", f"8 not a port: ٨: {_READY_RULE}"),
        ("respawn(ready=pidfile)", f"8 no path: {_READY_RULE}"),
        ("respawn(stop=KILL, start=9s)", "19 start does nothing without ready: add ready=HOW, or"),
        ("wait(user=a b)", "5 not a name or number: a b: write the name or the number of a user"),
        ("wait(user=4294967295)", "5 the number is too great: 4294967295: write the name"),
        ("wait(dir=srv)", "5 the path does not begin with /: srv: write its path from the root"),
        ("wait(umask=27)", "5 not a umask: 27: write three octal digits: umask=027"),
        ("wait(umask=028)", "5 not a umask: 028: write three octal digits: umask=027"),
        ("wait(nice=20)", "5 not a number from -20 to 19: 20: write nice=10 for less"),
        ("wait(oom=1e3)", "5 not a number from -1000 to 1000: 1e3: write oom=500"),
        ("wait(nofile=many)", "5 not a limit: many: write a number, with K, M or G"),
        ("wait(nofile=2/1)", "5 the soft limit is above the hard one: 2/1: write"),
        ("wait(nofile=unlimited/1)", "5 the soft limit is above the hard one: unlimited/1: write"),
        ("wait(nofile=1/2/3)", "5 more than a soft and a hard limit: write"),
        ("wait(core=9999999999G)", "5 not a limit: 9999999999G: write"),
        ("monitor(failures=0)", "8 not a number of failures: 0: write a number from 1 to 1000"),
        ("monitor(ready=notify)", "8 ready is not an option of monitor: ready is for respawn"),
        ("test(failures=2)", "5 failures is not an option of test: failures is for monitor"),
        ("tset(timeout=9)", "0 unknown mode: did you mean 'test'? the modes are"),
        ("(timeout=9)", "0 unknown mode: the modes are"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(text: str, told: str) -> None:
    found = read_mode(text)
    assert isinstance(found, list)
    (wrong,) = found
    assert f"{wrong.at} {wrong.problem}: {wrong.remedy}".startswith(told)


def test_all_mistakes_of_one_entry_are_told_each_at_its_place() -> None:
    found = read_mode("wait(timeout=x, stop=TERM, color=red)")
    assert isinstance(found, list)
    assert [(wrong.at, wrong.text) for wrong in found] == [
        (5, "timeout=x"),
        (16, "stop=TERM"),
        (27, "color=red"),
    ]


@given(spans)
def test_a_time_that_is_written_is_read_back(seconds: float) -> None:
    assert seconds_in(span_text(seconds)) == seconds


@given(st.text(max_size=40))
def test_no_text_crashes_the_reader_of_modes(text: str) -> None:
    found = read_mode(f"test({text}")
    assert isinstance(found, tuple) or all(wrong.remedy for wrong in found)


def test_every_option_is_in_the_table_once() -> None:
    supervision = tuple(field for field in Options.__struct_fields__ if field != "process")
    assert tuple(OPTIONS) == (*supervision, *ProcessAttributes.__struct_fields__)
    assert len({option.name for option in OPTIONS.values()}) == len(OPTIONS)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("g:a:1:ocf(depth=10):x", "1:11: no time after 10: 'depth=10'"),
        ("g:a:1:ocf(depth=0/1m):x", "1:11: not a depth: 0: 'depth=0/1m'"),
        ("g:a:1:ocf(depth=9/1m/9/2m):x", "1:11: depth 9 is given twice: 'depth=9/1m/9/2m'"),
        ("g:a:1:ocf(user=www-data):x", "1:11: user is not an option of ocf: 'user=www-data'"),
        ("g:a:1:ocf(lasts=1):x", "1:11: neither yes nor no: 1: 'lasts=1'"),
        ("g:a:1:ocf(ready=notify):x", "1:11: ready is not an option of ocf: 'ready=notify'"),
        ("g:a:1:respawn(interval=1s):x", "1:15: interval is not an option of respawn"),
        ("g:a:1:ocf:Dummy 'x", '1:11: not words: no closing quotation: "Dummy \'x"'),
        ("g:a:1:ocf:a/b x=1", "1:11: not the name of a resource agent: a/b: 'a/b x=1'"),
        ("g:a:1:ocf:Dummy state", "1:11: not a parameter: state: 'Dummy state'"),
        ("g:a:1:ocf:Dummy s=1 s=2", "1:11: the parameter s is given twice: 'Dummy s=1 s=2'"),
        ("g:a:stop:ocf:Dummy", "1:10: an ocf entry at level stop would never end: 'ocf'"),
        ("g:a:1:ocf:Dummy\ng:a.stop:1:once:x", "2:3: entry has duplicate tag: a.stop (first in"),
        (f"g:{'a' * 196}:1:ocf:Dummy", "1:3: the tag is too long"),
    ],
)
def test_a_mistake_in_an_entry_with_an_agent_is_told_with_its_place(line: str, told: str) -> None:
    with pytest.raises(Mistakes) as mistakes:
        parse_cltab(f"{line}\n".encode(), "cltab")
    assert str(mistakes.value).startswith(f"cltab:{told}")


def test_an_agent_and_its_parameters_are_words_without_their_quotes() -> None:
    assert ocf_words("linbit:drbd a='b c' d= e=f\\ g") == ["linbit:drbd", "a=b c", "d=", "e=f g"]
