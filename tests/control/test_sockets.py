"""The unix sockets: many clients at once, and none that can stop a daemon (C4.19, C4.20)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from mosha.control import address
from mosha.control.address import PATH_MAX_BYTES, answers, listen
from mosha.control.calls import HungDaemonError, NoAnswerError, call
from mosha.control.client import UNDER_WAY_MAX, connect, subscribe
from mosha.control.listener import Listener
from mosha.control.protocol import (
    Ask,
    ClinitRequest,
    Hello,
    Message,
    Reply,
    Shutdown,
    Subscribe,
    Update,
)
from mosha.control.server import TURN_S, ClientConnection, Server, ServerLimits
from mosha.core.tell import Tell
from mosha.errors import HostError, UsageError
from mosha.host.lock_file import alone_in
from mosha.host.proc import is_stopped
from tests.replacing import remove_tree
from tests.waiting import LIMIT_S, until, wait_until


class Echo:
    """A daemon that says what it was asked, and keeps its subscribers."""

    def __init__(self, path: Path, limits: ServerLimits | None = None) -> None:
        self.path = path
        self.subscribers: list[ClientConnection] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.server: Server[ClinitRequest] = Server(
            Listener(path), ClinitRequest, self.answer, limits
        )

    async def answer(self, request: ClinitRequest, client: ClientConnection) -> Sequence[Message]:
        if isinstance(request, Subscribe):
            client.subscribed = True
            self.subscribers.append(client)
            return [Reply(ok=True), Update(full=True)]
        if isinstance(request, Shutdown):
            await self.gate.wait()
        return [Reply(ok=True, text=repr(request))]


@contextlib.asynccontextmanager
async def echo(path: Path, limits: ServerLimits | None = None) -> AsyncIterator[Echo]:
    daemon = Echo(path, limits)
    task = asyncio.create_task(daemon.server.run())
    try:
        yield daemon
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "s"


async def raw(path: Path, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    return reader, writer


async def test_requests_are_answered_in_order_on_one_connection(path: Path) -> None:
    async with echo(path), await connect(path) as client:
        for level in ("1", "2"):
            reply = await client.request(Tell("g", level))
            assert f"level='{level}'" in reply.text


async def test_many_requests_at_once_on_one_connection_do_not_mix(path: Path) -> None:
    async with echo(path), await connect(path) as client:
        tells = [client.request(Tell("g", str(number))) for number in range(50)]
        texts = [reply.text for reply in await asyncio.gather(*tells)]
    assert all(f"level='{number}'" in text for number, text in enumerate(texts))


async def test_requests_go_out_before_the_answers_of_those_before_them_up_to_a_bound(
    path: Path,
) -> None:
    asked = 0

    async def answer(request: ClinitRequest, _: ClientConnection) -> Sequence[Message]:
        nonlocal asked
        asked += isinstance(request, Tell)
        return [] if isinstance(request, Tell) else [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        async with await connect(path) as client, await connect(path) as other:
            tells = [
                asyncio.ensure_future(client.request(Tell("g", "up")))
                for _ in range(UNDER_WAY_MAX + 5)
            ]
            await until(lambda: asked >= UNDER_WAY_MAX)
            await other.request(Hello())
            assert asked == UNDER_WAY_MAX
            await client.close()
            answers = await asyncio.gather(*tells, return_exceptions=True)
            assert {type(answer) for answer in answers} == {NoAnswerError}
        tasks.cancel_scope.cancel()


async def test_an_answer_that_comes_too_late_is_taken_for_no_other(path: Path) -> None:
    async with echo(path) as daemon, await connect(path) as client:
        daemon.gate.clear()
        late = asyncio.ensure_future(client.request(Shutdown(), 0.05))
        others = [asyncio.ensure_future(client.request(Hello())) for _ in range(3)]
        await asyncio.wait({late})
        daemon.gate.set()
        answers = await asyncio.gather(late, *others, return_exceptions=True)
        assert {type(answer) for answer in answers} == {NoAnswerError}


async def test_the_limit_of_an_answer_runs_from_the_answer_before_it(path: Path) -> None:
    pause_s, limit_s = 0.05, 1.0

    async def answer(_: ClinitRequest, __: ClientConnection) -> Sequence[Message]:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(pause_s, over.set)
        await over.wait()
        return [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        async with await connect(path) as client:
            count = int(2 * limit_s / pause_s)
            replies = await asyncio.gather(
                *(client.request(Hello(), limit_s) for _ in range(count))
            )
            assert all(reply.ok for reply in replies)
        tasks.cancel_scope.cancel()


async def test_others_have_their_turn_between_the_requests_of_a_batch(path: Path) -> None:
    order: list[str] = []

    async def answer(request: ClinitRequest, _: ClientConnection) -> Sequence[Message]:
        order.append(type(request).__name__)
        if isinstance(request, Tell):
            busy_until = time.monotonic() + 2 * TURN_S
            while time.monotonic() < busy_until:
                pass
        return [Reply(ok=True)]

    server: Server[ClinitRequest] = Server(Listener(path), ClinitRequest, answer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        async with await connect(path) as busy, await connect(path) as other:
            tells = [asyncio.ensure_future(busy.request(Tell("g", "up"))) for _ in range(20)]
            await until(lambda: order)
            assert (await other.request(Hello())).ok
            assert not tells[-1].done()
            await asyncio.gather(*tells)
        tasks.cancel_scope.cancel()


async def test_requests_are_taken_apart_however_they_come(path: Path) -> None:
    lines = [msgspec.json.encode(Tell("g", str(number))) + b"\n" for number in range(5)]
    stream = b"".join(lines)
    async with echo(path):
        for pieces in ([stream], [stream[:70], stream[70:]], [stream[:-1], stream[-1:]], lines):
            reader, writer = await raw(path)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            for number in range(5):
                reply = msgspec.json.decode(await reader.readline(), type=Reply)
                assert f"level='{number}'" in reply.text
            writer.close()


async def test_a_request_may_begin_in_the_piece_that_ends_another(path: Path) -> None:
    async with echo(path):
        reader, writer = await raw(path, b'{"op":"hello"}\n{"op":"hel')
        async with asyncio.timeout(LIMIT_S):
            assert b'"ok":true' in await reader.readline()
            writer.write(b'lo"}\n')
            assert b'"ok":true' in await reader.readline()
        writer.close()


async def test_the_sense_before_the_nonsense_is_answered(path: Path) -> None:
    async with echo(path):
        reader, writer = await raw(path, b'{"op":"hello"}\nnonsense\n{"op":"hello"}\n')
        replies = (await reader.read()).splitlines()
        assert [msgspec.json.decode(line, type=Reply).ok for line in replies] == [True, False]
        writer.close()


async def test_a_silent_client_and_a_half_request_hold_nobody_up_c4_19(path: Path) -> None:
    async with echo(path):
        silent = [await raw(path) for _ in range(20)]
        half = await raw(path, b'{"op":"he')
        assert (await asyncio.to_thread(call, path, Hello())).ok
        for _, writer in [*silent, half]:
            writer.close()


async def test_a_request_that_takes_its_time_holds_nobody_else_up(path: Path) -> None:
    async with echo(path) as daemon:
        daemon.gate.clear()
        slow = await connect(path)
        asking = asyncio.create_task(slow.request(Shutdown()))
        assert (await asyncio.to_thread(call, path, Hello())).ok
        assert not asking.done()
        daemon.gate.set()
        assert (await asking).ok
        await slow.close()


async def test_a_client_that_goes_in_the_middle_is_no_trouble(path: Path) -> None:
    async with echo(path):
        for data in (b"", b'{"op":', b'{"op":"ask"}\n'):
            _, writer = await raw(path, data)
            writer.transport.abort()
        assert (await asyncio.to_thread(call, path, Hello())).ok


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"hello\n", id="no JSON"),
        pytest.param(b'{"op":"fly"}\n', id="unknown op"),
        pytest.param(b'{"op":"tell"}\n', id="missing fields"),
        pytest.param(b'{"op":"tell","group":1,"level":"1"}\n', id="wrong type"),
        pytest.param(b"\xff\xfe\n", id="no UTF-8"),
        pytest.param(b"[]\n", id="no object"),
        pytest.param(b"x" * 3000, id="too long"),
    ],
)
async def test_a_malformed_request_is_refused_and_the_connection_closed(
    path: Path, data: bytes
) -> None:
    async with echo(path, ServerLimits(request_max_bytes=2000)):
        reader, writer = await raw(path, data)
        reply = msgspec.json.decode(await reader.readline(), type=Reply)
        assert not reply.ok
        assert await reader.read() == b""
        writer.close()
        assert (await asyncio.to_thread(call, path, Hello())).ok


async def test_an_idle_client_is_let_go_but_a_subscriber_is_not(path: Path) -> None:
    async with echo(path, ServerLimits(idle_max_s=0.05)) as daemon, subscribe(path) as news:
        assert (await anext(news)).full
        reader, writer = await raw(path)
        assert await reader.read() == b""
        writer.close()
        daemon.subscribers[0].send(Update(gone=("g",)))
        assert (await anext(news)).gone == ("g",)


async def test_a_client_that_never_comes_to_the_end_of_a_request_is_let_go(path: Path) -> None:
    async with echo(path, ServerLimits(idle_max_s=0.2)):
        reader, writer = await raw(path)

        ended = asyncio.create_task(reader.read())

        def trickle() -> bool:
            writer.write(b"x")
            return ended.done()

        await until(trickle)
        with contextlib.suppress(ConnectionError):  # it had not read the last of this
            assert await ended == b""
        writer.close()


async def test_of_too_many_clients_the_idlest_goes(path: Path) -> None:
    async with echo(path, ServerLimits(clients_max=3)), subscribe(path) as news:
        await anext(news)
        first, _ = oldest = await raw(path)
        second = await connect(path)
        assert (await second.request(Hello())).ok
        third = await connect(path)
        assert await first.read() == b""
        assert (await third.request(Hello())).ok
        assert (await second.request(Hello())).ok
        oldest[1].close()
        await second.close()
        await third.close()


@pytest.mark.parametrize("idlest", range(6))
async def test_who_asked_last_is_not_idle_however_long_ago_it_came(path: Path, idlest: int) -> None:
    async with echo(path, ServerLimits(clients_max=6)) as daemon:
        clients = [await connect(path) for _ in range(6)]
        for client in clients:
            assert (await client.request(Hello())).ok
        for number, client in enumerate(clients):
            if number != idlest:
                assert (await client.request(Hello())).ok
        async with await connect(path) as another:
            assert (await another.request(Hello())).ok
        with pytest.raises(NoAnswerError):
            await clients[idlest].request(Hello())
        for number, client in enumerate(clients):
            if number != idlest:
                assert (await client.request(Hello())).ok
        assert len(daemon.server._clients) <= 6
        for client in clients:
            await client.close()


@pytest.mark.parametrize("turns", range(1, 8))
async def test_who_is_accepted_when_the_daemon_ends_hears_of_the_end(
    path: Path, turns: int
) -> None:
    daemon = Echo(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.setblocking(False)
        task = asyncio.create_task(daemon.server.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        try:
            async with asyncio.timeout(LIMIT_S):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        except ConnectionResetError:  # it was not even accepted
            assert daemon.server is not None


async def test_a_subscriber_that_does_not_read_is_dropped_and_the_others_hear_all(
    path: Path,
) -> None:
    async with echo(path, ServerLimits(unsent_max_bytes=100_000)) as daemon:
        _, deaf = await raw(path, b'{"op":"subscribe"}\n')
        async with subscribe(path) as news:
            await anext(news)
            await until(lambda: len(daemon.subscribers) == 2)
            big = Update(gone=("x" * 10_000,))
            for _ in range(100):
                for client in daemon.subscribers:
                    client.send(big)
                assert (await anext(news)).gone == big.gone
            dropped = [client for client in daemon.subscribers if client.gone]
            assert len(dropped) == 1
            dropped[0].send(big)  # says nothing, harms nothing
        deaf.close()


async def test_a_subscription_ends_when_the_daemon_goes(path: Path) -> None:
    async with echo(path) as daemon, subscribe(path) as news:
        assert (await anext(news)).full
        daemon.subscribers[0].drop("test")
        with pytest.raises(StopAsyncIteration):
            await anext(news)


async def test_the_last_answer_arrives_before_the_daemon_leaves(path: Path) -> None:
    async with echo(path) as daemon:
        reader, writer = await raw(path, b'{"op":"ask"}\n' * 1000)
        await daemon.server.flush()
        lines = [await reader.readline() for _ in range(1000)]
        assert all(lines)
        writer.close()


async def test_a_client_gives_up_in_time_and_its_connection_is_closed(path: Path) -> None:
    async with echo(path) as daemon:
        daemon.gate.clear()
        client = await connect(path)
        with pytest.raises(NoAnswerError, match="did not answer in time"):
            await client.request(Shutdown(), limit_s=0.05)
        with pytest.raises(NoAnswerError):
            await client.request(Hello(), limit_s=1)
        await client.close()
        daemon.gate.set()


async def test_a_blocking_call_gives_up_in_time(path: Path) -> None:
    async with echo(path) as daemon:
        daemon.gate.clear()
        with pytest.raises(NoAnswerError, match=r"did not answer in 0.05 s"):
            await asyncio.to_thread(call, path, Shutdown(), 0.05)
        daemon.gate.set()


LISTENER = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print(flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["hangs", "stopped"])
def test_who_does_not_answer_is_known_and_whether_it_is_stopped(
    path: Path, *, stopped: bool
) -> None:
    words = [sys.executable, "-c", LISTENER, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            if stopped:
                process.send_signal(signal.SIGSTOP)
                wait_until(lambda: is_stopped(process.pid))
            with pytest.raises(HungDaemonError) as caught:
                call(path, Hello(), 0.05)
        finally:
            process.kill()
    assert (caught.value.pid, caught.value.stopped) == (process.pid, stopped)


# --- the socket file -------------------------------------------------------------------------


async def test_nobody_at_home_is_a_clear_message_c4_18(path: Path) -> None:
    with pytest.raises(NoAnswerError, match=f"no daemon answers at {path}: No such file"):
        call(path, Ask())
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with pytest.raises(NoAnswerError, match="Connection refused"):
        call(path, Ask())
    with pytest.raises(NoAnswerError, match="Connection refused"):
        await connect(path)


def test_a_socket_file_nobody_answers_at_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert not answers(path)
    with closing(Listener(path)):
        assert answers(path)
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_socket_somebody_answers_at_is_not_taken(path: Path) -> None:
    with (
        closing(Listener(path)),
        pytest.raises(HostError, match=f"another daemon answers at {path}"),
    ):
        listen(path)


# --- sockets that are taken away (B3) -----------------------------------------------------------


async def answered(path: Path) -> bool:
    try:
        return (await asyncio.to_thread(call, path, Hello())).ok
    except HostError:
        return False


async def found_again(path: Path) -> None:
    async with asyncio.timeout(20):
        while not await answered(path):
            await anyio.lowlevel.checkpoint()


def remove_file(path: Path) -> None:
    path.unlink()


def remove_directory(path: Path) -> None:
    remove_tree(path.parent)


def put_a_dead_one_there(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))


@pytest.mark.parametrize("take", [remove_file, remove_directory, put_a_dead_one_there])
async def test_a_socket_that_was_taken_away_is_made_again_and_clients_stay(
    short_dir: Path, take: Callable[[Path], None]
) -> None:
    path = short_dir / "run" / "s"
    async with echo(path), await connect(path) as client:
        take(path)
        await found_again(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await client.request(Hello())).ok
        take(path)
        await found_again(path)


def put_a_text_there(path: Path) -> None:
    path.unlink()
    path.write_text("precious")


def holds(path: Path, what: str) -> bool:
    if what == "nothing":
        return not path.exists()
    return path.is_socket() if what == "socket" else path.read_text() == "precious"


async def test_another_daemon_at_the_same_path_keeps_it_and_the_loss_is_told_once(
    path: Path,
) -> None:
    told: list[str] = []
    async with echo(path) as loser:
        loser.server._on_trouble = told.append
        remove_file(path)
        winner = Listener(path)
        await until(lambda: told)
        assert f"another daemon answers at {path}" in told[0]
        winner.close()
        await until(lambda: told[1:])
        assert told[1:] == [""]
        await found_again(path)


async def test_what_is_no_socket_is_not_removed_from_the_path_of_a_daemon(path: Path) -> None:
    told: list[str] = []
    async with echo(path) as daemon:
        daemon.server._on_trouble = told.append
        put_a_text_there(path)
        await until(lambda: told)
        assert holds(path, "text")
    assert holds(path, "text")  # nor at its end


async def test_a_daemon_that_ends_takes_its_socket_away_and_no_other(path: Path) -> None:
    async with echo(path):
        await found_again(path)
    assert holds(path, "nothing")
    async with echo(path):
        await found_again(path)
        remove_file(path)
        other = Listener(path)
    assert holds(path, "socket")
    other.close()


async def test_somebody_at_work_in_the_directory_does_not_hold_up_a_daemon(path: Path) -> None:
    told: list[str] = []
    async with echo(path) as daemon:
        daemon.server._on_trouble = told.append
        with alone_in(path.parent):
            remove_file(path)
            await until(lambda: told)
        await found_again(path)


def test_another_file_in_the_way_is_not_removed(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists and is not a socket"):
        listen(path)
    assert path.read_text() == "precious"


def test_a_directory_that_is_missing_is_made(short_dir: Path) -> None:
    with closing(Listener(short_dir / "a/b/s")):
        assert (short_dir / "a/b/s").is_socket()


def test_a_directory_that_cannot_be_made_is_the_hosts_fault(short_dir: Path) -> None:
    (short_dir / "file").write_text("")
    with pytest.raises(HostError, match="cannot listen at"):
        listen(short_dir / "file/s")


@pytest.mark.parametrize("use", [address.check_path, listen, lambda p: call(p, Hello())])
def test_a_path_that_is_too_long_is_the_users_mistake(use: object, tmp_path: Path) -> None:
    path = tmp_path / ("x" * PATH_MAX_BYTES)
    assert callable(use)
    with pytest.raises(UsageError, match=r"has \d+ bytes, a unix socket's path at most 107"):
        use(path)


STRANGER = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
try:
    connection.sendall(b'{"op":"hello"}\\n')
    sys.exit(len(connection.recv(100)))
except ConnectionError:
    sys.exit(0)
"""


def open_to_all(path: Path) -> None:
    """Let only the daemon itself be in a stranger's way."""
    path.chmod(0o777)
    for directory in path.parents:
        if not directory.stat().st_mode & 0o001:
            directory.chmod(0o711)


@pytest.mark.root("becomes another user")
@pytest.mark.parametrize(("program", "heard"), [(STRANGER, 0), (STRANGER.replace("65534", "0"), 1)])
async def test_another_user_is_refused_whatever_the_mode_of_the_file(
    path: Path, program: str, heard: int
) -> None:
    async with echo(path):
        open_to_all(path)
        command = [sys.executable, "-c", program, str(path)]
        done = await asyncio.to_thread(subprocess.run, command, check=False)
        assert min(done.returncode, 1) == heard
        assert (await asyncio.to_thread(call, path, Hello())).ok
