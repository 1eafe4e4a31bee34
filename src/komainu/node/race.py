"""Decide when one half of a split pair may fence the other half, so that never both do.

Pure. When a pair loses sight of each other and both live, both see the same thing; if both fence at once, both
go down for one fault (S4). So they take turns, and both must know whose is which without a word. A round has
eight places, and a side begins to fence only at its own:

| what the state says, what this side sees | goes first | the other |
|------------------------------------------|------------|-----------|
| agreed who goes first; not cut off       | 0          | 1         |
| agreed; cut off                          | 2          | 3         |
| not agreed at this moment; not cut off   | 4          | 5         |
| not agreed, and cut off                  | 6          | 7         |

*Cut off* is who reaches none of its clients' targets; where there are none that ever answered, who has two or
more own ends, all of them down. Each side judges that for itself, and may change its mind: no two places are the
same whatever each of them sees, so a side may move among its own.

One place is later than another by the *lead*: long enough for both to have noticed, and for a fencing that began
earlier to have ended. A side that does not come first asks the fence devices at once whether the peer is off
already (fencing/duel.py); when they all say so, there is no race.

Theory of operation. Who goes first is agreed on while both are here, since what is read off the state may differ
by its last command when sight is lost in the midst of a move. It changes in two commands: first nobody goes first;
the new one is named when every member is known to have stored that. So the two sides never hold a different
name; at worst one holds a name and the other none, and their places differ still. When nobody is named, the lower
node id comes first.
Proven by sim/races.py; explained in docs/concepts/two-nodes.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from komainu.cib.command import SetAttribute
from komainu.cib.element import Element
from komainu.cib.options import cluster_option, is_true, read_int
from komainu.cib.pairs import pair_value, transient_value
from komainu.cib.state import ClusterState
from komainu.fencing import device as options
from komainu.fencing.interface import PLACES, Turns
from komainu.model import score
from komainu.model.cause import Cause
from komainu.model.duration import parse_ms
from komainu.model.fencing import FenceState
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.model.link import LinkState
from komainu.network.interface import ClientsSeen
from komainu.node.devices import fence_devices, fencing_option
from komainu.ring.interface import InstallView, LinkReport
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import NodeSettings, RingSettings, derive

GOES_FIRST: Final = "#goes-first"
"""The transient attribute that names the node which goes first."""

CLIENTS: Final = "#clients"
"""The transient attribute of a node whether its clients reach it: "reached", "lost"; none: nobody knows."""
REACHED: Final = "reached"
LOST: Final = "lost"

CUT_OFF_PLACES: Final = 2
UNNAMED_PLACES: Final = 4

QUERY_FACTOR: Final = 2
"""A device that takes so long for its monitor takes this many times as long to switch a node off, until known."""

FENCINGS_REMEMBERED: Final = 5
"""So many fencings of each device make the lead: one that a busy machine made slow is forgotten after as many others."""

PILL_AGENT: Final = "fence_sbd"
"""It leaves no pill while one lies in the slot of its own node: who comes second never strikes back."""

_ACTIVE_CODES: Final = {("start", "0"), ("monitor", "0"), ("monitor", "8"), ("promote", "0"), ("demote", "0")}
_PROMOTED: Final = {("monitor", "8"), ("promote", "0")}

Weight = tuple[int, int]
"""What a node runs: the sum of the priorities, then the number of resources."""


@dataclass(frozen=True, slots=True)
class Split:
    """What one side knows as the view without the other begins."""

    goes_first: bool | None  # None: nobody was named
    is_lowest: bool  # this side has the lowest node id of both
    links: tuple[LinkReport, ...]
    reaches_clients: bool | None = None  # None: nobody knows


def split_in(
    begun: InstallView, settings: RingSettings, state: ClusterState, links: list[LinkReport]
) -> Split | None:
    """Return what is known as a view begins; None when no other half may be quorate, too.

    `state` is the one that both sides agreed on last.
    """
    lost = {gone.node for gone in begun.departures if not gone.clean}
    members = set(begun.view.members)
    if not lost or not may_race(settings, state):
        return None
    named = goes_first(state.cib, settings)
    return Split(
        goes_first=None if named is None else named == settings.of(settings.me).name,
        is_lowest=min(members) < min(lost),
        links=tuple(links),
    )


def may_race(settings: RingSettings, state: ClusterState) -> bool:
    """Whether the other half may be quorate, too, and both fence."""
    return is_two_node(settings) and is_true(fencing_option(state.cib, "enabled"), default=True)


def turns_of(split: Split, settings: RingSettings, state: ClusterState, begun: Instant) -> Turns:
    """Return the turns of a side that saw the split begin at this moment."""
    detect_ms = derive(settings).detect_within_ms
    names = tuple(node.name for node in settings.nodes)
    lead_ms = 2 * detect_ms + fencing_takes_ms(state) * 3 // 2 + delays_ms(state.cib, names)
    turns = Turns(begun, place_of(split), lead_ms, detect_ms // 2)
    return replace(turns, steps_back=steps_back(split))


def a_round_later(turns: Turns) -> Turns:
    """Let the other side have a whole round: this one does not know when the race began."""
    return replace(turns, place=turns.place + PLACES)


def place_of(split: Split) -> int:
    """Return this side's place in a round."""
    comes_first = split.is_lowest if split.goes_first is None else split.goes_first
    return (
        (UNNAMED_PLACES if split.goes_first is None else 0)
        + (CUT_OFF_PLACES if is_cut_off(split) else 0)
        + (0 if comes_first else 1)
    )


