"""`make watchdog`: clinit on emulated machines that it resets, by a watchdog and by itself.

One machine has softdog, one the device i6300esb. `watchdog_smoke.py` there arms it, disarms it,
kills and restarts clinit, and at last stops it (SIGSTOP): within the time-out the machine has to be
reset. On a third one a stop fails, and clinit reboots it by sysrq.

Exit status: 0 all went as it should; 1 it did not; 2 something is missing here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.portability import emulated, watchdog_smoke
from tests.portability.debian import CannotRunError, needed
from tests.portability.pythons import ROOT

BUILD = ROOT / "build/watchdog"
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64")
# A driver, and what qemu needs for it.
DRIVERS: dict[str, Sequence[str]] = {
    "softdog": (),
    "i6300esb": ("-device", "i6300esb", "-action", "watchdog=reset"),
}
GONE_WRONG, CANNOT_RUN = 1, 2


def main() -> int:
    """Boot the machines, and say what each said."""
    try:
        needed("qemu-system-x86_64 (qemu-system-x86)", "cpio (cpio)")
        kernel = emulated.kernel(BUILD, "amd64", "linux-image-amd64")
        verdicts = [_tested(kernel, driver) for driver in DRIVERS]
        return max(*verdicts, _self_fenced(kernel))
    except CannotRunError as error:
        sys.stderr.write(f"make watchdog: {error}\n")
        return CANNOT_RUN


def _tested(kernel: Path, driver: str) -> int:
    place = BUILD / "kernel/lib/modules"
    modules = [next(place.rglob(f"{name}.ko")) for name in ("watchdog", driver)]
    load = f"insmod /watchdog.ko && insmod /{driver}.ko"
    said = _said(kernel, load, "", DRIVERS[driver], modules)
    return _judged(driver, watchdog_smoke.verdict(said))


def _self_fenced(kernel: Path) -> int:
    said = _said(kernel, "", watchdog_smoke.SYSRQ, (), ())
    return _judged(watchdog_smoke.SYSRQ, watchdog_smoke.verdict_of_sysrq(said))


def _said(
    kernel: Path, load: str, word: str, device: Sequence[str], modules: Sequence[Path]
) -> str:
    """Return what a machine has printed until it was off or reset."""
    init = f"""
{load}
cd /repository && python3 -m tests.portability.watchdog_smoke {word}
{emulated.POWER_OFF}"""
    files = emulated.files(BUILD, "amd64", PLATFORMS, init, modules)
    return emulated.boot(
        *("qemu-system-x86_64", "-cpu", "max", "-smp", "2", "-m", "1536", *device),
        *("-kernel", str(kernel), "-initrd", str(files)),
        *("-append", "console=ttyS0 quiet panic=-1"),
    )


def _judged(machine: str, verdict: str) -> int:
    sys.stdout.write(f"{machine}: {verdict or 'ok'}\n")
    return GONE_WRONG if verdict else 0


if __name__ == "__main__":
    sys.exit(main())
