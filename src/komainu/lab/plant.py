"""Lay, pull and plug the cables: every change to interfaces and bridges of a lab goes through here.

The plant is the host's own network namespace: one bridge a cable, one port a node. A cable is pulled by
setting its ports down in one batch, so the interfaces in the nodes stay set up and lose their carrier, both
in the same moment, as with a real direct cable. Knows nothing of machines but the pid whose namespace it is
to reach. Source: ip-link(8), veth(4); NETWORK facts, section A.1.
"""

import contextlib
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from komainu.lab import action
from komainu.lab.layout import (
    CLIENT,
    CLIENT_ADDRESS,
    LAN,
    PREFIX_BITS,
    WITNESS_ADDRESS,
    Cable,
    Layout,
    bridge_address,
    hardware_address,
    port_name,
)

IP_TIMEOUT_S: Final = 20
"""A batch takes milliseconds; namespaces that are being torn down can hold the kernel's lock for a while."""


class LabFailure(Exception):
    """Something asked of the lab could not be done; the text says what and why."""


def run_ip(lines: Sequence[str], *, pid: int | None = None, force: bool = False) -> None:
    """Carry out `ip` commands as one batch, in the network namespace of `pid` or in our own.

    With `force`, lines that fail do not stop the others and are no failure. Raises LabFailure otherwise.
    """
    inside = () if pid is None else ("nsenter", "-t", str(pid), "-n")
    command = [*inside, "ip", *(("-force",) if force else ()), "-batch", "-"]
    try:
        done = subprocess.run(
            command,
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=IP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabFailure(f"`{' '.join(command)}` could not run: {error}") from error
    if done.returncode and not force:
        said = " ".join(done.stderr.split())
        raise LabFailure(f"`ip {'; '.join(lines)}` failed: {said}")


class Plant:
    """The cables of one lab, and which of their ends are pulled."""

    def __init__(self, layout: Layout, *, is_managed: bool = False) -> None:
        self._layout = layout
        self._is_managed = is_managed  # a network manager in the machines sets the interfaces up
        self._pulled: set[tuple[str, str]] = set()  # (node, cable name)
        self._isolated: set[str] = set()  # cable names
        self._powered: set[str] = set()

    def is_plugged(self, node: str, cable: Cable) -> bool:
        """Say whether this end of the cable is in its socket."""
        return (node, cable.name) not in self._pulled

    def build(self) -> None:
        """Make the bridges. Without spanning tree and delay: a cable carries from its first moment."""
        with contextlib.suppress(OSError):  # comfort only: a quieter plant
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1", encoding="ascii")
        lines = ["link set lo up"]
        for cable in self._layout.cables:
            # An address of its own: else it takes that of its lowest port, and who knows the witness by it does not
            # reach it any more, for seconds, when the machine at that port is switched off.
            lines.append(
                f"link add {cable.bridge} address {bridge_address(cable)} type bridge "
                "stp_state 0 forward_delay 0 mcast_snooping 0"
            )
            lines.append(f"link set {cable.bridge} up")
        run_ip(lines)

    def connect(self, node: str, pid: int, cables: Iterable[Cable] | None = None) -> None:
        """Give a machine its interfaces, with addresses; an end that is pulled stays without carrier."""
        index = self._layout.nodes.index(node)
        self._powered.add(node)
        here: list[str] = []
        there = ["link set lo up"]
        for cable in self._layout.cables if cables is None else cables:
            port = port_name(node, cable)
            mac = hardware_address(index, cable)
            here.append(f"link add {port} type veth peer name {cable.nic} address {mac} netns {pid}")
            here.append(f"link set {port} master {cable.bridge}")
            here += self._port_lines(cable)
            if not self._is_managed:
                there.append(f"link set {cable.nic} up")
                there.append(self._address_line("replace", node, cable))
        run_ip(here)
        run_ip(there, pid=pid)

    def connect_client(self, pid: int) -> None:
        """Hang the client's namespace on the service LAN."""
        port = f"{CLIENT}-{LAN.nic}"
        run_ip(
            [
                f"link add {port} type veth peer name {LAN.nic} netns {pid}",
                f"link set {port} master {LAN.bridge}",
                f"link set {port} up",
            ]
        )
        lines = ["link set lo up", f"link set {LAN.nic} up"]
        run_ip([*lines, f"addr replace {CLIENT_ADDRESS}/{PREFIX_BITS} dev {LAN.nic}"], pid=pid)

    def add_witness(self) -> None:
        """Give the service LAN's bridge itself an address: the witness runs here, outside of every machine."""
        run_ip([f"addr replace {WITNESS_ADDRESS}/{PREFIX_BITS} dev {LAN.bridge}"])

    def silence(self, node: str) -> None:
        """Cut every cable of a machine that is about to die: not one packet of its last moments gets out.

        The other end of a direct cable loses its carrier with it, as when a machine's power is cut.
        """
        self._powered.discard(node)
        lines = [f"link set {port_name(node, cable)} down" for cable in self._layout.cables]
        lines += [line for cable in self._layout.cables for line in self._port_lines(cable)]
        run_ip(lines, force=True)

    def disconnect(self, node: str) -> None:
        """Remove what is left of a dead machine's interfaces."""
        run_ip([f"link del {port_name(node, cable)}" for cable in self._layout.cables], force=True)

    def work(self, operation: action.WireAction, node: str, pid: int | None) -> None:
        """Do one thing to one end of a cable, inside the machine `pid` where it must."""
        cable = self._layout.cable(operation.cable)
        assert cable is not None, "the host checks names before it works"
        match operation:
            case action.DeleteInterface():
                run_ip([f"link del {cable.nic}"], pid=_running(node, pid))
            case action.CreateInterface():
                self.connect(node, _running(node, pid), (cable,))
            case _:
                run_ip(self._lines_inside(operation, node, cable), pid=_running(node, pid))

    def set_carrier(self, nodes: Sequence[str], cable: Cable, *, is_plugged: bool) -> None:
        """Pull or plug ends of a cable, all in one batch: a direct cable has its two ends at once."""
        ends = {(node, cable.name) for node in nodes}
        self._pulled = self._pulled - ends if is_plugged else self._pulled | ends
        run_ip(self._port_lines(cable), force=True)

    def _port_lines(self, cable: Cable) -> list[str]:
        """Set each port of a cable up or down, as its plug and the power at its ends have it."""
        nodes = self._layout.nodes
        is_direct = cable != LAN and len(nodes) == 2
        is_lit = not is_direct or self._powered >= set(nodes)
        return [
            f"link set {port_name(node, cable)} {'up' if is_lit and self.is_plugged(node, cable) else 'down'}"
            for node in nodes
            if node in self._powered
        ]

    def isolate(self, cable: Cable, *, is_isolated: bool) -> None:
        """Let frames pass between the nodes' ports or not; the client's port is never isolated."""
        self._isolated = self._isolated | {cable.name} if is_isolated else self._isolated - {cable.name}
        state = "on" if is_isolated else "off"
        ports = [port_name(node, cable) for node in self._layout.nodes]
        run_ip([f"link set {port} type bridge_slave isolated {state}" for port in ports], force=True)

    def _lines_inside(self, operation: action.WireAction, node: str, cable: Cable) -> list[str]:
        address = self._layout.address(node, cable)
        remove = f"addr flush dev {cable.nic} to {address}/32"
        match operation:
            case action.DelAddress():
                return [remove]
            case action.AddAddress():
                return [self._address_line("replace", node, cable)]
            case action.IfDown():
                return [f"addr flush dev {cable.nic} scope global", f"link set {cable.nic} down"]
            case action.IfUp():
                return [f"link set {cable.nic} up", self._address_line("replace", node, cable)]
        raise AssertionError(f"{operation} is not done inside a machine")

    def _address_line(self, verb: str, node: str, cable: Cable) -> str:
        address = self._layout.address(node, cable)
        return f"addr {verb} {address}/{PREFIX_BITS} broadcast {cable.subnet}.255 dev {cable.nic}"


def _running(node: str, pid: int | None) -> int:
    """Insist on a machine that is on."""
    if pid is None:
        raise LabFailure(f"{node} is off: its interfaces cannot be changed")
    return pid
