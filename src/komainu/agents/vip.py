"""Hold a virtual IP address: add it to the interface of its network, and tell the network where it is now.

Source: OCF resource agent API 1.1; RFC 5227, section 3 (ARP announcements); iproute2's `ip -o`.
"""

import os
import socket
import sys
import time

from komainu.agents.resource_agent import (
    ERROR,
    NOT_CONFIGURED,
    NOT_INSTALLED,
    NOT_RUNNING,
    OK,
    Agent,
    Failure,
    Parameter,
)

ANNOUNCEMENT_GAP_S = 0.01
"""Pause between announcements: enough that one burst of loss does not take them all, and no more, since what
is started after the address waits for them."""

ANNOUNCEMENTS_MAX = 20

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Of what ip says so much is read: 100,000 addresses."""

_AGENT = Agent(
    "vip",
    "A virtual IP address",
    "Adds an IPv4 or IPv6 address to an interface and announces it (gratuitous ARP), so that clients find the "
    "service on whichever node it runs.",
    [
        Parameter("ip", "string", None, "the address, such as 10.0.0.100", required=True, unique=True),
        Parameter(
            "cidr_netmask", "integer", None, "the length of its prefix; by default that of its network"
        ),
        Parameter(
            "nic", "string", None, "the interface; by default the one that is in the address's network"
        ),
        Parameter("arp_count", "integer", "3", "how often the address is announced after it was added"),
    ],
)


class _Place:
    """An address on an interface, as the kernel lists it."""

    def __init__(self, nic: str, address: str, prefix: int) -> None:
        self.nic = nic
        self.address = address
        self.prefix = prefix


class _Answer:
    """What the program ip said."""

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


def _ip(*arguments: str) -> _Answer:
    """Run ip. Without the module subprocess, whose import alone takes longer than ip does."""
    said = [os.memfd_create("ip") for _ in range(2)]
    into = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(said, start=1)]
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        pid = os.posix_spawnp("ip", ["ip", *arguments], os.environ, file_actions=[nothing, *into])
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stdout, stderr = (os.pread(file, ANSWER_BYTES_MAX, 0).decode(errors="replace") for file in said)
        return _Answer(code, stdout, stderr)
    except FileNotFoundError:
        raise Failure(NOT_INSTALLED, "the program ip is missing; install the package iproute2") from None
    finally:
        for file in said:
            os.close(file)


def _packed(address: str) -> bytes:
    """Return the address's bytes. Raises Failure when it is none."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        raise Failure(
            NOT_CONFIGURED, f"ip={address} is not an IP address; write it like 10.0.0.100"
        ) from None


def _address() -> str:
    return _AGENT.value("ip").strip()


def _prefix() -> int | None:
    """Return the configured length of the prefix; None where the network's own is meant."""
    text = _AGENT.value("cidr_netmask")
    if not text:
        return None
    if "." in text:  # a netmask, as older configurations have it
        text = str(int.from_bytes(_packed(text), "big").bit_count())
    bits = 8 * len(_packed(_address()))
    if not text.isdigit() or int(text) > bits:
        raise Failure(NOT_CONFIGURED, f"cidr_netmask={text} is not a number from 0 to {bits}")
    return int(text)


def _places() -> "list[_Place]":
    """List all addresses of the family."""
    family = "-6" if ":" in _address() else "-4"
    result = _ip("-o", family, "addr", "show")
    if result.returncode != 0:
        raise Failure(ERROR, f"ip addr show failed: {result.stderr.strip()}")
    places = []
    for line in result.stdout.splitlines():
        words = line.split()
        address, _, prefix = words[3].partition("/")
        # A point-to-point address has its prefix behind the peer's.
        if words[4:5] == ["peer"]:
            prefix = words[5].partition("/")[2]
        places.append(_Place(words[1], address, int(prefix or 8 * len(_packed(_address())))))
    return places


def _held(places: "list[_Place] | None" = None) -> "list[_Place]":
    """List where the address is, among these places; by default where it is now."""
    wanted = _packed(_address())
    return [place for place in (_places() if places is None else places) if _packed(place.address) == wanted]


