"""See a cluster of Corosync 3 and Pacemaker as a drill wants it: in the words of komainu's own status.

Asks the tools of each machine and believes what they say. Configures it, too. Must not know what a drill expects.
Source: the output of crm_mon(8) --output-as=xml and corosync-quorumtool(8) of Pacemaker 2.1 and Corosync 3.1.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Final

from lxml import etree

from komainu.lab.lab import Lab
from komainu.lab.plant import LabFailure
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.request import NodeView, ResourceView, Status

TOOL_TIMEOUT_S: Final = 5
CIB_PATIENCE_S: Final = 60
"""Pacemaker alone takes 20 s until it has elected, and refuses changes until then."""

_RING_ID: Final = re.compile(r"^Ring ID:\s+(\S+)", re.MULTILINE)
_STATE: Final = re.compile(r"\b(S_[A-Z_]+)")
_QUORATE: Final = re.compile(r"^Quorate:\s+Yes", re.MULTILINE)


def status(lab: Lab, node: str) -> Status | None:
    """Ask a machine's own tools; None when they do not answer."""
    with contextlib.suppress(LabFailure, OSError, etree.XMLSyntaxError):
        quorum = _said(lab, node, "corosync-quorumtool", "-s")
        monitor = _said(lab, node, "crm_mon", "--one-shot", "--output-as=xml")
        is_coordinator = f'<current_dc present="true" version="" name="{node}"' in monitor
        state = _said(lab, node, "crmadmin", "--status", node) if is_coordinator else ""
        return read(node, quorum, monitor, state)
    return None


def read(node: str, quorum: str, monitor: str, state: str = "") -> Status | None:
    """Read what corosync-quorumtool, crm_mon and crmadmin printed on a node; None when its cluster does not run."""
    root = etree.fromstring(monitor.encode())
    ring = _RING_ID.search(quorum)
    if root.find("nodes") is None or ring is None:
        return None
    coordinator = root.find("summary/current_dc")
    name = "" if coordinator is None else str(coordinator.get("name"))
    return Status(
        cluster="",
        node=NodeName(node),
        version="",
        view=ring[1],
        is_quorate=_QUORATE.search(quorum) is not None,
        quorum_reason="corosync-quorumtool says so",
        cib_version="",
        doing=_doing(name, state),
        nodes=tuple(_node(one, name) for one in root.iterfind("nodes/node")),
        links=(),
        resources=tuple(_resources(root)),
        failures=(),
        fencing=(),
        warnings=(),
        at=WallTime(0),
    )


def configure(lab: Lab, node: str, cib: str) -> None:
    """Give it the configuration of a drill. Raises LabFailure."""
    section = etree.fromstring(cib.encode()).find("configuration")
    assert section is not None, "a drill's CIB was checked"
    text = etree.tostring(section, encoding="unicode")
    command = ["cibadmin", "--replace", "--scope", "configuration", "--xml-text", text]
    end = time.monotonic() + CIB_PATIENCE_S
    while (done := lab.run(node, command)).returncode:
        if time.monotonic() > end:
            raise LabFailure(f"cibadmin on {node}: {done.stderr.strip()}")
        time.sleep(1)


def stop_command(resource: str) -> list[str]:
    """Give the command that has a resource stopped."""
    return ["crm_resource", "--resource", resource, "--meta", "-p", "target-role", "-v", "Stopped"]


def _doing(coordinator: str, state: str) -> str:
    """Say what the coordinator is at, by crmadmin's word on it where it was asked."""
    if not coordinator:
        return "it has no coordinator"
    found = _STATE.search(state)
    return "idle" if found is None or found[1] == "S_IDLE" else found[1]


def _said(lab: Lab, node: str, *command: str) -> str:
    return lab.run(node, command, timeout_s=TOOL_TIMEOUT_S).stdout


def _node(one: "etree._Element", coordinator: str) -> NodeView:
    words = [word for word in ("unclean", "pending", "standby", "maintenance") if one.get(word) == "true"]
    is_online = one.get("online") == "true"
    state = words[0] if words else "online" if is_online else "offline"
    name = NodeName(str(one.get("name")))
    return NodeView(name, NodeId(int(one.get("id", "0"))), state, name == coordinator, "")


def _resources(root: "etree._Element") -> Iterator[ResourceView]:
    for one in root.iterfind("resources//resource"):
        yield ResourceView(
            resource=ResourceId(str(one.get("id"))),
            kind="primitive",
            agent=str(one.get("resource_agent")),
            role=str(one.get("role")),
            nodes=tuple(NodeName(str(where.get("name"))) for where in one.iterfind("node")),
            flags=(),
            pending="",
        )
