"""The real agents that are tried: their parameters, and how each of them is made to fail.

All of it happens in name spaces of their own (tests/ocf/rooms.py): `/srv` is the directory of the
test there, and `v0` an interface with the address 192.0.2.1/24.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

ALL = "MOSHA_ALL_AGENTS"
"""With this variable (`make agents`) all agents are tried, else those of QUICK and LIVELY."""

QUICK = (
    *(
        "Dummy",
        "Stateful",
        "SysInfo",
        "Delay",
        "symlink",
        "Filesystem",
        "IPaddr2",
        "Route",
        "nginx",
    ),
    *("anything", "IPsrcaddr", "MailTo", "portblock", "iface-macvlan"),
)
LIVELY = ("Filesystem", "IPaddr2", "nginx", "pgsql")

PACKAGES = {
    "apache2": "apache2-bin",
    "brctl": "bridge-utils",
    "curl": "curl",
    "iptables": "iptables",
    "losetup": "mount",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "mkfs.ext4": "e2fsprogs",
    "nginx": "nginx-light",
    "redis-server": "redis-server",
    "rsync": "rsync",
    "/usr/lib/frr/ripd": "frr",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
}
"""Program -> the package of Debian 12 that has it."""


HANG = "exec /bin/sleep 1000"

# All agents call it, whatever else they need.
HANGING_MONITOR = f"replace basename monitor '{HANG}'"
HANGING_STOP = f"replace basename stop '{HANG}'"


class Real(NamedTuple):
    """One agent, and what is done to it.

    `programs` it cannot do without; `{loop}` in its parameters is a loop device. The others are
    lines of shell that are run in the name spaces (`Room.shell`). `prepare` makes what it needs.
    `kill` kills its service, or takes away what it has made: "" if nothing can. `hang` makes its
    monitor hang, `spoil` its stop fail; `replace PROGRAM ACTION COMMAND` has COMMAND run instead
    of PROGRAM in one action.

    `failed` are the steps of `mosha ocf test` that it does not pass, so that a new one is noticed.
    From the step `frail` on chance decides what it passes.
    """

    agent: str
    parameters: str = ""
    programs: str = ""
    prepare: str = "true"
    kill: str = ""
    hang: str = HANGING_MONITOR
    spoil: str = HANGING_STOP
    failed: frozenset[str] = frozenset()
    frail: str = ""


NGINX = """\
cat > /srv/nginx.conf << END
daemon on;
pid /srv/nginx.pid;
error_log /srv/nginx.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:8080;
        location / { return 200 "Reading: 1 Writing: 1 Waiting: 1"; }
    }
}
END
"""

APACHE = """\
modules=/usr/lib/apache2/modules
cat > /srv/apache.conf << END
ServerName localhost
ServerRoot /srv
Listen 127.0.0.1:8081
PidFile /srv/apache.pid
ErrorLog /srv/apache.log
DocumentRoot /srv
User nobody
Group nogroup
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule status_module $modules/mod_status.so
<Location /server-status>
    SetHandler server-status
</Location>
END
"""

REDIS = """\
mkdir redis
printf 'port 0\\nsave ""\\ndir /srv/redis\\n' > redis.conf
chown -R nobody redis
"""

RSYNCD = "printf 'pid file = /srv/rsync.pid\\nport = 8873\\n[srv]\\npath = /srv\\n' > rsyncd.conf"

MYSQL = """\
printf '[mysqld]\\nskip-networking\\ninnodb_log_file_size=4M\\n' > my.cnf
mkdir mysql run
chown nobody mysql run
mariadb-install-db --no-defaults --user=nobody --datadir=/srv/mysql --skip-test-db
"""

BIN = "/usr/lib/postgresql/15/bin"

PGSQL = f"""\
install -d -o postgres -m 700 pg
install -d -o postgres pgrun
setpriv --reuid=postgres --regid=postgres --clear-groups \\
    {BIN}/initdb -D /srv/pg --no-sync --auth=trust > initdb.log
