"""mosha.toml: defaults of the original, every mistake at once, and what is derived (H1)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.errors import UsageError
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.formats.mistakes import Mistakes
from mosha.formats.names import NODE_MAX
from mosha.formats.settings import Settings, parse_settings, read_settings, settings_from
from mosha.formats.settings_rules import NODES_MAX
from tests.formats.strategies import damaged

_SELF_FENCE = (
    'm.toml:1:1: self_fence must be one of "off", "sysrq", or a command with a path from the root'
)
EXAMPLE = Path(__file__).parents[2] / "conf" / "mosha.toml"


def _settings(text: str) -> Settings:
    return parse_settings(text.encode(), "m.toml")


def _told(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(Mistakes) as caught:
        parse_settings(data, "m.toml")
    return str(caught.value).splitlines()


def test_an_empty_file_has_the_defaults_of_the_original() -> None:  # H1.2, H1.3
    settings = _settings("")
    assert settings == Settings()
    assert settings.node_path(7) == Path("/mfs/7/var/mosix-ha")
    assert settings.hpcbase == "/proc/hpc"
    assert settings.mwhois == "mosctl whois"  # H1.1
    assert settings.timeout == 60.0
    assert settings.socket_path == Path("/var/mosix-ha/clinit.s")
    assert settings.monitor_socket_path == Path("/var/mosix-ha/mosha.s")
    assert settings.state_path == Path("/var/mosix-ha/state")
    assert settings.fencing.methods == (FencingMethod(type="print"),)  # H3.6


def test_all_keys_are_read() -> None:
    text = """
        mfsbase = "/m"
        hpcbase = "/h"
        mynode = 2
        varpath = "v/w/"
        timeout = 10
        mwhois = "hostname -s"
        nodes = [1, 2, 3]
        rundir = "/run/mosha"
        socket = "/run/x.s"
        heartbeat = 0.5
        poll = 0.25
        lease = 5
        stop_budget = 4
        ban = 10
        plan_limit = 3
        start_grace = 0
        quorum = "adaptive"
        watch = "poll"
        spawn = "plain"
        watchdog = "/dev/watchdog1"
        watchdog_timeout = 7
        self_fence = ["/bin/off", "my self"]
        on_stop_failure = "fence"
        log_level = "debug"
        log_file = "/var/log/m.log"
        log_file_max_bytes = 5000
        log_file_keep = 2
        [fencing]
        required = false
        [[fencing.methods]]
        type = "command"
        command = ["/bin/off", "-f"]
        limit = 5
        [[fencing.methods]]
        type = "print"
    """
    methods = (
        FencingMethod(type="command", command=("/bin/off", "-f"), limit=5.0),
        FencingMethod(type="print"),
    )
    assert _settings(text) == Settings(
        mfsbase="/m",
        hpcbase="/h",
        mynode=2,
        varpath="v/w",
        timeout=10.0,
        mwhois="hostname -s",
        nodes=(1, 2, 3),
        rundir="/run/mosha",
        socket="/run/x.s",
        heartbeat=0.5,
        poll=0.25,
        lease=5.0,
        stop_budget=4.0,
        ban=10.0,
        plan_limit=3.0,
        start_grace=0.0,
        quorum="adaptive",
        watch="poll",
        spawn="plain",
        watchdog="/dev/watchdog1",
        watchdog_timeout=7,
        self_fence="/bin/off 'my self'",
        on_stop_failure="fence",
        log_level="debug",
        log_file="/var/log/m.log",
        log_file_max_bytes=5000,
        log_file_keep=2,
        fencing=Fencing(methods=methods, required=False),
    )


def test_times_are_derived_from_the_timeout() -> None:
    timing = _settings("timeout = 2\nlease = 1.0\n").timing
    assert timing.heartbeat_s == pytest.approx(0.2)
    assert timing.lease_s == 1.0
    assert timing.stop_budget_s == pytest.approx(0.6)


def test_the_time_out_of_a_watchdog_follows_from_the_times_unless_it_is_set() -> None:
    assert _settings('watchdog = "/dev/w"\n').watchdog_s == 5
    assert _settings('timeout = 10\nstop_budget = 2\nwatchdog = "/dev/w"\n').watchdog_s == 1
    # Its operator knows that the machine may be reset later than others start its groups.
    assert _settings('timeout = 10\nwatchdog = "/dev/w"\nwatchdog_timeout = 30\n').watchdog_s == 30


def test_sockets_are_in_rundir_unless_said_otherwise() -> None:
    settings = _settings('rundir = "/run/m"\n')
    assert settings.socket_path == Path("/run/m/clinit.s")
    settings = _settings('rundir = "/run/m"\nsocket = "/x/y.s"\n')
    assert settings.socket_path == Path("/x/y.s")
    assert settings.monitor_socket_path == Path("/run/m/mosha.s")


def test_the_log_goes_to_stderr_unless_a_file_is_named() -> None:
    assert Settings().log_path is None
    assert _settings('log_file = "/var/log/m.log"').log_path == Path("/var/log/m.log")


def test_as_many_nodes_as_there_may_be_fit_in_one_line() -> None:
    numbers = list(range(NODE_MAX - NODES_MAX + 1, NODE_MAX + 1))
    assert _settings(f"nodes = {numbers}\n").nodes == tuple(numbers)


def test_a_majority_is_the_policy_where_the_nodes_are_known() -> None:
    assert _settings("").quorum_policy == "adaptive"
    assert _settings("nodes = [1, 2]\n").quorum_policy == "majority"
    assert _settings('nodes = [1, 2]\nquorum = "adaptive"\n').quorum_policy == "adaptive"


def test_the_stomith_of_the_original_is_one_command_and_needs_receipts() -> None:
    settings = _settings('stomith = "/bin/off"\n')
    assert settings.fencing.methods == (FencingMethod(type="command", command=("/bin/off",)),)
    assert settings.fencing.is_required()


def test_fencing_is_required_as_soon_as_something_gives_receipts() -> None:
    assert not Fencing().is_required()
    assert Fencing().is_required(with_callable=True)
    command = FencingMethod(type="command", command=("x",))
    assert Fencing(methods=(FencingMethod(), command)).is_required()
    assert not Fencing(methods=(command,), required=False).is_required(with_callable=True)
    assert Fencing(required=True).is_required()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timout = 3\n", "m.toml:1:1: unknown key: 'timout'; did you mean 'timeout'?"),
        ("\nxyzzy = 3\n", "m.toml:2:1: unknown key: 'xyzzy'; the keys here are mfsbase, hpcbase"),
        (
            "capacity = -1\n",
            "m.toml:1:1: capacity must be 0 to 1000000000000: '-1'; write",
        ),
        ('timeout = "60"\n', "m.toml:1:1: timeout must be a number of seconds: '60'; write it"),
        ("timeout = true\n", "m.toml:1:1: timeout must be a number of seconds: 'true'"),
        ("  mynode = 0\n", "m.toml:1:3: mynode must be a node number, 1 to 65535: '0'"),
        ('mynode = "3"\n', "m.toml:1:1: mynode must be a node number, 1 to 65535: '3'; write it"),
        ("nodes = 3\n", "m.toml:1:1: nodes must be a list of at most 1024 nodes: '3'"),
        ('nodes = [1, "b"]\n', "m.toml:1:1: nodes must be a list of node numbers, but item 2 is"),
        ("nodes = [1, 2, 1]\n", "m.toml:1:1: nodes must have each node once, but has 1 again"),
        (
            'mfsbase = "mfs"\n',
            "m.toml:1:1: mfsbase must be an absolute path: 'mfs'; write \"/mfs\"",
        ),
        *(
            (
                f'rundir = "{path}"\n',
                f"m.toml:1:1: rundir must be an absolute path: '{path}'; write the full path",
            )
            for path in ("~/x", "./x", "../x", "$HOME/x")
        ),
        ('mfsbase = ""\n', "m.toml:1:1: mfsbase must be a string that is not empty"),
        ('mfsbase = "/a\\nb"\n', "m.toml:1:1: mfsbase must be an ordinary string"),
        ('varpath = "/v"\n', "m.toml:1:1: varpath must be a path below the directory of a node"),
        ('varpath = "../v"\n', "m.toml:1:1: varpath must be a path below the directory"),
        ('quorum = "most"\n', 'm.toml:1:1: quorum must be one of "majority", "adaptive": \'most\''),
        ("watch = []\n", 'm.toml:1:1: watch must be one of "auto", "events", "poll": \'a list\''),
        ('spawn = "vfork"\n', 'm.toml:1:1: spawn must be one of "shared", "copied", "plain"'),
        ("log_level = {}\n", "m.toml:1:1: log_level must be one of"),
        (
            'self_fence = "sysreq"\n',
            f"{_SELF_FENCE}: 'sysreq'; did you mean 'sysrq'?",
        ),
        (
            'self_fence = "reboot -f"\n',
            f"{_SELF_FENCE}: 'reboot -f'; write \"/usr/bin/systemctl reboot",
        ),
        ("self_fence = false\n", "m.toml:1:1: self_fence must be a string or a list of strings"),
        ('on_stop_failure = "hod"\n', 'm.toml:1:1: on_stop_failure must be one of "hold", "fence"'),
        ('watchdog = "dev/w"\n', "m.toml:1:1: watchdog must be an absolute path"),
        (
            'watchdog = "/dev/w"\nwatchdog_timeout = 0\n',
            "m.toml:2:1: watchdog_timeout must be 1 to 3600: '0'",
        ),
        (
            "watchdog_timeout = 5\n",
            "m.toml:1:1: watchdog_timeout is set, and there is no watchdog: '5'; write watchdog =",
        ),
        (
            'timeout = 10\nwatchdog = "/dev/w"\n',
            "m.toml:2:1: no watchdog fits: lease + stop_budget + the kill leave less than a second",
        ),
        (
            "[timeout]\nx = 1\n",
            "m.toml:1:2: timeout must be a number of seconds, not a table; write a number, as in",
        ),
        (
            'timeout = "9"\n',
            "m.toml:1:1: timeout must be a number of seconds: '9'; write it without",
        ),
        (
            "ban = 1e7\n",
            "m.toml:1:1: ban must lie between 0 s and 2678400 s, it is 10000000 s: '10000000.0'",
        ),
        ("ban = 1e10\n", "m.toml:1:1: ban must be a number of seconds, at most 1000000000: '1000"),
        ('log_file = "m.log"\n', "m.toml:1:1: log_file must be an absolute path: 'm.log'"),
        ("log_file_keep = 0\n", "m.toml:1:1: log_file_keep must be 1 to 1000: '0'"),
        ("log_file_keep = true\n", "m.toml:1:1: log_file_keep must be a whole number: 'true'"),
        (
            "log_file_max_bytes = 1e6\n",
            "m.toml:1:1: log_file_max_bytes must be a whole number: '1000000.0'; write",
        ),
        ("mynode = 4\nnodes = [1]\n", "m.toml:1:1: mynode must be among nodes, 4 is not"),
        ("[fencing]\nrequired = 1\n", "m.toml:2:1: fencing.required must be true or false: '1'"),
        ("[fencing]\nmethods = 1\n", "m.toml:2:1: fencing.methods must be tables: '1'"),
        ("fencing = 1\n", "m.toml:1:1: fencing must be a table: '1'"),
        ("[fencing]\nrequird = true\n", "m.toml:2:1: unknown key: 'requird'; did you mean 'requ"),
        ("[fenzing]\n", "m.toml:1:2: unknown key: 'fenzing'; did you mean 'fencing'?"),
        (
            '[[fencing.methods]]\ntype = "print"\n[[fencing.methods]]\ntype = "gun"\n',
            'm.toml:4:1: fencing.methods[2].type must be one of "print", "command", "agent", ',
        ),
        ("[[fencing.methods]]\n", "m.toml:1:3: a fencing method has no type; write type ="),
        ('[[fencing.methods]]\ntype = "command"\n', "m.toml:1:3: a fencing method of type command"),
        (
            '[[fencing.methods]]\ntype = "command"\ncommand = []\n',
            "m.toml:3:1: fencing.methods[1].command must name a program",
        ),
        (
            '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/echo it\'s"\n',
            "m.toml:3:1: fencing.methods[1].command cannot be split into words: no closing quota",
        ),
        (
            'stomith = "/bin/echo --note \'it is off"\n',
            "m.toml:1:1: stomith cannot be split into words: no closing quotation",
        ),
        (
            'stomith = "/bin/true \\\\"\n',
            "m.toml:1:1: stomith cannot be split into words: no escaped character",
        ),
        ('stomith = "#off"\n', "m.toml:1:1: stomith is a comment and names no program: '#off'"),
        ('stomith = ["# off", "x"]\n', "m.toml:1:1: stomith is a comment and names no program"),
        ("stomith = \"''\"\n", "m.toml:1:1: stomith must name a program"),
        (
            '[[fencing.methods]]\ntype = "print"\ncommand = "x"\n',
            "m.toml:3:1: type print takes no command",
        ),
        (
            '[[fencing.methods]]\ntype = "print"\nlimit = 0\n',
            "m.toml:3:1: limit must be more than 0 seconds: '0'",
        ),
        (
            'stomith = "x"\n[[fencing.methods]]\ntype = "print"\n',
            "m.toml:1:1: stomith and fencing.methods are both set: 'x'; keep one of them",
        ),
        ("timeout = nan\n", "m.toml:1:1: timeout must be a number of seconds, at most"),
        ("timeout = 0x" + "f" * 3000 + "\n", "m.toml:1:1: timeout must be a number of seconds"),
        ("ban = 1\nb == 3\n", "m.toml:2:4: not TOML: Invalid value: 'b == 3'"),
        ("ban = 1\nban = 2\n", "m.toml:2:8: not TOML: Cannot overwrite a value: 'ban = 2'"),
        ("ban = [\n", "m.toml:1:8: not TOML: Invalid value: 'ban = ['"),
        ("a = " + "[" * 3000 + "\n", "m.toml: nested too deeply"),
        (b"a = '\xff'\n", "m.toml:1:6: not UTF-8"),
        (b"a = 1\0\n", "m.toml:1:6: a NUL byte"),
        ("# " + "x" * 9000 + "\n", "m.toml:1:1: the line is too long: 9002 bytes"),
        ("# x\n" * 20_000, "m.toml:16385:1: the file is too big: 80000 bytes; at most 65536"),
    ],
)
def test_a_mistake_names_place_key_rule_and_remedy(text: str | bytes, told: str) -> None:
    found = _told(text)
    assert len(found) == 1
    assert found[0].startswith(told)
    assert "; " in found[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('timeout = "5s"\n', "'5s'; write it without quotes or a unit: 5"),
        ('timeout = "5 m"\n', "'5 m'; write it without quotes, as in 2.5"),
        ("timeout = 1.5m # x\n", "1.5m # x'; write seconds, without a unit: timeout = 90"),
        ("timeout = 5.5.5s\n", "see https://toml.io for its rules"),
        ('log_level = "INFO"\n', "'INFO'; did you mean 'info'?"),
        ('log_level = "loud"\n', "'loud'; write one of them, as in \"debug\""),
    ],
)
def test_a_remedy_is_what_was_meant_where_that_is_known(text: str, told: str) -> None:
    (found,) = _told(text)
    assert told in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timeout = 2\nstop_budget = 1\n", "m.toml:2:1: lease + stop_budget must be at most 0.99"),
        ("lease = 50\n", "m.toml:1:1: lease + stop_budget must be at most 0.99 timeout"),
        ("heartbeat = 20\n", "m.toml:1:1: lease must be more than 2 heartbeats"),
        ("timeout = 0.1\n", "m.toml:1:1: timeout must lie between 0.5 s and 86400 s"),
        ("poll = 6\n", "m.toml:1:1: poll must be at most one heartbeat"),
        ("plan_limit = 1\n", "m.toml:1:1: plan_limit must be more than 2 heartbeats"),
        ("ban = -1\n", "m.toml:1:1: ban must lie between 0 s"),
        ("heartbeat = 0.001\n", "m.toml:1:1: heartbeat must lie between 0.02 s"),
    ],
)
def test_unsafe_times_are_refused_with_the_sum(text: str, told: str) -> None:
    found = _told(text)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    told = _told('timout = 1\nmynode = "x"\n[fencing]\nrequired = 3\nmetods = 3\n')
    assert [line.split(": ")[0] for line in told] == [
        "m.toml:1:1",
        "m.toml:2:1",
        "m.toml:4:1",
        "m.toml:5:1",
    ]


def test_the_path_of_a_socket_must_fit_into_an_address() -> None:
    fitting = "/" + "r" * (107 - 1 - len("/clinit.s"))
    assert len(str(_settings(f'rundir = "{fitting}"\n').socket_path)) == 107
    assert "the path of a socket has 108 bytes" in _told(f'rundir = "{fitting}r"\n')[0]
    assert "set socket to a shorter path" in _told(f'socket = "/{"s" * 107}"\n')[0]
    assert _told(f'varpath = "{"ä" * 60}"\n')[0].startswith("m.toml:1:1: the path of a socket has")


def test_python_values_are_judged_by_the_same_rules() -> None:
    assert settings_from({"mfsbase": "/m", "nodes": [1, 2], "mynode": 1}, "HA()") == Settings(
        mfsbase="/m", nodes=(1, 2), mynode=1
    )
    with pytest.raises(UsageError, match=r"^HA\(\): timeout must be a number of seconds: 'x'; "):
        settings_from({"timeout": "x"}, "HA()")


@pytest.mark.parametrize("filling", [b"a", b"a.", b"[", b"{", b"\xff", b"a=1\n", b"9"])
def test_ten_megabytes_are_refused_quickly(filling: bytes) -> None:
    began = time.process_time()
    assert "the file is too big" in _told((filling * (10 << 20))[: 10 << 20])[0]
    assert time.process_time() - began < 1.0


def test_the_worst_file_within_the_bounds_is_read_within_seconds() -> None:
    # The standard reader needs time in the square of the dots of a line.
    worst = "\n".join(f"k{n}." + "a." * 2000 + "b = 1" for n in range(16)).encode()
    began = time.process_time()
    assert len(_told(worst)) in (16, 1)  # Python 3.14 refuses a key of so many parts by itself
    assert time.process_time() - began < 10.0


KEYS = st.sampled_from([*Settings.__struct_fields__, "stomith", "unknown"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_no_values_crash_the_rules(values: dict[str, object]) -> None:
    try:
        settings = settings_from(values, "HA()")
    except Mistakes as wrong:
        found = wrong.mistakes
    else:
        found = ()
        assert settings.timing.lease_s + settings.timing.stop_budget_s <= settings.timeout
    assert all(mistake.problem and mistake.remedy for mistake in found)


@given(st.binary(max_size=200) | damaged(st.just(EXAMPLE.read_bytes())))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        settings = parse_settings(data, "m.toml")
    except Mistakes as wrong:
        told = str(wrong)
    else:
        told = str(settings.timing)
    assert told


def test_the_example_is_valid_and_shows_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    settings = parse_settings(text.encode(), str(EXAMPLE))
    assert settings.nodes == (1, 2, 3)
    # What the example has in comments is the default: taking them in changes nothing.
    timing = settings.timing
    for key in ("heartbeat", "poll", "lease", "stop_budget", "ban", "plan_limit", "start_grace"):
        line = next(line for line in text.splitlines() if line.startswith(f"# {key} = "))
        assert parse_settings(line[2:].encode(), key).timing == timing
        assert key in Settings.__struct_fields__


# --- all of them at once, and what can be told of the rest ------------------------------------


def test_a_wrong_type_does_not_hide_the_rules_over_other_keys() -> None:
    told = _told("mfsbase = 3\ntimeout = 0.1\npoll = 6\nmynode = 9\nnodes = [1, 2]\n")
    assert [line.split(": ")[0] for line in told] == ["m.toml:1:1", "m.toml:2:1", "m.toml:4:1"]


def test_no_rule_is_judged_by_a_value_that_is_not_known() -> None:
    assert len(_told('timeout = "10"\nlease = 50\nheartbeat = 3\n')) == 1
    assert len(_told('lease = "36"\nheartbeat = 4\ntimeout = 10\n')) == 1


@pytest.mark.parametrize("quoted", ["“/mfs”", "„/mfs“", "\u2018/mfs\u2019", "«/mfs»"])
def test_the_quotes_of_a_word_processor_are_no_part_of_the_remedy(quoted: str) -> None:
    (told,) = _told(f"mfsbase = {quoted}\n")
    assert told.endswith('write straight quotes: mfsbase = "/mfs"')


def test_a_line_that_is_not_toml_hides_neither_the_others_nor_the_rules() -> None:
    text = "mfsbase = /mfs\ntimout = 3\nwatch = poll  # x\n[fencing]\nrequired = yes\n"
    told = _told(text)
    assert [line.split(": ")[0] for line in told] == [
        *("m.toml:1:11", "m.toml:2:1", "m.toml:3:9", "m.toml:5:12")
    ]
    assert told[0].endswith('put it in quotes: mfsbase = "/mfs"')
    assert "did you mean 'timeout'?" in told[1]
    assert told[2].endswith('put it in quotes: watch = "poll"')
    assert told[3].endswith("write required = true")


def test_an_error_that_only_follows_from_a_removed_line_is_not_told() -> None:
    # Once the last line is removed, the text has an open bracket or quote, and ends before it.
    told = _told("nodes = [1, 2]\nmfsbase = '''\nrundir = [1,\n")
    assert told == [
        "m.toml:3:13: not TOML: Expected \"'''\": 'rundir = [1,'; see https://toml.io for its rules"
    ]


def test_a_fencing_method_is_not_said_to_lack_what_a_broken_line_has() -> None:
    told = _told("[[fencing.methods]]\ntype = command\ncommand = /bin/off\n")
    assert [line.split(": ")[0] for line in told] == ["m.toml:2:8", "m.toml:3:11"]


def test_what_is_right_beside_mistakes_can_be_had() -> None:
    reading = read_settings(b'mfsbase = "/m"\nnodes = [1\nmynode = 2\ntimeout = x\n', "m.toml")
    assert reading.unknown == {*Settings.__struct_fields__, "stomith"}
    assert reading.total == 1  # what follows an open bracket is no mistake of its own
    reading = read_settings(b'mfsbase = "/m"\nmynode = 2\ntimeout = x\nlease = "3"\n', "m.toml")
    assert (reading.settings.mfsbase, reading.settings.mynode) == ("/m", 2)
    assert reading.unknown == {"timeout", "lease"}
    assert reading.total == 2


@pytest.mark.parametrize("end", ["", "\r", "\r\n", "\n"])
def test_settings_may_have_the_line_ends_of_windows(end: str) -> None:
    settings = parse_settings(b'mynode = 2\r\nmfsbase = "/m"' + end.encode(), "m.toml")
    assert (settings.mynode, settings.mfsbase) == (2, "/m")
