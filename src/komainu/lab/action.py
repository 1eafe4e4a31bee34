"""Name what can be done to a lab, or waited for: the vocabulary of drill files and of the lab's socket.

Pure values. One struct per verb, read strictly: an unknown key is refused with its name. `node` of a wire
action may be left out: every node. The words ACTIVE and PASSIVE stand for nodes until a drill runs.
"""

from typing import Final, Literal

import msgspec

ACTIVE: Final = "ACTIVE"
PASSIVE: Final = "PASSIVE"


class _Do(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """What every action has in common: the key `do` names it."""


class WireAction(_Do, frozen=True):
    """What is done to one end of a cable, or to every end."""

    cable: str
    node: str | None = None  # None: the ends of every node


class Pull(WireAction, frozen=True, tag="pull"):
    """Pull a cable: the interface stays set up and keeps its address, the carrier goes."""


class Plug(WireAction, frozen=True, tag="plug"):
    """Plug a cable back in."""


class DelAddress(WireAction, frozen=True, tag="del_address"):
    """Take the address off the interface, as a network manager does behind the administrator's back."""


class AddAddress(WireAction, frozen=True, tag="add_address"):
    """Put the address back on the interface."""


class IfDown(WireAction, frozen=True, tag="ifdown"):
    """Do as Debian's ifdown: remove the address, set the interface down."""


class IfUp(WireAction, frozen=True, tag="ifup"):
    """Do as Debian's ifup: set the interface up, add the address."""


class DeleteInterface(WireAction, frozen=True, tag="delete_interface"):
    """Remove the interface from the machine, as a driver does that is unloaded."""


class CreateInterface(WireAction, frozen=True, tag="create_interface"):
    """Make the interface anew, with its address; the kernel gives it another index."""


class CableAction(_Do, frozen=True):
    """What is done to a whole cable or LAN."""

    cable: str


class Isolate(CableAction, frozen=True, tag="isolate"):
    """Let no frame pass between nodes; each keeps its carrier, its address and the client."""


class Rejoin(CableAction, frozen=True, tag="rejoin"):
    """Let frames pass between nodes again."""


class NodeAction(_Do, frozen=True):
    """What is done to a machine."""

    node: str


class PowerOff(NodeAction, frozen=True, tag="power_off"):
    """Cut the power: silence on all cables first, then nothing is left of the machine."""


class PowerOn(NodeAction, frozen=True, tag="power_on"):
    """Boot the machine; nothing happens when it is on."""


class Reset(NodeAction, frozen=True, tag="reset"):
    """Cut the power and boot again at once."""


class StartDaemon(NodeAction, frozen=True, tag="start_daemon"):
    """Start the cluster's daemon on a machine where it ended."""


class KillDaemon(NodeAction, frozen=True, tag="kill_daemon"):
    """Send a signal to the cluster's daemon: TERM asks it to leave in order, STOP makes it hang."""

    signal: str = "KILL"


class FenceDevice(_Do, frozen=True, tag="fence_device"):
    """Change how the lab's fence device behaves from now on.

    good; dead: it answers nothing; slow: after `takes`; lies: it says that it has switched, and has not.
    """

    mood: Literal["good", "dead", "slow", "lies"]
    takes: str = "3s"  # only of a slow one


class Kill(_Do, frozen=True, tag="kill"):
    """Send a signal to processes of a node: those of a resource, or those whose command line has a pattern."""

    node: str
    resource: str | None = None
    pattern: str | None = None
    signal: str = "KILL"
    if_any: bool = False  # that there is none is no failure


Operation = (
    Pull
    | Plug
    | DelAddress
    | AddAddress
    | IfDown
    | IfUp
    | DeleteInterface
    | CreateInterface
    | Isolate
    | Rejoin
    | PowerOff
    | PowerOn
    | Reset
    | StartDaemon
    | KillDaemon
    | FenceDevice
    | Kill
)
"""What the lab's host can do."""


class Wait(_Do, frozen=True, tag="wait"):
    """Let time pass: `for = "2s"`."""

    for_: str = msgspec.field(name="for")


class WaitUntil(_Do, frozen=True, tag="wait_until"):
    """Wait until all that is named holds, at most `within`."""

    within: str = "30s"
    link_down: str | None = None  # no-carrier, no-address, no-interface, admin-down, none
    service_on: str | None = None  # a node, or same, or other
    online: str | None = None  # a node


class StopResource(_Do, frozen=True, tag="stop_resource"):
    """Have the cluster stop a resource, by the command of whatever stack runs it."""

    resource: str


class Run(_Do, frozen=True, tag="run"):
    """Run a command in a node; it is no shell. A command that fails ends the drill."""

    node: str
    command: str


DrillAction = Operation | Wait | WaitUntil | StopResource | Run
"""What a step of a drill can do."""
