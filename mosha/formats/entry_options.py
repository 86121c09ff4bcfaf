"""The options of an entry of cltab, in parentheses after its mode.

`test(timeout=10s)`, `respawn(stop=TERM/30s)`: names and values with commas between. `OPTIONS`
defines them all: each row says how an option is parsed, written and explained, and which field of
`core.tables.Options` it fills. A value has no colon, comma or parenthesis; what has parts separates
them by slashes, as in `stop=TERM/30s` and `ready=port/8080`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mosha.core.durations import span_text
from mosha.core.escalation import KILL, SIGNALS, EscalationStep, Limits, Schedule, default_schedule
from mosha.core.tables import Mode, Options, ProcessAttributes, Readiness, ReadyKind
from mosha.formats.durations import SPAN_RULE, seconds_in
from mosha.formats.mistakes import BLANKS
from mosha.formats.names import nearest
from mosha.formats.option import ALL, ENDING, Option
from mosha.formats.process_options import PROCESS_OPTIONS

RUNGS_MAX = 8
"""A stop that needs more signals than this is a script."""


PORT_MAX = 65535
DEPTH_MAX, DEPTHS_MAX = 999, 4
FAILURES_MAX = 1000


class _Given(NamedTuple):
    """An option as it is written in a mode field, and what was read from it."""

    value: object
    word: str
    at: int


class OptionMistake(NamedTuple):
    """A mistake in a mode field; `at` is its position, from 0."""

    at: int
    text: str
    problem: str
    remedy: str


def _read_schedule(text: str) -> Schedule:
    """Parse `TERM/30s/QUIT/5s`; a KILL at the end is optional, it is sent anyway."""
    words = [word.strip(BLANKS) for word in text.split("/")]
    names = [word.upper().removeprefix("SIG") for word in words[::2]]
    if len(words) % 2 and names[-1] == KILL:
        names.pop()
    elif len(words) % 2:
        raise ValueError(f"no time after {words[-1]}" if words[-1] else "no signal")
    if len(names) > RUNGS_MAX:
        raise ValueError(f"{len(names)} signals, at most {RUNGS_MAX} are sent before KILL")
    rungs = []
    for name, wait in zip(names, words[1::2], strict=False):
        if name == KILL:
            raise ValueError("KILL is the last signal, and waits for nothing")
        if name not in SIGNALS:
            raise ValueError(f"not a signal that asks a process to end: {name}")
        try:
            rungs.append(EscalationStep(name, seconds_in(wait)))
        except ValueError as error:
            raise ValueError(f"not a time after {name}: {wait}") from error
    return tuple(rungs)


def _schedule_text(schedule: Schedule) -> str:
    steps = "/".join(f"{step.signal}/{span_text(step.wait_s)}" for step in schedule)
    return steps or KILL


def _read_readiness(text: str) -> Readiness:
    """Parse `notify`, `port/8080` or `pidfile/run/x.pid`, where the path begins with its slash."""
    word, slash, rest = text.partition("/")
    kind = word.rstrip(BLANKS)
    if kind == ReadyKind.NOTIFY and not slash:
        return Readiness(ReadyKind.NOTIFY)
    if kind == ReadyKind.PORT:
        number = rest.strip(BLANKS)
        if not (number.isascii() and number.isdecimal() and 0 < int(number) <= PORT_MAX):
            raise ValueError(f"not a port: {number}" if number else "no port")
        return Readiness(ReadyKind.PORT, port=int(number))
    if kind == ReadyKind.PIDFILE:
        if not rest:
            raise ValueError("no path")
        return Readiness(ReadyKind.PIDFILE, path=f"/{rest}")
    raise ValueError(f"not a way to be ready: {text}")


def _readiness_text(ready: Readiness) -> str:
    match ready.kind:
        case ReadyKind.PORT:
            return f"{ready.kind}/{ready.port}"
        case ReadyKind.PIDFILE:
            return f"{ready.kind}{ready.path}"
    return ready.kind.value


def _read_depths(text: str) -> tuple[tuple[int, float], ...]:
    """Parse `10/1m/20/5m`: depths, each with the time from one monitor to the next."""
    words = [word.strip(BLANKS) for word in text.split("/")]
    if len(words) % 2:
        raise ValueError(f"no time after {words[-1]}" if words[-1] else "no depth")
    if len(words) > 2 * DEPTHS_MAX:
        raise ValueError(f"{len(words) // 2} depths, at most {DEPTHS_MAX} are monitored")
    found: dict[int, float] = {}
    for word, interval in zip(words[::2], words[1::2], strict=True):
        if not (word.isascii() and word.isdecimal() and 0 < int(word) <= DEPTH_MAX):
            raise ValueError(f"not a depth: {word}")
        if int(word) in found:
            raise ValueError(f"depth {word} is given twice")
        try:
            found[int(word)] = seconds_in(interval)
        except ValueError as error:
            raise ValueError(f"not a time after {word}: {interval}") from error
    return tuple(found.items())


def _depths_text(depths: tuple[tuple[int, float], ...]) -> str:
    return "/".join(f"{depth}/{span_text(interval_s)}" for depth, interval_s in depths)


def _read_failures(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= FAILURES_MAX):
        raise ValueError(f"not a number of failures: {text}")
    return int(text)


def _read_yes(text: str) -> bool:
    if text not in _YES_NO:
        raise ValueError(f"neither yes nor no: {text}")
    return text == "yes"


_YES_NO = ("yes", "no")

OPTIONS: dict[str, Option] = {
    "timeout_s": Option(
        "timeout",
        "timeout=TIME",
        (*ENDING, Mode.OCF, Mode.MONITOR),
        seconds_in,
        span_text,
        SPAN_RULE,
        "none: it may run for ever; of `monitor` 10s",
        "a run that takes longer is stopped by the signals of `stop` and has failed. Of `ocf`: the"
        " limit of each monitor",
    ),
    "stop": Option(
        "stop",
        "stop=SIGNAL/TIME/...",
        (*ALL, Mode.OCF, Mode.SYSTEMD, Mode.ADDRESS, Mode.MONITOR),
        _read_schedule,
        _schedule_text,
        f"write signals, each with the time to wait after it: stop=TERM/30s; {KILL} comes last by"
        f" itself; the signals are {', '.join(SIGNALS)}",
        f"`{_schedule_text(default_schedule(Limits()))}`",
        "the signals of a stop, each with the time to wait after it; SIGKILL follows, and is"
        " repeated. `stop=KILL` sends nothing else. Of `ocf` and `systemd`: `stop=TERM/2m` limits"
        " the stop of the agent or unit",
    ),
    "ready": Option(
        "ready",
        "ready=HOW",
        (Mode.RESPAWN,),
        _read_readiness,
        _readiness_text,
        "write ready=notify, ready=port/8080, or ready=pidfile/run/x.pid for the file /run/x.pid",
        "none: it counts as started at once",
        "when it [counts as started](#when-an-entry-is-ready), so that the next entry may follow:"
        " `notify`, when it says so; `port/8080`, when something listens on this TCP port;"
        " `pidfile/run/x.pid`, when the file /run/x.pid has the pid of one of its processes",
    ),
    "start_s": Option(
        "start",
        "start=TIME",
        (Mode.RESPAWN, Mode.OCF, Mode.SYSTEMD, Mode.ADDRESS),
        seconds_in,
        span_text,
        SPAN_RULE,
        "none: it may take for ever",
        "a run that takes longer to be ready is stopped by the signals of `stop`, has failed, and"
        " is started again. Of `ocf`: the limit of the agent's start",
        needs="ready",
    ),
    "interval_s": Option(
        "interval",
        "interval=TIME",
        (Mode.OCF, Mode.MONITOR),
        seconds_in,
        span_text,
        SPAN_RULE,
        "as the agent says; of `monitor` 10s",
        "the time from one monitor to the next; of `monitor` at least 1 s",
    ),
    "depths": Option(
        "depth",
        "depth=N/TIME/...",
        (Mode.OCF,),
        _read_depths,
        _depths_text,
        "write depths, each with the time between two monitors: depth=10/1m/20/5m",
        "none",
        "deeper monitors, each with the time from one to the next; what they do is in `mosha ocf"
        " info`",
    ),
    "failures": Option(
        "failures",
        "failures=N",
        (Mode.MONITOR,),
        _read_failures,
        str,
        f"write a number from 1 to {FAILURES_MAX}",
        "3",
        "so many runs in a row have to fail before the group counts as [unhealthy](#monitors)",
    ),
    "lasts": Option(
        "lasts",
        "lasts=yes",
        (Mode.OCF,),
        _read_yes,
        lambda lasts: "yes" if lasts else "no",
        "write lasts=yes or lasts=no",
        "as far as mosha knows the agent",
        "whether what the agent makes outlives all its processes, so that [a kill does not undo"
        " it](#what-a-kill-does-not-undo)",
    ),
    **PROCESS_OPTIONS,
}
"""Field -> the option that fills it, in the order of writing: of `core.tables.Options`, then of the
`ProcessAttributes` in it.

