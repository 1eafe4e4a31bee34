"""Decide what a change of nodes and links makes of the ring's settings, or why it cannot be made.

Pure. Must not know who asks, and how settings are written (node/settings_writer.py) or used.

Theory of operation. The node that is asked works out the new layout and has it ordered (ChangeLayout). As it is applied,
every member goes on with it: the ring with other ways, the sockets with other addresses, komainu.toml with other
[[node]] tables, once all have stored it. Who was away finds it in the state that it is given, and does the same then.
"""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NoReturn, assert_never

from komainu.cib.command import ChangeLayout
from komainu.cib.state import ClusterState
from komainu.model.cause import Cause
from komainu.model.ids import LinkNumber, NodeId, NodeName, WallTime
from komainu.model.layout import Layout, NodeLayout
from komainu.model.link import LinkEnd
from komainu.model.report import Refused, Report, Severity
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
from komainu.node.desk import refused_for
from komainu.node.settings import is_name
from komainu.recorder.change import REMOVED
from komainu.ring.quorum import Turnout, judge
from komainu.ring.settings import LINKS_MAX, Engine, NodeSettings, RingSettings, check, layout_of
from komainu.ring.voters import first_voters


def with_layout(settings: RingSettings, layout: Layout) -> RingSettings:
    """Return the settings with these nodes and links. A link without a priority has 0."""
    nodes = tuple(NodeSettings(node.node, node.name, node.ends, node.votes) for node in layout.nodes)
    links = max(len(node.ends) for node in nodes)
    priorities = settings.link_priorities
    if priorities:
        priorities = (*priorities, *(0 for _ in range(links)))[:links]
    return replace(settings, nodes=nodes, layout=layout.version, link_priorities=priorities)


class LayoutKeeper:
    """The settings that hold, and whether komainu.toml has to be brought up to date.

    `settings`: those of the file, or the newer ones of the stored state. A change is first used, then, once every member
    has stored it, agreed on: from then on its nodes are those that count, and it is written. What was never agreed on is
    given up with the state that brought it.
    """

    def __init__(self, file: RingSettings, state: ClusterState) -> None:
        self.settings = file
        self._agreed = file
        self._since: Position | None = None  # where the state stood as it brought what is not agreed on
        self.removal = ""  # a sentence, while the cluster goes on without this node
        self.follow(state, members=())

    @property
    def is_agreed(self) -> bool:
        """Whether every member is known to have stored what is used."""
        return self._since is None

    def is_current(self, state: ClusterState) -> bool:
        """Whether what is used is what this state has, as far as it is for this node."""
        return self._newer(state.layout) is None

    def follow(self, state: ClusterState, members: Collection[NodeId]) -> bool:
        """Go on with the nodes and links of this state; whether these are others than before.

        `members` are those of the present view: none of them is dropped before it has left.
        """
        layout = state.layout
        if self._since is not None and (layout is None or layout.version < self.settings.layout):
            self.settings, self._since = self._agreed, None  # what this node had was never agreed on
            self.follow(state, members)
            return True
        newer = self._newer(layout)
        if newer is None or not set(members) <= {node.node for node in newer.nodes}:
            return False
        # Who changed it further knew that the change before was agreed on.
        agreed = self.settings if newer.layout > self.settings.layout else self._agreed
        counts = [{(each.node, each.votes) for each in one.nodes} for one in (newer, agreed)]
        self._agreed, self._since = agreed, state.position
        self.settings = replace(newer, agreed_layout=agreed.layout, is_count_agreed=counts[0] == counts[1])
        return True

    def learn(self, layout: Layout, members: Collection[NodeId]) -> bool:
        """Take over what others have agreed on; whether that is news, has a place for this node, and for the members."""
        newer = self._newer(layout) or self.settings
        is_news = layout.version > self._agreed.layout and newer.layout == layout.version
        if not is_news or not set(members) <= {node.node for node in newer.nodes}:
            return False
        self._agree_on(newer)
        return True

    def turned_away(self, layout: Layout, members: Collection[NodeId]) -> Cause | None:
        """Take in that this node is none of those that are agreed on; return it as news, once it is in a view of its own."""
        if self.removal or not members or not is_removed(self.settings, layout):
            return None
        me = self.settings.of(self.settings.me).name
        self.removal = (
            f"{me} was removed from cluster {self.settings.cluster} while it was away: the others are at version "
            f"{layout.version} of the nodes and links, without it (it is at {self.settings.layout}), and "
            f"do not speak with it. To add it again, on another node: komainu node add {me} ADDRESS; then bring its "
            f"komainu.toml here, and restart komainu. Else: systemctl disable --now komainu"
        )
        return Cause(REMOVED, self.removal)

    def due(self, stable: Position) -> bool:
        """Take in what every member has stored; whether the change is agreed on now, and is to be written."""
        if self._since is None or stable < self._since:
            return False
        self._agree_on(self.settings)
        return True

    def _newer(self, layout: Layout | None) -> RingSettings | None:
        """Return the settings with this layout, if it has to be followed.

        One with the number of ours is another line's while ours is not agreed on; else the file was edited by hand.
        """
        if layout is None or layout.version < self.settings.layout or layout == layout_of(self.settings):
            return None
        return newer_settings(self._agreed, layout)

    def _agree_on(self, settings: RingSettings) -> None:
        self.settings = self._agreed = replace(settings, agreed_layout=None, is_count_agreed=True)
        self._since, self.removal = None, ""


