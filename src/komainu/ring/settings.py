"""Decide every waiting time of the ring from one number, and refuse settings that contradict each other.

Must not know: files and their syntax (the node's shell reads them), clocks, sockets.

Source: the division of one detection time into beats, silence and agreement is our own; the quorum options are
those of votequorum(5).
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.layout import Layout, NodeLayout
from komainu.model.link import LinkEnd
from komainu.model.report import Place, Refused, Report, Severity

NODES_MAX: Final = 64
"""Most nodes of one ring: a beat, which names the lives that it hears, still fits into one datagram (wire.py). What all send
grows with more than the square: an idle node of 64 sends a megabyte a second, and the order has one sequencer."""

LINKS_MAX: Final = 8
"""Most links between two nodes, numbered 0 to 7."""

NODE_ID_MAX: Final = 65_535
"""Greatest node number: it has two bytes on the wire."""

DETECT_WITHIN_MS: Final = 1000
"""Default with two links or more: a single cable that is pulled costs nothing, so silence means much."""

DETECT_WITHIN_ONE_LINK_MS: Final = 3000
"""Default with one link: the time a switch port or a bond may need to come back is worth waiting for."""

DETECT_WITHIN_MS_MIN: Final = 200
DETECT_WITHIN_MS_MAX: Final = 60_000
"""Range of the option. Less than 0.2 s accuses peers of the scheduler's jitter; more than a minute helps nobody."""


LAST_MAN_STANDING_WINDOW_MS: Final = 10_000
"""How long nodes have to be away before they are no longer counted (votequorum's default)."""

LAST_MAN_STANDING_WINDOW_MS_MIN: Final = 1_000
LAST_MAN_STANDING_WINDOW_MS_MAX: Final = 3_600_000

WITNESS_WAIT_MS: Final = 5_000
"""How long a view that hangs on the witness waits for its word before it goes on without it."""


WITNESS_ALGORITHMS: Final = ("ffsplit", "lms")
"""One vote, so that one of two equal parts has it; or one less than all, so that a last node has enough."""

QNETD_PORT: Final = 5403
QNETD_TLS: Final = ("on", "off", "required")
"""Of corosync-qnetd: its TCP port, and whether it speaks TLS ("on": where both sides can)."""


LEASE_SLOTS: Final = 64
"""Slots on a witness's file or disk: two nodes whose ids are alike modulo this would share one."""


@dataclass(frozen=True, slots=True)
class WitnessOptions:
    """A witness outside of the cluster that gives its votes to one part of it (votequorum's quorum device).

    It listens at an address, or is a file or disk that all nodes reach. With the engine Corosync it is a corosync-qnetd,
    and Corosync asks it.
    """

    name: str
    votes: int = 1
    wait_ms: int = WITNESS_WAIT_MS
    address: str = ""  # where it listens; "" where somebody else plays it
    port: int = 5416
    path: str = ""  # of the file or disk
    algorithm: str = "ffsplit"
    tie_breaker: str = "lowest"  # of qnetd: or "highest", or a node id
    tls: str = "on"  # of qnetd: or "off", "required"


class Engine(Enum):
    """What carries the ring's messages and knows who is here."""

    BUILTIN = "builtin"
    COROSYNC = "corosync"


@dataclass(frozen=True, slots=True)
class QuorumOptions:
    """The options of votequorum that this ring knows.

    `expected_votes` None: the sum of all votes. `two_node` None: on when there are exactly two nodes with one vote
    each and no witness. `wait_for_all` None: as two_node, and wherever the count may change (`is_dynamic`).
    `auto_tie_breaker`: of two equal halves that with the first of `tie_breakers` that was there before is
    quorate; without any, that with the lowest node id. `last_man_standing`: who was away for the window, while
    the rest had quorum, is no longer counted. `allow_downscale`: who leaves cleanly is no longer counted, down to
    `expected_votes`.
    """

    expected_votes: int | None = None
    two_node: bool | None = None
    wait_for_all: bool | None = None
    auto_tie_breaker: bool = False
    tie_breakers: tuple[NodeId, ...] = ()
    last_man_standing: bool = False
    last_man_standing_window_ms: int = LAST_MAN_STANDING_WINDOW_MS
    allow_downscale: bool = False
    witness: WitnessOptions | None = None

    @property
    def is_dynamic(self) -> bool:
        """Whether the nodes that count may change while the cluster runs."""
        return self.last_man_standing or self.allow_downscale or len(self.tie_breakers) > 1


