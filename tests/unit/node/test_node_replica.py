"""One node's copy of the state: snapshots, what is kept until they come, and what counts as stored."""

from dataclasses import replace

from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    ChangeMembership,
    RecordFencing,
    SetAttribute,
    decode,
    encode,
)
from komainu.cib.durable import load, store
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import is_member, node_state
from komainu.cib.pairs import transient_value
from komainu.cib.state import ClusterState
from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Incarnation, NodeId, NodeName, WallTime
from komainu.model.view import Delivered, Position, View, ViewId
from komainu.node.replica import Broadcast, CommandApplied, Missed, Reached, Replica, SnapshotAdopted, Store
from komainu.ring.interface import Deliver, Departure, InstallView

A, B = NodeId(1), NodeId(2)
NAMES = {A: NodeName("a"), B: NodeName("b")}
WALL = WallTime(1_700_000_000_000)
BEGIN = Position(7, 0)
CAUSE = Cause("test", "a test")


def replica(me: NodeId) -> Replica:
    return Replica(me, NAMES, ClusterState(empty_cib("test", ((A, NAMES[A]), (B, NAMES[B])))))


def begun(
    *, owner: NodeId = A, keeps: tuple[NodeId, ...] = (A,), members: tuple[NodeId, ...] = (A, B)
) -> InstallView:
    return InstallView(
        view=View(ViewId(7, A), members, quorate=True, quorum_reason="2 of 2 votes"),
        position=BEGIN,
        owner=owner,
        keeps_state=keeps,
        departures=(),
        arrivals=(B,),
    )


def attribute(value: str) -> SetAttribute:
    return SetAttribute(Cause("test", "a test"), WALL, "", NAMES[A], "colour", value)


def deliver(command: AnyCommand, index: int, origin: NodeId = A) -> Deliver:
    return Deliver(Position(7, index), origin, encode(command), None)


def test_what_is_stored_says_which_commands_are_part_of_it() -> None:
    core = replica(A)
    core.install(begun(), WALL)
    memory = Delivered(B, Incarnation(20), 5)
    core.deliver(replace(deliver(attribute("red"), 1, B), memory=memory))
    (stored,) = [each for each in core.raise_line(Position(8, 0)) if isinstance(each, Store)]
    assert load(stored.text).taken == (memory,)


def opening(owner: Replica) -> list[AnyCommand]:
    effects = owner.install(begun(), WALL)
    return [effect.command for effect in effects if isinstance(effect, Broadcast)]


def test_the_owner_gives_its_state_and_then_says_who_is_here() -> None:
    snapshot, membership = opening(replica(A))
    assert isinstance(snapshot, AdoptSnapshot)
    assert isinstance(membership, ChangeMembership)
    assert membership.members == ("a", "b")


def test_a_member_without_the_state_waits_for_it_and_then_catches_up() -> None:
    """What is ordered before the snapshot is applied after it, on the state that the view began with."""
    owner, other = replica(A), replica(B)
    snapshot, membership = opening(owner)
    other.install(begun(), WALL)
    early = deliver(attribute("red"), 1)
    assert other.deliver(early) == []
    effects = other.deliver(deliver(snapshot, 2))
    other.deliver(deliver(membership, 3))
    for command, index in ((attribute("red"), 1), (snapshot, 2), (membership, 3)):
        owner.deliver(deliver(command, index))
    assert isinstance(effects[0], SnapshotAdopted)
    assert any(isinstance(effect, CommandApplied) for effect in effects)
    assert other.state == owner.state
    assert is_member(node_state(other.state.cib, NAMES[B]))


def test_what_was_kept_for_a_snapshot_that_never_came_is_named_when_it_is_one_of_ours() -> None:
    one = replica(B)
    one.install(begun(), WALL)
    one.deliver(replace(deliver(attribute("red"), 1, B), token=4))
    one.deliver(deliver(attribute("blue"), 2))  # of another node, which knows how it went
    effects = one.install(begun(), WALL)
    assert effects == [Missed(4)]
    assert one.install(begun(), WALL) == []  # once