def newer_settings(settings: RingSettings, layout: Layout | None) -> RingSettings | None:
    """Return the settings to go on with when a layout is newer; None while ours are as new, or it is not for us."""
    if layout is None or layout.version <= settings.layout:
        return None
    return None if is_removed(settings, layout) else with_layout(settings, layout)


def is_removed(settings: RingSettings, layout: Layout | None) -> bool:
    """Whether this node was removed from the cluster, and not added again."""
    if layout is None or layout.version <= settings.layout:
        return False
    return all(node.node != settings.me for node in layout.nodes)


def change_for(
    step: LayoutChange, settings: RingSettings, *, members: Collection[NodeId], user: str, at: WallTime
) -> ChangeLayout | RefusedReply:
    """Write the command that makes a change, or what is wrong with it. `members`: of the present view."""
    try:
        command = _command(step, settings, user, at)
        _refuse_loss_of_quorum(with_layout(settings, command.layout), members)
    except Refused as refused:
        return refused_for(refused.reports)
    return command


def _command(step: LayoutChange, settings: RingSettings, user: str, at: WallTime) -> ChangeLayout:
    if settings.engine is not Engine.BUILTIN:
        hint = "change corosync.conf on every node, then: corosync-cfgtool -R; and komainu.toml likewise"
        _refuse("layout.engine", "with Corosync as the engine its own file says who the nodes are", hint)
    if settings.agreed_layout is not None:
        hint = "`komainu ring status` shows who has not stored it; then try again"
        _refuse("layout.pending", "the change before is not stored by every member yet", hint)
    nodes, added, removed = settings.nodes, None, None
    ends: _Ends = {}
    match step:
        case AddLink(addresses=addresses):
            ends, what = _with_link(settings, dict(addresses)), "added a link"
        case ChangeLink(link=link, addresses=addresses):
            ends = _with_addresses(settings, link, dict(addresses))
            said = ", ".join(f"{name} to {address}" for name, address in addresses)
            what = f"moved link {link} of {said}"
        case RemoveLink(link=link):
            ends, what = _without_link(settings, link), f"removed link {link}"
        case AddNode(name=name):
            nodes, what = (*settings.nodes, _new_node(settings, step)), f"added node {name}"
            added = name
        case RemoveNode(name=name):
            nodes, what = _without_node(settings, name), f"removed node {name}"
            removed = name
        case _:
            assert_never(step)
    fresh = tuple(
        NodeLayout(node.node, node.name, ends.get(node.name, node.ends), node.votes) for node in nodes
    )
    layout = Layout(settings.layout + 1, tuple(sorted(fresh, key=lambda node: node.node)))
    reports = [each for each in check(with_layout(settings, layout)) if each.severity is Severity.ERROR]
    if reports:
        raise Refused(tuple(replace(each, place=None) for each in reports))  # the file is not what is wrong
    cause = Cause("operator", f"{user or 'somebody'} {what}")
    return ChangeLayout(cause, at, user, settings.layout, layout, added, removed)