An entry that is `off` may have any of them: it had them before it was turned off.
"""

_FIELDS = {option.name: field for field, option in OPTIONS.items()}
_MODES = {mode.value: mode for mode in Mode}


def read_mode(text: str) -> tuple[Mode, Options] | list[OptionMistake]:
    """Parse a mode field, `test` or `test(timeout=10s)`; return all mistakes if it has any."""
    word, parenthesis, rest = text.partition("(")
    mode = _MODES.get(word.rstrip(BLANKS))
    if mode is None:
        known = ", ".join(Mode)
        wrong = word.strip(BLANKS) if parenthesis and word.strip(BLANKS) else text
        return [
            OptionMistake(0, wrong, "unknown mode", f"{nearest(wrong, Mode)}the modes are {known}")
        ]
    if not parenthesis:
        return mode, Options()
    if not rest.endswith(")"):
        remedy = f"write {mode}(NAME=VALUE,...): a value has no ':' and no ')'"
        return [OptionMistake(len(word), text[len(word) :], "no ')' after the options", remedy)]
    given: dict[str, _Given] = {}
    wrong_ones = list(_read_options(mode, rest[:-1], len(word) + 1, given))
    wrong_ones = wrong_ones or list(_useless(mode, given))
    return wrong_ones or (mode, _options(given))


def mode_text(mode: Mode, options: Options) -> str:
    """Return a mode field as text; options that are not set are left out."""
    text = [
        f"{option.name}={option.write(value)}"
        for field, option in OPTIONS.items()
        if (value := value_of(options, field)) is not None
    ]
    return f"{mode}({','.join(text)})" if text else mode.value


def value_of(options: Options, field: str) -> Any:
    """Return the value of an option by its field in `OPTIONS`, None if it is not given."""
    return getattr(options.process if field in PROCESS_OPTIONS else options, field, None)


def _options(given: dict[str, _Given]) -> Options:
    values: dict[str, Any] = {field: option.value for field, option in given.items()}
    own = {field: values.pop(field) for field in tuple(values) if field in PROCESS_OPTIONS}
    return Options(**values, process=ProcessAttributes(**own) if own else None)


def _read_options(
    mode: Mode, text: str, at: int, given: dict[str, _Given]
) -> Iterator[OptionMistake]:
    """Put valid options into `given`; yield mistakes."""
    for part in text.split(","):
        word, place = part.strip(BLANKS), at + len(part) - len(part.lstrip(BLANKS))
        at += len(part) + 1
        name, equals, value = word.partition("=")
        name, value = name.rstrip(BLANKS), value.lstrip(BLANKS)
        option = OPTIONS.get(_FIELDS.get(name, ""))
        if option is None or not equals or not value:
            yield _unreadable(mode, word, place, option)
        elif mode not in (*option.modes, Mode.OFF):
            remedy = f"{name} is for {', '.join(option.modes)}"
            yield OptionMistake(place, word, f"{name} is not an option of {mode}", remedy)
        elif _FIELDS[name] in given:
            yield OptionMistake(place, word, f"{name} is given twice", "keep one")
        else:
            try:
                given[_FIELDS[name]] = _Given(option.read(value), word, place)
            except ValueError as error:
                yield OptionMistake(place, word, str(error), option.rule)


def _useless(mode: Mode, given: dict[str, _Given]) -> Iterator[OptionMistake]:
    """Yield options that do nothing without another one that is not given."""
    for field, (_, word, place) in given.items():
        option = OPTIONS[field]
        needed = OPTIONS.get(option.needs)
        if needed is not None and mode in (*needed.modes, Mode.OFF) and option.needs not in given:
            problem = f"{option.name} does nothing without {needed.name}"
            yield OptionMistake(place, word, problem, f"add {needed.form}, or take it out")


def _unreadable(mode: Mode, word: str, place: int, option: Option | None) -> OptionMistake:
    names = [o.name for o in OPTIONS.values() if mode in (*o.modes, Mode.OFF)]
    known = f"the options of {mode} are {', '.join(names)}"
    if option is not None:
        return OptionMistake(place, word, f"{option.name} has no value", f"write {option.form}")
    name = word.partition("=")[0].rstrip(BLANKS)
    problem = "unknown option" if word else "an empty option"
    return OptionMistake(place, word, problem, f"{nearest(name, _FIELDS)}{known}")
