"""Write a corosync.conf from komainu.toml's ring, and a komainu.toml from a corosync.conf.

Decides which of Corosync's options follow from ours and back; what cannot be carried over is refused with its line.
Knows nothing of a running Corosync. Source: corosync.conf(5), votequorum(5) of 3.1. Times: a membership without a
silent node is formed after token and consensus, 2.2 tokens (2.07 to 2.11 s at a token of 1 s, measured).
"""

import hashlib
import ipaddress
import json
from collections.abc import Iterator
from typing import Final

from komainu.model.report import Place, Refused, Report
from komainu.network.doctor.corosync import Block, consensus_ms, parse, token_ms
from komainu.network.doctor.evidence import File
from komainu.ring.quorum import is_two_node, waits_for_all
from komainu.ring.settings import (
    DETECT_WITHIN_MS_MAX,
    DETECT_WITHIN_MS_MIN,
    LINKS_MAX,
    QNETD_PORT,
    QNETD_TLS,
    WITNESS_ALGORITHMS,
    RingSettings,
    WitnessOptions,
    derive,
)

CONF_FILE: Final = "/etc/corosync/corosync.conf"
AUTHKEY_FILE: Final = "/etc/corosync/authkey"
LOG_FILE: Final = "/var/log/corosync/corosync.log"

AUTHKEY_BYTES: Final = 256
"""Length of Corosync's key: what corosync-keygen writes."""

TOKEN_MS_MIN: Final = 2_000
"""Shortest token with several links. Kronosnet has to switch links within it, or a pulled cable costs a membership:
it did with 454 ms, and with 1 s when a cable was pulled 3 s after it had been plugged in (measured)."""

PING_INTERVAL_MS: Final = 100
PING_TIMEOUT_MS: Final = 300
"""How Kronosnet watches a link. Its own timer ticks every 200 ms; by default both follow from the token, and a link
is then left about as late as the token is lost."""

_CONSENSUS: Final = (12, 10)
_CLAIMS: Final = ("two_node", "wait_for_all", "auto_tie_breaker", "last_man_standing", "allow_downscale")
_DEVICE_TIMES: Final = {"timeout": 10_000, "sync_timeout": 30_000}
_TRUE: Final = {"1", "yes", "on", "true"}
_WRITTEN_BY: Final = "# Written by `komainu config corosync` from komainu.toml, the same on every node."
_HINT: Final = "corosync.conf(5) has it"


def authkey(cluster_key: bytes) -> bytes:
    """Derive Corosync's key from the cluster key: every node makes the same, and neither tells the other."""
    return hashlib.shake_256(b"komainu: the authkey of Corosync\0" + cluster_key).digest(AUTHKEY_BYTES)


# -- to corosync.conf -----------------------------------------------------------------------------------


def write_conf(ring: RingSettings, *, in_container: bool = False) -> str:
    """Write corosync.conf for every node of this ring.

    `in_container`: without real-time priority and control groups, which a container or namespace may not give.
    """
    lines = [_WRITTEN_BY, "totem {", *_block("totem", _totem(ring))[1:-1]]
    for end in ring.of(ring.me).ends:
        lines += [f"    {line}" for line in _block("interface", _interface(end.link))]
    lines += ["}", "", "nodelist {"]
    for node in ring.nodes:
        entries = {"name": str(node.name), "nodeid": str(node.node)}
        entries |= {f"ring{end.link}_addr": end.address for end in node.ends}
        entries |= {} if node.votes == 1 else {"quorum_votes": str(node.votes)}
        lines += [f"    {line}" for line in _block("node", list(entries.items()))]
    lines += ["}", "", *_quorum_block(ring), ""]
    lines += _block("logging", [("to_stderr", "no"), ("to_syslog", "yes"), ("to_logfile", "yes")], LOG_FILE)
    if in_container:
        lines += ["", *_block("system", [("sched_rr", "no"), ("move_to_root_cgroup", "no")])]
    return "\n".join(lines) + "\n"


def _block(name: str, entries: list[tuple[str, str]], log: str = "") -> list[str]:
    if log:
        entries = [*entries, ("logfile", log), ("timestamp", "hires")]
    return [f"{name} {{", *(f"    {key}: {value}" for key, value in entries), "}"]


