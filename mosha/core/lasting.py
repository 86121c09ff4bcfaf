"""Which agents change what does not end with the processes of a group.

A mount, an address, a volume, a container or a rule of the packet filter stays when every process
of the group is killed; so does a service that the agent has had another daemon start. The agents
are those of resource-agents 4.12, whose sources were read for it. Of an agent that is in neither
list nothing is known: `lasts=` of cltab says it, and `mosha ocf test` finds it out.

A unit of systemd ends with its slice, which clinit kills. What only its ExecStop= would undo is not
known either: no property of a unit says so.
"""

from __future__ import annotations

_KINDS = {
    "a mount": ("Filesystem", "ZFS", "nfsserver", "exportfs", "smb-share"),
    "an address": (
        *("IPaddr", "IPaddr2", "IPv6addr", "IPsrcaddr", "VIPArip", "aliyun-vpc-move-ip", "awseip"),
        *("awsvip", "aws-vpc-move-ip", "aws-vpc-route53", "dnsupdate", "gcp-ilb", "ocivip"),
        *("gcp-vpc-move-ip", "gcp-vpc-move-route", "gcp-vpc-move-vip", "openstack-floating-ip"),
        *("openstack-virtual-ip", "CTDB"),
    ),
    "a route or a rule": ("Route", "portblock", "ipsec", "ldirectord"),
    "an interface": ("iface-bridge", "iface-macvlan", "iface-vlan"),
    "a volume": (
        *("LVM", "LVM-activate", "lvmlockd", "clvm", "Raid1", "mdraid", "ManageRAID", "ServeRAID"),
        *("crypt", "vdo-vol", "drbd", "iSCSILogicalUnit", "iSCSITarget", "iscsi", "Evmsd"),
        *("EvmsSCC", "ICP", "LinuxSCSI"),
        *("nvmet-namespace", "nvmet-port", "nvmet-subsystem", "gcp-pd-move", "AoEtarget"),
        *("openstack-cinder-volume", "sg_persist", "mpathpersist", "scsi2reservation"),
    ),
    "a container or a machine": (
        *("docker", "docker-compose", "podman", "rkt", "lxc", "VirtualDomain", "Xen", "ManageVE"),
        *("vmware",),
    ),
    # sapstartsrv, tomcat@ and Oracle's are units of systemd, or of a manager of their own.
    "a service of another daemon": ("SAPInstance", "SAPDatabase", "tomcat", "Xinetd", "oraasm"),
    "a link": ("symlink",),
}
_LASTING = {name: kind for kind, names in _KINDS.items() for name in names}

_PROCESSES_ALONE = frozenset(
    {
        *("AudibleAlarm", "ClusterMon", "Delay", "Dummy", "MailTo", "NodeUtilization", "Pure-FTPd"),
        *("SendArp", "SphinxSearchDaemon", "Squid", "Stateful", "SysInfo", "WAS", "WAS6"),
        *("WinPopup", "anything", "apache", "asterisk", "azure-events", "azure-events-az"),
        *("azure-lb", "conntrackd", "corosync-qnetd", "db2", "dhcpd", "dovecot", "dummypy"),
        *("eDir88", "ethmonitor", "fio", "galera", "garbd", "ids", "jboss", "jira", "kamailio"),
        *("lxd-info", "machine-info", "mariadb", "minio", "mysql", "mysql-proxy", "nagios"),
        *("named", "nfsnotify", "nginx", "openstack-info", "oracle", "oralsnr", "ovsmonitor"),
        *("pgagent", "pgsql", "pingd", "postfix", "pound", "proftpd", "rabbitmq-cluster"),
        *("rabbitmq-server-ha", "redis", "rsyncd", "rsyslog", "sfex", "slapd", "storage-mon"),
        *("sybaseASE", "syslog-ng", "varnish", "vsftpd", "zabbixserver"),
    }
)
"""Agents whose services end with their processes, and those that only watch or report."""

_PROVIDERS = {"drbd": "linbit"}
"""Of the lists what other packages have; all others are of the provider `heartbeat`."""


def lasting_effect(type_: str) -> str:
    """Return what an agent makes that outlives its processes, "" if that is not known."""
    return _LASTING.get(type_, "")


def is_known(provider: str, type_: str) -> bool:
    """Say whether it is known of an agent what outlives its processes."""
    known = type_ in _LASTING or type_ in _PROCESSES_ALONE
    return known and provider in {"heartbeat", _PROVIDERS.get(type_, "heartbeat")}
