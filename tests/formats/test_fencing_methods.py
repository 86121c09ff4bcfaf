"""[[fencing.methods]] of type agent: what is read, and every mistake with its line and remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats import fence_options
from mosha.formats.fence_targets import FenceTarget
from mosha.formats.fencing_methods import Fencing, FencingMethod, levels_of
from mosha.formats.mistakes import Mistakes
from mosha.formats.settings import parse_settings, settings_from
from mosha.formats.settings_rules import WrongValue

HEAD = '[[fencing.methods]]\ntype = "agent"\nagent = "fence_x"\n'


def told(text: str) -> str:
    with pytest.raises(Mistakes) as caught:
        parse_settings(text.encode(), "m.toml")
    return str(caught.value)


def methods(text: str) -> tuple[FencingMethod, ...]:
    return parse_settings(text.encode(), "m.toml").fencing.methods


def test_all_keys_of_an_agent_are_read() -> None:
    text = """
        [[fencing.methods]]
        type = "agent"
        agent = "fence_apc"
        options = {ip = "pdu", "power-wait" = 3, ssl = true, lanplus = false, ratio = 1.5}
        secrets = "/etc/mosha/apc.secret"
        limit = 20
        retries = 3
        [fencing.methods.targets]
        1 = "outlet 3"
        2 = {plug = "4", ipport = 24, secrets = "/etc/mosha/2.secret"}
        [fencing.methods.targets.3]
        port = "5"
        [[fencing.methods]]
        type = "print"
    """
    agent, last = methods(text)
    assert agent == FencingMethod(
        type="agent",
        agent="fence_apc",
        options={"ip": "pdu", "power-wait": "3", "ssl": "1", "lanplus": "0", "ratio": "1.5"},
        targets={
            1: FenceTarget(plug="outlet 3"),
            2: FenceTarget(plug="4", options={"ipport": "24"}, secrets="/etc/mosha/2.secret"),
            3: FenceTarget(plug="5"),
        },
        secrets="/etc/mosha/apc.secret",
        limit=20.0,
        retries=3,
    )
    assert last == FencingMethod()
    assert Fencing(methods=(agent, last)).is_required()
    assert agent.reaches(3)
    assert not agent.reaches(4)


def test_an_agent_has_more_time_by_default_and_one_retry() -> None:
    (method,) = methods(f'{HEAD}targets = {{1 = "a"}}\n')
    assert (method.limit, method.retries) == (60.0, 1)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", "m.toml:1:3: a fencing method of type agent has no targets; write targets = {1 ="),
        ('targets = "x"', "m.toml:4:1: fencing.methods[1].targets must be a table: 'x'"),
        ('targets = {x = "a"}', "targets has a key that must be a node number, 1 to 65535: 'x'"),
        ('targets = {0 = "a"}', "targets has a key that must be a node number"),
        ("targets = {1 = []}", "m.toml:4:1: fencing.methods[1].targets.1.plug must be a string"),
        (
            '[fencing.methods.targets]\n1 = "a"\n2 = " b"',
            "m.toml:6:1: fencing.methods[1].targets.2.plug begins or ends with a blank, which",
        ),
        (
            "[fencing.methods.targets.2]\nmode = '\"a b\"'",
            "m.toml:5:1: fencing.methods[1].targets.2.mode is in double quotes, which agents",
        ),
        ('targets = {1 = {plug = "a", port = "a"}}', "plug and port are two names of one option"),
        ('targets = {1 = {plug = "a", action = "on"}}', "targets.1.action is set by mosha: off,"),
        ('targets = {1 = {secrets = "x"}}', "targets.1.secrets must be an absolute path: 'x'"),
        ('options = {plug = "a"}', "plug cannot be the same for every node; write targets = {1 ="),
        ('options = {port = "a"}', "port cannot be the same for every node; write targets = {1 ="),
        ('options = {option = "on"}', "options.option is an old name of action, which mosha sets"),
        ("options = {Missing_As_Off = 1}", "options.Missing_As_Off calls a plug off that does not"),
        ('options = {method = "cycle"}', "options.method must be onoff: a cycle proves nothing"),
        ("options = {missing-as-off = false}", "options.missing-as-off calls a plug off that does"),
        ('options = {"a b" = 1}', "options.a b is no name of an option"),
        ('options = {a = "x\\ny"}', "options.a must be an ordinary string; write it printable, on"),
        ('options = {a = ""}', "options.a must be a string that is not empty"),
        ("options = {a = [1]}", "options.a must be a string that is not empty"),
        ("options = 1", "m.toml:4:1: fencing.methods[1].options must be a table"),
        ('secrets = "x.secret"', "m.toml:4:1: fencing.methods[1].secrets must be an absolute path"),
        ("retries = 11", "m.toml:4:1: fencing.methods[1].retries must be 0 to 10"),
        ("retries = -1", "m.toml:4:1: fencing.methods[1].retries must be 0 to 10"),
        ("limit = 0", "m.toml:4:1: limit must be more than 0 seconds"),
        ('command = "x"', 'm.toml:4:1: type agent takes no command; write type = "command"'),
    ],
)
def test_every_mistake_has_its_line_and_a_remedy(rest: str, expected: str) -> None:
    assert expected in told(f"{HEAD}{rest}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('type = "agent"\ntargets = {1 = "a"}', "a fencing method of type agent has no agent"),
        ('type = "agent"\nagent = "./x"', "agent must be a name or an absolute path: './x'"),
        ('type = "print"\nagent = "x"', 'type print takes no agent; write type = "agent"'),
        ('type = "command"\ncommand = "x"\nretries = 1', "type command takes no retries"),
    ],
)
def test_keys_of_another_type_are_mistakes(text: str, expected: str) -> None:
    assert expected in told(f"[[fencing.methods]]\n{text}\n")


@pytest.mark.parametrize(
    "name",
    [
        "passwd",
        "password",
        "snmp_priv_passwd",
        "apikey",
        "token",
        "secret-key",
        "community",
        "Password",
    ],
)
def test_a_secret_in_mosha_toml_is_a_mistake_that_does_not_show_it(name: str) -> None:
    for place in (f'options = {{{name} = "hunter2"}}', f'targets = {{1 = {{{name} = "hunter2"}}}}'):
        text = told(f"{HEAD}{place}\n")
        assert f"{name} is a secret, and others may read this file; write {name}=… into" in text
        assert "hunter2" not in text


def test_no_mistake_about_an_option_shows_its_value() -> None:
    text = told(f"{HEAD}options = {{password = ' hunter2', mode = '\"hunter2\"'}}\n")
    assert "hunter2" not in text


@pytest.mark.parametrize("name", ["passwd_script", "password_script", "token_file", "username"])
def test_what_only_names_a_secret_may_be_in_mosha_toml(name: str) -> None:
    (method,) = methods(f'{HEAD}options = {{{name} = "/x"}}\ntargets = {{1 = "a"}}\n')
    assert method.options == {name: "/x"}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ('{1 = "a", 2 = "a"}', "nodes 1 and 2 are at the same plug a"),
        ('{1 = "a,b", 2 = "c, b"}', "nodes 1 and 2 are at the same plug c, b"),
        ('{1 = "a", 2 = "b", 3 = "a"}', "nodes 1 and 3 are at the same plug a"),
        ('{1 = {plug = "a", delay = 5}, 2 = "a"}', "nodes 1 and 2 are at the same plug a"),
        ('{1 = {port = "a"}, 2 = {plug = "a"}}', "nodes 1 and 2 are at the same plug a"),
        ('{1 = {ip = "x"}, 2 = {ipaddr = "x"}}', "nodes 1 and 2 are at the same device"),
        ("{1 = {}, 2 = {}}", "nodes 1 and 2 are at the same device"),
        ('{1 = {key = "a"}, 2 = {key = "a", plug = "n2"}}', "nodes 1 and 2 are at the same"),
    ],
)
def test_nodes_at_the_same_device_and_plug_are_a_mistake(targets: str, expected: str) -> None:
    text = told(f"{HEAD}targets = {targets}\n")
    assert expected in text
    assert text.startswith("m.toml:4:1: ")


@pytest.mark.parametrize(
    "targets",
    [
        '{1 = "a", 2 = "b"}',
        '{1 = {ip = "x", plug = "a"}, 2 = {ip = "y", plug = "a"}}',
        '{1 = {ip = "x"}, 2 = {ip = "y"}}',
        '{1 = {key = "a"}, 2 = {key = "b"}}',
        '{1 = {plug = "a,b", plug_separator = ";"}, 2 = {plug = "a", plug_separator = ";"}}',
    ],
)
def test_nodes_at_different_plugs_or_devices_are_none(targets: str) -> None:
    assert methods(f"{HEAD}targets = {targets}\n")


def test_the_device_of_a_node_goes_before_that_of_all() -> None:
    options, plugs = 'options = {ip = "x"}', '2 = "a", 3 = {ip = "z", plug = "a"}'
    assert methods(f'{HEAD}{options}\ntargets = {{1 = {{ip = "y", plug = "a"}}, {plugs}}}\n')
    text = told(f'{HEAD}{options}\ntargets = {{1 = {{ip = "x", plug = "a"}}, {plugs}}}\n')
    assert "nodes 1 and 2 are at the same plug a" in text


TWO = """\
[[fencing.methods]]
type = "agent"
agent = "fence_x"
targets = {{1 = "a"}}
[[fencing.methods]]
type = "agent"
agent = "{agent}"
{rest}
"""


@pytest.mark.parametrize("agent", ["fence_x", "/usr/sbin/fence_x"])
def test_nodes_at_the_same_plug_in_two_methods_are_a_mistake(agent: str) -> None:
    text = told(TWO.format(agent=agent, rest='targets = {1 = "a", 2 = {plug = "a", quiet = 5}}'))
    assert text == (
        "m.toml:8:1: nodes 1 and 2 are at the same plug a; write what is different: the plug, the"
        " address or the key"
    )


@pytest.mark.parametrize(
    ("agent", "rest"),
    [
        ("fence_x", 'targets = {1 = "a", 2 = "b"}'),
        ("fence_y", 'targets = {2 = "a"}'),
        ("fence_x", 'targets = {2 = "a"}\noptions = {ip = "y"}'),
        # The files may name the device: mosha check reads them.
        ("fence_x", 'targets = {2 = "a"}\nsecrets = "/y"'),
        ("fence_x", 'targets = {2 = {plug = "a", secrets = "/y"}}'),
    ],
)
def test_other_plugs_agents_devices_or_secrets_in_two_methods_are_none(
    agent: str, rest: str
) -> None:
    assert len(methods(TWO.format(agent=agent, rest=rest))) == 2


def test_a_command_may_have_a_test_and_others_may_not() -> None:
    text = '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/off"\n'
    (method,) = methods(f"{text}test = \"/bin/ask 'a b'\"\n")
    assert (method.test, method.can_be_tested) == (("/bin/ask", "a b"), True)
    assert not methods(text)[0].can_be_tested
    assert not FencingMethod().can_be_tested
    assert methods(f'{HEAD}targets = {{1 = "a"}}\n')[0].can_be_tested
    expected = 'm.toml:5:1: type agent takes no test; write type = "command"'
    assert told(f'{HEAD}targets = {{1 = "a"}}\ntest = "/bin/ask"\n') == expected


@pytest.mark.parametrize(("value", "every_s"), [("0", 0.0), ("1", 1.0), ("60.5", 60.5)])
def test_how_often_methods_are_tested_can_be_set(value: str, every_s: float) -> None:
    settings = parse_settings(f"[fencing]\ntest_every = {value}\n".encode(), "m.toml")
    assert settings.fencing.test_every == every_s
    assert Fencing().test_every == 3600.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-1", "m.toml:2:1: fencing.test_every must be 0 or at least 1 seconds: '-1'; write 3600,"),
        ("0.5", "fencing.test_every must be 0 or at least 1 seconds: '0.5'"),
        (
            '"1h"',
            "fencing.test_every must be a number of seconds: '1h'; write it without quotes or a",
        ),
        ("nan", "fencing.test_every must be a number of seconds, at most 1000000000"),
    ],
)
def test_other_intervals_of_tests_are_refused(value: str, expected: str) -> None:
    assert expected in told(f"[fencing]\ntest_every = {value}\n")


def test_fence_scsi_needs_a_key_for_each_node() -> None:
    text = '[[fencing.methods]]\ntype = "agent"\nagent = "/usr/sbin/fence_scsi"\n'
    assert "fence_scsi needs the key of node 2" in told(
        f'{text}targets = {{1 = {{key = "a"}}, 2 = "n2"}}\n'
    )
    assert methods(f'{text}targets = {{1 = {{key = "a"}}, 2 = {{key = "b"}}}}\n')


def test_the_python_api_has_the_same_rules() -> None:
    table = {"type": "agent", "agent": "fence_x", "targets": {1: "a", "2": {"plug": "b"}}}
    settings = settings_from({"fencing": {"methods": [table]}}, "HA()")
    assert set(settings.fencing.methods[0].targets) == {1, 2}


# --- the file of secrets ------------------------------------------------------------------


def test_a_file_of_secrets_has_options_and_comments() -> None:
    data = b"# the switch\n\n \t\npassword=a = b#c\r\nusername=fence\n"
    assert fence_options.parse_secrets(data, "s") == {"password": "a = b#c", "username": "fence"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'password="hunter2"', "s:1:1: password is in double quotes, which agents remove; remove"),
        (b"password= hunter2", "s:1:1: password begins or ends with a blank, which agents remove;"),
        (b"password=hunter2 ", "s:1:1: password begins or ends with a blank, which agents remove;"),
        (b"\nhunter2", "s:2:1: the line is no key=value; write password=…, one option a line"),
        (b"hun ter2=x", "s:1:1: the key is no name of an option"),
        (b"plug=hunter2", "s:1:1: plug is no secret; write it under targets"),
        (b"action=hunter2", "s:1:1: action is set by mosha"),
        (b"method=hunter2", "s:1:1: method must be onoff"),
        (b"password=hunter2\xff", "s:1:1: not UTF-8; save the file as UTF-8"),
        (b"password=hunter2\x00", "s:1:1: password must be an ordinary string"),
        (b"password=" + b"hunter2" * 3000, "s: the file is too big: 21009 bytes"),
    ],
)
def test_a_mistake_in_a_file_of_secrets_never_shows_its_text(data: bytes, expected: str) -> None:
    with pytest.raises(Mistakes) as caught:
        fence_options.parse_secrets(data, "s")
    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def as_an_agent_reads(line: str) -> tuple[str, str]:
    """What _parse_input_stdin of fence-agents 4.12 makes of a line."""
    line = line.strip()
    name, _, value = line.partition("=")
    quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
    return name, value[1:-1] if quoted else value


@given(st.text(max_size=20))
def test_what_is_not_refused_arrives_as_it_was_written(value: str) -> None:
    try:
        text = fence_options.option("a", value)
    except WrongValue:
        return
    assert as_an_agent_reads(f"a={text}\n") == ("a", value)


def test_each_key_of_fencing_is_taken_over() -> None:
    said = {"required": True, "test_every": 0, "tie_break": 40, "probation": 0}
    fencing = settings_from({"fencing": said}, "test").fencing
    assert (fencing.required, fencing.test_every) == (True, 0.0)
    assert (fencing.tie_break, fencing.probation) == (40.0, 0)


def test_a_shot_takes_no_longer_than_its_methods_and_attempts() -> None:
    methods = (
        FencingMethod(type="print", limit=9.0),
        FencingMethod(type="command", command=("x",), limit=20.0, retries=5),
        FencingMethod(type="agent", agent="x", limit=30.0, retries=2),
    )
    assert Fencing(methods=methods).shot_limit_s == 20.0 + 3 * 30.0
    level = tuple(FencingMethod(type="agent", agent=n, limit=9.0, level=1) for n in "ab")
    assert Fencing(methods=level).shot_limit_s == 2 * (9.0 + 9.0)


# --- delays -------------------------------------------------------------------------------


def test_a_node_may_be_spared_for_some_time() -> None:
    text = "[fencing]\ndelays = {1 = 20, 2 = 0, 3 = 0.5}\n"
    assert parse_settings(text.encode(), "m.toml").fencing.delays == {1: 20.0, 2: 0.0, 3: 0.5}


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ("{1 = -1}", "m.toml:2:1: fencing.delays.1 must be 0 to 600 seconds: '-1'; write 20"),
        ("{1 = 601}", "fencing.delays.1 must be 0 to 600 seconds: '601'; write 20"),
        ('{1 = "5s"}', "fencing.delays.1 must be a number of seconds: '5s'; write it without qu"),
        ("{node1 = 5}", "fencing.delays has a key that must be a node number, 1 to 65535: 'node1'"),
        ("5", "fencing.delays must be a table: '5'; write it"),
    ],
)
def test_any_other_delay_is_a_mistake(delays: str, expected: str) -> None:
    assert expected in told(f"[fencing]\ndelays = {delays}\n")


def test_the_delay_of_an_agent_is_refused_for_that_of_the_node() -> None:
    said = told(f'{HEAD}targets = {{1 = "p"}}\noptions = {{delay = 5}}\n')
    assert "while an agent waits, its limit runs; write delays = {1 = 20} under [fencing]" in said


# --- levels -------------------------------------------------------------------------------


def method_lines(*lines: str) -> str:
    return "\n".join(["[[fencing.methods]]", *lines, ""])


def supply(targets: str, more: str = "level = 1") -> str:
    return method_lines('type = "agent"', 'agent = "fence_apc"', f"targets = {{{targets}}}", more)


def test_methods_of_one_level_are_taken_together_in_the_order_of_levels() -> None:
    text = supply('1 = "1"', "level = 2") + supply('1 = "2"') + supply('1 = "3"', "level = 2")
    levels = levels_of(methods(text))
    assert [[number for number, _ in level.methods] for level in levels] == [[2], [1, 3]]


def test_without_levels_each_method_is_one() -> None:
    levels = levels_of([FencingMethod(), FencingMethod(), FencingMethod()])
    assert [[number for number, _ in level.methods] for level in levels] == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            supply('1 = "1"') + supply('1 = "2"', ""),
            "m.toml:6:3: a fencing method has no level, and others have one; write level = …",
        ),
        (
            supply('1 = "1", 2 = "2"') + supply('1 = "3"'),
            (
                "m.toml:9:1: targets lacks node 2, which another method of level 1 has; the"
                " methods of a level must have the same nodes: all their devices"
            ),
        ),
        (
            supply('1 = "1"') + method_lines('type = "print"', "level = 1"),
            (
                "m.toml:8:1: a method of type print proves nothing, so its level never"
                " succeeds; give it a level of its own"
            ),
        ),
        (
            supply('1 = "1"') + method_lines('type = "poison"', "level = 1"),
            (
                "m.toml:8:1: a method of type poison is no device, so it cannot be in a level with"
                " others; give it a level of its own"
            ),
        ),
        (supply('1 = "1"', "level = 0"), "level must be 1 to 20"),
        (supply('1 = "1"', 'level = "a"'), "level must be a whole number"),
    ],
)
def test_a_level_that_could_not_be_right_is_a_mistake(text: str, expected: str) -> None:
    assert expected in told(text)


def test_a_command_a_line_or_a_pill_may_be_a_level_of_its_own() -> None:
    text = (
        supply('1 = "1"')
        + method_lines('type = "command"', 'command = "/bin/x"', "level = 2")
        + method_lines('type = "poison"', "level = 3")
        + method_lines('type = "print"', "level = 4")
    )
    assert [[it.type for _, it in level.methods] for level in levels_of(methods(text))] == [
        ["agent"],
        ["command"],
        ["poison"],
        ["print"],
    ]
