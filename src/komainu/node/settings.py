"""Read komainu.toml: who the nodes are, by which links they reach each other, and where things are kept.

Decides whether a settings file can be used on this machine; every mistake in it is collected and refused at
once with its line and its remedy. Knows nothing of what the ring makes of the numbers (ring/settings.py).
The keys are documented in docs/reference/komainu-toml.md.
"""

import ipaddress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Place, Refused, Report
from komainu.node.client_probe import GATEWAY
from komainu.node.key import read_accepted_keys, read_key
from komainu.node.link_settings import LinkOptions, read_link_options
from komainu.node.profile import PROFILES, Profile
from komainu.node.toml_document import FILE_BYTES_MAX, Document, Table
from komainu.ring.settings import (
    DETECT_WITHIN_MS_MAX,
    DETECT_WITHIN_MS_MIN,
    LAST_MAN_STANDING_WINDOW_MS,
    LAST_MAN_STANDING_WINDOW_MS_MAX,
    LAST_MAN_STANDING_WINDOW_MS_MIN,
    LINKS_MAX,
    NODE_ID_MAX,
    NODES_MAX,
    QNETD_PORT,
    QNETD_TLS,
    WITNESS_ALGORITHMS,
    Engine,
    LinkMode,
    QuorumOptions,
    RingSettings,
    WitnessOptions,
    derive,
)
from komainu.ring.settings import NodeSettings as RingNode

SETTINGS_FILE: Final = "/etc/komainu/komainu.toml"
KEY_FILE: Final = "/etc/komainu/cluster.key"
STATE_FOLDER: Final = "/var/lib/komainu"
RUN_FOLDER: Final = "/run/komainu"

PORT: Final = 5415
"""The ring's UDP port. Beside Corosync's 5405 and Kronosnet's, so that both can run during a migration."""

WITNESS_PORT: Final = 5416
"""The witness's UDP port: next to the ring's."""

CLIENTS_MAX: Final = 4
"""Targets of clients: one that answers is enough, so more only cost."""

VOTES_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 64
LAYOUT_MAX: Final = 2**31

WATCHDOG_TIMEOUT_MS: Final = 5_000
"""How long the loop may stand still before the machine is reset, where the file does not say."""
WATCHDOG_TIMEOUT_MS_MIN: Final = 1_000
WATCHDOG_TIMEOUT_MS_MAX: Final = 300_000


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """The [watchdog] table: a device file, or the socket of a machine that is only played."""

    path: str
    is_socket: bool
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """What komainu.toml says, checked, with the cluster key."""

    ring: RingSettings
    key: bytes = field(repr=False)  # a secret: not in any traceback
    accepted_keys: tuple[bytes, ...] = field(repr=False)  # open, but do not seal
    key_file: str
    port: int
    watchdog: WatchdogSettings | None
    sbd_devices: tuple[str, ...]
    state_folder: str
    run_folder: str
    file: str  # which these were read from
    profile: Profile | None = None
    clients: tuple[str, ...] = ()  # targets by which it is known whether clients reach this node


def read_settings(file: str, host_names: tuple[str, ...], *, named: bool = False) -> DaemonSettings:
    """Read the settings for the node that has one of these names.

    `named` says that the name was given with --name, for the message when no node has it. Raises Refused with
    every mistake that was found in the file and the key.
    """
    document = Document(file, _text_of(file))
    root = document.root
    cluster, paths = root.table("cluster"), root.table("paths")
    engine = _engine(root)
    nodes = [_for_engine(node, engine) for node in _nodes(root)]
    profile = _profile(cluster, nodes)
    key, key_reports = _key(cluster)
    settings = DaemonSettings(
        ring=RingSettings(
            cluster=_cluster_name(root, cluster),
            me=_me(root, nodes, host_names, named=named),
            nodes=tuple(sorted(nodes, key=lambda entry: entry.node)),
            detect_within_ms=cluster.duration_ms(
                "detect_within", None, low=DETECT_WITHIN_MS_MIN, high=DETECT_WITHIN_MS_MAX
            ),
            quorum=_quorum(cluster.table("quorum"), nodes, engine),
            engine=engine,
            link_mode=_link_mode(cluster, profile),
            link_priorities=_link_priorities(cluster, nodes),
            layout=cluster.whole("layout", 0, low=0, high=LAYOUT_MAX),
        ),
        key=key[0] if key else b"",
        accepted_keys=key[1:],
        key_file=cluster.text("key_file", KEY_FILE),
        port=cluster.whole("port", PORT, low=1, high=65_535),
        watchdog=_watchdog(root, profile),
        sbd_devices=_sbd(root) if root.has("sbd") else (),
        state_folder=paths.text("state", STATE_FOLDER),
        run_folder=paths.text("run", RUN_FOLDER),
        file=file,
        profile=profile,
        clients=_clients(root),
    )
    for table in (root, cluster, paths):
        table.refuse_unknown()
    reports = sorted(document.reports, key=lambda report: (report.place and report.place.line) or 0)
    if reports or key_reports:
        raise Refused((*reports, *key_reports))
    derive(settings.ring)  # the ring refuses what only it can know to contradict
    return settings


