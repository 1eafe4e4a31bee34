"""Say how a network manager is set up on a machine of a lab: its files, and the programs that run it.

Pure values: knows no namespace and no process. A machine without a manager gets its addresses from the plant.
The programs are the distribution's own, unchanged; only their settings are written here.
Source: NetworkManager.conf(5), nm-settings-keyfile(5), systemd.network(5); the text of the package
NetworkManager-config-server. A read-only /sys makes NetworkManager do without udev (measured).
"""

import uuid
from enum import Enum
from typing import Final

import msgspec

from komainu.lab.layout import PREFIX_BITS, Layout


class Network(Enum):
    """Who puts the addresses on a machine's interfaces."""

    STATIC = "static"
    NETWORKMANAGER = "networkmanager"
    NETWORKD = "networkd"


PROGRAMS: Final = {
    Network.STATIC: (),
    Network.NETWORKMANAGER: ("/usr/sbin/NetworkManager", "/usr/bin/nmcli", "/usr/bin/dbus-daemon"),
    Network.NETWORKD: ("/lib/systemd/systemd-networkd",),
}
"""What must be installed."""

PACKAGES_HINT: Final = (
    "Debian: apt-get install network-manager dbus systemd corosync pacemaker pacemaker-cli-utils"
)

PROCESS: Final = {Network.NETWORKMANAGER: "/usr/sbin/NetworkManager", Network.NETWORKD: "systemd-networkd"}
"""What the manager's process is known by."""


class MachineFile(msgspec.Struct, frozen=True):
    """One file that a machine finds at its first boot; the path as the machine sees it."""

    path: str
    text: str
    mode: int = 0o644


SERVER_CONFIG: Final = MachineFile(
    "/etc/NetworkManager/conf.d/00-server.conf", "[main]\nno-auto-default=*\nignore-carrier=*\n"
)
"""What the package NetworkManager-config-server ships."""

_NETWORKMANAGER_CONF: Final = """[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
auth-polkit=false
"""

_KEYFILE: Final = """[connection]
id={nic}
uuid={uuid}
type=ethernet
interface-name={nic}
autoconnect=true

[ipv4]
method=manual
address1={address}/{prefix}

[ipv6]
method=link-local
"""

_NETWORK_FILE: Final = """[Match]
Name={nic}

[Network]
Address={address}/{prefix}
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
{extra}"""

_BUS: Final = (
    "/bin/sh",
    "-c",
    "mkdir -p /run/dbus && exec dbus-daemon --system --nofork --nopidfile --nosyslog",
)
_AFTER_BUS: Final = (
    "i=0; until [ -S /run/dbus/system_bus_socket ] || [ $i -ge 100 ]; do i=$((i+1)); sleep 0.05; done; "
)
"""NetworkManager ends when it finds no bus; the two are started at once, so it waits up to 5 s."""

_NETIF: Final = "mkdir -p /run/systemd && cd /run/systemd && mkdir -p netif/links netif/leases netif/lldp && chown -R systemd-network netif"

SERVICES: Final[dict[Network, tuple[tuple[str, ...], ...]]] = {
    Network.STATIC: (),
    Network.NETWORKMANAGER: (
        _BUS,
        ("/bin/sh", "-c", f"{_AFTER_BUS}exec /usr/sbin/NetworkManager --debug"),
    ),
    Network.NETWORKD: (
        (
            "/bin/sh",
            "-c",
            f"{_NETIF} && exec /lib/systemd/systemd-networkd",
        ),
    ),
}
"""What a machine starts at boot, and starts again when it ends, as systemd would."""


def files(layout: Layout, node: str, network: Network, *, server_config: bool) -> tuple[MachineFile, ...]:
    """Write the manager's settings for one machine.

    For networkd, `server_config` is its own knob that has the same effect: ConfigureWithoutCarrier.
    """
    match network:
        case Network.STATIC:
            return ()
        case Network.NETWORKMANAGER:
            # NetworkManager sets the host name from this file, over the one that the machine has.
            common = (
                MachineFile("/etc/hostname", f"{node}\n"),
                MachineFile("/etc/NetworkManager/NetworkManager.conf", _NETWORKMANAGER_CONF),
            )
            server = (SERVER_CONFIG,) if server_config else ()
            return (*common, *server, *(_keyfile(layout, node, nic) for nic in _nics(layout)))
        case Network.NETWORKD:
            extra = "ConfigureWithoutCarrier=yes\n" if server_config else ""
            return tuple(_network_file(layout, node, nic, extra) for nic in _nics(layout))


def _nics(layout: Layout) -> tuple[str, ...]:
    return tuple(cable.nic for cable in layout.cables)


def _address(layout: Layout, node: str, nic: str) -> str:
    return next(layout.address(node, cable) for cable in layout.cables if cable.nic == nic)


def _keyfile(layout: Layout, node: str, nic: str) -> MachineFile:
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{node}.{nic}.komainu-lab")
    address = _address(layout, node, nic)
    text = _KEYFILE.format(nic=nic, uuid=identity, address=address, prefix=PREFIX_BITS)
    # NetworkManager ignores a keyfile that others may read.
    return MachineFile(f"/etc/NetworkManager/system-connections/{nic}.nmconnection", text, 0o600)


def _network_file(layout: Layout, node: str, nic: str, extra: str) -> MachineFile:
    text = _NETWORK_FILE.format(nic=nic, address=_address(layout, node, nic), prefix=PREFIX_BITS, extra=extra)
    return MachineFile(f"/etc/systemd/network/10-{nic}.network", text)
