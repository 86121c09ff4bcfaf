"""What a process has from its start (`user=`, `nofile=` …), with real processes on each way."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import signal
from pathlib import Path

import pytest

from mosha.clinit.attributes import resolve, why_not_prepared
from mosha.clinit.forker import CommandError
from mosha.core.tables import ProcessAttributes, ResourceLimit
from mosha.formats.spawn import SPAWN_WAYS
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.waiting import wait_until

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(params=SPAWN_WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way to start a process."""
    name: str = request.param
    return name


def printed(d: Daemon, lines: int) -> list[str]:
    """Return what a command wrote into `{OUT}`, when it is complete."""
    wait_until(lambda: len(d.lines()) >= lines)
    return d.lines()


def error_of(d: Daemon) -> str:
    """Return why the entry cannot be executed."""
    wait_until(lambda: bool(d.entry("d").error))
    return d.entry("d").error


# --- on each way to start a process --------------------------------------------------------


def test_an_ordinary_process_has_its_limits_its_mask_its_priority_and_its_place(
    start: Start, way: str, short_dir: Path
) -> None:
    options = f"nofile=100/200,core=0,umask=027,nice=5,oom=300,dir={short_dir}"
    d = start(
        f"g:d:1:respawn({options}):exec > {{OUT}}; ulimit -Sn; ulimit -Hn; ulimit -Hc; umask; nice;"
        " cat /proc/self/oom_score_adj; pwd; readlink /proc/self/fd/0; exec sleep 8401\n",
        spawn=way,
    )
    d.tell("g", "1")
    assert printed(d, 8) == [
        *("100", "200", "0", "0027", "5", "300", str(short_dir.resolve()), "/dev/null"),
    ]
    server = Path(f"/proc/{d.fork_server()}/oom_score_adj").read_text(encoding="utf-8")
    assert int(server) == 0


@root
def test_another_user_has_its_groups_its_variables_and_its_output(start: Start, way: str) -> None:
    d = start(
        "g:d:1:respawn(user=nobody):id -u; id -G; echo $HOME $USER $LOGNAME;"
        " echo opened > /dev/stdout; exec sleep 8402\n",
        spawn=way,
    )
    d.tell("g", "1")
    groups = " ".join(map(str, os.getgrouplist("nobody", NOBODY.pw_gid)))
    wait_until(lambda: len(d.log("output")) >= 4)
    assert [line["text"] for line in d.log("output")] == [
        *(str(NOBODY.pw_uid), groups, f"{NOBODY.pw_dir} nobody nobody", "opened"),
    ]


@root
def test_who_became_another_user_dies_with_clinit(start: Start, way: str) -> None:
    d = start("g:d:1:respawn(user=nobody):exec sleep 8403\n", spawn=way, cgroup="none")
    d.tell("g", "1")
    wait_until(lambda: d.entry("d").pid > 0)
    pid = d.entry("d").pid
    guards = (d.fork_server(), d.guard())  # they would end it otherwise
    try:
        for guard in guards:
            os.kill(guard, signal.SIGSTOP)
        d.kill()
        wait_until(lambda: not is_alive(pid))
    finally:
        for guard in guards:
            os.kill(guard, signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("dir=/none/here", "dir=/none/here: No such file or directory"),
        ("dir=/proc/version", "dir=/proc/version: Not a directory"),
        ("user=no-such-user", "user=no-such-user: there is no such user"),
        ("user=4294000001", "user=4294000001: no user has this number: add group="),
        ("group=no-such-group", "group=no-such-group: there is no such group"),
        ("envfile=/none/here", "envfile=/none/here: No such file or directory"),
        ("envfile=/proc/self", "envfile=/proc/self: not a regular file"),
    ],
)
def test_what_cannot_be_is_said_and_the_command_is_not_executed(
    start: Start, options: str, why: str
) -> None:
    d = start(f"g:d:1:respawn({options}):echo ran >> {{OUT}}; exec sleep 8404\n")
    d.tell("g", "1")
    assert error_of(d) == f"cannot execute: {why}"
    assert d.lines() == []


