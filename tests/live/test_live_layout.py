"""Change nodes and links of real daemons while they run: sockets, status and komainu.toml follow on every node."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from test_live_guard import Cluster, cluster, until

from komainu.lab import action, preflight
from komainu.model.ids import NodeName
from komainu.model.link import LinkState
from komainu.model.report import Refused
from komainu.model.request import (
    AddLink,
    AddNode,
    ChangeLink,
    Done,
    LayoutChange,
    RefusedReply,
    RemoveLink,
    RemoveNode,
    StopNode,
)

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

A, B = NodeName("a"), NodeName("b")
NODES = ("a", "b")


def change(found: Cluster, node: str, step: LayoutChange) -> None:
    reply = found.client(node).ask(step)
    assert isinstance(reply, Done), reply


def links_written(found: Cluster, node: str) -> list[list[str]]:
    root = found.lab.root(node)
    assert root is not None
    read = tomllib.loads((root / "etc/komainu/komainu.toml").read_text())
    return [[read["cluster"]["layout"]], *(entry["links"] for entry in read["node"])]


def is_up_with(found: Cluster, links: int) -> bool:
    ways = [way for node in NODES for way in found.status(node).links]
    return len(ways) == 2 * links and all(way.state is LinkState.UP for way in ways)


def soon(claim: Callable[[], object]) -> None:
    """Wait for it; on a busy machine a link needs its beats, and the file the disk of both."""
    until(claim, timeout_s=40)


def test_links_change_while_the_daemons_run() -> None:
    with cluster("layout") as found:
        daemons = found.daemons()
        change(found, "a", RemoveLink(1))
        soon(lambda: is_up_with(found, 1))
        for node, address in zip(NODES, ("10.99.0.1", "10.99.0.2"), strict=True):
            found.ip(node, f"addr add {address}/24 dev eth0")
        change(found, "b", AddLink(((A, "10.99.0.1"), (B, "10.99.0.2"))))
        soon(lambda: is_up_with(found, 2))
        found.lab.perform(action.Pull("interconnect", "a"))  # the new link carries alone
        soon(lambda: any(way.state is not LinkState.UP for way in found.status("b").links))
        reply = found.client("a").ask(ChangeLink(0, ((A, "10.99.0.1"),)))
        assert isinstance(reply, RefusedReply)
        found.lab.perform(action.Plug("interconnect", "a"))
        soon(lambda: is_up_with(found, 2))
        found.ip("a", "addr add 192.168.33.77/24 dev eth1")
        change(found, "b", ChangeLink(0, ((A, "192.168.33.77"),)))
        soon(lambda: is_up_with(found, 2))
        written = [[3], ["192.168.33.77", "10.99.0.1"], ["192.168.33.102", "10.99.0.2"]]
        soon(lambda: all(links_written(found, node) == written for node in NODES))
        assert found.daemons() == daemons  # none was started anew
        assert "were counted anew" not in found.why("a", "b")
        assert [node.state for node in found.status("a").nodes] == ["online", "online"]


def settings_file(found: Cluster, node: str) -> Path:
    root = found.lab.root(node)
    assert root is not None
    return root / "etc/komainu/komainu.toml"


def is_warned(found: Cluster, node: str, words: str) -> bool:
    try:
        return any(words in one for one in found.status(node).warnings)
    except Refused:  # it is starting
        return False


def test_a_node_leaves_is_removed_and_comes_back_while_the_other_runs() -> None:
    with cluster("nodes") as found:
        before = found.daemons()["a"]
        refused = found.client("a").ask(RemoveNode(B))
        assert isinstance(refused, RefusedReply)
        assert refused.reasons[0].code == "cib.node-is-here"
        assert isinstance(found.client("b").ask(StopNode()), Done)
        soon(lambda: found.status("a").nodes[1].state == "offline")
        change(found, "a", RemoveNode(B))
        soon(lambda: found.status("a").quorum_reason == "1 of 1 votes")
        soon(lambda: settings_file(found, "a").read_text().count("[[node]]") == 1)
        soon(lambda: found.daemons()["b"].startswith("exited"))
        found.lab.perform(action.StartDaemon("b"))  # with its old file: it was away as it was removed
        soon(lambda: is_warned(found, "b", "komainu node add b ADDRESS"))
        assert "b was removed from cluster" in found.why("b", "b")
        assert isinstance(found.client("b").ask(StopNode()), Done)
        soon(lambda: found.daemons()["b"].startswith("exited"))
        change(found, "a", AddNode(B, ("192.168.33.102", "10.77.0.2")))
        soon(lambda: settings_file(found, "a").read_text().count("[[node]]") == 2)
        settings_file(found, "b").write_text(settings_file(found, "a").read_text())
        found.lab.perform(action.StartDaemon("b"))
        soon(lambda: [node.state for node in found.status("a").nodes] == ["online", "online"])
        assert found.daemons()["a"] == before
        assert found.status("b").quorum_reason == "2 of 2 votes"
