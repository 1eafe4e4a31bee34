"""Say whether a firewall lets the ring's datagrams in: walk its rules as the kernel would, one packet in mind.

Decides open, blocked, or unknown; a rule whose meaning is not known makes the answer unknown, never "open".
Source: nft(8) and libnftables-json(5); iptables(8), iptables-save(8).
"""

import ipaddress
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

DEPTH_MAX: Final = 16
"""Jumps followed from chain to chain; the kernel allows the same."""

Claim = bool | None
"""Whether a condition holds for the packet; None: its meaning is not known."""


class Verdict(Enum):
    """What becomes of the packet."""

    OPEN = "open"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Packet:
    """A first datagram of a peer."""

    interface: str
    source: str
    port: int


@dataclass(frozen=True, slots=True)
class FilterRule:
    """One rule: whether it is for the packet, and what it does: accept, drop, return, jump, nothing."""

    holds: Claim
    action: str  # accept, drop, return, jump, goto, or ""
    chain: str = ""  # where to jump
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its rules, and its policy where packets enter through it; else the empty text."""

    name: str
    rules: tuple[FilterRule, ...]
    policy: str = ""


def judge(chains: Mapping[str, Chain]) -> tuple[Verdict, str]:
    """Say what becomes of the packet, and by which rule. Every chain where packets enter has to accept it."""
    doubt = ""
    for chain in chains.values():
        if not chain.policy:
            continue
        verdict, by, doubts = _walk(chain, chains, 0)
        end = verdict or chain.policy
        # What was not understood matters only if it would have ended otherwise.
        against = next((rule.text for rule in doubts if rule.action != end), "")
        doubt = doubt or against
        if end == "drop" and not against:
            return Verdict.BLOCKED, by or f"{chain.name}: policy drop"
    return (Verdict.UNKNOWN, doubt) if doubt else (Verdict.OPEN, "")


def _walk(chain: Chain, chains: Mapping[str, Chain], depth: int) -> tuple[str, str, list[FilterRule]]:
    """Walk a chain: the verdict ("" when it ends without one), the rule that gave it, the rules in doubt."""
    doubts: list[FilterRule] = []
    for rule in chain.rules:
        if rule.holds is False or not rule.action:
            continue
        if rule.holds is None:
            doubts.append(rule)
        elif rule.action in {"accept", "drop"}:
            return rule.action, f"{chain.name}: {rule.text}", doubts
        elif rule.action == "return":
            break
        elif rule.chain not in chains or depth >= DEPTH_MAX:
            doubts.append(rule)
        else:
            verdict, by, below = _walk(chains[rule.chain], chains, depth + 1)
            doubts += below
            if verdict or rule.action == "goto":
                return verdict, by, doubts
    return "", "", doubts


# -- nftables -------------------------------------------------------------------------------------------

Tree = Mapping[str, object]


def from_nftables(text: str, packet: Packet) -> dict[str, Chain] | None:
    """Read `nft -j list ruleset` for one packet; None when it is no such text."""
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    entries = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return None
    rules: dict[str, list[FilterRule]] = {}
    policies: dict[str, str] = {}
    for entry in entries:
        chain, rule = _part(entry, "chain"), _part(entry, "rule")
        if chain.get("family") in {"inet", "ip", "ip6"}:
            rules.setdefault(_key(chain, "name"), [])
            if chain.get("hook") == "input" and chain.get("type") == "filter":
                policies[_key(chain, "name")] = str(chain.get("policy", "accept"))
        if rule.get("family") in {"inet", "ip", "ip6"}:
            rules.setdefault(_key(rule, "chain"), []).append(_nft_rule(rule, packet))
    mine = "ip6" if ":" in packet.source else "ip"
    return {
        name: Chain(name, tuple(found), policies.get(name, ""))
        for name, found in rules.items()
        if name.split(" ")[0] in {"inet", mine}
    }


def _key(tree: Tree, name: str) -> str:
    return f"{tree.get('family')} {tree.get('table')} {tree.get(name)}"


def _part(value: object, key: str) -> Tree:
    part = value.get(key) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _nft_rule(rule: Tree, packet: Packet) -> FilterRule:
    expressions = rule.get("expr")
    holds: Claim = True
    action = chain = ""
    for expression in expressions if isinstance(expressions, list) else []:
        if not isinstance(expression, dict):
            continue
        kind = next(iter(expression), "")
        if kind == "match":
            holds = _both(holds, _nft_match(_part(expression, "match"), packet))
        elif kind in {"accept", "drop", "return"}:
            action = kind
        elif kind == "reject":
            action = "drop"
        elif kind in {"jump", "goto"}:
            action = kind
            chain = f"{rule.get('family')} {rule.get('table')} {_part(expression, kind).get('target')}"
        elif kind in {"vmap", "xt", "lookup"}:
            action, holds = action or "accept", _both(holds, None)
    return FilterRule(holds, action, chain, json.dumps(expressions)[:120])


def _both(one: Claim, other: Claim) -> Claim:
    """Join two claims by `and`, where unknown and false is false."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _nft_match(match: Tree, packet: Packet) -> Claim:
    left = _part(match, "left")
    meta, payload = _part(left, "meta").get("key"), _part(left, "payload")
    field = (payload.get("protocol"), payload.get("field"))
    right = match.get("right")
    values: dict[object, object] = {"iifname": packet.interface, "iif": packet.interface, "l4proto": "udp"}
    if meta in values:
        found = _holds(right, values[meta])
    elif field in {("udp", "dport"), ("th", "dport")}:
        found = _holds(right, packet.port)
    elif field[0] in {"tcp", "icmp", "icmpv6", "sctp"}:
        return False
    elif field in {("ip", "protocol"), ("ip6", "nexthdr")}:
        found = _holds(right, "udp")
    elif field in {("ip", "saddr"), ("ip6", "saddr")}:
        found = _holds(right, packet.source)
    elif _part(left, "ct").get("key") == "state":
        found = _holds(right, "new")
    else:
        return None
    if found is None:
        return None
    return not found if match.get("op") == "!=" else found


