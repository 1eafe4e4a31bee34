"""One half of a pair: a race goes on until it is decided, and a name is looked at once for each state."""

from dataclasses import dataclass

from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.view import Position, View, ViewId
from komainu.node.pair import Pair
from komainu.ring.builtin import BuiltinRing
from komainu.ring.interface import Departure, InstallView
from komainu.ring.settings import NodeSettings, RingSettings

ONE, TWO = NodeId(1), NodeId(2)
SETTINGS = RingSettings(
    "t",
    ONE,
    tuple(
        NodeSettings(NodeId(n), NodeName("ab"[n - 1]), (LinkEnd(LinkNumber(0), f"10.0.0.{n}"),))
        for n in (1, 2)
    ),
)
NAMES = ((ONE, NodeName("a")), (TWO, NodeName("b")))


@dataclass
class World:
    """A pair whose ring says what it is told to."""

    ring: BuiltinRing
    pair: Pair
    state: ClusterState


def world(position: Position) -> World:
    ring = BuiltinRing(SETTINGS, Incarnation(1), Instant(0), position)
    return World(ring, Pair(SETTINGS), ClusterState(empty_cib("t", NAMES), (), position))


def view(counter: int, *members: NodeId, lost: tuple[NodeId, ...] = ()) -> InstallView:
    departures = tuple(Departure(node, clean=False, reason="silent") for node in lost)
    made = View(ViewId(counter, ONE), members, quorate=True, quorum_reason="")
    return InstallView(made, Position(counter, 0), ONE, members, departures, ())


def test_a_lone_half_that_begins_anew_is_in_the_same_race() -> None:
    here = world(Position(0, 0))
    first = here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    assert first.target == "b"
    assert first.turns is not None
    again = here.pair.begin(view(3, ONE), here.state, here.ring, Instant(9_000))
    assert again.turns == first.turns


def test_a_race_ends_when_the_pair_is_whole() -> None:
    here = world(Position(0, 0))
    here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    whole = here.pair.begin(view(3, ONE, TWO), here.state, here.ring, Instant(2_000))
    assert (whole.target, whole.turns) == (None, None)


def test_nobody_is_named_before_there_is_a_view() -> None:
    here = world(Position(0, 0))
    assert here.pair.naming(here.state, here.ring, WallTime(0)) is None
