import json

import pytest

from komainu.network.doctor.firewall import Packet, Verdict, from_iptables, from_nftables, judge

PACKET = Packet("eth1", "192.168.33.102", 5405)

Tree = dict[str, object]


def nft(*rules: list[Tree], policy: str = "drop", extra: tuple[Tree, ...] = ()) -> Verdict:
    chain = {
        "family": "inet",
        "table": "t",
        "name": "in",
        "hook": "input",
        "type": "filter",
        "policy": policy,
    }
    entries: list[Tree] = [{"chain": chain}, *extra]
    entries += [{"rule": {"family": "inet", "table": "t", "chain": "in", "expr": rule}} for rule in rules]
    chains = from_nftables(json.dumps({"nftables": entries}), PACKET)
    assert chains is not None
    return judge(chains)[0]


def match(left: Tree, right: object, op: str = "==") -> Tree:
    return {"match": {"op": op, "left": left, "right": right}}


def port(right: object, op: str = "==") -> Tree:
    return match({"payload": {"protocol": "udp", "field": "dport"}}, right, op)


ACCEPT: Tree = {"accept": None}
DROP: Tree = {"drop": None}
UNKNOWN: Tree = match({"fib": {"result": "type"}}, "local")


@pytest.mark.parametrize(
    ("rules", "policy", "expected"),
    [
        ([], "accept", Verdict.OPEN),
        ([], "drop", Verdict.BLOCKED),
        ([[port(5405), ACCEPT]], "drop", Verdict.OPEN),
        ([[port({"set": [22, {"range": [5400, 5410]}]}), ACCEPT]], "drop", Verdict.OPEN),
        ([[port(22), ACCEPT]], "drop", Verdict.BLOCKED),
        ([[port(22, "!="), ACCEPT]], "drop", Verdict.OPEN),
        ([[port("@ports"), ACCEPT]], "drop", Verdict.UNKNOWN),
        ([[port("@ports"), ACCEPT]], "accept", Verdict.OPEN),
        ([[UNKNOWN, DROP]], "accept", Verdict.UNKNOWN),
        ([[UNKNOWN, DROP]], "drop", Verdict.BLOCKED),
        ([[UNKNOWN, port(22), DROP]], "accept", Verdict.OPEN),
        ([[match({"meta": {"key": "iifname"}}, "eth*"), ACCEPT]], "drop", Verdict.OPEN),
        ([[match({"meta": {"key": "iifname"}}, "lo"), ACCEPT]], "drop", Verdict.BLOCKED),
        ([[match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]], "drop", Verdict.BLOCKED),
        (
            [[match({"payload": {"protocol": "ip", "field": "saddr"}}, {"prefix": {"addr": "192.168.33.0", "len": 24}}), ACCEPT]],
            "drop",
            Verdict.OPEN,
        ),
        ([[{"counter": {}}], [{"reject": None}]], "accept", Verdict.BLOCKED),
        ([[{"vmap": {}}]], "drop", Verdict.UNKNOWN),
    ],
)  # fmt: skip
def test_rules_of_nftables(rules: list[list[Tree]], policy: str, expected: Verdict) -> None:
    assert nft(*rules, policy=policy) is expected


def test_jumps_come_back_and_gotos_do_not() -> None:
    extra: tuple[Tree, ...] = (
        {"chain": {"family": "inet", "table": "t", "name": "more"}},
        {"rule": {"family": "inet", "table": "t", "chain": "more", "expr": [port(5405), {"return": None}]}},
    )
    jump: Tree = {"jump": {"target": "more"}}
    assert nft([jump], [port(5405), ACCEPT], extra=extra) is Verdict.OPEN
    assert nft([{"goto": {"target": "more"}}], [port(5405), ACCEPT], extra=extra) is Verdict.BLOCKED
    assert nft([{"jump": {"target": "nowhere"}}], [port(5405), ACCEPT]) is Verdict.UNKNOWN


def test_a_circle_of_jumps_ends() -> None:
    assert nft([{"jump": {"target": "in"}}], policy="accept") is Verdict.UNKNOWN


@pytest.mark.parametrize("text", ["", "[]", "{", '{"nftables": 3}', '{"nftables": [3, {"rule": 4}]}'])
def test_nonsense_blocks_nothing(text: str) -> None:
    chains = from_nftables(text, PACKET)
    assert chains is None or judge(chains)[0] is Verdict.OPEN


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("-A INPUT -p udp -m udp --dport 5404:5412 -j ACCEPT", Verdict.OPEN),
        ("-A INPUT -p udp -m multiport --dports 22,5405 -m comment --comment 'a b' -j ACCEPT", Verdict.OPEN),
        ("-A INPUT -p tcp -m tcp --dport 5405 -j ACCEPT", Verdict.BLOCKED),
        ("-A INPUT ! -i lo -j ACCEPT", Verdict.OPEN),
        ("-A INPUT -s 192.168.33.0/24 -j ACCEPT", Verdict.OPEN),
        ("-A INPUT -s 10.0.0.0/8 -j ACCEPT", Verdict.BLOCKED),
        ("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", Verdict.BLOCKED),
        ("-A INPUT -m set --match-set peers src -j ACCEPT", Verdict.UNKNOWN),
        ("-A INPUT -j LOG --log-prefix x\n-A INPUT -j zone\n-A zone -p udp -j ACCEPT", Verdict.OPEN),
        ("-A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable", Verdict.BLOCKED),
    ],
)
def test_rules_of_iptables(rules: str, expected: Verdict) -> None:
    text = f"*nat\n:INPUT ACCEPT [0:0]\n*filter\n:INPUT DROP [0:0]\n:zone - [0:0]\n{rules}\nCOMMIT\n"
    assert judge(from_iptables(text, PACKET))[0] is expected


def test_without_rules_everything_is_open() -> None:
    assert judge(from_iptables("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", PACKET))[0] is Verdict.OPEN
    assert judge({}) == (Verdict.OPEN, "")