def _totem(ring: RingSettings) -> list[tuple[str, str]]:
    over, under = _CONSENSUS
    token = derive(ring).detect_within_ms * under // (over + under)
    if len(ring.of(ring.me).ends) > 1:
        token = max(token, TOKEN_MS_MIN)
    return [
        ("version", "2"),
        ("cluster_name", ring.cluster),
        ("transport", "knet"),
        ("link_mode", "passive"),
        ("crypto_cipher", "aes256"),
        ("crypto_hash", "sha256"),
        ("token", str(token)),
        ("token_coefficient", "0"),
        ("consensus", str(token * over // under)),
    ]


def _interface(link: int) -> list[tuple[str, str]]:
    return [
        ("linknumber", str(link)),
        ("knet_link_priority", str(LINKS_MAX - link)),  # the greater one is preferred
        ("knet_ping_interval", str(PING_INTERVAL_MS)),
        ("knet_ping_timeout", str(PING_TIMEOUT_MS)),
    ]


def _quorum_block(ring: RingSettings) -> list[str]:
    lines = _block("quorum", _quorum(ring))
    if ring.quorum.witness is None:
        return lines
    return [*lines[:-1], *(f"    {line}" for line in device_block(ring.quorum.witness)), lines[-1]]


def device_block(witness: WitnessOptions) -> list[str]:
    """Write the quorum device: corosync-qdevice(8) asks the corosync-qnetd at this address."""
    net = [
        ("host", witness.address),
        ("port", str(witness.port)),
        ("algorithm", witness.algorithm),
        ("tie_breaker", witness.tie_breaker),
        ("tls", witness.tls),
    ]
    lines = _block("device", [("model", "net"), ("votes", str(witness.votes))])
    return [*lines[:-1], *(f"    {line}" for line in _block("net", net)), lines[-1]]


def _quorum(ring: RingSettings) -> list[tuple[str, str]]:
    options = ring.quorum
    found = [("provider", "corosync_votequorum")]
    if options.expected_votes is not None:
        found.append(("expected_votes", str(options.expected_votes)))
    if is_two_node(ring):
        found.append(("two_node", "1"))
    found.append(("wait_for_all", "1" if waits_for_all(ring) else "0"))
    if options.auto_tie_breaker:
        found.append(("auto_tie_breaker", "1"))
    if options.tie_breakers:
        found.append(("auto_tie_breaker_node", " ".join(str(node) for node in options.tie_breakers)))
    if options.last_man_standing:
        found.append(("last_man_standing", "1"))
        found.append(("last_man_standing_window", str(options.last_man_standing_window_ms)))
    if options.allow_downscale:
        found.append(("allow_downscale", "1"))
    return found


# -- from corosync.conf ---------------------------------------------------------------------------------


def read_conf(text: str, path: str) -> str:
    """Return the komainu.toml that says the same. Raises Refused with all that cannot be carried over."""
    return _Reader(text, path).toml()


class _Reader:
    """Collects the mistakes of one corosync.conf while it is read."""

    def __init__(self, text: str, path: str) -> None:
        self._root, odd = parse(File(path, text))
        self._reports = [Report("corosync.syntax", "this line makes no sense", _HINT, place) for place in odd]

    def toml(self) -> str:
        """Read everything, then refuse everything that is wrong, or return the text."""
        totem = self._root.first("totem")
        transport = totem.value("transport", "knet")
        if transport != "knet":
            message = f"transport {transport} has one link and no encryption; the engine wants Kronosnet"
            self._complain(totem, "transport", "corosync.transport", message, "write transport: knet")
        blocks = list(self._root.first("nodelist").all("node"))
        if not blocks:
            hint = "write nodelist { node { name: a nodeid: 1 ring0_addr: … } }"
            self._complain(self._root, "", "corosync.nodelist", "there is no node in a nodelist", hint)
        lines = ["# Written by `komainu config corosync --read` from " + self._root.place.file, "[cluster]"]
        lines += [
            f"name = {_quoted(totem.value('cluster_name', 'cluster'))}",
            self._detect(totem, len(blocks)),
        ]
        quorum = self._root.first("quorum")
        lines += ["", "[cluster.quorum]", *self._quorum(quorum)]
        for device in quorum.all("device"):
            lines += ["", "[cluster.quorum.witness]", *self._device(device)]
        lines += ["", "[ring]", 'engine = "corosync"']
        for block in blocks:
            lines += ["", "[[node]]", *self._node(block)]
        if self._reports:
            raise Refused(tuple(self._reports))
        return "\n".join(lines) + "\n"

    def _detect(self, totem: Block, nodes: int) -> str:
        token = token_ms(totem, nodes, (3, 1, 0))
        formed = token + consensus_ms(totem, token)
        # What was cut off when the file was written from a round number comes back.
        formed += 10 - formed % 10 if formed % 10 else 0
        if not DETECT_WITHIN_MS_MIN <= formed <= DETECT_WITHIN_MS_MAX:
            message = f"token and consensus make {formed} ms; {DETECT_WITHIN_MS_MIN} to {DETECT_WITHIN_MS_MAX} can be"
            self._complain(totem, "token", "corosync.token", message, "write a token between 100 and 27000")
        return f'detect_within = "{formed}ms"'

    def _quorum(self, quorum: Block) -> Iterator[str]:
        if quorum.value("provider") != "corosync_votequorum":
            message = "without votequorum nobody knows which half may go on"
            hint = "write provider: corosync_votequorum"
            self._complain(quorum, "provider", "corosync.quorum", message, hint)
        for key in _CLAIMS:
            if quorum.value(key):
                yield f"{key} = {'true' if quorum.value(key) in _TRUE else 'false'}"
        if quorum.number("expected_votes") is not None:
            yield f"expected_votes = {quorum.number('expected_votes')}"
        if quorum.number("last_man_standing_window") is not None:
            yield f'last_man_standing_window = "{quorum.number("last_man_standing_window")}ms"'
        if quorum.value("auto_tie_breaker_node"):
            yield f"auto_tie_breaker_node = {self._breakers(quorum)}"

    def _device(self, device: Block) -> Iterator[str]:
        """Read a quorum device; what komainu.toml cannot say of one would be lost when the file is written again."""
        net, heuristics = device.first("net"), device.first("heuristics")
        host = net.value("host")
        names = {**self._names(), "lowest": "lowest", "highest": "highest"}
        found = {
            "algorithm": net.value("algorithm", "ffsplit"),
            "tie_breaker": net.value("tie_breaker", "lowest"),
            "tls": net.value("tls", "on"),
        }
        known = {"algorithm": WITNESS_ALGORITHMS, "tie_breaker": tuple(names), "tls": QNETD_TLS}
        for key, value in found.items():
            if value not in known[key]:
                self._complain(net, key, "corosync.device", f"{value} is no {key} of a quorum device", _HINT)
        if device.value("model") != "net":
            message = f'a quorum device of the model "{device.value("model")}" is not known'
            self._complain(device, "model", "corosync.device", message, "write model: net")
        if heuristics.value("mode", "off") != "off":
            message = "komainu.toml has no heuristics of a quorum device"
            self._complain(heuristics, "mode", "corosync.device", message, "write mode: off")
        for key, default in _DEVICE_TIMES.items():
            if device.number(key) not in {None, default}:
                message = f"the {key} of a quorum device stays at {default}, as corosync-qdevice(8) asks for"
                self._complain(device, key, "corosync.device", message, f"remove {key}")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            message = f'"{host}" is no address of a qnetd, and a name might not be found when it counts'
            self._complain(net, "host", "corosync.address", message, "write host: and its address")
        found["tie_breaker"] = names.get(found["tie_breaker"], "")
        yield f"address = {_quoted(host)}"
        yield f"port = {net.number('port') or QNETD_PORT}"
        yield from (f"{key} = {_quoted(value)}" for key, value in found.items())

    def _names(self) -> dict[str, str]:
        """Give the name of each node by its number."""
        nodes = self._root.first("nodelist").all("node")
        return {node.value("nodeid"): node.value("name") for node in nodes}

    def _breakers(self, quorum: Block) -> str:
        """Turn the numbers of nodes into their names."""
        value = quorum.value("auto_tie_breaker_node")
        if value in {"lowest", "highest"}:
            return _quoted(value)
        names = self._names()
        for number in value.split():
            if number not in names:
                message = f"there is no node {number}"
                self._complain(quorum, "auto_tie_breaker_node", "corosync.tie-breaker", message, _HINT)
        return json.dumps([names.get(number, "") for number in value.split()])

    def _node(self, block: Block) -> Iterator[str]:
        name, number = block.value("name"), block.number("nodeid")
        if not name:
            hint = "write name: and the host name of the node"
            self._complain(block, "", "corosync.name", "a node has no name", hint)
        if number is None:
            self._complain(block, "nodeid", "corosync.nodeid", "a node has no nodeid", "write nodeid: 1")
        addresses = [block.value(f"ring{link}_addr") for link in range(LINKS_MAX)]
        used = [link for link, address in enumerate(addresses) if address]
        if not used or used != list(range(len(used))):
            message = "its links are not numbered 0, 1, … without a gap"
            self._complain(block, "", "corosync.links", message, "write ring0_addr:, then ring1_addr:")
        for link in used:
            try:
                ipaddress.ip_address(addresses[link])
            except ValueError:
                message = f"{addresses[link]} is a name; which address it has would depend on who asks"
                self._complain(block, f"ring{link}_addr", "corosync.address", message, "write the address")
        links = ", ".join(_quoted(addresses[link]) for link in used)
        yield from (f"name = {_quoted(name)}", f"id = {number}", f"links = [{links}]")
        if block.value("quorum_votes", "1") != "1":
            yield f"votes = {block.number('quorum_votes') or 0}"

    def _complain(self, block: Block, key: str, code: str, message: str, hint: str) -> None:
        entry = block.entry(key) if key else None
        place = block.place if entry is None else entry.place
        self._reports.append(Report(code, message, hint, Place(place.file, place.line, key)))


def _quoted(text: str) -> str:
    return json.dumps(text)