def is_cut_off(split: Split) -> bool:
    """Whether this side has reason to think that it reaches nobody, and so should not be the one that is left."""
    if split.reaches_clients is not None:
        return not split.reaches_clients
    is_seen = any(link.state is LinkState.SILENT or link.state.is_usable for link in split.links)
    return len({link.link for link in split.links}) > 1 and not is_seen


def steps_back(split: Split) -> bool:
    """Whether this side had better stop what it runs: no client reaches it, and all of its own ends are down."""
    is_seen = any(link.state is LinkState.SILENT or link.state.is_usable for link in split.links)
    return split.reaches_clients is False and not is_seen


def goes_first(cib: Element, settings: RingSettings) -> NodeName | None:
    """Return who was named to go first; None when nobody is at this moment."""
    names = [node.name for node in settings.nodes]
    named = transient_value(cib, _keeper(settings), GOES_FIRST)
    return NodeName(named) if named in names else None


def naming(cib: Element, settings: RingSettings, at: WallTime) -> SetAttribute | None:
    """Return the next command towards the right name, to be given when all before it is stable; None: it is right.

    Right is the node that runs more, by priority, then by number; between equals the one that its clients reach, then
    the one with the lowest id.
    """
    if len(settings.nodes) != 2:
        return None
    nodes = sorted(settings.nodes, key=lambda node: node.node)

    def rank(node: NodeSettings) -> tuple[Weight, bool, int]:
        return weight_of(cib, node.name), transient_value(cib, node.name, CLIENTS) != LOST, -node.node

    heaviest = max(nodes, key=rank).name
    named = goes_first(cib, settings)
    if named == heaviest:
        return None
    text = (
        f"{heaviest} goes first when the nodes lose sight of each other: {_why_first(cib, nodes, heaviest)}"
        if named is None
        else f"{named} does not come first any longer, so nobody goes first until all know it"
    )
    value = heaviest if named is None else None
    return SetAttribute(Cause("race.naming", text), at, "", _keeper(settings), GOES_FIRST, value)


def _why_first(cib: Element, nodes: list[NodeSettings], first: NodeName) -> str:
    """Say by which of the rules a node comes first."""
    weights = {weight_of(cib, node.name) for node in nodes}
    if len(weights) > 1:
        priority, count = weight_of(cib, first)
        return f"it runs more ({count} resources of priority {priority} together)"
    lost = {node.name for node in nodes if transient_value(cib, node.name, CLIENTS) == LOST}
    if lost and first not in lost:
        return "both run as much, and it reaches its clients"
    return "both run as much, and it has the lower node id"


