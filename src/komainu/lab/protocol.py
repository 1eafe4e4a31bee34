"""Define what goes over the lab's sockets: control of the host, the wire to each machine, the power switch.

One JSON object a line, read strictly. Three conversations: a command and the host (control.sock); the host
and a machine's first process (an inherited socket pair); a fence agent and the host (power.sock).
"""

from typing import Final

import msgspec

from komainu.lab.action import Operation
from komainu.lab.layout import Layout
from komainu.lab.managers import Network
from komainu.lab.stacks import Stack

BLUEPRINT_FILE: Final = "blueprint.json"
HOST_FILE: Final = "host.json"
HOST_LOG: Final = "host.log"
CONTROL_SOCKET: Final = "control.sock"
POWER_SOCKET: Final = "power.sock"

# -- starting the host ----------------------------------------------------------------------------------


class Blueprint(msgspec.Struct, frozen=True):
    """Everything the host must know to raise a lab; stands in the lab's directory."""

    name: str
    layout: Layout
    daemon: tuple[str, ...]  # what each machine runs
    probe_url: str  # what the client asks for; "" runs no client
    network: Network = Network.STATIC
    server_config: bool = False  # the manager keeps addresses without carrier
    stack: Stack = Stack.KOMAINU


class HostProcess(msgspec.Struct, frozen=True):
    """Which process holds the lab, as the outside counts. A pid is used again; pid and start are not."""

    pid: int
    start: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The host says over the lifeline that the lab is up."""


class Unable(msgspec.Struct, frozen=True, tag="unable"):
    """The host says over the lifeline why it could not raise the lab."""

    error: str


# -- control: a command asks, the host answers ------------------------------------------------------------


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Ask how the machines and cables stand."""


class Perform(msgspec.Struct, frozen=True, tag="perform"):
    """Do something to the lab; answered when it is done."""

    operation: Operation


class AskEvents(msgspec.Struct, frozen=True, tag="events"):
    """Ask what happened to the machines since the event with this index, it included."""

    first: int = 0


class AskService(msgspec.Struct, frozen=True, tag="service"):
    """Ask what the client saw between two moments of the monotonic clock (ms)."""

    since: int
    until: int


class TakeDown(msgspec.Struct, frozen=True, tag="take-down"):
    """End the lab."""


ControlRequest = Describe | Perform | AskEvents | AskService | TakeDown


class MachineView(msgspec.Struct, frozen=True):
    """One machine. `pid_namespace` is the inode by which its first process is found from outside."""

    node: str
    is_on: bool
    boots: int
    pid_namespace: int | None
    daemon: str  # "running", "exited with 70", "not started", "off"


class PortView(msgspec.Struct, frozen=True):
    """One end of a cable, at a node."""

    node: str
    cable: str
    nic: str
    address: str
    is_plugged: bool


class LabView(msgspec.Struct, frozen=True, tag="lab"):
    """How the lab stands."""

    name: str
    machines: tuple[MachineView, ...]
    ports: tuple[PortView, ...]


class LabEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a machine. `at` is the monotonic clock in ms."""

    index: int
    at: int
    node: str
    kind: str  # boot, power-off, reset, daemon-started, daemon-exited
    reason: str


class Events(msgspec.Struct, frozen=True, tag="event-list"):
    """What happened to the machines, oldest first."""

    events: tuple[LabEvent, ...]


class Stint(msgspec.Struct, frozen=True):
    """A node began to answer at this moment (monotonic ms), after another or as the first."""

    node: str
    began: int


class ServiceSeen(msgspec.Struct, frozen=True, tag="service-seen"):
    """What the client saw in a window. Gaps in ms, without the time in which the probe or a processor was stalled."""

    answers: int
    longest_gap_ms: int
    stalled_ms: int
    stints: tuple[Stint, ...]  # in their order
    silent_ms: int  # from the last answer to the end of the window


class Fine(msgspec.Struct, frozen=True, tag="fine"):
    """It is done."""

    detail: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It was not done, for this reason."""

    error: str


ControlReply = LabView | Events | ServiceSeen | Fine | Failed

# -- the wire between host and machine -------------------------------------------------------------------


class MachineUp(msgspec.Struct, frozen=True, tag="up"):
    """The machine has mounted its files and wants its cables."""


class DaemonStarted(msgspec.Struct, frozen=True, tag="daemon-started"):
    """The machine started the daemon; `pid` as the machine counts."""

    pid: int


class DaemonExited(msgspec.Struct, frozen=True, tag="daemon-exited"):
    """The daemon ended; `how` reads "exited with 70" or "killed by SIGKILL"."""

    how: str


class WatchdogExpired(msgspec.Struct, frozen=True, tag="watchdog"):
    """The watchdog was not petted in time: the machine must be reset."""

    reason: str


MachineReport = MachineUp | DaemonStarted | DaemonExited | WatchdogExpired


class RunDaemon(msgspec.Struct, frozen=True, tag="run-daemon"):
    """The host lets the machine start the daemon, unless it runs."""


# -- the power switch ------------------------------------------------------------------------------------


class PowerAsk(msgspec.Struct, frozen=True):
    """What a fence agent asks: off, on, reboot or status of a node; list of all."""

    action: str
    node: str = ""


class PowerAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the switch answers; `off` only when nothing is left of the machine."""

    ok: bool
    power: str = ""
    error: str = ""
    nodes: tuple[str, ...] = ()


# -- the client's probe ----------------------------------------------------------------------------------


class Served(msgspec.Struct, frozen=True):
    """One answer: when it was complete (monotonic ms), from which node, and how late the probe itself was."""

    at: int
    node: str
    late_ms: int = 0