_Ends = Mapping[NodeName, tuple[LinkEnd, ...]]


def _new_node(settings: RingSettings, step: AddNode) -> NodeSettings:
    """Return the node that is added, with an address on each link."""
    _refuse_options(settings)
    links = max(len(node.ends) for node in settings.nodes)
    if len(step.addresses) != links:
        hint = f"komainu node add {step.name} " + " ".join(["ADDRESS"] * links)
        message = f"the ring has {links} link{'s' * (links != 1)}: {step.name} needs an address on each"
        _refuse("layout.node-links", message, hint)
    if not is_name(step.name):
        hint = "a name has letters, digits and -._ alone; it is the host name of that machine"
        _refuse("layout.node-name", f"{step.name[:80]!r} cannot be the name of a node", hint)
    if any(node.name == step.name for node in settings.nodes):
        _refuse("layout.node-known", f"{step.name} is a node already", "`komainu status` lists the nodes")
    number = step.node_id or NodeId(max(node.node for node in settings.nodes) + 1)
    beside = settings.nodes[0]  # the options of a link are alike on all nodes
    ends = tuple(
        replace(end, address=_address(address), prefix=None, interface=None)
        for end, address in zip(beside.ends, step.addresses, strict=True)
    )
    for end in ends:
        _refuse_families({step.name: end.address, beside.name: beside.ends[end.link].address})
    return NodeSettings(number, step.name, ends)


def _without_node(settings: RingSettings, name: NodeName) -> tuple[NodeSettings, ...]:
    """Return the nodes but for one."""
    _refuse_options(settings)
    _known(name, {node.name for node in settings.nodes})
    gone = next(node for node in settings.nodes if node.name == name)
    if gone.node == settings.me:
        hint = f"stop it (komainu node stop), then on another node: komainu node remove {name}"
        _refuse("layout.node-is-me", f"{name} is this node: another one has to remove it", hint)
    if gone.votes > 1:
        message = f"{name} has {gone.votes} votes: without them two parts could have quorum for a moment"
        _refuse("layout.node-votes", message, "stop all nodes, and change every komainu.toml")
    return tuple(node for node in settings.nodes if node is not gone)


def _refuse_loss_of_quorum(settings: RingSettings, members: Collection[NodeId]) -> None:
    """Refuse a change after which those who are here are too few. A witness is taken to be there."""
    verdict = judge(settings, first_voters(settings), Turnout(members, has_witness=True))
    if not verdict.quorate:
        away = ", ".join(node.name for node in settings.nodes if node.node not in members)
        message = f"those that are here would have no quorum afterwards: {verdict.reason}"
        _refuse("layout.no-quorum", message, f"bring back who is away ({away}), then try again")


def _refuse_options(settings: RingSettings) -> None:
    """Refuse where a majority before and one after the change need not share a node."""
    options = settings.quorum
    fixed = {
        "expected_votes": options.expected_votes is not None,
        "two_node": options.two_node is not None,
        "auto_tie_breaker": options.auto_tie_breaker,
        "last_man_standing": options.last_man_standing,
        "allow_downscale": options.allow_downscale,
    }
    named = [name for name, is_set in fixed.items() if is_set]
    if named:
        hint = "stop all nodes, change every komainu.toml, and start them"
        message = (
            f"{' and '.join(named)} in [quorum] says who counts: nodes cannot change while the cluster runs"
        )
        _refuse("layout.quorum-options", message, hint)


