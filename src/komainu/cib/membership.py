"""Write down who is here: members that come, join, leave, are lost, and are confirmed off.

Decides what each change of membership makes of a node's state. Must not know what follows from it: whether a
node has to be fenced is the scheduler's reading of what stands here.
Source: Pacemaker Explained, "Cluster Node State" (in_ccm, crmd, join, expected). A member that has not said
what runs on it has join="pending"; a node that went without a word keeps expected="member", and so has to be
fenced; a node that left or was fenced has expected="down".

Theory of operation. `view` on the status is ours: the newest view that was recorded. What a coordinator
submitted in an older one may be ordered late, and must not undo it. `fence-request` on a node's state is ours: it
names the fencings that run, each from its start until its end, and goes when the node comes back in another life
(`daemon-life`, ours, too). A fencing that ends and is not named is about an earlier life of that node, and must not
put the present one down, whether that is here or was lost in its turn. In the same life the node was only heard
again: the fencing will still hit it. But where a device cuts power, and the node that was back is missed at that moment, it
was cut off by that, as far as anybody can tell; if it runs nothing by all that is known it is down. Else a device
that takes longer than its target takes to boot would fence it for ever.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from komainu.cib.command import ChangeMembership, JoinNode, LeaveNode
from komainu.cib.document import storable
from komainu.cib.element import Element
from komainu.cib.history import may_be_active, with_history
from komainu.cib.nodes import (
    DOWN,
    STATUS,
    has_joined,
    is_member,
    name_of,
    node_entries,
    node_id,
    node_state,
    node_states,
    update_state,
    with_all,
)
from komainu.cib.options import read_int
from komainu.cib.pairs import set_transient
from komainu.cib.refusal import refuse
from komainu.cib.tree import replace_child, update_at
from komainu.model.ids import NodeName
from komainu.model.view import ViewId

PAIR: Final = 2

FENCE_MARK: Final = "fence-request"
PAST_MARK: Final = "fence-request-past"
"""The fencings that were begun for an earlier life, and may still strike this one."""
STRUCK_MARK: Final = "fence-struck"
"""When such a one was done, by the wall clock."""
LIFE_MARK: Final = "daemon-life"
VIEW_MARK: Final = "view"

FENCINGS_MAX: Final = 16
"""So many fencings of a node at one time are told apart; of more the oldest count for nothing."""

STRUCK_MS: Final = 10_000
"""So soon after its power was cut a node is missed: a detection with one link, twice, and the agreement."""

_NO_FENCING: Final = {FENCE_MARK: None, PAST_MARK: None, STRUCK_MARK: None}

_LOST: Final = {"in_ccm": "false", "crmd": "offline", "join": "down"}
_NODES: Final = ("configuration", "nodes")


def with_nodes(cib: Element, ids: Mapping[NodeName, str]) -> Element:
    """Return a CIB whose `nodes` section has an entry for each of these; a renamed node keeps its entry."""
    for name, identity in ids.items():
        entries = tuple(node_entries(cib))
        if any(node.get("uname") == name for node in entries):
            continue
        namesake = next((node for node in entries if node.id == identity), None)
        entry = (
            Element("node", {"id": identity, "uname": name})
            if namesake is None
            else namesake.with_attribute("uname", name)
        )
        cib = update_at(cib, _NODES, partial(_put_node, entry=entry))
    return cib


def with_other_nodes(
    cib: Element, names: Mapping[str, NodeName], *, added: NodeName | None, removed: NodeName | None
) -> Element:
    """Return a CIB with one node more, which is down, or one less. Raises Refused while that is not safe.

    `names`: all nodes as they will be, by id.
    """
    if added is None and removed is None:
        return cib
    if removed is not None and is_member(node_state(cib, removed)):
        hint = f"stop it in order, there: komainu node stop; then: komainu node remove {removed}"
        refuse("cib.node-is-here", f"node {removed} is a member: it may run something", hint)
    stay = [name for name in names.values() if name != added]
    away = [name for name in stay if not is_member(node_state(cib, name))]
    if len(stay) <= PAIR and away:
        # Of a pair each half may go on alone (two_node), and one that was away would count by the old number.
        hint = f"start it first: komainu node, on {away[0]}"
        refuse("cib.pair-is-split", f"{away[0]} is away, and two nodes have to change together", hint)
    if removed is not None:
        cib = update_at(cib, _NODES, lambda nodes: nodes.without(lambda each: each.get("uname") == removed))
        cib = update_at(cib, STATUS, lambda status: status.without(lambda each: each.get("uname") == removed))
    if added is not None:
        cib = with_nodes(cib, {name: number for number, name in names.items() if name == added})
        cib = update_state(cib, added, lambda state: with_all(state, DOWN))
    return cib


def with_view(cib: Element, command: ChangeMembership, *, is_quorate: bool) -> Element:
    """Record a view: its members, who left, and who is not here any more. Raises Refused for an older view."""
    if not command.members or len(command.members) != len(command.view.members):
        refuse("cib.bad-view", f"view {command.view.view_id} does not name each of its members")
    if _is_older(command.view.view_id, cib):
        refuse("cib.stale-view", f"view {command.view.view_id} is over")
    cib = update_at(cib, STATUS, lambda status: with_all(status, {VIEW_MARK: str(command.view.view_id)}))
    ids = dict(zip(command.members, command.view.members, strict=True))
    left = {name for name, _ in command.left}
    lost = {name for name, _ in command.lost}
    cib = cib.with_attribute("have-quorum", "1" if is_quorate and command.view.quorate else "0")
    coordinator = next((name for name, number in ids.items() if number == command.view.coordinator), None)
    if coordinator is not None:
        cib = cib.with_attribute("dc-uuid", node_id(cib, coordinator) or str(command.view.coordinator))
    # A view that nobody could record may lie between: who is not named but not here either was lost, too.
    gone = {name_of(state) for state in node_states(cib) if is_member(state)} - set(ids)
    for name in sorted(gone | lost | left):
        cib = _with_left(cib, name) if name in left - lost else _with_lost(cib, name, command.at)
    lives = dict(zip(command.members, map(storable, command.lives), strict=False))
    for name in command.members:
        cib = update_state(cib, name, partial(_arrive, life=lives.get(name)))
    return cib


def with_join(cib: Element, command: JoinNode) -> Element:
    """Record what runs on a member. One that was away starts without the attributes of its earlier life."""
    state = node_state(cib, command.node)
    if not is_member(state):
        refuse("cib.not-a-member", f"node {command.node} is not a member, so it cannot join")
    if any(storable(result.request.key) != result.request.key for result in command.history):
        refuse("cib.bad-text", f"the history of {command.node} has names with control characters")
    stayed = has_joined(state)
    cib = with_history(
        cib, command.node, command.history, keep_open=stayed, never_handed=command.never_handed
    )
    if not stayed:
        cib = update_state(cib, command.node, _without_attributes)
    joined = {"crmd": "online", "join": "member", "expected": "member", "crm-debug-origin": "komainu"}
    return update_state(cib, command.node, lambda here: with_all(here, {**joined}))


def with_leave(cib: Element, command: LeaveNode) -> Element:
    """Ask a node to leave: the scheduler stops what runs on it."""
    if not is_member(node_state(cib, command.node)):
        refuse("cib.not-a-member", f"node {command.node} is not a member, so it cannot leave")
    return set_transient(cib, command.node, "shutdown", str(max(1, command.at // 1000)))


def with_fencing_begun(cib: Element, node: NodeName, request: str) -> Element:
    """Note on a node's state that this fencing of it runs."""
    running = [*_fencings(cib, node), storable(request)][-FENCINGS_MAX:]
    return update_state(cib, node, lambda here: with_all(here, {FENCE_MARK: " ".join(running)}))