def _text_of(file: str) -> str:
    """Return the file's text. Raises Refused when there is none."""
    hint = "docs/reference/komainu-toml.md has one to begin with; --config names another file"
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"the settings cannot be read: {error.strerror}"
        raise Refused((Report("settings.unreadable", message, hint, Place(file)),)) from None
    if len(content) > FILE_BYTES_MAX:
        raise Refused((Report("settings.long", f"longer than {FILE_BYTES_MAX} bytes", hint, Place(file)),))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = "this is no UTF-8 text"
        raise Refused(
            (Report("settings.encoding", message, "save it as UTF-8", Place(file, line)),)
        ) from None


# -- nodes ----------------------------------------------------------------------------------------------


def _cluster_name(root: Table, cluster: Table) -> str:
    if not root.has("cluster"):
        hint = 'add [cluster] and below it name = "…"'
        root.complain("", "settings.missing-key", "there is no [cluster] table", hint)
        return ""
    name = cluster.text("name", required=True)
    _check_name(cluster, "name", name)
    return name


def _key(cluster: Table) -> tuple[tuple[bytes, ...], tuple[Report, ...]]:
    """Read the keys in the file that the table names, and what is wrong with it."""
    path = cluster.text("key_file", KEY_FILE)
    try:
        return (read_key(path), *read_accepted_keys(path)), ()
    except Refused as refused:
        return (), refused.reports


def _nodes(root: Table) -> list[RingNode]:
    """Read every [[node]] and check them against each other."""
    tables = root.tables("node")
    if not tables:
        root.complain(
            "", "settings.no-node", "no node is named", 'add [[node]] with name = "…", id = 1, links = ["…"]'
        )
    if len(tables) > NODES_MAX:
        root.complain("node", "settings.nodes", f"{len(tables)} nodes; at most {NODES_MAX} are possible")
    entries = [_node(table) for table in tables]
    seen: dict[tuple[str, object], str] = {}
    for table, entry in zip(tables, entries, strict=True):
        owner = str(entry.name)
        _refuse_twice(table, "name", entry.name, owner, seen)
        _refuse_twice(table, "id", entry.node, owner, seen)
        for end in entry.ends:
            _refuse_twice(table, "links", end.address, owner, seen)
        _check_ends(table, entry, entries[0])
    return entries


def _node(table: Table) -> RingNode:
    """Read one [[node]]."""
    name = table.text("name", required=True)
    _check_name(table, "name", name)
    node_id = table.whole("id", 0, low=1, high=NODE_ID_MAX, required=True)
    votes = table.whole("votes", 1, low=0, high=VOTES_MAX)
    values = table.list_of_values("links", '["192.168.33.101", "10.0.0.1"]')
    if len(values) > LINKS_MAX:
        table.complain("links", "settings.links", f"{len(values)} links; at most {LINKS_MAX} are possible")
    ends = [_link_end(table, LinkNumber(number), value) for number, value in enumerate(values)]
    table.refuse_unknown()
    return RingNode(
        NodeId(node_id), NodeName(name), tuple(end for end in ends if end) if all(ends) else (), votes
    )