def _with_link(settings: RingSettings, addresses: Mapping[NodeName, str]) -> _Ends:
    number = LinkNumber(max(len(node.ends) for node in settings.nodes))
    names = {node.name for node in settings.nodes}
    for name in addresses:
        _known(name, names)
    missing = sorted(names - addresses.keys())
    if missing:
        hint = "komainu link add " + " ".join(f"{name}=ADDRESS" for name in sorted(names))
        _refuse("layout.link-ends", f"no address is given for {', '.join(missing)}", hint)
    if number >= LINKS_MAX:
        _refuse("layout.links", f"there are {LINKS_MAX} links already, and no more are possible")
    fresh = {name: _address(addresses[name]) for name in sorted(names)}
    _refuse_families(fresh)
    return {
        node.name: (*node.ends, LinkEnd(number, fresh[node.name], keep_talking=True))
        for node in settings.nodes
    }


def _with_addresses(settings: RingSettings, link: int, addresses: Mapping[NodeName, str]) -> _Ends:
    number = _known_link(settings, link)
    ends = {node.name: node.ends for node in settings.nodes}
    for name, text in addresses.items():
        _known(name, set(ends))
        # Prefix and interface were those of the old address.
        changed = replace(ends[name][number], address=_address(text), prefix=None, interface=None)
        ends[name] = tuple(changed if end.link == number else end for end in ends[name])
    if all(ends[node.name][number].address == node.ends[number].address for node in settings.nodes):
        _refuse("layout.same", f"link {link} has these addresses already", "`komainu link list` shows them")
    _refuse_families({node: ends[node][number].address for node in ends})
    return ends


def _without_link(settings: RingSettings, link: int) -> _Ends:
    number = _known_link(settings, link)
    last = max(len(node.ends) for node in settings.nodes) - 1
    if last == 0:
        hint = "add another one first: komainu link add NODE=ADDRESS …"
        _refuse("layout.last-link", f"link {link} is the only one: without it no node reaches another", hint)
    if number != last:
        hint = (
            f"komainu link remove {last}, then give link {link} its addresses, all at once: "
            f"komainu link change {link} NODE=ADDRESS …"
        )
        _refuse("layout.link-order", f"only the link with the greatest number, {last}, can be removed", hint)
    return {node.name: node.ends[:-1] for node in settings.nodes}


def _address(text: str) -> str:
    try:
        literal = ipaddress.ip_address(text)
    except ValueError:
        hint = "write an IPv4 or IPv6 address without prefix and port: 192.168.33.101"
        _refuse("layout.address", f'"{text}" is no address', hint)
    if literal.is_unspecified or literal.is_multicast:
        _refuse("layout.address", f"{literal} belongs to no single node", "write an address of that node")
    if literal.version == 6 and literal.is_link_local:
        hint = "write it into komainu.toml of every node with its interface, and restart them one by one"
        _refuse("layout.address", f"{literal} needs its interface, which cannot be given here", hint)
    return str(literal)


def _refuse_families(addresses: Mapping[NodeName, str]) -> None:
    if len({":" in address for address in addresses.values()}) > 1:
        said = ", ".join(f"{name} {address}" for name, address in sorted(addresses.items()))
        _refuse(
            "layout.family", f"one link has IPv4 and IPv6 addresses: {said}", "use one of them on every node"
        )


def _known(name: NodeName, names: set[NodeName]) -> None:
    if name not in names:
        _refuse("layout.unknown-node", f"there is no node {name}", f"there are {', '.join(sorted(names))}")


def _known_link(settings: RingSettings, link: int) -> LinkNumber:
    links = max(len(node.ends) for node in settings.nodes)
    if not 0 <= link < links:
        _refuse("layout.unknown-link", f"there is no link {link}", "`komainu link list` shows all")
    return LinkNumber(link)


def _refuse(code: str, message: str, hint: str = "") -> NoReturn:
    raise Refused((Report(code, message, hint),))