def _home(places: "list[_Place]") -> tuple[str, int]:
    """Find the interface and the length of the prefix for the address, with the places of all addresses."""
    address, nic, prefix = _address(), _AGENT.value("nic"), _prefix()
    bits = 8 * len(_packed(address))
    number = int.from_bytes(_packed(address), "big")
    for place in places:
        shift = bits - place.prefix
        is_inside = number >> shift == int.from_bytes(_packed(place.address), "big") >> shift
        if is_inside and place.prefix < bits and nic in {"", place.nic} and prefix in {None, place.prefix}:
            return place.nic, place.prefix
    nic = nic or _nic_by_route(address)
    if not nic:
        raise Failure(
            ERROR,
            f"no interface of this node is in the network of {address}; set nic, or give the interface an address",
        )
    if not os.path.isdir(f"/sys/class/net/{nic}") and _ip("link", "show", "dev", nic).returncode != 0:  # noqa: PTH112 - pathlib costs milliseconds at each run
        raise Failure(
            ERROR, f"there is no interface {nic} on this node; correct nic, or bring the interface up"
        )
    return nic, bits if prefix is None else prefix


def _nic_by_route(address: str) -> str:
    """Return the interface by which the address is reached without a gateway; "" when there is none."""
    result = _ip("-o", "route", "get", address)
    words = result.stdout.split()
    if result.returncode != 0 or "via" in words or "dev" not in words or words[0] == "local":
        return ""
    nic = words[words.index("dev") + 1]
    return "" if nic == "lo" else nic


def _announce(nic: str, address: str) -> None:
    """Send ARP announcements, as request and as reply, since old switches and hosts listen to one of them."""
    if ":" in address:
        return  # the kernel defends and announces IPv6 addresses itself
    count = min(_AGENT.number("arp_count"), ANNOUNCEMENTS_MAX)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((nic, 0))
            hardware = wire.getsockname()[4]
            if len(hardware) != 6:
                return  # no Ethernet, no ARP
            for turn in range(count):
                if turn:
                    time.sleep(ANNOUNCEMENT_GAP_S)
                for operation in (1, 2):
                    wire.send(_arp(hardware, _packed(address), operation))
    except OSError as failure:
        # The address is there and works; whoever remembers the old place learns it a little later.
        print(f"{address} could not be announced on {nic}: {failure}", file=sys.stderr)


def _arp(hardware: bytes, address: bytes, operation: int) -> bytes:
    """Write the frame that says: this address is here."""
    everybody = b"\xff" * 6
    target = everybody if operation == 2 else b"\0" * 6
    header = everybody + hardware + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04" + operation.to_bytes(2, "big")
    return header + hardware + address + target + address


def _start() -> int:
    address = _address()
    places = _places()
    held = _held(places)
    if held:
        _announce(held[0].nic, address)
        return OK
    nic, prefix = _home(places)
    extra = ["nodad"] if ":" in address else ["brd", "+"]
    result = _ip("addr", "add", f"{address}/{prefix}", "dev", nic, *extra)
    if result.returncode != 0 and not _held():
        raise Failure(ERROR, f"{address} could not be added to {nic}: {result.stderr.strip()}")
    _announce(nic, address)
    return OK


def _stop() -> int:
    for place in _held():
        _spare_neighbours(place.nic)
        result = _ip("addr", "del", f"{place.address}/{place.prefix}", "dev", place.nic)
        still = [held.nic for held in _held() if held.nic == place.nic]
        if result.returncode != 0 and still:
            raise Failure(
                ERROR, f"{place.address} could not be removed from {place.nic}: {result.stderr.strip()}"
            )
    return OK


def _spare_neighbours(nic: str) -> None:
    """Keep the interface's other addresses when this one goes.

    Where ours is the first of its network, as after the node's own address was taken away and given back, the
    kernel would else remove all of that network with it (net.ipv4.conf.NIC.promote_secondaries).
    """
    if ":" in _address():
        return
    try:
        with open(f"/proc/sys/net/ipv4/conf/{nic}/promote_secondaries", "w", encoding="ascii") as switch:  # noqa: PTH123 - pathlib costs milliseconds at each run
            switch.write("1")
    except OSError:
        return  # read-only in some containers; then the machine's own setting holds


def _monitor() -> int:
    nic = _AGENT.value("nic")
    return OK if any(nic in {"", place.nic} for place in _held()) else NOT_RUNNING


def _validate() -> int:
    _packed(_address())
    _prefix()
    _AGENT.number("arp_count")
    _ip("-V")
    return OK


def main() -> None:
    """Do the action of the command line."""
    _AGENT.add("start", "20s", _start)
    _AGENT.add("stop", "20s", _stop)
    _AGENT.add("monitor", "20s", _monitor, interval="10s")
    _AGENT.add("validate-all", "20s", _validate)
    sys.exit(_AGENT.run())
