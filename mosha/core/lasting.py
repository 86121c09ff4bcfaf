"""Which agents change what does not end with the processes of a group.

A mount, an address, a volume, a container or a rule of the packet filter stays when every process
of the group is killed. From the list of resource-agents 4.12; of an agent that is not in it nothing
is known.

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
        *("openstack-virtual-ip",),
    ),
    "a route or a rule": ("Route", "portblock", "ipsec"),
    "an interface": ("iface-bridge", "iface-macvlan", "iface-vlan"),
    "a volume": (
        *("LVM", "LVM-activate", "lvmlockd", "clvm", "Raid1", "mdraid", "ManageRAID", "ServeRAID"),
        *("crypt", "vdo-vol", "drbd", "iSCSILogicalUnit", "iSCSITarget", "iscsi", "Evmsd"),
        *("nvmet-namespace", "nvmet-port", "nvmet-subsystem", "gcp-pd-move", "AoEtarget"),
        *("openstack-cinder-volume", "sg_persist", "mpathpersist", "scsi2reservation"),
    ),
    "a container or a machine": (
        *("docker", "docker-compose", "podman", "rkt", "lxc", "VirtualDomain", "Xen", "ManageVE"),
        *("vmware",),
    ),
}
_LASTING = {name: kind for kind, names in _KINDS.items() for name in names}


def lasting_effect(type_: str) -> str:
    """Return what an agent makes that outlives its processes, "" if that is not known."""
    return _LASTING.get(type_, "")
