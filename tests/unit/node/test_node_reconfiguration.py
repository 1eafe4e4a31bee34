"""node/reconfiguration.py: what a change of links makes of the settings, and what is wrong with it."""

from dataclasses import replace

import pytest

from komainu.cib.command import ChangeLayout
from komainu.cib.element import Element
from komainu.cib.state import ClusterState
from komainu.model.ids import LinkNumber, NodeId, NodeName, WallTime
from komainu.model.layout import Layout
from komainu.model.link import LinkEnd
from komainu.model.request import (
    AddLink,
    AddNode,
    ChangeLink,
    LayoutChange,
    RefusedReply,
    RemoveLink,
    RemoveNode,
)
from komainu.model.view import Position
from komainu.node.reconfiguration import LayoutKeeper, change_for, is_removed, newer_settings, with_layout
from komainu.recorder.change import REMOVED
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import LINKS_MAX, Engine, NodeSettings, QuorumOptions, RingSettings, layout_of

A, B = NodeName("a"), NodeName("b")


def pair(links: int = 2) -> RingSettings:
    return ring_of("ab", links)


def three() -> RingSettings:
    return ring_of("abc", 2)


def ring_of(names: str, links: int) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(number),
            NodeName(names[number - 1]),
            tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{number}") for link in range(links)),
        )
        for number in range(1, len(names) + 1)
    )
    return RingSettings("test", NodeId(1), nodes)


def asked(step: LayoutChange, settings: RingSettings) -> ChangeLayout | RefusedReply:
    members = [node.node for node in settings.nodes]
    return change_for(step, settings, members=members, user="root", at=WallTime(0))


def add(a: str, b: str) -> AddLink:
    return AddLink(((A, a), (B, b)))


def ends(change: ChangeLayout | RefusedReply) -> list[list[str]]:
    assert isinstance(change, ChangeLayout)
    return [[end.address for end in node.ends] for node in change.layout.nodes]


def test_links_come_change_and_go() -> None:
    added = asked(add("10.9.0.1", "10.9.0.2"), pair(1))
    assert ends(added) == [["10.0.0.1", "10.9.0.1"], ["10.0.0.2", "10.9.0.2"]]
    assert isinstance(added, ChangeLayout)
    assert (added.expected, added.layout.version) == (0, 1)
    assert added.cause.text == "root added a link"
    assert ends(asked(ChangeLink(1, ((B, "10.1.0.77"),)), pair())) == [
        ["10.0.0.1", "10.1.0.1"],
        ["10.0.0.2", "10.1.0.77"],
    ]
    assert ends(asked(RemoveLink(1), pair())) == [["10.0.0.1"], ["10.0.0.2"]]


def test_options_of_an_end_that_moves_are_kept_but_for_those_of_the_old_address() -> None:
    settings = pair()
    kept = LinkEnd(LinkNumber(1), "10.1.0.2", "eth1", prefix=24, keep_talking=True, keep_address=True)
    b = replace(settings.nodes[1], ends=(settings.nodes[1].ends[0], kept))
    change = asked(ChangeLink(1, ((B, "10.1.0.77"),)), replace(settings, nodes=(settings.nodes[0], b)))
    assert isinstance(change, ChangeLayout)
    moved = replace(kept, address="10.1.0.77", interface=None, prefix=None)
    assert change.layout.nodes[1].ends[1] == moved


@pytest.mark.parametrize(
    ("step", "links", "code", "hint"),
    [
        (add("10.9.0.1", "10.0.0.2"), 1, "ring.address-twice", ""),
        (add("10.9.0.1", "nonsense"), 1, "layout.address", "without prefix"),
        (add("10.9.0.1", "224.0.0.1"), 1, "layout.address", "of that node"),
        (add("fe80::1", "fe80::2"), 1, "layout.address", "with its interface"),
        (add("10.9.0.1", "fd00::2"), 1, "layout.family", "one of them"),
        (AddLink(((A, "10.9.0.1"),)), 1, "layout.link-ends", "komainu link add a=ADDRESS b=ADDRESS"),
        (AddLink(((NodeName("x"), "10.9.0.1"),)), 1, "layout.unknown-node", "a, b"),
        (add("10.9.0.1", "10.9.0.2"), LINKS_MAX, "layout.links", ""),
        (ChangeLink(0, ((B, "10.0.0.2"),)), 1, "layout.same", ""),
        (ChangeLink(0, ((B, "10.0.0.1"),)), 1, "ring.address-twice", ""),
        (ChangeLink(0, ((B, "fd00::2"),)), 1, "layout.family", ""),
        (ChangeLink(5, ((B, "10.9.0.2"),)), 1, "layout.unknown-link", "komainu link list"),
        (ChangeLink(0, ((NodeName("x"), "10.9.0.2"),)), 1, "layout.unknown-node", "a, b"),
        (RemoveLink(0), 1, "layout.last-link", "komainu link add"),
        (RemoveLink(0), 2, "layout.link-order", "komainu link change"),
        (RemoveLink(9), 2, "layout.unknown-link", ""),
    ],
)
def test_wrong_use_is_refused_with_its_remedy(step: LayoutChange, links: int, code: str, hint: str) -> None:
    reply = asked(step, pair(links))
    assert isinstance(reply, RefusedReply)
    assert [reason.code for reason in reply.reasons] == [code]
    assert hint in reply.reasons[0].hint