class LinkMode(Enum):
    """How packets other than beats use the links: the best alone, all of them at once, or one after the other."""

    PASSIVE = "passive"
    ACTIVE = "active"
    ROUND_ROBIN = "round-robin"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One node of the ring: its number, its name, its ends of the links, its votes (0 and up)."""

    node: NodeId
    name: NodeName
    ends: tuple[LinkEnd, ...]
    votes: int = 1


@dataclass(frozen=True, slots=True)
class RingSettings:
    """All that the ring is told. `detect_within_ms` None: by the number of links (see the constants).

    `detect_within_ms` is the time from the last packet of a node to the view without it; all other times follow.
    `link_priorities`: by link, the greatest goes first; 0 for those that are not named, and between equals the
    lowest link.
    """

    cluster: str
    me: NodeId
    nodes: tuple[NodeSettings, ...]
    detect_within_ms: int | None = None
    quorum: QuorumOptions = field(default_factory=QuorumOptions)
    engine: Engine = Engine.BUILTIN
    link_mode: LinkMode = LinkMode.PASSIVE
    link_priorities: tuple[int, ...] = ()
    layout: int = 0  # how often nodes and links were changed while the cluster ran
    agreed_layout: int | None = (
        None  # the last that all are known to have stored, while `layout` is not; None: it is
    )
    is_count_agreed: bool = True  # False: `agreed_layout` has other nodes

    def of(self, node: NodeId) -> NodeSettings:
        """Return one node's settings; the node is one of them."""
        return next(each for each in self.nodes if each.node == node)

    def shared_links(self, peer: NodeId) -> tuple[LinkNumber, ...]:
        """Return the links that join us to this peer: those of which both have an end."""
        theirs = {end.link for end in self.of(peer).ends}
        return tuple(sorted(end.link for end in self.of(self.me).ends if end.link in theirs))

    @property
    def agreed_version(self) -> int:
        """The newest version of nodes and links that every member of a quorate view is known to have stored."""
        return self.layout if self.agreed_layout is None else self.agreed_layout

    def priority_of(self, link: LinkNumber) -> int:
        """Return a link's priority."""
        return self.link_priorities[link] if link < len(self.link_priorities) else 0


def layout_of(settings: RingSettings) -> Layout:
    """Return the nodes and links of these settings."""
    nodes = (NodeLayout(node.node, node.name, node.ends, node.votes) for node in settings.nodes)
    return Layout(settings.layout, tuple(nodes))


