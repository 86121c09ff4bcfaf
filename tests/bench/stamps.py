"""Children that say when they started, through a FIFO.

The child is a small C program where there is a compiler: it notes CLOCK_BOOTTIME as its first
act. Elsewhere it is a shell, and the moment counts at which its word arrives here.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from mosha.host.clock import boottime

C_SOURCE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **words) {
  struct timespec now;
  char line[64];
  clock_gettime(CLOCK_BOOTTIME, &now);
  int fd = open(words[1], O_WRONLY);
  int size = snprintf(line, sizeof line, "%d %lld\n", (int) getpid(),
                      now.tv_sec * 1000000000LL + now.tv_nsec);
  if (count < 2 || fd < 0 || write(fd, line, size) != size) return 1;
  close(fd);
  for (;;) pause();
}
"""
SHELL_SOURCE = 'echo "$$ 0" > "$1"\nexec sleep 1000000\n'
READ_BYTES = 1 << 16


class Stamp(NamedTuple):
    pid: int
    at: float


class Stamper:
    """The command that stamps, and the FIFO that it stamps into."""

    def __init__(self, directory: Path) -> None:
        self._fifo = directory / "stamps"
        os.mkfifo(self._fifo)
        # For reading and writing: there is no end of the file between two children.
        self._fd = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""
        self._read: list[Stamp] = []
        self.command = f"{_program(directory)} {self._fifo}"

    def next(self, limit_s: float = 30.0) -> Stamp:
        """Return the next stamp, in the order of their arrival."""
        deadline = boottime() + limit_s
        while not self._read:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - boottime()))
            if not ready:
                raise TimeoutError(f"no child has started within {limit_s:g} s")
            self._take()
        return self._read.pop(0)

    def _take(self) -> None:
        arrived = boottime()
        *lines, self._rest = (self._rest + os.read(self._fd, READ_BYTES)).split(b"\n")
        for line in lines:
            pid, nanoseconds = map(int, line.split())
            self._read.append(Stamp(pid, nanoseconds / 1e9 if nanoseconds else arrived))


def _program(directory: Path) -> str:
    compiler = shutil.which("cc")
    source, program = directory / "stamper.c", directory / "stamper"
    if compiler is not None:
        source.write_text(C_SOURCE, encoding="ascii")
        built = subprocess.run(
            [compiler, "-O2", "-o", program, source], check=False, stderr=subprocess.DEVNULL
        )
        if built.returncode == 0:
            return str(program)
    script = directory / "stamper.sh"
    script.write_text(SHELL_SOURCE, encoding="ascii")
    return f"/bin/sh {script}"