"""

MAIL = """\
printf '#!/bin/sh\\ncat >> /srv/letters\\n' > bin/mail
chmod 755 bin/mail
"""

FRR = "/usr/lib/frr"

# The agent ends its daemons by their names, so it is not run where others have these.
RIP = """\
if pidof ripd zebra; then exit 1; fi
mkdir frr
chown frr frr
mkdir -p /run/frr
mount --bind frr /run/frr
"""

CUT_START = "stop after a start that was killed"
STARTED_TWICE = "two of start at once"

MOUNT = Real(
    "Filesystem",
    "device={loop} directory=/srv/mount fstype=ext4",
    programs="mkfs.ext4 losetup",
    prepare="mkdir mount",
    kill="umount mount",
    hang=f"replace cut monitor '{HANG}'",
    spoil=f"replace umount stop '{HANG}'",
)

AGENTS = [
    Real("Dummy", kill="rm rsctmp/Dummy-it.state"),
    Real("Stateful", kill="rm rsctmp/Stateful-it.state"),
    Real("SysInfo", kill="rm rsctmp/SysInfo-it"),
    Real(
        "Delay",
        "startdelay=0 stopdelay=0 mondelay=0",
        kill="rm rsctmp/Delay_it",
        hang=f"replace sleep monitor '{HANG}'",
        failed=frozenset({"unknown action"}),
    ),
    Real(
        "symlink",
        "link=/srv/link target=/srv/target",
        prepare="touch target",
        kill="rm link",
        hang=f"replace readlink monitor '{HANG}'",
        spoil="replace rm stop 'exit 1'",
    ),
    MOUNT,
    Real(
        "IPaddr2",
        "ip=192.0.2.80 cidr_netmask=24 nic=v0",
        kill="ip address delete 192.0.2.80/24 dev v0",
        hang=f"replace ip monitor '{HANG}'",
        # It sees no address then, and says that all is well: the probe after it finds it.
        spoil="replace ip stop 'exit 1'",
    ),
    Real(
        "Route",
        "destination=198.51.100.0/24 device=v0",
        kill="ip route delete 198.51.100.0/24",
        hang=f"replace ip monitor '{HANG}'",
        spoil="replace ip stop 'exit 1'",
    ),
    Real(
        "nginx",
        "configfile=/srv/nginx.conf httpd=/usr/sbin/nginx",
        programs="nginx",
        prepare=NGINX,
        kill="kill -KILL $(cat nginx.pid)",
        hang=f"replace cat monitor '{HANG}'",
        failed=frozenset({"validate-all"}),  # it refuses the URL that it has made itself
    ),
    Real(
        "VIPArip",
        f"ip=192.0.2.90 nic=v0 zebra_binary={FRR}/zebra ripd_binary={FRR}/ripd",
        programs=f"{FRR}/ripd",
        prepare=RIP,
        kill="ip address delete 192.0.2.90/32 dev lo",
        hang=f"replace ip monitor '{HANG}'",
        spoil=f"replace ip stop '{HANG}'",
    ),
    Real(
        "apache",
        "configfile=/srv/apache.conf httpd=/usr/sbin/apache2 client=curl"
        " statusurl=http://127.0.0.1:8081/server-status",
        programs="apache2 curl",
        prepare=APACHE,
        kill="kill -KILL $(cat apache.pid)",
        hang="kill -STOP $(pgrep --ns $(cat apache.pid) --nslist net apache2)",
    ),
    Real(
        "pgsql",
        f"pgctl={BIN}/pg_ctl psql=/usr/bin/psql pgdata=/srv/pg pgport=5433 socketdir=/srv/pgrun"
        " start_opt='-p 5433 -k /srv/pgrun -c listen_addresses='",
        programs=f"{BIN}/postgres",
        prepare=PGSQL,
        kill="kill -KILL $(head -1 pg/postmaster.pid)",
        hang="kill -STOP $(pgrep --ns $(head -1 pg/postmaster.pid) --nslist net postgres)",
    ),
    Real(
        "mysql",
        "binary=/usr/sbin/mariadbd client_binary=/usr/bin/mariadb config=/srv/my.cnf"
        " datadir=/srv/mysql user=nobody group=nogroup log=/srv/mysql.log pid=/srv/run/pid"
        " socket=/srv/run/s",
        programs="mariadb-install-db mariadb",
        prepare=MYSQL,
        kill="kill -KILL $(cat run/pid)",
        hang=f"replace cat monitor '{HANG}'",
        frail=STARTED_TWICE,
    ),
    Real(
        "redis",
        "bin=/usr/bin/redis-server client_bin=/usr/bin/redis-cli config=/srv/redis.conf"
        " user=nobody rundir=/srv/redis",
        programs="redis-server",
        prepare=REDIS,
        kill="kill -KILL $(cat redis/redis-server.pid)",
        hang="kill -STOP $(cat redis/redis-server.pid)",
        frail=STARTED_TWICE,
    ),
    Real(
        "rsyncd",
        "binpath=/usr/bin/rsync conffile=/srv/rsyncd.conf",
        programs="rsync",
        prepare=RSYNCD,
        # Its pid file goes with it then; one that is left keeps the agent from starting it again.
        kill="kill -TERM $(cat rsync.pid)",
        hang=f"replace ps monitor '{HANG}'",
        frail="stop what has died, then probe",
    ),
    Real(
        "anything",
        "binfile=/bin/sleep cmdline_options=7411 pidfile=/srv/sleep.pid",
        kill="kill -KILL $(cat sleep.pid)",
        hang=f"replace grep monitor '{HANG}'",
        spoil=f"replace grep stop '{HANG}'",
        frail=STARTED_TWICE,
    ),
    Real(
        "IPsrcaddr",
        "ipaddress=192.0.2.2 cidr_netmask=24",
        prepare="ip address add 192.0.2.2/24 dev v0; ip route add default via 192.0.2.1 dev v0",
        kill="ip route change default via 192.0.2.1 dev v0 src 192.0.2.1",
        hang=f"replace ip monitor '{HANG}'",
        spoil="replace ip stop 'exit 1'",
        frail=CUT_START,
    ),
    # There is no mail server: what the agent writes is kept in a file.
    Real("MailTo", "email=root", prepare=MAIL, kill="rm rsctmp/MailTo_it"),
    Real(
        "portblock",
        "protocol=tcp portno=8080 action=block ip=192.0.2.1",
        programs="iptables",
        # The rule alone may go: the file says that it is there.
        kill="rm rsctmp/it; iptables -F INPUT",
        hang=f"replace iptables monitor '{HANG}'",
        spoil=f"replace iptables stop '{HANG}'",
    ),
    Real(
        "iface-bridge",
        "bridge_name=br7 bridge_slaves=v1",
        programs="brctl",
        kill="ip link delete br7",
        hang=f"replace ip monitor '{HANG}'",
        # A stop that it has begun cannot be made again: it complains of what it has done.
        spoil=f"replace ip stop '{HANG}'",
        frail=STARTED_TWICE,
    ),
    Real(
        "iface-macvlan",
        "device=v0 name=m7",
        kill="ip link delete m7",
        hang=f"replace ip monitor '{HANG}'",
        spoil="replace ip stop 'exit 1'",
        frail=STARTED_TWICE,
    ),
]


def chosen(names: Iterable[str]) -> list[Real]:
    """Return the agents of these names, or all if that is asked for."""
    return [real for real in AGENTS if ALL in os.environ or real.agent in names]
