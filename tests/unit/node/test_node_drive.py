"""One node's drive on its own: clients, promises, and the ways a daemon ends."""

from komainu.cib.command import encode
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.edit import SetOption
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.plan import Plan
from komainu.model.request import (
    AskConfiguration,
    AskStatus,
    AskWhy,
    Configuration,
    Done,
    EditConfigurationRequest,
    RefusedReply,
    Reply,
    Request,
    RotateClusterKey,
    Status,
    Why,
)
from komainu.model.view import Position, View, ViewId
from komainu.node.desk import UNKNOWN, command_of
from komainu.node.drive import Drive
from komainu.node.interface import (
    AcceptKey,
    Answer,
    AppendRecord,
    ClientAsked,
    ClientId,
    DeadlinePassed,
    DriveEffect,
    DriveEvent,
    Exit,
    KeyAccepted,
    KeyDrawn,
    Persist,
    Persisted,
    PersistFailed,
    StopAsked,
    UseKey,
)
from komainu.ring.interface import Deliver, InstallView, KeepPromise, PromiseKept
from komainu.ring.settings import NodeSettings, RingSettings

WALL = WallTime(1_700_000_000_000)
SET = EditConfigurationRequest(
    (SetOption("crm_config", "cluster_property_set", "colour", "red"),), "set colour"
)


def no_plan(state: ClusterState, wall: WallTime) -> Plan:
    return Plan((), (), (), (), ())


class Bench:
    """A drive of a cluster of one, with a disk that answers when it is told to."""

    def __init__(self, nodes: int = 1) -> None:
        members = tuple(
            NodeSettings(NodeId(number), NodeName(name), (LinkEnd(LinkNumber(0), f"10.0.0.{number}"),))
            for number, name in zip(range(1, nodes + 1), "abc", strict=False)
        )
        self.now = Instant(1_000)
        self.seen: list[DriveEffect] = []
        self.drive = Drive(
            RingSettings("test", NodeId(1), members),
            state=ClusterState(empty_cib("test", ((one.node, one.name) for one in members))),
            incarnation=Incarnation(5),
            history=(),
            make_plan=no_plan,
            now=self.now,
            wall=WALL,
        )
        self.take(self.drive.start())

    def take(self, effects: list[DriveEffect]) -> list[DriveEffect]:
        self.seen += effects
        return effects

    def give(self, event: DriveEvent) -> list[DriveEffect]:
        effects = self.take(self.drive.handle(event, self.now, WALL))
        for kept in [effect for effect in effects if isinstance(effect, KeepPromise)]:
            effects += self.give(PromiseKept(kept.counter))
        return effects

    def run(self, milliseconds: int) -> None:
        end = self.now + milliseconds
        while self.drive.deadline is not None and self.drive.deadline <= end:
            self.now = max(self.now, self.drive.deadline)
            self.give(DeadlinePassed())
        self.now = Instant(end)

    def finish_writes(self) -> None:
        done: set[int] = set()
        while True:
            waiting = [effect.token for effect in self.seen if isinstance(effect, Persist)]
            todo = [token for token in waiting if token not in done]
            if not todo:
                return
            for token in todo:
                done.add(token)
                self.give(Persisted(token))

    def ask(self, request: Request) -> Reply | None:
        """Ask, and return the answer if it came at once."""
        effects = self.give(ClientAsked(ClientId(1), request, "root"))
        return next((effect.reply for effect in effects if isinstance(effect, Answer)), None)


def joined() -> Bench:
    bench = Bench()
    bench.run(5_000)
    bench.finish_writes()
    bench.seen.clear()
    return bench


def test_a_change_is_done_only_when_it_is_on_the_disk() -> None:
    bench = joined()
    assert bench.ask(SET) is None
    (write,) = [effect for effect in bench.seen if isinstance(effect, Persist)]
    assert "colour" in write.text
    (answer,) = [effect for effect in bench.give(Persisted(write.token)) if isinstance(effect, Answer)]
    assert isinstance(answer.reply, Done)


def test_a_change_that_does_not_fit_is_refused_at_once_and_not_written() -> None:
    bench = joined()
    edit = SetOption("no-such-resource", "meta_attributes", "target-role", "Stopped")
    reply = bench.ask(EditConfigurationRequest((edit,), "a mistake"))
    assert isinstance(reply, RefusedReply)
    assert "no-such-resource" in reply.reasons[0].message
    assert not any(isinstance(effect, Persist) for effect in bench.seen)


