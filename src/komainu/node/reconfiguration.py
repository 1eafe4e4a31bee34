"""Decide what a change of nodes and links makes of the ring's settings, or why it cannot be made.

Pure. Must not know who asks, and how settings are written (node/settings_writer.py) or used.

Theory of operation. The node that is asked works out the new layout and has it ordered (ChangeLayout). As it is applied,
every member goes on with it: the ring with other ways, the sockets with other addresses, komainu.toml with other
[[node]] tables, once all have stored it. Who was away finds it in the state that it is given, and does the same then.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn, assert_never

from komainu.cib.command import ChangeLayout
from komainu.cib.state import ClusterState
from komainu.model.cause import Cause
from komainu.model.ids import LinkNumber, NodeName, WallTime
from komainu.model.layout import Layout, NodeLayout
from komainu.model.link import LinkEnd
from komainu.model.report import Refused, Report, Severity
from komainu.model.request import AddLink, ChangeLink, LayoutChange, RefusedReply, RemoveLink
from komainu.model.view import Position
from komainu.node.desk import refused_for
from komainu.node.interface import WriteLayout
from komainu.ring.settings import LINKS_MAX, Engine, NodeSettings, RingSettings, check


def layout_of(settings: RingSettings) -> Layout:
    """Return the nodes and links of these settings."""
    nodes = (NodeLayout(node.node, node.name, node.ends, node.votes) for node in settings.nodes)
    return Layout(settings.layout, tuple(nodes))


def with_layout(settings: RingSettings, layout: Layout) -> RingSettings:
    """Return the settings with these nodes and links. A link without a priority has 0."""
    nodes = tuple(NodeSettings(node.node, node.name, node.ends, node.votes) for node in layout.nodes)
    links = max(len(node.ends) for node in nodes)
    priorities = settings.link_priorities
    if priorities:
        priorities = (*priorities, *(0 for _ in range(links)))[:links]
    return replace(settings, nodes=nodes, layout=layout.version, link_priorities=priorities)


class LayoutKeeper:
    """The settings that hold, and whether komainu.toml has to be brought up to date."""

    def __init__(self, settings: RingSettings) -> None:
        self._settings = settings
        self._unwritten: Position | None = None  # where the state stood as it brought what the file lacks

    def follow(self, state: ClusterState) -> RingSettings | None:
        """Return the settings to go on with when the state has a newer layout; None while ours are as new."""
        newer = newer_settings(self._settings, state.layout)
        if newer is not None:
            self._settings, self._unwritten = newer, state.position
        return newer

    def due(self, stable: Position) -> list[WriteLayout]:
        """Write the file once every member has stored the change: what a crash may undo must not be in it."""
        if self._unwritten is None or stable < self._unwritten:
            return []
        self._unwritten = None
        return [WriteLayout(self._settings)]


def newer_settings(settings: RingSettings, layout: Layout | None) -> RingSettings | None:
    """Return the settings to go on with when the state has a newer layout; None while ours are as new."""
    if layout is None or layout.version < settings.layout or layout == layout_of(settings):
        return None
    return with_layout(settings, layout)


def change_for(
    step: LayoutChange, settings: RingSettings, *, user: str, at: WallTime
) -> ChangeLayout | RefusedReply:
    """Write the command that makes a change, or what is wrong with it."""
    try:
        return _command(step, settings, user, at)
    except Refused as refused:
        return refused_for(refused.reports)


def _command(step: LayoutChange, settings: RingSettings, user: str, at: WallTime) -> ChangeLayout:
    if settings.engine is not Engine.BUILTIN:
        hint = "change corosync.conf on every node, then: corosync-cfgtool -R; and komainu.toml likewise"
        _refuse("layout.engine", "with Corosync as the engine its own file says who the nodes are", hint)
    match step:
        case AddLink(addresses=addresses):
            ends, what = _with_link(settings, dict(addresses)), "added a link"
        case ChangeLink(link=link, addresses=addresses):
            ends = _with_addresses(settings, link, dict(addresses))
            said = ", ".join(f"{name} to {address}" for name, address in addresses)
            what = f"moved link {link} of {said}"
        case RemoveLink(link=link):
            ends, what = _without_link(settings, link), f"removed link {link}"
        case _:
            assert_never(step)
    nodes = tuple(NodeLayout(node.node, node.name, ends[node.name], node.votes) for node in settings.nodes)
    layout = Layout(settings.layout + 1, nodes)
    reports = [each for each in check(with_layout(settings, layout)) if each.severity is Severity.ERROR]
    if reports:
        raise Refused(tuple(reports))
    cause = Cause("operator", f"{user or 'somebody'} {what}")
    return ChangeLayout(cause, at, user, settings.layout, layout)


_Ends = Mapping[NodeName, tuple[LinkEnd, ...]]


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
