from collections.abc import Iterable
from dataclasses import replace

from corosync_samples import member, message, quorum, ring, said, settings

from komainu.model.ids import Incarnation, Instant, NodeId
from komainu.model.link import LinkState
from komainu.model.report import Note
from komainu.ring.corosync.interface import (
    Device,
    EngineLost,
    GroupChanged,
    GroupMessage,
    LeaveGroup,
    Multicast,
    Reconnect,
)
from komainu.ring.corosync.ring import ENGINE_SILENT_MS, CorosyncRing
from komainu.ring.corosync.words import Accuse, Data, Process, Standing, Told
from komainu.ring.interface import (
    DeadlinePassed,
    Deliver,
    InstallView,
    Leave,
    LinkChanged,
    RingEffect,
    Stable,
    Stored,
    Submit,
)
from komainu.ring.settings import QuorumOptions, WitnessOptions


class Cluster:
    """Rings on one order without faults; `now` goes on by hand."""

    def __init__(self, *nodes: int, count: int = 3) -> None:
        self.now = 0
        self.rings = {node: ring(node, count) for node in nodes}
        self.effects: dict[int, list[RingEffect]] = {node: [] for node in nodes}
        self.order: list[GroupMessage] = []
        for node in nodes:
            self.tell(node, quorum(*nodes, count=count))
        for node in nodes:
            self.tell(node, GroupChanged(tuple(member(each) for each in nodes), ()))
        self.settle()

    def tell(self, node: int, *events: object) -> list[RingEffect]:
        found: list[RingEffect] = []
        for event in events:
            found += self.rings[node].handle(event, Instant(self.now))  # type: ignore[arg-type]  # any event
        self.effects[node] += found
        self.order += [GroupMessage(member(node), each.data) for each in found if isinstance(each, Multicast)]
        return found

    def settle(self, without: Iterable[int] = ()) -> None:
        """Deliver all that was said, to all but those who do not listen."""
        while self.order:
            event = self.order.pop(0)
            for node in self.rings:
                if node not in without:
                    self.tell(node, event)

    def wait(self, ms: int, without: Iterable[int] = ()) -> None:
        until = self.now + ms
        while self.now < until:
            self.now += 20
            for node, one in self.rings.items():
                if node not in without and one.deadline is not None and self.now >= one.deadline:
                    self.tell(node, DeadlinePassed())
            self.settle(without)

    def views(self, node: int) -> list[InstallView]:
        return [each for each in self.effects[node] if isinstance(each, InstallView)]


def test_all_nodes_together_form_a_view_at_once() -> None:
    cluster = Cluster(1, 2, 3)
    for node in (1, 2, 3):
        (begun,) = cluster.views(node)
        assert begun == cluster.views(1)[0]
        assert begun.view.members == (1, 2, 3)
        assert begun.view.quorate


def test_a_node_that_starts_waits_a_moment_for_the_others() -> None:
    cluster = Cluster(1, 2)
    assert not cluster.views(1)
    cluster.wait(1100)
    assert cluster.views(1)[0].view.members == (1, 2)


def test_payloads_are_delivered_alike_and_are_stable_when_all_have_stored() -> None:
    cluster = Cluster(1, 2, 3)
    cluster.tell(2, Submit(b"one", 5))
    cluster.settle()
    delivered = [[e for e in cluster.effects[node] if isinstance(e, Deliver)] for node in (1, 2, 3)]
    assert [[(e.payload, e.token) for e in each] for each in delivered] == [
        [(b"one", None)],
        [(b"one", 5)],
        [(b"one", None)],
    ]
    position = delivered[0][0].position
    for node in (1, 2, 3):
        assert not any(isinstance(each, Stable) for each in cluster.effects[1])
        cluster.tell(node, Stored(position))
        cluster.settle()
    assert Stable(position) in cluster.effects[1]


def test_a_daemon_that_hangs_is_taken_out_and_comes_back_as_a_new_member() -> None:
    cluster = Cluster(1, 2, 3)
    cluster.wait(500)
    cluster.wait(2000, without=(3,))
    begun = cluster.views(1)[-1]
    assert begun.view.members == (1, 2)
    assert begun.departures[0].node == 3
    assert "its Corosync lives" in begun.departures[0].reason
    accusation = Accuse(Process(NodeId(3), 103), cluster.rings[3]._roll._members[member(3)].heard, "silent")
    out = cluster.tell(3, message(1, accusation))
    assert Reconnect() in out
    view = cluster.rings[3].view
    assert view is not None
    assert (view.members, view.quorate) == ((3,), False)


def test_without_corosync_a_node_is_alone_orders_by_itself_and_joins_again() -> None:
    cluster = Cluster(1, 2, 3)
    for node in (1, 2, 3):
        cluster.tell(node, Stored(cluster.views(1)[0].position))
    out = cluster.tell(1, EngineLost("Corosync ended"))
    begun = next(each for each in out if isinstance(each, InstallView))
    assert (begun.view.quorate, begun.view.quorum_reason) == (False, "Corosync ended")
    assert [gone.node for gone in begun.departures] == [2, 3]
    assert {each.state for each in out if isinstance(each, LinkChanged)} <= {LinkState.SILENT}
    (delivered,) = cluster.tell(1, Submit(b"stop", 9))
    assert isinstance(delivered, Deliver)
    assert delivered.token == 9
    assert [type(each) for each in cluster.tell(1, EngineLost("Corosync does not answer"))] == [Note]
    cluster.order.clear()
    for node in (1, 2, 3):
        cluster.tell(node, GroupChanged(tuple(member(each) for each in (1, 2, 3)), ()))
    cluster.settle()
    assert cluster.views(1)[-1].view.members == (1, 2, 3)
    assert cluster.views(1)[-1].keeps_state == (2, 3)