def test_a_step_that_fails_is_named_on_each_way(start: Start, way: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = int(Path("/proc/sys/fs/nr_open").read_text(encoding="utf-8"))
    d = start(f"g:d:1:respawn(nofile={max(hard, most) + 1}):exec sleep 8405\n", spawn=way)
    d.tell("g", "1")
    assert error_of(d).startswith(
        f"cannot execute: nofile={max(hard, most) + 1}: Operation not permitted"
    )


@root
def test_what_is_done_as_the_user_is_judged_by_its_rights(start: Start, short_dir: Path) -> None:
    secret = short_dir / "secret"
    secret.mkdir(mode=0o700)
    d = start(f"g:d:1:respawn(user=nobody,dir={secret}):exec sleep 8406\n")
    d.tell("g", "1")
    assert error_of(d) == f"cannot execute: dir={secret}: Permission denied"


def test_the_next_entry_has_nothing_of_it(start: Start) -> None:
    d = start(
        "g:d:1:wait(nofile=100,umask=077,dir=/proc):ulimit -n >> {OUT}\n"
        "g:e:1:wait:ulimit -n >> {OUT}; umask >> {OUT}; pwd >> {OUT}\n"
    )
    d.tell("g", "1")
    limited, *others = printed(d, 4)
    assert limited == "100"
    assert not {"100", "0077", "/proc"} & {*others}


# --- changes -------------------------------------------------------------------------------


def test_an_attribute_that_changes_restarts_the_process(start: Start) -> None:
    d = start("g:d:1:respawn(umask=027):exec sleep 8407\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    pid = d.pid_of("d")
    for options, restarted in (("umask=027,stop=KILL", False), ("umask=022,stop=KILL", True)):
        d.write_cltab(f"g:d:1:respawn({options}):exec sleep 8407\n")
        d.tell("g", "1")
        d.wait_for("1 DONE")
        assert (d.pid_of("d") != pid) is restarted


# --- files with variables ------------------------------------------------------------------


def test_a_file_with_variables_adds_to_the_environment(start: Start, short_dir: Path) -> None:
    file = short_dir / "vars"
    file.write_text(
        "# comment\n\n  A=one two \nB='it # is'\nC=\"$A\"\nD=\nMOSHA_TAG=mine\nLC_X=ü\n",
        encoding="utf-8",
    )
    d = start(
        f'g:d:1:respawn(envfile={file}):for v in "$A" "$B" "$C" "$D" $MOSHA_TAG "$LC_X";'
        ' do echo "<$v>" >> {OUT}; done; exec sleep 8408\n'
    )
    d.tell("g", "1")
    assert printed(d, 6) == ["<one two>", "<it # is>", "<$A>", "<>", "<d>", "<ü>"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"A=1\nexport B=2\n", "line 2 is not NAME=VALUE"),
        (b"A\n", "line 1 is not NAME=VALUE"),
        (b"1A=x\n", "line 1 is not NAME=VALUE"),
        (b"A='x\n", "line 1 has a quote that is not closed"),
        (b'A="\n', "line 1 has a quote that is not closed"),
        (b"A=\0\n", "line 1 has a NUL"),
        (b"A=\xff\n", "it is not UTF-8"),
        (b"A=1\n" * 20_000, "it has more than 65536 bytes"),
    ],
)
def test_a_mistake_in_a_file_with_variables_is_named(text: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "vars"
    file.write_bytes(text)
    with pytest.raises(CommandError) as caught:
        resolve(ProcessAttributes(envfile=str(file)))
    assert why in str(caught.value.strerror)


# --- what is looked up ---------------------------------------------------------------------


@root
def test_a_user_is_looked_up_with_all_its_groups() -> None:
    found = resolve(ProcessAttributes(user=str(NOBODY.pw_uid), group="daemon"))
    gid = grp.getgrnam("daemon").gr_gid
    assert (found.wanted["uid"], found.wanted["gid"]) == (NOBODY.pw_uid, gid)
    assert set(found.wanted["groups"]) == {*os.getgrouplist("nobody", gid)}


@root
def test_a_number_without_a_name_is_a_user_that_has_one_group() -> None:
    found = resolve(ProcessAttributes(user="54321", group="54322"))
    assert found.wanted == {"uid": 54321, "gid": 54322, "groups": (54322,)}
    assert found.variables == {}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (("setrlimit", resource.RLIMIT_MEMLOCK), "memlock=64K/unlimited: Permission denied"),
        (("setpriority", 0), "nice=-5: Permission denied"),
        (("open", 0), "oom=-900: Permission denied"),
        (("write", 0), "oom=-900: Permission denied"),
        (("setgroups", 1), "user=www: Permission denied"),
        (("setresuid", 1), "user=www: Permission denied"),
        (("setresgid", 1), "group=web: Permission denied"),
        (("chdir", 1), "dir=/srv: Permission denied"),
    ],
)
def test_each_step_that_fails_is_named_as_it_is_written(step: tuple[str, int], told: str) -> None:
    wanted = ProcessAttributes(
        *("www", "web", "/srv"),
        nice=-5,
        oom=-900,
        memlock=ResourceLimit(65536, None),
    )
    assert why_not_prepared(wanted, step, 13).startswith(told)