def test_with_corosync_its_own_file_says_it() -> None:
    reply = asked(add("10.9.0.1", "10.9.0.2"), replace(pair(), engine=Engine.COROSYNC))
    assert isinstance(reply, RefusedReply)
    assert reply.reasons[0].code == "layout.engine"


def test_priorities_follow_the_number_of_links() -> None:
    settings = replace(pair(), link_priorities=(0, 10))
    more = asked(add("10.9.0.1", "10.9.0.2"), settings)
    fewer = asked(RemoveLink(1), settings)
    assert isinstance(more, ChangeLayout)
    assert isinstance(fewer, ChangeLayout)
    assert with_layout(settings, more.layout).link_priorities == (0, 10, 0)
    assert with_layout(settings, fewer.layout).link_priorities == (0,)


def test_a_file_that_was_raised_by_hand_is_believed() -> None:
    settings = replace(pair(), layout=4)
    older, newer = replace(layout_of(pair(1)), version=3), replace(layout_of(pair(1)), version=5)
    assert newer_settings(settings, None) is None
    assert newer_settings(settings, older) is None
    assert newer_settings(settings, layout_of(settings)) is None
    assert newer_settings(settings, newer) == replace(pair(1), layout=5)


def test_of_equal_numbers_the_file_is_believed_so_that_it_can_be_edited_by_hand() -> None:
    file, stored = replace(pair(1), layout=4), replace(layout_of(pair(2)), version=4)
    assert newer_settings(file, stored) is None
    keeper = LayoutKeeper(file, state_of(stored))
    assert keeper.settings == file
    assert keeper.is_current(state_of(stored))
    assert not keeper.follow(state_of(stored), ())
    assert not keeper.learn(stored, ())


def test_what_another_line_made_of_the_same_number_is_followed_while_ours_is_not_agreed_on() -> None:
    ours, theirs = replace(layout_of(pair(1)), version=1), replace(layout_of(three()), version=1)
    keeper = LayoutKeeper(pair(), state_of(ours))
    assert not keeper.is_current(state_of(theirs))
    assert keeper.follow(state_of(theirs, lineage=4), ())
    assert keeper.settings == replace(three(), layout=1, agreed_layout=0, is_count_agreed=False)


def state_of(layout: Layout | None, *, lineage: int = 3) -> ClusterState:
    return ClusterState(Element("cib"), position=Position(lineage, 7), layout=layout)


def test_the_file_is_written_once_every_member_has_stored_the_change() -> None:
    keeper = LayoutKeeper(pair(), state_of(None))
    state = state_of(replace(layout_of(pair(1)), version=1))
    assert keeper.follow(state, ())
    assert keeper.settings == replace(pair(1), layout=1, agreed_layout=0)
    assert (keeper.settings.agreed_version, is_two_node(keeper.settings)) == (0, True)
    assert not keeper.follow(state, ())
    assert not keeper.due(Position(3, 6))
    assert keeper.due(Position(3, 7))
    assert keeper.settings == replace(pair(1), layout=1)
    assert not keeper.due(Position(3, 8))


def test_nodes_count_once_every_member_has_stored_them() -> None:
    """One of two nodes is enough only when it is sure that no third one is left which counts three."""
    keeper = LayoutKeeper(three(), state_of(None))
    assert keeper.follow(state_of(replace(layout_of(pair()), version=1)), ())
    assert not is_two_node(keeper.settings)
    assert keeper.due(Position(3, 7))
    assert is_two_node(keeper.settings)


def test_what_was_never_agreed_on_is_given_up_with_its_state() -> None:
    keeper = LayoutKeeper(pair(), state_of(None))
    keeper.follow(state_of(replace(layout_of(three()), version=1)), ())
    assert keeper.follow(state_of(None, lineage=4), ())
    assert keeper.settings == pair()


def test_who_was_away_learns_what_is_agreed_on() -> None:
    keeper = LayoutKeeper(three(), state_of(None))
    newer = replace(layout_of(pair()), version=2)
    assert not keeper.learn(newer, members=(NodeId(1), NodeId(3)))  # 3 has to leave the view first
    assert keeper.learn(newer, members=(NodeId(1),))
    assert keeper.settings == replace(pair(), layout=2)
    assert not keeper.learn(newer, members=())
    assert not keeper.follow(state_of(None), ())  # the state is older: it comes with the snapshot