def with_fencing_failed(cib: Element, node: NodeName, request: str) -> Element:
    """Note on a node's state that this fencing of it ended and changed nothing."""
    if node_state(cib, node) is None:
        return cib
    left = " ".join(other for other in _fencings(cib, node) if other != storable(request))
    return update_state(cib, node, lambda here: with_all(here, {FENCE_MARK: left or None}))


def with_fencing_done(cib: Element, node: NodeName, request: str, *, struck_at: int | None) -> Element:
    """Make a node cleanly down, unless this fencing was begun for an earlier life of it, and that may not be all.

    `struck_at`: when a device that cuts power was done; None where the node was to reset itself.
    """
    state = node_state(cib, node)
    if storable(request) in _fencings(cib, node):
        return with_confirmed_off(cib, node)
    if state is None or struck_at is None or storable(request) not in (state.get(PAST_MARK) or "").split():
        return cib
    if is_member(state):
        return update_state(cib, node, lambda here: with_all(here, {STRUCK_MARK: str(struck_at)}))
    return with_confirmed_off(cib, node) if _is_idle(state) else cib


def with_confirmed_off(cib: Element, node: NodeName) -> Element:
    """Make a node cleanly down: nothing runs on it, and nothing of its status holds any more."""
    return update_state(cib, node, _confirm_off)