def test_a_snapshot_of_another_view_or_from_another_node_is_not_taken() -> None:
    other = replica(B)
    other.install(begun(), WALL)
    cause = Cause("test", "a test")
    text = store(replica(A).state)
    late = AdoptSnapshot(cause=cause, at=WALL, user="", position=Position(5, 0), state=text)
    assert other.deliver(deliver(late, 1)) == []
    foreign = AdoptSnapshot(cause=cause, at=WALL, user="", position=BEGIN, state=text)
    assert other.deliver(deliver(foreign, 2, origin=B)) == []
    assert not other.is_synced


def test_a_damaged_snapshot_is_refused_and_nothing_is_half_adopted() -> None:
    other = replica(B)
    other.install(begun(), WALL)
    before = other.state
    damaged = AdoptSnapshot(Cause("test", "a test"), WALL, "", BEGIN, store(before)[:-40])
    (note,) = other.deliver(deliver(damaged, 1))
    assert "damaged" in str(note)
    assert other.state == before
    assert not other.is_synced


def test_nothing_counts_as_stored_before_the_lineage_is_on_disk() -> None:
    one = replica(A)
    effects = one.install(begun(keeps=(A, B)), WALL)
    (stored,) = [effect for effect in effects if isinstance(effect, Store)]
    applied = one.deliver(deliver(opening_membership(), 1))
    assert not any(isinstance(effect, Reached) for effect in applied)
    assert Reached(one.state.position) in one.stored(stored.token) or any(
        isinstance(effect, Store) for effect in applied
    )


def opening_membership() -> AnyCommand:
    return opening(replica(A))[1]


def test_status_commands_count_as_stored_at_once_when_nothing_is_on_its_way() -> None:
    one = replica(A)
    for effect in one.install(begun(keeps=(A, B)), WALL):
        if isinstance(effect, Store):
            one.stored(effect.token)
    for effect in one.deliver(deliver(opening_membership(), 1)):
        if isinstance(effect, Store):
            one.stored(effect.token)
    effects = one.deliver(deliver(attribute("blue"), 2))
    assert Reached(Position(7, 2)) in effects
    assert transient_value(one.state.cib, NAMES[A], "colour") == "blue"


def test_a_payload_that_is_no_command_stops_nobody() -> None:
    one = replica(A)
    one.install(begun(keeps=(A, B)), WALL)
    before = one.state
    effects = one.deliver(Deliver(Position(7, 1), B, b"\xc1 no command", None))
    assert one.state == before
    assert "could not be read" in str(effects[0])


def test_departures_become_the_reasons_of_the_membership_command() -> None:
    one = replica(A)
    gone = InstallView(
        view=View(ViewId(8, A), (A,), quorate=True, quorum_reason="two_node"),
        position=Position(8, 0),
        owner=A,
        keeps_state=(A,),
        departures=(Departure(B, clean=False, reason="silent on both links"),),
        arrivals=(),
    )
    commands = [effect.command for effect in one.install(gone, WALL) if isinstance(effect, Broadcast)]
    (command,) = commands
    assert isinstance(command, ChangeMembership)
    assert command.lost == (("b", "silent on both links"),)
    assert command.cause.text == "b was lost: silent on both links"
    assert decode(encode(command)) == command


def test_a_member_that_goes_by_its_fencing_is_lost_for_the_reason_of_that() -> None:
    """`komainu why` told an operator who had ordered the fencing that the daemon's port was closed."""
    owner = replica(A)
    both = begun(keeps=(A, B))
    owner.install(both, WALL)
    names = (NAMES[A], NAMES[B])
    owner.deliver(deliver(ChangeMembership(CAUSE, WALL, "", both.view, names, (), ()), 1))
    for index, state in enumerate((FenceState.STARTED, FenceState.DONE), start=2):
        record = FenceRecord("1", NAMES[B], "off", state, NAMES[A], "lab", "root asked for it", "", WALL)
        owner.deliver(deliver(RecordFencing(CAUSE, WALL, "", record), index))
    view = View(ViewId(8, A), (A,), quorate=True, quorum_reason="")
    alone = InstallView(view, Position(8, 0), A, (A,), (Departure(B, False, "port closed"),), ())
    (said,) = [one.command for one in owner.install(alone, WALL) if isinstance(one, Broadcast)]
    assert isinstance(said, ChangeMembership)
    assert said.lost == ((NAMES[B], "it was fenced (root asked for it)"),)
    assert said.cause.text == "b was lost: it was fenced (root asked for it)"
