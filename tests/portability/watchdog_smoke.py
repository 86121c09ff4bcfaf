"""clinit with a real watchdog, or with a real sysrq, on an emulated machine; needs root.

The machine does not survive it: that is the last thing that is tested.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mosha.cli.check.watchdog import watchdog_findings
from mosha.control.calls import call
from mosha.control.protocol import Ask, Hello, Shutdown
from mosha.core.tell import Tell
from mosha.errors import HostError
from mosha.formats.settings import settings_from
from mosha.host.clock import boottime
from tests.portability import emulated
from tests.waiting import pass_until, wait_until

DEVICE = Path("/dev/watchdog")
SYSTEM = Path("/sys/class/watchdog/watchdog0")
TIMEOUT_S = 20  # a clinit that was killed has to be back within: Python starts slowly here
FED_S = 1.25 * TIMEOUT_S
LIMIT_S = 120.0  # an emulated processor is slow
CALL_LIMIT_S = 60.0
SLACK_S = 1.5
STEPS = ("checked", "armed", "taken", "disarmed", "killed and back", "stopped")
STILL_HERE = "still here after"
SURVIVED = "THE MACHINE HAS SURVIVED"
SYSRQ = "sysrq"
FAILED_STOP = "a stop is about to fail"
CLTAB = "g:s:stop:test:false\n"


def verdict(said: str) -> str:
    """Return what is wrong with what a machine has printed, "" if nothing is."""
    missing = [step for step in STEPS if f"watchdog: {step}" not in said]
    if missing:
        return f"did not come to: {', '.join(missing)}"
    if SURVIVED in said:
        return "the machine was not reset"
    after_s = [float(found) for found in re.findall(rf"{STILL_HERE} ([\d.]+) s", said)]
    if not after_s or after_s[-1] < TIMEOUT_S / 4:
        return f"the machine was gone at once: {after_s[-1:]}"
    return ""


def verdict_of_sysrq(said: str) -> str:
    """Return what is wrong with a machine that was to reboot itself, "" if nothing is."""
    if f"watchdog: {FAILED_STOP}" not in said or "self fence" not in said:
        return "clinit did not come to fence its node"
    return "the machine was not reset" if SURVIVED in said else ""


def main(words: Sequence[str]) -> None:
    """Go through all steps; the last one ends the machine."""
    assert os.environ.get(emulated.EMULATED), "this ends the machine that it runs on"
    if words == [SYSRQ]:
        _fence_itself()
    else:
        _try_watchdog()


def _fence_itself() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s"
        (path.parent / "cltab").write_text(CLTAB, encoding="ascii")
        words = [*_words(path), "--self-fence", SYSRQ, "--on-stop-failure", "fence"]
        clinit = subprocess.Popen(words)
        wait_until(lambda: _answers(clinit, path), LIMIT_S)
        call(path, Tell("g", "start"), CALL_LIMIT_S)
        call(path, Tell("g", "stop"), CALL_LIMIT_S)
        _say(FAILED_STOP)
        pass_until(boottime() + LIMIT_S)
        _say(SURVIVED)
        clinit.kill()


def _try_watchdog() -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "cltab").touch()
        _say(f"{_read('identity')}: {_read('state')}")
        assert f"{DEVICE} ({_read('identity')}): time-out 5 s" in _checked(base)
        _say("checked")

        clinit = _started(base)
        assert (_read("state"), _read("timeout")) == ("active", str(TIMEOUT_S))
        pass_until(boottime() + FED_S)  # it is fed, or this is the end
        _say("armed")

        assert "it is armed already, and not by this node's clinit" in _checked(base)
        second = subprocess.run(_with_watchdog(base / "second"), capture_output=True, check=False)
        assert second.returncode == 1
        assert b"another program has it" in second.stderr, second.stderr
        _say("taken")

        call(base / "s", Shutdown(), CALL_LIMIT_S)
        assert clinit.wait(LIMIT_S) == 0
        assert _read("state") == "inactive"
        pass_until(boottime() + FED_S)
        _say("disarmed")

        clinit = _started(base)
        clinit.kill()
        clinit.wait()
        assert _read("state") == "active"
        clinit = _started(base)
        pass_until(boottime() + FED_S)
        _say("killed and back")

        os.kill(clinit.pid, signal.SIGSTOP)
        began = boottime()
        _say("stopped")
        while (now := boottime()) < began + TIMEOUT_S + SLACK_S:
            _say(f"{STILL_HERE} {now - began:.2f} s")
            pass_until(now + 0.25)
        _say(SURVIVED)
        clinit.kill()


def _checked(base: Path) -> str:
    """Return what `mosha check` says of the device, on a node whose clinit does not run."""
    made = settings_from({"watchdog": str(DEVICE), "rundir": str(base / "run")}, "test")
    (found,) = watchdog_findings(made)
    return found.text


def _words(path: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "mosha.cli.clinit", "-d", "-s", str(path)),
        *("-c", str(path.with_name("cltab"))),
    ]


def _with_watchdog(path: Path) -> list[str]:
    return [*_words(path), "--watchdog", str(DEVICE), "--watchdog-timeout", str(TIMEOUT_S)]


def _started(base: Path) -> subprocess.Popen[bytes]:
    """Start a clinit and wait until it answers."""
    clinit = subprocess.Popen(_with_watchdog(base / "s"))
    wait_until(lambda: _answers(clinit, base / "s"), LIMIT_S)
    update = call(base / "s", Ask(), CALL_LIMIT_S).update
    assert update is not None
    assert update.watchdog is not None
    assert update.watchdog.timeout_s == TIMEOUT_S, update.watchdog
    return clinit


def _answers(clinit: subprocess.Popen[bytes], path: Path) -> bool:
    assert clinit.poll() is None, f"clinit ended with status {clinit.returncode}"
    try:
        return call(path, Hello(), CALL_LIMIT_S).ok
    except HostError:
        return False


def _read(name: str) -> str:
    return (SYSTEM / name).read_text(encoding="ascii").strip()


def _say(text: str) -> None:
    sys.stdout.write(f"watchdog: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