def agreed_layout(settings: RingSettings) -> Layout | None:
    """Return the nodes and links of these settings; None while a change is not agreed on, or there was none yet."""
    return layout_of(settings) if settings.layout and settings.agreed_layout is None else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Every waiting time of the ring, in milliseconds; the comments of `derive` say why each has its value."""

    detect_within_ms: int
    heartbeat_ms: int
    silent_ms: int
    near_ms: int
    convict_ms: int
    refused_ms: int
    agree_ms: int
    ballot_ms: int
    resend_ms: int
    acknowledge_ms: int
    patience_ms: int
    startup_ms: int
    stall_ms: int


def derive(settings: RingSettings) -> Timing:
    """Compute all times from `detect_within_ms`. Raises Refused with every contradiction of the settings."""
    reports = check(settings)
    if any(report.severity is Severity.ERROR for report in reports):
        raise Refused(tuple(reports))
    links = min((len(node.ends) for node in settings.nodes), default=1)
    default_ms = DETECT_WITHIN_MS if links > 1 else DETECT_WITHIN_ONE_LINK_MS
    detect_ms = default_ms if settings.detect_within_ms is None else settings.detect_within_ms
    beat_ms = detect_ms // 8
    return Timing(
        detect_within_ms=detect_ms,
        heartbeat_ms=beat_ms,
        silent_ms=beat_ms * 7 // 2,  # three beats lost, and half a beat for being late
        near_ms=beat_ms
        * 5
        // 2,  # two beats lost: time for three over another node before anybody is convicted
        convict_ms=beat_ms * _convict_half_beats(settings, links) // 2,
        refused_ms=beat_ms * 3 // 2,  # a socket may be opened anew within that; a dead daemon stays refused
        agree_ms=beat_ms * 2,  # members hear the last beat of a dead node up to one beat apart
        ballot_ms=beat_ms * 2,
        resend_ms=max(10, beat_ms // 4),
        acknowledge_ms=max(4, beat_ms // 12),
        patience_ms=detect_ms,
        startup_ms=detect_ms,
        stall_ms=beat_ms,
    )


def _convict_half_beats(settings: RingSettings, links: int) -> int:
    """Return for how many halves of a beat a peer may be silent on every link.

    Five beats lost and half a beat for being late: two and a half remain for the members to agree on the view. Who
    will be alone agrees with nobody; of a pair with one link, where a cable that is put back at once still costs a
    second until the kernel asks again for the peer's hardware address, seven beats may be lost.
    """
    return 15 if len(settings.nodes) <= 2 and links == 1 else 11


def check(settings: RingSettings) -> list[Report]:
    """Collect everything that is wrong with the settings."""
    reports = [*_check_nodes(settings), *_check_links(settings), *_check_quorum(settings)]
    detect_ms = settings.detect_within_ms
    if detect_ms is not None and not DETECT_WITHIN_MS_MIN <= detect_ms <= DETECT_WITHIN_MS_MAX:
        reports.append(
            _error(
                "ring.detect-within-range",
                f"detect_within is {detect_ms} ms; it must be {DETECT_WITHIN_MS_MIN} to {DETECT_WITHIN_MS_MAX} ms",
                "leave it out to get the default",
            )
        )
    return reports


def _check_nodes(settings: RingSettings) -> list[Report]:
    ids = [node.node for node in settings.nodes]
    names = [node.name for node in settings.nodes]
    reports = []
    if len(ids) > NODES_MAX:
        reports.append(_error("ring.too-many-nodes", f"{len(ids)} nodes; at most {NODES_MAX} form a ring"))
    reports += [
        _error("ring.node-id-range", f"node id {node} is not within 1 to {NODE_ID_MAX}")
        for node in ids
        if not 1 <= node <= NODE_ID_MAX
    ]
    if len(set(ids)) < len(ids):
        reports.append(
            _error("ring.node-id-twice", "two nodes have the same id", "give each node its own id")
        )
    if len(set(names)) < len(names):
        reports.append(_error("ring.node-name-twice", "two nodes have the same name"))
    if settings.me not in ids:
        reports.append(_error("ring.not-a-node", f"this node (id {settings.me}) is not among the nodes"))
    return reports


def _check_links(settings: RingSettings) -> list[Report]:
    reports = []
    all_links = sorted({end.link for node in settings.nodes for end in node.ends})
    reports += [
        _error("ring.link-range", f"link {link} is not within 0 to {LINKS_MAX - 1}")
        for link in all_links
        if not 0 <= link < LINKS_MAX
    ]
    for node in settings.nodes:
        links = [end.link for end in node.ends]
        if len(set(links)) < len(links):
            reports.append(_error("ring.link-twice", f"node {node.name} has two ends of one link"))
        if len(settings.nodes) > 1 and sorted(set(links)) != all_links:
            missing = ", ".join(str(link) for link in all_links if link not in links)
            reports.append(
                _error(
                    "ring.link-missing",
                    f"node {node.name} has no end of link {missing}",
                    "every node needs an address on every link",
                )
            )
    holders: dict[str, list[str]] = {}
    for node in settings.nodes:
        for end in node.ends:
            holders.setdefault(end.address, []).append(f"{node.name} (link {end.link})")
    reports += [
        _error(
            "ring.address-twice",
            f"the address {address} is given twice: to {' and '.join(ends)}",
            "each node has an address of its own on each link",
        )
        for address, ends in sorted(holders.items())
        if len(ends) > 1
    ]
    if len(settings.nodes) > 1 and not all_links:
        reports.append(
            _error("ring.no-link", "there is no link", "give each node an address on one link or more")
        )
    return reports


def _check_quorum(settings: RingSettings) -> list[Report]:
    options = settings.quorum
    on = {
        "two_node": bool(options.two_node),
        "auto_tie_breaker": options.auto_tie_breaker,
        "a witness": options.witness is not None,
        "last_man_standing": options.last_man_standing,
        "allow_downscale": options.allow_downscale,
    }
    reports = [
        _error("ring.quorum-excludes", f"{one} and {other} exclude each other", hint)
        for one, other, hint in _EXCLUDE
        if on[one] and on[other]
    ]
    if options.two_node and len(settings.nodes) != 2:
        hint = "leave two_node out: it is set by itself when there are two nodes"
        message = f"two_node is on, but there are {len(settings.nodes)} nodes"
        reports.append(_error("ring.two-node-nodes", message, hint))
    if options.tie_breakers and not options.auto_tie_breaker:
        message = "auto_tie_breaker_node is given, but auto_tie_breaker is off"
        reports.append(_error("ring.tie-breaker-off", message, "write auto_tie_breaker = true"))
    if set(options.tie_breakers) - {node.node for node in settings.nodes}:
        reports.append(
            _error("ring.tie-breaker-node", "auto_tie_breaker_node names a node that does not exist")
        )
    if options.is_dynamic and options.wait_for_all is False:
        message = (
            "wait_for_all cannot be off where the count may change (last_man_standing, allow_downscale, a list of "
            "tie-breakers): a node that starts anew does not know who counts"
        )
        reports.append(_error("ring.dynamic-wait", message, "remove wait_for_all = false"))
    return [*reports, *_check_votes(settings)]


def _check_votes(settings: RingSettings) -> list[Report]:
    options = settings.quorum
    expected = options.expected_votes
    votes = sum(node.votes for node in settings.nodes)
    reports = []
    if options.last_man_standing and any(node.votes != 1 for node in settings.nodes):
        reports.append(_error("ring.last-man-votes", "last_man_standing needs one vote for each node"))
    if options.allow_downscale and (expected is None or expected > votes):
        message = "allow_downscale needs expected_votes, the count down to which it may go"
        reports.append(_error("ring.downscale-expected", message, f"write expected_votes, at most {votes}"))
    if options.witness is not None and options.witness.votes < 1:
        reports.append(_error("ring.witness-votes", "the witness needs one vote or more"))
    if options.witness is not None and options.witness.path:
        slots: dict[int, NodeId] = {}
        for node in sorted(node.node for node in settings.nodes):
            other = slots.setdefault(node % LEASE_SLOTS, node)
            if other != node:
                message = f"node ids {other} and {node} share a slot on {options.witness.path}"
                hint = f"ids that differ modulo {LEASE_SLOTS}; the easiest are 1 to {LEASE_SLOTS}"
                reports.append(_error("ring.witness-slots", message, hint))
    if expected is not None and expected < 1:
        reports.append(_error("ring.expected-votes", "expected_votes must be 1 or more"))
    if any(node.votes < 0 for node in settings.nodes) or votes < 1:
        reports.append(_error("ring.votes", "votes must be 0 or more, and someone must have one"))
    return reports


_EXCLUDE: Final = (
    ("two_node", "auto_tie_breaker", "choose one"),
    ("two_node", "a witness", "remove two_node: one node and the witness are a majority"),
    ("two_node", "last_man_standing", "remove two_node: the last man stands by auto_tie_breaker"),
    ("two_node", "allow_downscale", "choose one"),
    ("a witness", "auto_tie_breaker", "the witness breaks ties: remove auto_tie_breaker"),
    ("a witness", "last_man_standing", "choose one"),
    ("a witness", "allow_downscale", "choose one"),
)
"""Options that exclude each other, and what to do (votequorum(5) disables one of them without asking)."""


def _error(code: str, message: str, hint: str = "") -> Report:
    return Report(code, message, hint, Place("komainu.toml"))