def _confirm_off(state: Element) -> Element:
    return with_all(state.with_children(()), {**DOWN, **_NO_FENCING})


def _is_idle(state: Element) -> bool:
    """Whether a node runs nothing by its history; a fence device is nowhere."""
    homes = state.at("lrm", "lrm_resources")
    return homes is None or not any(
        may_be_active(home) for home in homes.children if home.get("class") != "stonith"
    )


def _fencings(cib: Element, node: NodeName) -> list[str]:
    """Name the fencings of a node's present life that run."""
    state = node_state(cib, node)
    return [] if state is None else (state.get(FENCE_MARK) or "").split()


def _is_older(view: ViewId, cib: Element) -> bool:
    """Whether a newer view was recorded already."""
    status = cib.first("status")
    counter, _, proposer = ("" if status is None else status.get(VIEW_MARK, "") or "").partition(".")
    return (view.counter, view.proposer) < (read_int(counter, -1), read_int(proposer, -1))


def _put_node(nodes: Element, entry: Element) -> Element:
    namesake = next((node for node in nodes.all("node") if node.id == entry.id), None)
    if namesake is not None:
        return replace_child(nodes, namesake, entry)
    return nodes.with_children((*nodes.children, entry))


def _arrive(state: Element, life: str | None) -> Element:
    """Make a node a member. One that was a member all along stays as it is."""
    is_same_life = life is not None and state.get(LIFE_MARK) == life
    if is_member(state) and state.get("crmd") == "online":
        return with_all(state, {LIFE_MARK: life})
    # A node that was cleanly down before is expected once it joins; any other may still hold what it ran.
    was_down = state.get("in_ccm") == "false" and state.get("expected") == "down"
    return with_all(
        state,
        {
            "in_ccm": "true",
            "crmd": "online",
            "join": "pending",
            "expected": "down" if was_down else "member",
            "crm-debug-origin": "komainu",
            FENCE_MARK: state.get(FENCE_MARK) if is_same_life else None,
            PAST_MARK: state.get(PAST_MARK if is_same_life else FENCE_MARK),
            STRUCK_MARK: state.get(STRUCK_MARK) if is_same_life else None,
            LIFE_MARK: life,
        },
    )


def _with_lost(cib: Element, name: NodeName, at: int) -> Element:
    """A node went without a word: unless it was down already, it counts as dangerous until it is fenced."""

    def lose(state: Element) -> Element:
        was_struck = 0 <= at - read_int(state.get(STRUCK_MARK), -STRUCK_MS) <= STRUCK_MS
        if was_struck and _is_idle(state):
            return _confirm_off(state)
        was_down = state.get("expected") == "down"
        return with_all(state, {**_LOST, "expected": "down" if was_down else "member"})

    return update_state(cib, name, lose)


def _with_left(cib: Element, name: NodeName) -> Element:
    """A node said that it leaves. What it left running, if anything, stays on record."""

    def leave(state: Element) -> Element:
        listing = state.at("lrm", "lrm_resources")
        is_running = listing is not None and any(may_be_active(home) for home in listing.children)
        known = state if is_running else state.without(lambda child: child.tag == "lrm")
        return with_all(_without_attributes(known), DOWN)

    return update_state(cib, name, leave)


def _without_attributes(state: Element) -> Element:
    if state.first("transient_attributes") is None:
        return state
    return state.without(lambda child: child.tag == "transient_attributes")
