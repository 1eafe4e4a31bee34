from komainu.model.group import GroupMember, GroupMembers, GroupRefused, GroupSaid
from komainu.model.ids import NodeId, NodeName
from komainu.model.view import Position, View, ViewId
from komainu.node.groups import (
    UNDELIVERED_MAX,
    Groups,
    GroupsEffect,
    ProgramEvent,
    ProgramJoins,
    ProgramLeaves,
    ProgramSends,
    SubmitWord,
    TellProgram,
    is_word,
)
from komainu.ring.interface import Departure, InstallView

NAMES = {NodeId(1): NodeName("a"), NodeId(2): NodeName("b"), NodeId(3): NodeName("c")}


class Cluster:
    """Three nodes' groups on one order."""

    def __init__(self) -> None:
        self.nodes = {node: Groups(name) for node, name in NAMES.items()}
        self.order: list[bytes] = []
        self.index = 0
        self.heard: dict[tuple[int, int], list[object]] = {}
        self.paused: set[int] = set()
        self.install((1, 2, 3), keeps=(1,))

    def carry(self, node: int, effects: list[GroupsEffect]) -> None:
        for effect in effects:
            if isinstance(effect, SubmitWord):
                self.order.append(effect.payload)
            else:
                assert isinstance(effect, TellProgram)
                (self.paused.discard if effect.may_send else self.paused.add)(effect.program)
                if effect.event is not None:
                    self.heard.setdefault((node, effect.program), []).append(effect.event)

    def do(self, node: int, event: ProgramEvent) -> None:
        self.carry(node, self.nodes[NodeId(node)].handle(event))

    def settle(self, *only: int) -> None:
        while self.order:
            word = self.order.pop(0)
            assert is_word(word)
            self.index += 1
            for node in only or (1, 2, 3):
                self.carry(node, self.nodes[NodeId(node)].deliver(word, Position(1, self.index)))

    def install(
        self,
        members: tuple[int, ...],
        keeps: tuple[int, ...],
        gone: tuple[int, ...] = (),
        *,
        quorate: bool = True,
    ) -> None:
        begun = InstallView(
            view=View(ViewId(self.index + 1, NodeId(1)), tuple(map(NodeId, members)), quorate, ""),
            position=Position(1, self.index),
            owner=NodeId(keeps[0]),
            keeps_state=tuple(map(NodeId, keeps)),
            departures=tuple(Departure(NodeId(node), False, "silent") for node in gone),
            arrivals=(),
        )
        for node in members:
            self.carry(node, self.nodes[NodeId(node)].install(begun, NAMES, NodeId(node)))
        self.settle(*members)

    def last(self, node: int, program: int) -> object:
        return self.heard[node, program][-1]


def member(node: int, program: int) -> GroupMember:
    return GroupMember(NAMES[NodeId(node)], program)


def joined() -> Cluster:
    """Two programs on a and one on c, in this order: c/7, a/1, b/5."""
    cluster = Cluster()
    for node, program in ((3, 7), (1, 1), (2, 5)):
        cluster.do(node, ProgramJoins(program, "locks"))
        cluster.settle()
    return cluster


def test_members_stand_in_the_order_in_which_they_joined() -> None:
    cluster = joined()
    for node, program in ((3, 7), (1, 1), (2, 5)):
        seen = cluster.last(node, program)
        assert isinstance(seen, GroupMembers)
        assert seen.you == member(node, program)
        assert seen.members == (member(3, 7), member(1, 1), member(2, 5))
        assert seen.joined == (member(2, 5),)
        assert seen.is_quorate


def test_messages_come_to_all_members_of_the_group_and_to_nobody_else() -> None:
    cluster = joined()
    cluster.do(2, ProgramJoins(9, "other"))
    cluster.settle()
    cluster.do(1, ProgramSends(1, b"one"))
    cluster.do(3, ProgramSends(7, b"two"))
    cluster.settle()
    for node, program in ((3, 7), (1, 1), (2, 5)):
        said = [event for event in cluster.heard[node, program] if isinstance(event, GroupSaid)]
        assert said == [GroupSaid(member(1, 1), b"one"), GroupSaid(member(3, 7), b"two")]
    assert not any(isinstance(event, GroupSaid) for event in cluster.heard[2, 9])


def test_who_leaves_or_dies_is_said_with_the_reason() -> None:
    cluster = joined()
    cluster.do(3, ProgramLeaves(7, "it left"))
    cluster.settle()
    seen = cluster.last(1, 1)
    assert isinstance(seen, GroupMembers)
    assert (seen.left, seen.reason, seen.members) == (
        (member(3, 7),),
        "it left",
        (member(1, 1), member(2, 5)),
    )
    cluster.do(3, ProgramLeaves(7, "its program is gone"))
    assert not cluster.order


def test_programs_of_a_lost_node_leave_with_the_view() -> None:
    cluster = joined()
    cluster.install((1, 2), keeps=(1, 2), gone=(3,), quorate=False)
    seen = cluster.last(2, 5)
    assert isinstance(seen, GroupMembers)
    assert (seen.left, seen.members) == ((member(3, 7),), (member(1, 1), member(2, 5)))
    assert (seen.is_quorate, seen.reason) == (False, "c: silent")


def test_quorum_alone_is_told_too() -> None:
    cluster = joined()
    cluster.install((1, 2, 3), keeps=(1, 2, 3), quorate=False)
    seen = cluster.last(1, 1)
    assert isinstance(seen, GroupMembers)
    assert (seen.is_quorate, seen.left, len(seen.members)) == (False, (), 3)


def test_who_was_cut_off_joins_again_at_the_end_of_the_line_and_loses_no_message() -> None:
    cluster = joined()
    cluster.install((1, 2), keeps=(1, 2), gone=(3,))
    cluster.do(3, ProgramSends(7, b"from the island"))
    island = cluster.order.copy()
    cluster.order.clear()
    begun_order = cluster.order
    cluster.install((1, 2, 3), keeps=(1, 2))
    assert begun_order == []
    cluster.order = island  # the ring gives it again, too: it must not count twice
    cluster.settle()
    for node, program in ((1, 1), (2, 5), (3, 7)):
        events = cluster.heard[node, program]
        membership = [event for event in events if isinstance(event, GroupMembers)][-1]
        assert membership.members == (member(1, 1), member(2, 5), member(3, 7)), node
        assert events.count(GroupSaid(member(3, 7), b"from the island")) == 1


def test_a_program_that_says_much_has_to_wait() -> None:
    cluster = joined()
    for _ in range(UNDELIVERED_MAX):
        assert 1 not in cluster.paused
        cluster.do(1, ProgramSends(1, b"x"))
    assert 1 in cluster.paused
    cluster.settle()
    assert 1 not in cluster.paused


def test_what_cannot_be_is_refused() -> None:
    cluster = joined()
    for node, event, code in (
        (1, ProgramSends(99, b""), "group.not-joined"),
        (1, ProgramJoins(1, "more"), "group.joined"),
        (1, ProgramJoins(98, ""), "group.name"),
        (1, ProgramJoins(97, "x" * 65), "group.name"),
        (1, ProgramSends(1, bytes(1024 * 1024 + 1)), "group.too-large"),
    ):
        cluster.do(node, event)
        refused = cluster.last(node, event.program)
        assert isinstance(refused, GroupRefused)
        assert refused.code == code


def test_a_word_of_a_later_version_is_passed_over() -> None:
    assert Groups(NodeName("a")).deliver(b"G\xc1", Position(1, 1)) == []
    assert not is_word(b"\x81")
