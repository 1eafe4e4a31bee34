"""Describe the founding incident as a matrix: what is done to the interconnect, on which cabling, to which stack.

Pure values. A cell is one fault on one set-up: it is done, nothing is touched for a while, it is repaired,
and everything must be as before. Knows no lab that is up; incident_run.py carries the cells out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from komainu.lab import action
from komainu.lab.layout import SERVICE_ADDRESS, Layout
from komainu.lab.managers import PROCESS, Network
from komainu.lab.stacks import Stack

CABLE: Final = "interconnect"
NIC: Final = "eth1"
VICTIM: Final = action.ACTIVE
PROBE: Final = f"http://{SERVICE_ADDRESS}/"
WRONG_ADDRESS: Final = "192.168.33.201/24"
LOW_MTU: Final = 1280
"""The smallest that IPv6 takes; below it the kernel itself would remove the link-local addresses."""


class Cabling(Enum):
    """How the nodes are connected. The service LAN is always there, for the clients."""

    DIRECT = "direct"  # one cable from node to node, the ring's only link: as in that night
    SWITCH = "switch"  # the same through a switch: each node has its own cable
    DUAL = "dual"  # through a switch, and the service LAN is the ring's second link


@dataclass(frozen=True, slots=True)
class Command:
    """Run a command in the victim's machine."""

    words: tuple[str, ...]


Step = action.Operation | Command


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the active node's interconnect, and how it is repaired."""

    name: str
    harm: tuple[Step, ...]
    repair: tuple[Step, ...]
    networks: tuple[Network, ...] = tuple(Network)
    cablings: tuple[Cabling, ...] = tuple(Cabling)


@dataclass(frozen=True, slots=True)
class Setup:
    """One set-up of the matrix; all faults are done to it one after the other."""

    stack: Stack
    network: Network
    server_config: bool
    cabling: Cabling

    @property
    def layout(self) -> Layout:
        """The machines and cables."""
        return Layout(ring_on_lan=self.cabling is Cabling.DUAL)

    def problems(self) -> tuple[str, ...]:
        """Say what is contradictory in it."""
        found = []
        if self.server_config and self.network is Network.STATIC:
            found.append(
                "`--server-config yes` needs a network manager: --network networkmanager or networkd"
            )
        if self.stack is Stack.COROSYNC3_UDPU and self.cabling is Cabling.DUAL:
            found.append("with udpu, Corosync 3 has one link only: it cannot use a second one")
        return tuple(found)

    def faults(self) -> tuple[Fault, ...]:
        """Name the faults that exist on this set-up."""
        return tuple(
            fault for fault in FAULTS if self.network in fault.networks and self.cabling in fault.cablings
        )


class Cell(msgspec.Struct, frozen=True):
    """What came of one fault on one set-up. Times in ms; None: it did not happen, or is not to be had."""

    stack: str
    network: str
    server_config: bool
    cabling: str
    fault: str
    gone_ms: int | None  # from the fault until the victim's interconnect address was gone
    back_ms: int | None  # from the repair until it was back
    links: tuple[str, ...]  # what the nodes said of their links before the repair
    thought: dict[str, str]  # what each node took for the membership before the repair: "a b, quorate"
    membership_changes: int  # the most that one node went through
    daemon_exits: int
    reboots: int
    gap_ms: int | None  # the client's longest wait; None: the stack runs no service
    two_at_once_ms: int  # how long the service's address stood on two nodes
    healed_ms: int | None  # from the repair until all was as before; None: not within the limit
    lacking: tuple[str, ...] = ()  # what was missing when the limit was reached
    listing: str = ""  # `ip addr show` of the victim before the repair
    evidence: tuple[str, ...] = ()  # log lines, when something ended that should not
    measured: str = ""  # when, "2026-11-22 20:46"; only a collection of cells says it


def _nmcli(*words: str) -> Command:
    return Command(("nmcli", *words))


