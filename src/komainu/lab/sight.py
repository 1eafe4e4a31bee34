"""See a cluster as its own tools show it, whatever stack it is: members, quorum, links, where the service runs.

Asks each machine's own daemon and believes what it says: a peer that is wrong about the cluster is a finding.
Source: the output of corosync-quorumtool(8), corosync-cfgtool(8), crm_mon(8) of Corosync 3.1 and Pacemaker 2.1.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from komainu.client.client import Client
from komainu.lab import flight, settle
from komainu.lab.lab import Lab
from komainu.lab.plant import LabFailure
from komainu.lab.stacks import COROSYNC_LOG, Stack
from komainu.model.report import Refused
from komainu.model.request import AskStatus, Status

TOOL_TIMEOUT_S: Final = 5
DAEMON_SOCKET: Final = "run/komainu/komainu.sock"
_MEMBER: Final = re.compile(r"^\s+\d+\s+\d+\s+(\S+)", re.MULTILINE)
_LINK: Final = re.compile(r"^LINK ID (\d+)", re.MULTILINE)
_NEW_MEMBERSHIP: Final = "A new membership ("


@dataclass(frozen=True, slots=True)
class Sight:
    """What one node says of the cluster."""

    members: frozenset[str]
    is_quorate: bool
    links: tuple[str, ...]  # those that are not up, one phrase each
    service: tuple[str, ...]  # the nodes that run it
    is_busy: bool = False

    def membership(self) -> str:
        """Say members and quorum in a few words."""
        return f"{' '.join(sorted(self.members))}, {'quorate' if self.is_quorate else 'no quorum'}"


def look(lab: Lab, stack: Stack, node: str) -> Sight | None:
    """Ask a node; None when it does not answer."""
    with contextlib.suppress(Refused, LabFailure, OSError, etree.XMLSyntaxError):
        return _komainu(lab, node) if stack.is_komainu else _corosync(lab, stack, node)
    return None


def membership_changes(lab: Lab, stack: Stack, node: str, *, since: int, offset: int) -> int:
    """Count the changes of the membership a node went through; since a moment (wall ms) or a place in its log."""
    root = lab.root(node)
    if root is None:
        return 0
    if stack.is_komainu:
        return flight.membership_changes(flight.read(root, since))
    with contextlib.suppress(OSError):
        data = (root / COROSYNC_LOG.lstrip("/")).read_bytes()[offset:]
        return data.decode("utf-8", "replace").count(_NEW_MEMBERSHIP)
    return 0


def log_size(lab: Lab, node: str) -> int:
    """Give the size of a node's corosync.log; 0 when there is none."""
    root = lab.root(node)
    with contextlib.suppress(OSError):
        return 0 if root is None else (root / COROSYNC_LOG.lstrip("/")).stat().st_size
    return 0


def _komainu(lab: Lab, node: str) -> Sight | None:
    root = lab.root(node)
    if root is None:
        return None
    reply = Client(str(root / DAEMON_SOCKET), timeout_s=2).ask(AskStatus())
    if not isinstance(reply, Status):
        return None
    return Sight(
        members=frozenset(one.name for one in reply.nodes if one.state == "online"),
        is_quorate=reply.is_quorate,
        links=tuple(f"{one.link} {one.state.value}" for one in reply.links if one.state.value != "up"),
        service=settle.running_on({node: reply}, "web"),
        is_busy=any(one.is_coordinator and one.name == node for one in reply.nodes) and reply.doing != "idle",
    )


def _corosync(lab: Lab, stack: Stack, node: str) -> Sight:
    def said(*command: str) -> str:
        return lab.run(node, command, timeout_s=TOOL_TIMEOUT_S).stdout

    seen = read_corosync(said("corosync-quorumtool", "-s"), said("corosync-cfgtool", "-s"))
    if stack is not Stack.PACEMAKER:
        return seen
    online, service = read_crm_mon(said("crm_mon", "--one-shot", "--output-as=xml"))
    return replace(seen, members=seen.members & online, service=service)


def read_corosync(quorum: str, rings: str) -> Sight:
    """Read what corosync-quorumtool and corosync-cfgtool printed."""
    _, _, listed = quorum.partition("Membership information")
    is_quorate = re.search(r"^Quorate:\s+Yes", quorum, re.MULTILINE) is not None
    return Sight(frozenset(_MEMBER.findall(listed)), is_quorate, tuple(_links_down(rings)), ())


def _links_down(text: str) -> Iterator[str]:
    links = _LINK.split(text)[1:]
    if not links:
        yield "none shown"
    for number, block in zip(links[::2], links[1::2], strict=True):
        if "disconnected" in block:
            yield f"{number} disconnected"


def read_crm_mon(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Read which nodes are online and where the web server runs."""
    root = etree.fromstring(text.encode())
    online = frozenset(
        str(one.get("name")) for one in root.iterfind("nodes/node") if one.get("online") == "true"
    )
    running = [
        str(one.get("name"))
        for resource in root.iter("resource")
        if resource.get("id") == "web" and resource.get("role") == "Started"
        for one in resource.iterfind("node")
    ]
    return online, tuple(running)