def _link_end(table: Table, number: LinkNumber, value: object) -> LinkEnd | None:
    """Read one entry of `links`: an address, or a table with an address and an interface."""
    options = LinkOptions()
    address = value
    if isinstance(value, dict):
        inline = table.inline("links", value)
        address = inline.text("address", required=True)
        options = read_link_options(inline, number)
        inline.refuse_unknown()
        if not address:
            return None
    example = 'write an IPv4 or IPv6 address without prefix and port: "192.168.33.101"'
    if not isinstance(address, str):
        table.complain("links", "settings.link", f"link {number} is no text and no table", example)
        return None
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        table.complain("links", "settings.address", f'link {number}: "{address}" is no address', example)
        return None
    if literal.is_unspecified or literal.is_multicast:
        table.complain(
            "links", "settings.address", f"link {number}: {address} belongs to no single node", example
        )
        return None
    if options.prefix is not None and options.prefix > literal.max_prefixlen:
        message = f"link {number}: a prefix of {options.prefix} is longer than the address"
        table.complain("links", "settings.prefix", message, "24 is usual for IPv4, 64 for IPv6")
    if literal.version == 6 and literal.is_link_local and options.interface is None:
        hint = f'name it: links = [{{ address = "{address}", interface = "eth1" }}]'
        table.complain("links", "settings.interface", f"link {number}: {address} needs its interface", hint)
    return options.end(number, str(literal))


def is_name(text: str) -> bool:
    """Whether this can stand in a log line, a path and the CIB as the name of something."""
    allowed = all(character.isascii() and (character.isalnum() or character in "-._") for character in text)
    return bool(text) and allowed and len(text) <= NAME_CHARACTERS_MAX


def _check_name(table: Table, key: str, name: str) -> None:
    """Refuse a name that could not stand in a log line, a path or the CIB."""
    if not name:
        return
    if not is_name(name):
        hint = f"use up to {NAME_CHARACTERS_MAX} letters, digits, points, hyphens and underscores"
        table.complain(key, "settings.name", f'"{name}" cannot be a name', hint)


def _refuse_twice(
    table: Table, key: str, value: object, owner: str, seen: dict[tuple[str, object], str]
) -> None:
    """Report a value that an earlier node, or an earlier link of the same node, has already."""
    if not value:  # it was missing or wrong, which has been said
        return
    if (key, value) not in seen:
        seen[key, value] = owner
        return
    earlier = seen[key, value]
    what = "address" if key == "links" else key
    whose = "of another of its links" if earlier == owner and key == "links" else f'of node "{earlier}"'
    table.complain(
        key, "settings.twice", f"the {what} {value} is already that {whose}", f"each needs its own {what}"
    )


def _check_ends(table: Table, entry: RingNode, first: RingNode) -> None:
    """Refuse a node whose links do not match those of the first node, number by number."""
    if not entry.ends or not first.ends:
        return
    if len(entry.ends) != len(first.ends):
        message = f"the number of links is {len(entry.ends)}, but node {first.name} has {len(first.ends)}"
        table.complain(
            "links", "settings.links", message, "give every node one address for each link, in the same order"
        )
        return
    for mine, other in zip(entry.ends, first.ends, strict=True):
        families = [6 if ":" in end.address else 4 for end in (mine, other)]
        if families[0] != families[1]:
            message = f"link {mine.link} is IPv{families[0]} here and IPv{families[1]} on node {first.name}"
            table.complain(
                "links",
                "settings.family",
                message,
                "the two ends of a link have the same number on each node",
            )


def _engine(root: Table) -> Engine:
    """Read [ring]: which engine carries the messages."""
    table = root.table("ring")
    name = table.text("engine", Engine.BUILTIN.value)
    table.refuse_unknown()
    if name in {engine.value for engine in Engine}:
        return Engine(name)
    hint = f"known: {', '.join(engine.value for engine in Engine)}"
    table.complain("engine", "settings.engine", f'there is no engine "{name}"', hint)
    return Engine.BUILTIN


def _for_engine(node: RingNode, engine: Engine) -> RingNode:
    """Fit a node to the engine: Corosync's own sockets need addresses, and cannot go on by raw frames."""
    if engine is Engine.BUILTIN:
        return node
    return replace(node, ends=tuple(replace(end, keep_talking=False) for end in node.ends))


# -- the rest -------------------------------------------------------------------------------------------