def _holds(right: object, value: object) -> Claim:
    """Tell whether a value is the right side, or is in it: a set, a range, a network."""
    if isinstance(right, dict):
        if "set" in right:
            return _holds(right["set"], value)
        if "range" in right and isinstance(right["range"], list) and len(right["range"]) == 2:
            low, high = right["range"]
            known = isinstance(low, int) and isinstance(high, int) and isinstance(value, int)
            return low <= value <= high if known else None
        prefix = _part(right, "prefix")
        return _is_within(str(value), f"{prefix.get('addr')}/{prefix.get('len')}") if prefix else None
    if isinstance(right, list):
        claims = [_holds(one, value) for one in right]
        return True if True in claims else (None if None in claims else False)
    if isinstance(right, str) and right.startswith("@"):
        return None
    if isinstance(right, str) and right.endswith("*") and isinstance(value, str):
        return value.startswith(right[:-1])
    return right == value


def _is_within(address: str, network: str) -> Claim:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


# -- iptables -------------------------------------------------------------------------------------------

_ACTIONS: Final = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_SILENT: Final = frozenset({"LOG", "NFLOG", "MARK", "CONNMARK"})


def from_iptables(text: str, packet: Packet) -> dict[str, Chain]:
    """Read `iptables-save` for one packet: the table filter, from the chain INPUT on."""
    rules: dict[str, list[FilterRule]] = {}
    policy, table = "", ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table != "filter":
            continue
        elif line.startswith(":"):
            name, _, rest = line[1:].partition(" ")
            rules.setdefault(name, [])
            policy = rest.split(" ")[0].lower() if name == "INPUT" else policy
        elif line.startswith("-A "):
            name, rule = _iptables_rule(line, packet)
            rules.setdefault(name, []).append(rule)
    return {
        name: Chain(name, tuple(found), policy if name == "INPUT" else "") for name, found in rules.items()
    }


def _iptables_rule(line: str, packet: Packet) -> tuple[str, FilterRule]:
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    holds: Claim = True
    action = chain = ""
    for is_negated, option, value in _options(words[2:]):
        if option in {"-j", "-g"}:
            action = _ACTIONS.get(value, "" if value in _SILENT else "goto" if option == "-g" else "jump")
            chain = value
            continue
        claim = _iptables_match(option, value, packet)
        holds = _both(holds, (not claim) if is_negated and claim is not None else claim)
    return words[1] if len(words) > 1 else "", FilterRule(holds, action, chain, line)


def _options(words: list[str]) -> Iterator[tuple[bool, str, str]]:
    """Give each option with its value, and whether it is negated."""
    is_negated = False
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "!":
            is_negated = True
            continue
        value = ""
        while position < len(words) and not words[position].startswith("-") and words[position] != "!":
            value = f"{value} {words[position]}".strip()
            position += 1
        yield is_negated, word, value
        is_negated = False


def _iptables_match(option: str, value: str, packet: Packet) -> Claim:
    match option:
        case "-p":
            return value in {"udp", "all", "17"}
        case "-i":
            return (
                packet.interface.startswith(value[:-1]) if value.endswith("+") else value == packet.interface
            )
        case "-s":
            return _is_within(packet.source, value)
        case "--dport" | "--dports":
            return _has_port(value, packet.port)
        case "--ctstate" | "--state":
            return "NEW" in value.split(",")
        case "-m" | "--comment" | "--reject-with":
            return True
        case _:
            return None


def _has_port(text: str, port: int) -> Claim:
    for part in text.split(","):
        low, _, high = part.partition(":")
        if not low.isdigit() or not (high or low).isdigit():
            return None
        if int(low) <= port <= int(high or low):
            return True
    return False