def test_a_node_that_has_not_joined_says_so() -> None:
    bench = Bench()
    reply = bench.ask(SET)
    assert isinstance(reply, RefusedReply)
    assert reply.reasons[0].code == "node.not-joined"


def test_two_nodes_of_which_one_was_never_seen_promise_nothing() -> None:
    """wait_for_all: alone after its start, a node has no quorum, and changes are refused."""
    bench = Bench(nodes=2)
    bench.run(10_000)
    bench.finish_writes()
    reply = bench.ask(SET)
    assert isinstance(reply, RefusedReply)


def test_status_configuration_and_why_are_answered_from_what_is_known() -> None:
    bench = joined()
    status = bench.ask(AskStatus())
    assert isinstance(status, Status)
    assert (status.node, status.is_quorate, status.nodes[0].state) == ("a", True, "online")
    configuration = bench.ask(AskConfiguration())
    assert isinstance(configuration, Configuration)
    assert "<status" not in configuration.xml
    why = bench.ask(AskWhy("a"))
    assert isinstance(why, Why)
    assert why.answer


def test_a_disk_that_refuses_the_state_ends_the_daemon() -> None:
    bench = joined()
    bench.ask(SET)
    (write,) = [effect for effect in bench.seen if isinstance(effect, Persist)]
    effects = bench.give(PersistFailed(write.token, "no space left on device"))
    (end,) = [effect for effect in effects if isinstance(effect, Exit)]
    assert end.code == 74
    assert "no space left" in end.reason
    assert not any(isinstance(effect, Answer) for effect in effects)


def test_a_stop_before_joining_ends_at_once() -> None:
    bench = Bench()
    (end,) = [effect for effect in bench.give(StopAsked()) if isinstance(effect, Exit)]
    assert end.code == 0


def test_after_its_end_a_drive_does_nothing_more() -> None:
    bench = Bench()
    bench.give(StopAsked())
    assert bench.give(ClientAsked(ClientId(2), AskStatus(), "root")) == []


def test_every_applied_command_becomes_a_record() -> None:
    bench = joined()
    bench.ask(SET)
    (record,) = [effect.record for effect in bench.seen if isinstance(effect, AppendRecord)]
    assert record.kind == "edit-configuration"
    assert record.cause.text == "root ran: set colour"


def test_a_change_that_had_its_turn_without_the_snapshot_is_answered_as_unknown() -> None:
    bench = Bench(nodes=2)
    me, owner = NodeId(1), NodeId(2)
    view = View(ViewId(7, owner), (me, owner), quorate=True, quorum_reason="2 of 2 votes")
    begun = InstallView(view, Position(7, 0), owner, (owner,), departures=(), arrivals=(me,))
    drive = bench.drive
    drive.desk.expect(4, ClientId(9))
    drive.replica.install(begun, WALL)
    drive.replica.deliver(Deliver(Position(7, 1), me, encode(command_of(SET, "root", WALL)), 4))
    drive._take_ring(begun)  # another view begins; the snapshot of the one before never came
    (answer,) = [effect for effect in drive._out if isinstance(effect, Answer)]
    assert answer == Answer(ClientId(9), UNKNOWN)


def test_a_replaced_key_is_done_when_it_is_used_and_refused_when_a_node_cannot_take_it() -> None:
    bench = joined()

    def shown() -> list[str]:
        status = bench.ask(AskStatus())
        assert isinstance(status, Status)
        return [warning for warning in status.warnings if "key" in warning]

    for fault in ("the disk is full", ""):
        assert bench.ask(RotateClusterKey()) is None
        accept = bench.give(KeyDrawn(ClientId(1), "root", b"sealed", "f00"))
        assert AcceptKey(b"sealed", "f00") in accept
        assert not any(isinstance(effect, Answer) for effect in accept)
        assert shown() == ["the cluster key is being replaced by f00: waiting for a"]
        effects = bench.give(KeyAccepted("f00", fault))
        (answer,) = [effect for effect in effects if isinstance(effect, Answer)]
        assert isinstance(answer.reply, RefusedReply if fault else Done)
        assert (UseKey("f00") in effects) is not bool(fault)
        assert [fault in each and "komainu key rotate" in each for each in shown()] == [True] * bool(fault)