def test_corosync_that_delivers_nothing_is_given_up() -> None:
    one = ring(1, 1)
    one.handle(quorum(1, count=1), Instant(0))
    standing = one.handle(GroupChanged((member(1),), ()), Instant(0))
    one.handle(
        GroupMessage(member(1), next(e.data for e in standing if isinstance(e, Multicast))), Instant(1)
    )
    now, found = 0, list[RingEffect]()
    while Reconnect() not in found and now < 2 * ENGINE_SILENT_MS:
        assert one.deadline is not None
        now = one.deadline
        found = one.handle(DeadlinePassed(), Instant(now))
    assert ENGINE_SILENT_MS <= now < ENGINE_SILENT_MS + 1000
    assert one.view is not None
    assert "delivers nothing" in one.view.quorum_reason


def test_a_daemon_of_another_version_is_left_out_and_named() -> None:
    cluster = Cluster(1, 2, 3)
    cluster.order.append(GroupMessage(member(3), b"\x63what"))
    cluster.settle(without=(3,))
    assert cluster.views(1)[-1].view.members == (1, 2)
    notes = [
        each.message for each in cluster.effects[1] if isinstance(each, Note) and each.code == "ring.version"
    ]
    (note,) = notes
    assert note.startswith(
        "c is left out: it speaks version 99 of komainu's protocol, this node speaks version 1"
    )


def test_a_change_of_votequorums_word_makes_a_new_view_of_the_same_members() -> None:
    cluster = Cluster(1, 2, 3)
    for node in (1, 2, 3):
        cluster.tell(node, Stored(cluster.views(1)[0].position))
    cluster.tell(2, quorum(2))
    cluster.settle()
    assert cluster.views(1)[-1].view.quorum_reason == "Corosync gives no quorum on b; 3 of 3 votes"
    assert cluster.views(1)[-1].keeps_state == (1, 2, 3)
    assert not cluster.views(1)[-1].departures


def test_a_message_of_a_view_that_is_over_is_given_again() -> None:
    cluster = Cluster(1, 2, 3)
    cluster.tell(1, Submit(b"late", 1))
    late = cluster.order.copy()
    cluster.order.clear()
    for node in (1, 2):
        cluster.tell(node, quorum(1, 2), GroupChanged((member(1), member(2)), ()))
    standings, cluster.order = cluster.order, []
    cluster.order = [*late, *standings]
    cluster.settle(without=(3,))
    for node in (1, 2):
        delivered = [each.payload for each in cluster.effects[node] if isinstance(each, Deliver)]
        assert delivered == [b"late"]
        assert cluster.views(node)[-1].view.members == (1, 2)


def test_leaving_is_told_and_ends_everything() -> None:
    one = CorosyncRing(ring()._settings, ring()._self.outbox.life, Instant(0))
    assert one.handle(Leave(), Instant(1)) == [LeaveGroup()]
    assert one.deadline is None
    assert one.handle(EngineLost("x"), Instant(2)) == []


def test_our_own_stall_accuses_nobody() -> None:
    cluster = Cluster(1, 2, 3)
    cluster.now += 5000
    out = cluster.tell(1, DeadlinePassed())
    assert any(isinstance(each, Note) and each.code == "ring.stalled" for each in out)
    assert not any(isinstance(word, Accuse) for word in said(out))


def test_words_that_are_said() -> None:
    cluster = Cluster(1, 2, 3)
    kinds = {type(word) for node in (1, 2, 3) for word in said(cluster.effects[node])}
    assert kinds == {Standing, Told}
    assert {type(word) for word in said(cluster.tell(1, Submit(b"x", 1)))} == {Data}


def test_status_says_it_when_the_witness_gives_no_vote() -> None:
    witness = WitnessOptions("qnetd", address="10.0.0.5", port=5403)
    pair = replace(settings(2), quorum=QuorumOptions(witness=witness))
    one = CorosyncRing(pair, Incarnation(11), Instant(0))
    assert not one.remarks(Instant(0)), "votequorum has not spoken yet"
    one.handle(quorum(1, 2, count=2), Instant(1))
    (remark,) = one.remarks(Instant(1))
    assert remark == (
        "witness qnetd, 10.0.0.5 port 5403: no corosync-qdevice runs on this node; "
        "start it: systemctl start corosync-qdevice"
    )
    one.handle(replace(quorum(1, 2, count=2), device=Device.WITHHOLDS), Instant(2))
    (remark,) = one.remarks(Instant(2))
    assert "corosync-qdevice-tool -s" in remark
    one.handle(replace(quorum(1, 2, count=2), device=Device.CASTS, device_votes=1), Instant(2))
    assert not one.remarks(Instant(2))


def test_a_word_of_votequorum_that_comes_while_the_roll_is_called_is_not_lost() -> None:
    cluster = Cluster(1, 2, count=2)
    cluster.tell(2, replace(quorum(1, 2, count=2), is_quorate=False))
    cluster.settle()
    view = cluster.rings[1].view
    assert view is not None
    assert not view.quorate
    for node in (1, 2):
        cluster.tell(node, GroupChanged((member(1), member(2)), ()))
    cluster.tell(2, quorum(1, 2, count=2))  # after its standing, which makes the view, and before that view
    cluster.settle()
    for node in (1, 2):
        view = cluster.rings[node].view
        assert view is not None
        assert (view.quorate, view.quorum_reason) == (True, "2 of 2 votes")