def saying(cib: Element, me: NodeName, seen: ClientsSeen | None, at: WallTime) -> SetAttribute | None:
    """Return the command that tells all whether this node reaches its clients; None: they know it."""
    value = None if seen is None else REACHED if seen.is_reached else LOST
    if transient_value(cib, me, CLIENTS) == value:
        return None
    text = f"{me}: {seen.reason}" if seen is not None else f"{me} does not look for clients any more"
    return SetAttribute(Cause("clients.seen", text), at, "", me, CLIENTS, value)


def _keeper(settings: RingSettings) -> NodeName:
    """Name the node among whose attributes the name stands: any will do that is always the same."""
    return min(settings.nodes, key=lambda node: node.node).name


def fencing_takes_ms(state: ClusterState) -> int:
    """Return how long a fencing takes as far as both sides know: by the history, else by what the devices took.

    Where there are pills only, one binds the other side as soon as it lies there, not when it counts as swallowed
    (decision 29).
    """
    by_device: dict[str, list[int]] = {}
    has_pills_only = {device.agent for device in fence_devices(state.cib)} == {PILL_AGENT}
    for record in state.fencing if not has_pills_only else ():
        if record.state is FenceState.DONE:
            by_device.setdefault(record.device, []).append(record.took_ms)
    took = [ms for known in by_device.values() for ms in known[-FENCINGS_REMEMBERED:]]
    status = state.cib.first("status")
    operations = () if status is None else status.walk()
    queried = [
        read_int(operation.get("exec-time"))
        for resource in operations
        if resource.tag == "lrm_resource" and resource.get("class") == "stonith"
        for operation in resource.all("lrm_rsc_op")
        if operation.get("rc-code") == "0"
    ]
    return max([*took, *(QUERY_FACTOR * ms for ms in queried)], default=0)


def delays_ms(cib: Element, nodes: tuple[NodeName, ...]) -> int:
    """Return by how much delays that were configured by hand may put a fencing off."""
    own = [options.delay_ms(device, "off", node, 1.0) for device in fence_devices(cib) for node in nodes]
    return max(own, default=0) + (parse_ms(cluster_option(cib, "priority-fencing-delay")) or 0)


def weight_of(cib: Element, node: NodeName) -> Weight:
    """Weigh the resources that the history shows active on a node; fence devices weigh nothing."""
    status = cib.at("status")
    priorities = _priorities(cib)
    total, count = 0, 0
    for state in () if status is None else status.all("node_state"):
        history = state.at("lrm", "lrm_resources")
        if state.get("uname") != node or history is None:
            continue
        for resource in history.all("lrm_resource"):
            newest = _newest(resource)
            if newest in _ACTIVE_CODES and resource.get("class") != "stonith":
                priority = priorities.get(resource.id.partition(":")[0], 0)
                total += priority + (1 if priority and newest in _PROMOTED else 0)
                count += 1
    return total, count


def _priorities(cib: Element) -> dict[str, int]:
    """Give the priority of each primitive: its own, else that of what it is a member of, else the default."""
    configuration = cib.first("configuration")
    resources = None if configuration is None else configuration.first("resources")
    if configuration is None or resources is None:
        return {}
    default = pair_value(configuration.first("rsc_defaults"), "meta_attributes", "priority")
    return dict(_inherited(resources, score.parse(default)))


def _inherited(parent: Element, priority: int) -> Iterator[tuple[str, int]]:
    for child in parent.children:
        own = pair_value(child, "meta_attributes", "priority")
        mine = priority if own is None else score.parse(own)
        if child.tag == "primitive":
            yield child.id, mine
        elif child.tag in {"group", "clone", "master", "bundle"}:
            yield from _inherited(child, mine)


def _newest(resource: Element) -> tuple[str | None, str | None]:
    """Return the newest finished operation of a resource and its code."""
    finished = [operation for operation in resource.all("lrm_rsc_op") if operation.get("op-status") != "-1"]
    newest = max(finished, key=_call_number, default=None)
    return (None, None) if newest is None else (newest.get("operation"), newest.get("rc-code"))


def _call_number(operation: Element) -> int:
    text = operation.get("call-id") or "-1"
    return int(text) if text.lstrip("-").isdigit() else -1
