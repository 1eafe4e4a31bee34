"""Say what is looked at on a machine, and hold what was found there, as texts that nobody has judged yet.

Decides which files and commands are evidence. Must not know what any of it means, nor how it is read.
Source: the paths are those of the manual pages NetworkManager.conf(5), systemd.network(5), netplan(5),
interfaces(5), ifcfg(5), corosync.conf(5), sbd(8), hosts(5), and of the kernel's sysfs ABI.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

_WILDCARD: Final = re.compile(r"[*?\[]")

CONFIGURATION: Final = (
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/redhat-release",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/NetworkManager/conf.d/*.conf",
    "/run/NetworkManager/conf.d/*.conf",
    "/usr/lib/NetworkManager/conf.d/*.conf",
    "/var/lib/NetworkManager/NetworkManager-intern.conf",
    "/etc/NetworkManager/system-connections/*",
    "/run/NetworkManager/system-connections/*",
    "/etc/systemd/network/*.network",
    "/run/systemd/network/*.network",
    "/usr/lib/systemd/network/*.network",
    "/etc/systemd/network/*.network.d/*.conf",
    "/run/systemd/network/*.network.d/*.conf",
    "/usr/lib/systemd/network/*.network.d/*.conf",
    "/etc/netplan/*.yaml",
    "/run/netplan/*.yaml",
    "/usr/lib/netplan/*.yaml",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network/ifcfg-*",
    "/etc/corosync/corosync.conf",
    "/etc/komainu/komainu.toml",
    "/etc/sysconfig/sbd",
    "/etc/default/sbd",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d/*.conf",
    "/etc/selinux/config",
)
"""Files that people write. One of these that cannot be read is told: what it says stays unknown."""

STATE: Final = (
    "/var/lib/pacemaker/cib/cib.xml",
    "/var/lib/dpkg/status",
    "/proc/sys/kernel/hostname",
    "/proc/net/arp",
    "/proc/net/bonding/*",
    "/sys/class/net/*/address",
    "/sys/class/net/*/carrier",
    "/sys/class/net/*/mtu",
    "/sys/class/net/*/uevent",
    "/sys/class/watchdog/*/identity",
    "/sys/class/watchdog/*/timeout",
    "/sys/class/watchdog/*/state",
    "/sys/fs/selinux/enforce",
    "/sys/module/apparmor/parameters/enabled",
)
"""Files that programs and the kernel write. One that is absent or refuses to be read is no news."""

RELOAD: Final = "nmcli general reload conf"
"""Makes the running NetworkManager read its files again; it disturbs no connection, and may be repeated."""

RELOADED: Final = "/run/komainu/networkmanager-reloaded"
"""Made by `komainu doctor --fix` when it had NetworkManager read its files: its time says when."""

MARKS: Final = (
    RELOADED,
    "/etc/NetworkManager/conf.d",
    "/run/NetworkManager/conf.d",
    "/usr/lib/NetworkManager/conf.d",
    "/run/systemd/netif/links/*",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.wants/*.service",
    "/etc/rc.d/rc3.d/S*",
    "/etc/rc[23].d/S*",
    "/usr/share/doc/corosync*",
    "/usr/share/doc/packages/corosync*",
    "/etc/apparmor.d/*corosync*",
    "/etc/apparmor.d/*pacemaker*",
    "/etc/apparmor.d/*komainu*",
    "/usr/sbin/NetworkManager",
    "/usr/sbin/corosync",
    "/usr/sbin/pacemakerd",
    "/usr/sbin/ifplugd",
    "/usr/sbin/dhcpcd",
    "/sys/class/net/*",
    "/sys/class/net/*/device/driver",
    "/sys/class/net/*/master",
    "/sys/class/net/*/lower_*",
    "/sys/class/watchdog/*",
    "/dev/watchdog*",
)
"""Paths whose being there, mode, owner, time or target is all that counts; their content is never read."""

KEYS: Final = ("/etc/corosync/authkey", "/etc/komainu/cluster.key", "/etc/pacemaker/authkey")
"""Files whose content is never kept, but for a sum by which nodes find out whether theirs is the same."""

COMMANDS: Final = {
    "addresses": ("ip", "-json", "address", "show"),
    "devices": ("nmcli", "-t", "-f", "DEVICE,STATE", "device"),
    "corosync": ("corosync", "-v"),
    "nftables": ("nft", "-j", "list", "ruleset"),
    "iptables": ("iptables-save",),
    "cib": ("cibadmin", "--query"),
    "journal": (
        *("journalctl", "--quiet", "--no-pager", "-b", "-u", "NetworkManager"),
        *("-o", "cat", "-n", "2000"),
    ),
}
"""What is asked of a running machine; each command only looks, and has a fraction of a second for it."""


@dataclass(frozen=True, slots=True)
class File:
    """One path that was there. `target` is where a symbolic link points to, as it is written in the link."""

    path: str
    text: str = ""
    problem: str = ""  # why there is no text: "Permission denied"; "" when all went well
    mode: int = 0o644
    owner: int = 0
    target: str = ""
    changed_s: float = 0  # its inode, by the wall clock: a copy that keeps the time of the content is new
    digest: str = ""  # of a key, where it may be read


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said. `problem` tells why it said nothing useful: "no answer within 0.4 s"."""

    text: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found on one machine.

    `processes` are the names of running programs with the time of their start (wall clock, seconds), None for a
    file tree, where nothing runs. `outputs` has the
    commands of COMMANDS that were found on the machine. `is_clock_synchronised` None: could not be asked.
    `clock_s` is the wall clock of the machine when it was looked at; None for a file tree.
    """

    files: Mapping[str, File]
    outputs: Mapping[str, Output] = field(default_factory=dict)
    processes: Mapping[str, float] | None = None
    is_clock_synchronised: bool | None = None
    clock_s: float | None = None
    by_depth: Mapping[int, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the paths once: a host of a thousand interfaces has ten thousand of them."""
        depths: dict[int, list[str]] = {}
        for path in sorted(self.files):
            depths.setdefault(path.count("/"), []).append(path)
        object.__setattr__(self, "by_depth", depths)

    def text(self, path: str) -> str:
        """Return a file's text; the empty text where there is none."""
        found = self.files.get(path)
        return "" if found is None else found.text

    def changed_s(self, path: str) -> float:
        """Return when a path was changed; 0 where there is none."""
        found = self.files.get(path)
        return 0 if found is None else found.changed_s

    def has(self, path: str) -> bool:
        """Tell whether a path was there."""
        return path in self.files

    def matching(self, pattern: str) -> Iterator[File]:
        """Give the files whose path matches; `*` never reaches over a slash. Sorted by path."""
        depth, beginning = pattern.count("/"), _WILDCARD.split(pattern)[0]
        paths = self.by_depth.get(depth, [])
        for position in range(bisect_left(paths, beginning), len(paths)):
            path = paths[position]
            if not path.startswith(beginning):
                return
            if fnmatchcase(path, pattern):
                yield self.files[path]

    def is_running(self, *names: str) -> bool | None:
        """Tell whether one of these programs runs; None for a file tree. The kernel keeps 15 characters."""
        if self.processes is None:
            return None
        return any(name[:15] in self.processes for name in names)