def test_a_node_that_was_removed_is_told_apart_from_one_whose_file_is_newer() -> None:
    without_me = replace(layout_of(pair()), version=3, nodes=layout_of(pair()).nodes[1:])
    assert is_removed(pair(), without_me)
    assert not is_removed(replace(pair(), layout=4), without_me)
    assert not is_removed(pair(), None)
    assert newer_settings(pair(), without_me) is None


def test_a_node_is_added_and_removed() -> None:
    added = asked(AddNode(NodeName("c"), ("10.0.0.3", "10.1.0.3")), pair())
    assert isinstance(added, ChangeLayout)
    assert (added.added, added.removed) == ("c", None)
    assert added.layout == replace(layout_of(three()), version=1)
    removed = asked(RemoveNode(NodeName("c")), replace(three(), layout=1))
    assert isinstance(removed, ChangeLayout)
    assert (removed.added, removed.removed) == (None, "c")
    assert removed.layout == replace(layout_of(pair()), version=2)


@pytest.mark.parametrize(
    ("step", "quorum", "code"),
    [
        (AddNode(NodeName("c"), ("10.0.0.3",)), QuorumOptions(), "layout.node-links"),
        (AddNode(NodeName("b"), ("10.0.0.3", "10.1.0.3")), QuorumOptions(), "layout.node-known"),
        (AddNode(NodeName("c"), ("10.0.0.2", "10.1.0.3")), QuorumOptions(), "ring.address-twice"),
        (AddNode(NodeName("c"), ("fd00::3", "10.1.0.3")), QuorumOptions(), "layout.family"),
        (AddNode(NodeName("c"), ("10.0.0.3", "10.1.0.3"), NodeId(2)), QuorumOptions(), "ring.node-id-twice"),
        (RemoveNode(NodeName("x")), QuorumOptions(), "layout.unknown-node"),
        (RemoveNode(NodeName("a")), QuorumOptions(), "layout.node-is-me"),
        (RemoveNode(NodeName("b")), QuorumOptions(two_node=True), "layout.quorum-options"),
        (RemoveNode(NodeName("b")), QuorumOptions(auto_tie_breaker=True), "layout.quorum-options"),
    ],
)
def test_what_is_wrong_with_a_change_of_nodes(step: LayoutChange, quorum: QuorumOptions, code: str) -> None:
    reply = asked(step, replace(pair(), quorum=quorum))
    assert isinstance(reply, RefusedReply)
    assert reply.reasons[0].code == code


def test_an_address_that_somebody_has_is_named_with_who_has_it() -> None:
    reply = asked(AddNode(NodeName("c"), ("10.0.0.2", "10.1.0.3")), pair())
    assert isinstance(reply, RefusedReply)
    (reason,) = reply.reasons
    assert reason.message == "the address 10.0.0.2 is given twice: to b (link 0) and c (link 0)"
    assert reason.hint
    assert not reason.place, "no file is wrong: it was said on the command line"


def test_one_change_waits_for_the_other() -> None:
    reply = asked(RemoveNode(NodeName("b")), replace(pair(), agreed_layout=0, layout=1))
    assert isinstance(reply, RefusedReply)
    assert reply.reasons[0].code == "layout.pending"


def test_a_change_does_not_cost_the_quorum() -> None:
    settings = three()
    step = AddNode(NodeName("d"), ("10.0.0.4", "10.1.0.4"))
    reply = change_for(step, settings, members=(NodeId(1), NodeId(2)), user="root", at=WallTime(0))
    assert isinstance(reply, RefusedReply)
    assert reply.reasons[0].message.endswith("2 of 4 votes; 3 are needed")


def test_who_was_removed_while_it_was_away_says_so_once_until_it_is_a_node_again() -> None:
    keeper = LayoutKeeper(three(), state_of(None))
    others = layout_of(three()).nodes[1:]
    gone = Layout(2, others)
    assert keeper.turned_away(gone, members=()) is None  # it has no view yet, and is told again
    news = keeper.turned_away(gone, members=(NodeId(1),))
    assert news is not None
    assert news.code == REMOVED
    for part in (
        "a was removed from cluster test",
        "version 2",
        "komainu node add a ADDRESS",
        "disable --now",
    ):
        assert part in keeper.removal
    assert keeper.turned_away(gone, members=(NodeId(1),)) is None
    assert not keeper.learn(gone, members=(NodeId(1),))
    assert keeper.learn(replace(layout_of(three()), version=3), members=(NodeId(1),))
    assert keeper.removal == ""
    assert keeper.turned_away(gone, members=(NodeId(1),)) is None  # an old word, played again