def _profile(cluster: Table, nodes: list[RingNode]) -> Profile | None:
    """Read `profile`: a word that stands for defaults, and for what each node must have."""
    if not cluster.has("profile"):
        return None
    name = cluster.text("profile")
    profile = PROFILES.get(name)
    if profile is None:
        known = ", ".join(f'"{one}"' for one in PROFILES)
        cluster.complain("profile", "settings.profile", f'there is no profile "{name}"', f"known: {known}")
        return None
    for node in nodes:
        if 0 < len(node.ends) < profile.links_min:
            message = f"{name} wants {profile.links_min} links; node {node.name} has {len(node.ends)}"
            hint = "add the address on a second, independent cable to `links` of every node"
            cluster.complain("profile", "settings.profile-links", message, hint)
    return profile


def _link_mode(cluster: Table, profile: Profile | None) -> LinkMode:
    """Read how the links are used."""
    default = LinkMode.PASSIVE if profile is None else profile.link_mode
    text = cluster.text("link_mode", default.value)
    try:
        return LinkMode(text)
    except ValueError:
        known = ", ".join(f'"{mode.value}"' for mode in LinkMode)
        cluster.complain(
            "link_mode", "settings.link-mode", f'there is no mode "{text}"', f"write one of {known}"
        )
        return LinkMode.PASSIVE


def _link_priorities(cluster: Table, nodes: list[RingNode]) -> tuple[int, ...]:
    """Read a number for each link; the link with the greatest goes first."""
    if not cluster.has("link_priority"):
        return ()
    values = cluster.list_of_values("link_priority", "[0, 10]")
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    links = max((len(entry.ends) for entry in nodes), default=0)
    if len(numbers) != len(values) or len(numbers) != links:
        message = f"{len(values)} priorities for {links} links"
        hint = "write one whole number for each link, in their order: link_priority = [0, 10]"
        cluster.complain("link_priority", "settings.link-priority", message, hint)
        return ()
    return tuple(numbers)


def _quorum(table: Table, nodes: list[RingNode], engine: Engine) -> QuorumOptions:
    """Read [cluster.quorum]; what is not said follows from the number of nodes (ring/settings.py)."""
    two_node = table.claim("two_node", default=len(nodes) == 2) if table.has("two_node") else None
    wait_for_all = table.claim("wait_for_all", default=True) if table.has("wait_for_all") else None
    auto_tie_breaker = table.claim("auto_tie_breaker", default=False)
    last_man_standing = table.claim("last_man_standing", default=False)
    window = table.duration_ms(
        "last_man_standing_window",
        LAST_MAN_STANDING_WINDOW_MS,
        low=LAST_MAN_STANDING_WINDOW_MS_MIN,
        high=LAST_MAN_STANDING_WINDOW_MS_MAX,
    )
    has_expected = table.has("expected_votes")
    expected = table.whole("expected_votes", 1, low=1, high=VOTES_MAX * NODES_MAX)
    options = QuorumOptions(
        expected_votes=expected if has_expected else None,
        two_node=two_node,
        wait_for_all=wait_for_all,
        auto_tie_breaker=auto_tie_breaker,
        tie_breakers=_tie_breakers(table, nodes),
        last_man_standing=last_man_standing,
        last_man_standing_window_ms=window or LAST_MAN_STANDING_WINDOW_MS,
        allow_downscale=table.claim("allow_downscale", default=False),
        witness=_witness(table.table("witness"), nodes, engine) if table.has("witness") else None,
    )
    table.refuse_unknown()
    if two_node and len(nodes) != 2:
        message = f"two_node is for exactly two nodes; there are {len(nodes)}"
        table.complain("two_node", "settings.two-node", message, "remove the line: a majority decides")
    if auto_tie_breaker and (two_node or (two_node is None and len(nodes) == 2)):
        message = "two_node, on by itself with two nodes, lets both halves go on; auto_tie_breaker only one"
        hint = "write two_node = false beside it, or remove auto_tie_breaker"
        table.complain("auto_tie_breaker", "settings.tie-breaker", message, hint)
    return options


