"""Describe a lab: its machines, the cables between them, and every name and address that follows.

Pure values; knows no namespace, socket or process. Addresses are fixed by the place of a machine and a cable
in the layout, so that a drill can be read without looking anything up.
"""

import re
from typing import Final, Literal

import msgspec

NODES_MAX: Final = 8
"""A lab is a rehearsal on one computer; what eight nodes cannot show belongs into the simulator."""

INTERCONNECTS_MAX: Final = 7
"""A ring has up to eight links, and one of them is the service LAN."""

SHARED_DISKS: Final = (0, 1, 3)
"""With two, neither of them would be a majority."""

NODE_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,7}")
"""Short, since `NODE-NIC` names a port of the plant and the kernel allows 15 characters."""

PREFIX_BITS: Final = 24
CLIENT: Final = "client"
CLIENT_ADDRESS: Final = "10.77.0.9"
WITNESS_ADDRESS: Final = "10.77.0.8"
SERVICE_ADDRESS: Final = "10.77.0.100"
"""Where drills put their service by custom; nothing of the lab answers there."""


class Cable(msgspec.Struct, frozen=True):
    """One cable: a two-port (or more) bridge in the plant, and an interface of the same name in each node."""

    name: str
    nic: str
    bridge: str
    subnet: str  # the first three octets
    first_host: int  # the last octet of the first node

    def address(self, index: int) -> str:
        """Give the address of the node with this place in the layout, counted from 0."""
        return f"{self.subnet}.{self.first_host + index}"


LAN: Final = Cable(name="lan", nic="eth0", bridge="br0", subnet="10.77.0", first_host=1)
"""The service LAN: the client's probe hangs on it too."""


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The machines of a lab and how many direct cables run between them, beside the service LAN."""

    nodes: tuple[str, ...] = ("a", "b")
    interconnects: int = 1
    ring_on_lan: bool = True  # the service LAN is the ring's last link
    has_witness: bool = False  # a witness hangs on the service LAN: with Corosync a qnetd
    witness_algorithm: Literal["ffsplit", "lms"] = "ffsplit"
    witness_has_tls: bool = False  # of a qnetd: only with certificates, made by Corosync's own tools
    has_lease: bool = False  # the witness is a file that every machine reaches
    knows_clients: bool = False  # the nodes ask the client whether it is there
    shared_disks: int = 0  # with sbd's format, which every machine reaches, 1 or 3; of a peer block devices
    has_sbd: bool = False  # a peer's machines run sbd, also without a shared disk; with one they always do
    detect_within_ms: int | None = None  # the ring's; of a peer, Corosync's token. None: each one's default

    @property
    def cables(self) -> tuple[Cable, ...]:
        """Every cable; the interconnects come first, as the ring's links do: 0 is preferred."""
        direct = tuple(
            Cable(
                name="interconnect" if number == 1 else f"interconnect{number}",
                nic=f"eth{number}",
                bridge=f"br{number}",
                subnet=f"192.168.{32 + number}",
                first_host=101,
            )
            for number in range(1, self.interconnects + 1)
        )
        return (*direct, LAN)

    @property
    def ring_cables(self) -> tuple[Cable, ...]:
        """The cables over which the nodes hear each other, preferred first."""
        return self.cables if self.ring_on_lan else self.cables[:-1]

    def cable(self, name: str) -> Cable | None:
        """Find a cable by its name."""
        return next((cable for cable in self.cables if cable.name == name), None)

    def address(self, node: str, cable: Cable) -> str:
        """Give a node's address on a cable."""
        return cable.address(self.nodes.index(node))

    def problems(self) -> tuple[str, ...]:
        """Say what is wrong with it, one sentence each; empty when it can be built."""
        found = []
        if not 1 <= len(self.nodes) <= NODES_MAX:
            found.append(f"a lab has 1 to {NODES_MAX} nodes, not {len(self.nodes)}")
        if not 0 <= self.interconnects <= INTERCONNECTS_MAX:
            found.append(f"a lab has 0 to {INTERCONNECTS_MAX} interconnects, not {self.interconnects}")
        if self.detect_within_ms is not None and self.detect_within_ms < 1:
            found.append(f"detect_within_ms is {self.detect_within_ms}; it takes 1 or more")
        if self.shared_disks not in SHARED_DISKS:
            found.append(f"a lab has 0, 1 or 3 shared disks, not {self.shared_disks}")
        if self.has_lease and self.has_witness:
            found.append("a lab has one witness: `has_witness` or `has_lease`")
        if self.interconnects == 0 and not self.ring_on_lan:
            found.append("a ring needs a link: an interconnect, or `ring_on_lan`")
        found.extend(
            f"`{node}` cannot name a node of a lab: it takes 1 to 8 of a-z and 0-9, a letter first"
            for node in self.nodes
            if not NODE_NAME.fullmatch(node) or node == CLIENT
        )
        if len(set(self.nodes)) != len(self.nodes):
            found.append("two nodes have the same name")
        return tuple(found)


def port_name(node: str, cable: Cable) -> str:
    """Name the end of a node's wire in the plant: the thing that is set down when a cable is pulled."""
    return f"{node}-{cable.nic}"


def hardware_address(node_index: int, cable: Cable) -> str:
    """Give an interface the same MAC address at every boot, as real hardware has."""
    return f"02:6b:6f:00:{int(cable.nic[3:]):02x}:{node_index + 1:02x}"


def bridge_address(cable: Cable) -> str:
    """Give a cable's own end in the plant a MAC address that stays, whoever hangs on it."""
    return f"02:6b:6f:00:{int(cable.bridge[2:]):02x}:00"
