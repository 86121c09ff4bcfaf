"""`mosha status --watch` on a terminal: asks, draws, and obeys keys and signals.

It draws on changes, and once a second for the ages. The monitor is asked twice a second in the
background: keys work at once, whether it answers or not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from rich.console import Console
from rich.text import Text

from mosha.cli.ask import no_daemon
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.status.keys import KeyReader
from mosha.cli.status.layout import BAD, age_text
from mosha.cli.status.screen import Screen
from mosha.cli.status.watch_page import Body, ScreenView, body, screen, shape
from mosha.control.client import Connection, NoAnswerError, open_streams
from mosha.control.protocol import AskReport, MonitorReply
from mosha.errors import HostError
from mosha.formats.hastat import Report, UnreadableReport, parse_hastat
from mosha.formats.settings import Settings

ASK_EVERY_S = 0.5
"""Fast enough for people; it costs the monitor a few milliseconds."""

ANSWER_LIMIT_S = 2.0
"""A watched monitor that takes longer is shown as silent; it is asked again."""

DRAW_EVERY_S = 1.0
ESCAPE_S = 0.05
"""How long to wait after an escape for the rest of a key's sequence."""

KEYS_MAX_BYTES = 1024
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def watch(settings: Settings, report: Report) -> int:
    """Show the report until a key or a signal ends it; return the exit status."""
    sys.stdout.flush()
    watcher = _Watcher(settings, report)
    number = asyncio.run(watcher.run())
    if number not in (0, signal.SIGINT):  # as if it had not been caught
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return AS_WANTED if watcher.as_wanted else NOT_AS_WANTED


class _Watcher:
    def __init__(self, settings: Settings, report: Report) -> None:
        self._settings = settings
        self._report, self._heard = report, time.monotonic()
        self._trouble = ""
        self._screen = Screen(sys.stdout, sys.stdin)
        self._console = Console(highlight=False)
        self._view = ScreenView()
        self._keys = KeyReader()
        self._typed = bytearray()
        self._news = asyncio.Event()
        self._body: tuple[Report, object, Body] | None = None
        self._drawn: tuple[object, float] = (None, 0.0)
        self._signals: list[int] = []
        self._gone = False

    @property
    def as_wanted(self) -> bool:
        return self._report.as_wanted and not self._trouble

    async def run(self) -> int:
        """Return the number of the signal that ended it, 0 if a key did."""
        loop = asyncio.get_running_loop()
        for number in (*_ENDS, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self._signalled, number)
        asking = asyncio.create_task(self._asking())
        try:
            self._screen.enter()
            if self._screen.source is not None:
                loop.add_reader(self._screen.source, self._read)
            return await self._serve(asking)
        except OSError:  # the terminal is gone
            return signal.SIGHUP
        finally:
            asking.cancel()
            self._screen.leave()

    async def _serve(self, asking: asyncio.Task[None]) -> int:
        self._draw()
        while True:
            limit_s = ESCAPE_S if self._keys.pending else None
            try:
                async with asyncio.timeout(limit_s):
                    await self._news.wait()
            except TimeoutError:
                self._obey_keys(late=True)
            self._news.clear()
            if asking.done():
                asking.result()
            if self._gone:
                return signal.SIGHUP
            if (number := self._obey_signals()) is not None:
                return number
            self._obey_keys(late=False)
            if self._view.quit:
                return 0
            self._draw()

    # --- what comes ------------------------------------------------------------------------

    def _signalled(self, number: int) -> None:
        self._signals.append(number)
        self._news.set()

    def _read(self) -> None:
        try:
            data = os.read(self._screen.source or 0, KEYS_MAX_BYTES)
        except OSError:
            data = b""
        self._gone = not data
        self._typed += data
        self._news.set()

    async def _asking(self) -> None:
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            try:
                self._report = await _ask(self._settings)
                self._heard, self._trouble = time.monotonic(), ""
            except HostError as error:
                self._trouble = str(error).partition(";")[0]
            look = (self._trouble, shape(self._report))
            if look != self._drawn[0] or time.monotonic() - self._drawn[1] > DRAW_EVERY_S * 0.9:
                self._news.set()

    # --- what is done ----------------------------------------------------------------------

    def _obey_keys(self, *, late: bool) -> None:
        keys = self._keys.late() if late else self._keys.keys(bytes(self._typed))
        self._typed.clear()
        for key in keys:
            self._view.take(key)

    def _obey_signals(self) -> int | None:
        """Return the number of a signal that ends this command, if one has arrived."""
        while self._signals:
            number = self._signals.pop(0)
            if number in _ENDS:
                return number
            if number == signal.SIGTSTP:
                self._suspend()
            self._screen.enter() if number == signal.SIGCONT else self._screen.forget()
        return None

    def _suspend(self) -> None:
        """Stop as any command does at Ctrl-Z, and go on when the shell resumes it."""
        loop = asyncio.get_running_loop()
        self._screen.leave()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._signalled, signal.SIGTSTP)
        self._screen.enter()

    def _draw(self) -> None:
        size = self._screen.size()
        if size != tuple(self._console.size):
            self._console = Console(highlight=False, width=size[0], height=size[1])
            self._screen.forget()
        made_of = (size, self._view.filter)
        if self._body is None or self._body[0] is not self._report or self._body[1] != made_of:
            made = body(self._report, self._console, self._view.filter)
            self._body = (self._report, made_of, made)
        doubt = None
        if self._trouble:
            age = age_text(time.monotonic() - self._heard)
            doubt = Text(f"what follows is {age} old: {self._trouble}", BAD)
        lines = screen(self._report, self._body[2], self._view, self._console, doubt)
        self._screen.draw(self._painted(lines))
        self._drawn = ((self._trouble, shape(self._report)), time.monotonic())

    def _painted(self, lines: list[Text]) -> list[str]:
        """Return lines in the terminal's colours, padded to its width: nothing needs clearing."""
        for line in lines:
            line.append(" " * (self._console.width - line.cell_len))
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, overflow="ignore", crop=False)
        return captured.get().split("\n")[:-1]


async def _ask(settings: Settings) -> Report:
    """Return the current report.

    Raises:
        HostError: there is none; the message says why.
    """
    path = settings.monitor_socket_path
    try:
        async with Connection(path, await open_streams(path), MonitorReply) as monitor:
            reply = await monitor.request(AskReport(), ANSWER_LIMIT_S)
    except NoAnswerError as error:
        raise no_daemon(path, error) from error
    try:
        return parse_hastat(bytes(reply.report))
    except UnreadableReport as error:
        raise HostError(f"the monitor's report cannot be read: {error}") from error