def _witness(table: Table, nodes: list[RingNode], engine: Engine) -> WitnessOptions:
    """Read [cluster.quorum.witness]: where it is, and how many votes it has by its algorithm."""
    is_qnetd = engine is Engine.COROSYNC
    name = table.text("name", "witness")
    _check_name(table, "name", name)
    address, path = _witness_place(table, is_qnetd=is_qnetd)
    algorithm = table.text("algorithm", "ffsplit")
    if algorithm not in WITNESS_ALGORITHMS:
        message = f'"{algorithm}" is no algorithm of a witness'
        table.complain(
            "algorithm", "settings.algorithm", message, '"ffsplit": one vote; "lms": one less than all'
        )
    votes = 1 if algorithm == "ffsplit" else max(1, sum(node.votes for node in nodes) - 1)
    port = table.whole("port", QNETD_PORT if is_qnetd else WITNESS_PORT, low=1, high=65_535)
    options = WitnessOptions(name, votes, address=address, port=port, path=path, algorithm=algorithm)
    if is_qnetd:
        options = replace(options, tie_breaker=_qnetd_tie_breaker(table, nodes), tls=_qnetd_tls(table))
    for key in ("tie_breaker", "tls"):
        if not is_qnetd and table.has(key):
            message = f"{key} is an option of corosync-qnetd; komainu's own witness has none"
            table.complain(key, "settings.witness-engine", message, 'remove it, or write engine = "corosync"')
            table.value(key)
    table.refuse_unknown()
    return options


def _witness_place(table: Table, *, is_qnetd: bool) -> tuple[str, str]:
    """Read where a witness is: its address, or the path of its file or disk."""
    address, path = table.text("address", ""), table.text("path", "")
    try:
        ipaddress.ip_address(address or "::")
    except ValueError:
        hint = 'write an address, since a name might not be found when it counts: "10.0.0.5"'
        table.complain("address", "settings.address", f'"{address}" is no address', hint)
    if is_qnetd and path:
        message = "with Corosync as the engine the witness is a corosync-qnetd, no file or disk"
        table.complain(
            "path", "settings.witness-path", message, 'write the address of a qnetd: address = "…"'
        )
    elif bool(address) == bool(path):
        message = "a witness has an address or a path, not both" if path else "the witness has no place"
        hint = (
            'address = "10.0.0.5" for a komainu witness, or path = "/shared/komainu.lease" for a file or disk'
        )
        table.complain("path" if path else "", "settings.witness-place", message, hint)
    elif path and not path.startswith("/"):
        table.complain("path", "settings.path", f'"{path}" is no absolute path', 'begin with "/"')
    elif path and table.has("port"):
        table.complain("port", "settings.witness-place", "a file or disk has no port", "remove the line")
    return address, path


def _qnetd_tie_breaker(table: Table, nodes: list[RingNode]) -> str:
    """Read which of equal parts qnetd prefers, and name a node as Corosync does: by its number."""
    said = table.text("tie_breaker", "lowest")
    numbers = {str(entry.name): str(entry.node) for entry in nodes}
    if said not in {"lowest", "highest", *numbers}:
        hint = f'write "lowest", "highest", or the name of a node: {", ".join(numbers)}'
        table.complain("tie_breaker", "settings.tie-breaker-node", f'there is no node "{said}"', hint)
    return numbers.get(said, said)


def _qnetd_tls(table: Table) -> str:
    """Read whether Corosync speaks TLS with its witness."""
    said = table.text("tls", "on")
    if said not in QNETD_TLS:
        hint = '"on": where qnetd offers it; "required"; "off": without certificates'
        table.complain("tls", "settings.tls", f'"{said}" is no way to use TLS', hint)
    return said


def _tie_breakers(table: Table, nodes: list[RingNode]) -> tuple[NodeId, ...]:
    """Read auto_tie_breaker_node: "lowest", "highest", or a list of names, of which the first that is here counts."""
    key = "auto_tie_breaker_node"
    if not table.has(key):
        return ()
    value = table.value(key)
    known = {str(entry.name): entry.node for entry in nodes}
    if value == "lowest":
        return ()
    if value == "highest":
        return (max(known.values()),) if known else ()
    entries: list[object] = value if isinstance(value, list) else [value]
    names = [entry for entry in entries if isinstance(entry, str) and entry in known]
    strangers = [entry for entry in entries if entry not in names]
    if strangers or not names:
        message = f"there is no node {strangers[0]!r}" if strangers else "the list is empty"
        hint = f'write "lowest", "highest", or a list of node names: {", ".join(known)}'
        table.complain(key, "settings.tie-breaker-node", message, hint)
        return ()
    return tuple(known[name] for name in names)