_ANY_MANAGER: Final = (Network.NETWORKMANAGER, Network.NETWORKD)
_NM: Final = (Network.NETWORKMANAGER,)

FAULTS: Final = (
    # A direct cable has one carrier: both nodes see its loss. Through a switch only the victim does.
    Fault("cable pulled", (action.Pull(CABLE),), (action.Plug(CABLE),), cablings=(Cabling.DIRECT,)),
    Fault(
        "cable pulled",
        (action.Pull(CABLE, VICTIM),),
        (action.Plug(CABLE, VICTIM),),
        cablings=(Cabling.SWITCH, Cabling.DUAL),
    ),
    Fault(
        "switch dies",
        (action.Pull(CABLE),),
        (action.Plug(CABLE),),
        cablings=(Cabling.SWITCH, Cabling.DUAL),
    ),
    Fault(
        "nmcli connection down",
        (_nmcli("connection", "down", NIC),),
        (_nmcli("connection", "up", NIC),),
        networks=_NM,
    ),
    Fault(
        "nmcli device disconnect",
        (_nmcli("device", "disconnect", NIC),),
        (_nmcli("device", "connect", NIC),),
        networks=_NM,
    ),
    *(
        Fault(
            "network manager restarted",
            (action.Kill(VICTIM, pattern=PROCESS[network], signal="TERM"),),
            (),
            networks=(network,),
        )
        for network in _ANY_MANAGER
    ),
    Fault(
        "interface deleted",
        (action.DeleteInterface(CABLE, VICTIM),),
        (action.CreateInterface(CABLE, VICTIM),),
    ),
    Fault(
        "MTU lowered",
        (Command(("ip", "link", "set", NIC, "mtu", str(LOW_MTU))),),
        (Command(("ip", "link", "set", NIC, "mtu", "1500")),),
    ),
    # The last two leave addresses that `ip` made, which are foreign to networkd from then on.
    Fault("ifdown", (action.IfDown(CABLE, VICTIM),), (action.IfUp(CABLE, VICTIM),)),
    Fault(
        "address changed",
        (
            action.DelAddress(CABLE, VICTIM),
            Command(("ip", "addr", "add", WRONG_ADDRESS, "dev", NIC)),
        ),
        (
            Command(("ip", "addr", "del", WRONG_ADDRESS, "dev", NIC)),
            action.AddAddress(CABLE, VICTIM),
        ),
    ),
)

CONFIGURATION: Final = """<configuration>
    <crm_config>
      <cluster_property_set id="options">
        <nvpair id="options-fencing" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes>
      <node id="1" uname="a"/>
      <node id="2" uname="b"/>
    </nodes>
    <resources>
      <group id="service">
        <primitive id="vip" class="ocf" provider="komainu" type="vip">
          <instance_attributes id="vip-parameters">
            <nvpair id="vip-ip" name="ip" value="10.77.0.100"/>
            <nvpair id="vip-prefix" name="cidr_netmask" value="24"/>
          </instance_attributes>
          <operations>
            <op id="vip-monitor" name="monitor" interval="10s" timeout="20s"/>
          </operations>
        </primitive>
        <primitive id="web" class="ocf" provider="komainu" type="web">
          <instance_attributes id="web-parameters">
            <nvpair id="web-port" name="port" value="80"/>
          </instance_attributes>
          <operations>
            <op id="web-monitor" name="monitor" interval="10s" timeout="20s"/>
          </operations>
        </primitive>
      </group>
    </resources>
    <constraints/>
    <rsc_defaults>
      <meta_attributes id="defaults">
        <nvpair id="defaults-stickiness" name="resource-stickiness" value="100"/>
      </meta_attributes>
    </rsc_defaults>
  </configuration>"""
"""The same for every stack that runs resources. Without fencing, as the peer's baseline: what is compared is
the ring, and a fenced node would hide what it did."""

CIB: Final = f"""<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
  {CONFIGURATION}
  <status/>
</cib>
"""
