"""Name spaces for agents that mount and add addresses: network, mounts and `/srv` of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.ocf.real_agents import PACKAGES
from tests.waiting import LIMIT_S
from tests.web.network import Host

IMAGE_BYTES = 16 << 20

# A new /sys shows the interfaces of the new network; the cgroups of the old one come with it.
# Some agents start their service in a login shell: what root's would do here is not tried.
NAMESPACES = """
set -e
mount --rbind /sys/fs/cgroup /mnt
mount -t sysfs sysfs /sys
mount --move /mnt /sys/fs/cgroup
mount --bind "$1" /srv
for file in ~/.profile ~/.bash_profile ~/.bashrc; do
    [ ! -e "$file" ] || mount --bind /dev/null "$file"
done
ip link set lo up
ip link add v0 type veth peer name v1
ip address add 192.0.2.1/24 dev v0
ip link set v0 up
ip link set v1 up
"""

# What a program prints and how it ends are its own, except in one action of an agent.
REPLACE = """
cd /srv
replace() {
    real=$(PATH=${PATH#/srv/tools:} command -v "$1")
    printf '#!/bin/sh\\n[ "$OCF_RESKEY_CRM_meta_name" != %s ] || %s\\nexec %s "$@"\\n' \\
        "$2" "$3" "$real" > tools/new
    chmod 755 tools/new
    mv tools/new "tools/$1"
}
"""


class Room:
    """The name spaces and the directory of one agent; nothing of it stays after `with`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._devices: list[str] = []
        self._made = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as made:
            self.directory.chmod(0o755)  # for the users of the services
            for name in ("tools", "bin", "rsctmp", "scratch"):
                (self.directory / name).mkdir()
            (self.directory / "scratch").chmod(0o777)
            made.callback(self._detach)  # when no mount of the room keeps them busy any more
            self.host = Host.make(own_mounts=True)
            made.callback(self.host.end)
            self.host.do("/bin/sh", "-c", NAMESPACES, "sh", str(self.directory))
            self._made = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def _detach(self) -> None:
        for device in self._devices:
            _printed("losetup", "--detach", device)

    def loop(self) -> str:
        """Make a loop device with an empty file system; it goes with the room."""
        image = self.directory / "image"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _printed("mkfs.ext4", "-q", str(image))
        device = _printed("losetup", "--find", "--show", str(image))
        self._devices.append(device)
        return device

    @property
    def environment(self) -> dict[str, str]:
        """What a program in the room gets: the replaced programs come first."""
        return {
            **os.environ,
            "PATH": f"/srv/tools:/srv/bin:{os.environ['PATH']}",
            "TMPDIR": "/srv/scratch",
            "HA_RSCTMP": "/srv/rsctmp",
            "HA_VARRUN": "/srv",
        }

    def shell(self, script: str) -> str:
        """Run lines of shell in the room; return what they print."""
        words = [*self.host.within, "/bin/bash", "-ec", f"{REPLACE}\n{script}"]
        done = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def mend(self) -> None:
        """Have all programs be what they were."""
        for path in (self.directory / "tools").iterdir():
            path.unlink()


def missing_packages(programs: str) -> str:
    """Return which packages have to be installed for these programs, "" if none."""
    missing = [PACKAGES[name] for name in programs.split() if not shutil.which(name)]
    return f"apt install {' '.join(missing)}" if missing else ""


def _printed(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
