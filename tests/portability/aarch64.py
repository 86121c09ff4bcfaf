"""`make aarch64`: clinit on an emulated machine with an aarch64 processor.

`smoke.py` there starts, respawns, stops and kills, in each way in which processes are started. The
user mode of qemu would not do: it knows neither clone3 nor CLONE_PARENT.

Exit status: 0 all went as it should; 1 it did not; 2 something is missing here.
"""

from __future__ import annotations

import sys

from tests.portability import emulated, smoke
from tests.portability.debian import CannotRunError, needed
from tests.portability.pythons import ROOT

BUILD = ROOT / "build/aarch64"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64")
GONE_WRONG, CANNOT_RUN = 1, 2
INIT = "cd /repository && python3 -m tests.portability.smoke\n" + emulated.POWER_OFF


def main() -> int:
    """Boot it, and say what it said."""
    try:
        needed("qemu-system-aarch64 (qemu-system-arm)", "cpio (cpio)")
        kernel = emulated.kernel(BUILD, "arm64", "linux-image-arm64")
        files = emulated.files(BUILD, "arm64", PLATFORMS, INIT)
    except CannotRunError as error:
        sys.stderr.write(f"make aarch64: {error}\n")
        return CANNOT_RUN
    said = emulated.boot(
        *("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
        *("-smp", "2", "-m", "1536", "-kernel", str(kernel), "-initrd", str(files)),
        *("-append", "console=ttyAMA0 quiet panic=-1"),
    )
    return 0 if smoke.PASSED in said else GONE_WRONG


if __name__ == "__main__":
    sys.exit(main())
