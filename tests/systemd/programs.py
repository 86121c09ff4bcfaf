"""Programs of this machine, another Debian 12, put into a machine's tree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

UNITS = Path("/lib/systemd/system")
NGINX, CURL, KEEPALIVED = (
    Path("/usr/sbin/nginx"),
    Path("/usr/bin/curl"),
    Path("/usr/sbin/keepalived"),
)
NGINX_UNIT = UNITS / "nginx.service"
KEEPALIVED_UNIT = UNITS / "keepalived.service"


def put(root: Path, program: Path, *more: Path) -> None:
    """Put a program, its libraries and other files of it into a tree."""
    told = subprocess.run(["/usr/bin/ldd", program], capture_output=True, text=True, check=True)
    libraries = re.findall(r"=> (/\S+)", told.stdout)
    for file in (program, *more, *map(Path, libraries)):
        target = root / str(file.resolve() if file != program else file)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(file, target)
    for name in libraries:
        link = root / Path(name).relative_to("/")
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, link)


def put_nginx(root: Path) -> None:
    """Put nginx with the unit of its package into a tree."""
    put(root, NGINX, NGINX_UNIT)
    for directory in ("etc/nginx", "var/log/nginx", "var/lib/nginx"):
        (root / directory).mkdir(parents=True, exist_ok=True)