def _watchdog(root: Table, profile: Profile | None) -> WatchdogSettings | None:
    """Read [watchdog]: one of `device` and `socket`. Without the table a profile may name one."""
    if not root.has("watchdog"):
        if profile is None:
            return None
        return WatchdogSettings(
            profile.watchdog_device, is_socket=False, timeout_ms=profile.watchdog_timeout_ms
        )
    table = root.table("watchdog")
    default_ms = WATCHDOG_TIMEOUT_MS if profile is None else profile.watchdog_timeout_ms
    device, socket_path = table.text("device"), table.text("socket")
    timeout = table.duration_ms(
        "timeout", default_ms, low=WATCHDOG_TIMEOUT_MS_MIN, high=WATCHDOG_TIMEOUT_MS_MAX
    )
    table.refuse_unknown()
    if not device and not socket_path and (table.has("device") or table.has("socket")):
        return None  # what is wrong with it has been said
    if bool(device) == bool(socket_path):
        message = "both a device and a socket are named" if device else "no watchdog is named"
        table.complain(
            "", "settings.watchdog", message, 'write device = "/dev/watchdog", or remove [watchdog]'
        )
        return None
    return WatchdogSettings(device or socket_path, bool(socket_path), timeout or default_ms)


def _clients(root: Table) -> tuple[str, ...]:
    """Read [clients]: addresses that answer an echo as long as clients reach this node."""
    if not root.has("clients"):
        return ()
    table = root.table("clients")
    example = f'targets = ["{GATEWAY}", "192.0.2.1"]'
    values = table.list_of_values("targets", example)
    table.refuse_unknown()
    wrong = [value for value in values if not (isinstance(value, str) and _is_target(value))]
    if wrong:
        message = f"{wrong[0]!r} is neither an address nor the word {GATEWAY}"
        table.complain("targets", "settings.clients", message, example)
    if not 1 <= len(values) <= CLIENTS_MAX:
        message = f"{len(values)} targets are named; 1 to {CLIENTS_MAX} are of use: each is asked ten times a detection"
        table.complain("targets", "settings.clients", message, example)
    return tuple(str(value) for value in values)


def _is_target(text: str) -> bool:
    try:
        return text == GATEWAY or not ipaddress.ip_address(text).is_multicast
    except ValueError:
        return False


def _sbd(root: Table) -> tuple[str, ...]:
    """Read [sbd]: one or three shared disks, which are of use only with a watchdog."""
    table = root.table("sbd")
    example = 'devices = ["/dev/disk/by-id/…"]'
    values = table.list_of_values("devices", example)
    table.refuse_unknown()
    paths = tuple(value for value in values if isinstance(value, str) and value.startswith("/"))
    if len(paths) != len(values) or len(paths) not in {1, 3}:
        message = f"{len(values)} shared disks are named; one or three paths are of use: of two no majority can fail"
        table.complain("devices", "settings.sbd", message, example)
    if not root.has("watchdog") and not root.table("cluster").has("profile"):
        message = "[sbd] needs a watchdog: what is poisoned must be reset even if nothing runs on it any more"
        table.complain("", "settings.sbd", message, 'add [watchdog] with device = "/dev/watchdog"')
    return paths


def _me(root: Table, nodes: list[RingNode], host_names: tuple[str, ...], *, named: bool) -> NodeId:
    """Find which of the nodes this machine is: by its full host name, else by the first part of it."""
    for name in host_names:
        for entry in nodes:
            if entry.name == name:
                return entry.node
    known = ", ".join(entry.name for entry in nodes if entry.name)
    if known:
        source = "--name" if named else "the host name"
        message = f'no node is called "{host_names[0]}" ({source}); known: {known}'
        other = f'start with --name, or add a [[node]] with name = "{host_names[0]}"'
        hint = "give one of the known names with --name" if named else other
        root.complain("node", "settings.who-am-i", message, hint)
    return NodeId(0)
