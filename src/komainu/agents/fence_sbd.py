"""Fence a node by a poison pill on shared disks: write it, then wait until the node must have swallowed it.

Takes the options of the fence agent of the same name, and needs no other program. More than half of the disks
must take the pill. The wait is the disk's own msgwait. A node that finds a pill in its own slot leaves none: it was
fenced first, and lives on only until its watchdog fires. Source: the fence agent API; sbd(8).
"""

import contextlib
import socket
import sys
import time

from komainu.agents.fence_agent import failure, read_order
from komainu.fencing.sbd import POISON, Mail, Message, slots_of
from komainu.model.ids import NodeName
from komainu.node.sbd import SbdDisk

META_DATA = """<?xml version="1.0"?>
<resource-agent name="fence_sbd" shortdesc="Fence agent for shared disks">
<longdesc>Leaves a poison pill in the node's slot of shared disks, which its sbd or komainu reads.</longdesc>
<vendor-url/>
<parameters>
<parameter name="action" unique="0" required="1"><content type="string" default="reboot"/>
<shortdesc lang="en">what to do</shortdesc></parameter>
<parameter name="devices" unique="0" required="1"><content type="string"/>
<shortdesc lang="en">one or three shared disks, with commas between them</shortdesc></parameter>
<parameter name="plug" unique="0" required="1" obsoletes="port"><content type="string"/>
<shortdesc lang="en">the node to fence</shortdesc></parameter>
<parameter name="port" unique="0" required="1" deprecated="1"><content type="string"/>
<shortdesc lang="en">the node to fence</shortdesc></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="list"/><action name="monitor"/><action name="metadata"/>
</actions>
</resource-agent>"""

_MESSAGES = {"off": Message.OFF, "reboot": Message.RESET, "on": Message.CLEAR}


def main() -> None:
    """Do the action that stands on standard input."""
    order = read_order(META_DATA, {*_MESSAGES, "status", "monitor", "list"})
    paths = order.options.get("devices", "").replace(",", " ").replace(";", " ").split()
    if not paths:
        raise failure("no disk was named; set devices")
    sys.exit(_act(order.action, NodeName(order.node), paths))


def _act(action: str, node: NodeName, paths: list[str]) -> int:
    """Do it on each disk; more than half must have done it."""
    done, waits, troubles = 0, [0], []
    for path in paths:
        try:
            with contextlib.closing(SbdDisk(path)) as disk:
                _do(action, node, disk)
                waits.append(disk.header.msgwait_s)
                done += 1
        except (OSError, ValueError) as error:
            troubles.append(f"{path}: {error.strerror if isinstance(error, OSError) else error}")
    if 2 * done <= len(paths):
        raise failure(f"only {done} of {len(paths)} disks: {'; '.join(troubles)}")
    if action in {"off", "reboot"}:
        time.sleep(max(waits))
    return 0


def _do(action: str, node: NodeName, disk: SbdDisk) -> None:
    if action == "list":
        content = disk.content()
        for _, name in slots_of(disk.header, content):
            print(f"{name},")
        return
    if action == "monitor":
        return
    slot = disk.slot(node)
    if slot is None:
        raise ValueError(f"{node} has no slot on it")
    me = socket.gethostname()
    if action in {"off", "reboot"} and _is_poisoned(NodeName(me), disk):
        raise ValueError(f"{me} was fenced first: a pill is in its own slot (sbd -d DISK message {me} clear)")
    if action != "status":
        disk.send(slot, Mail(_MESSAGES[action], me))


def _is_poisoned(me: NodeName, disk: SbdDisk) -> bool:
    slot = disk.slot(me)
    mail = None if slot is None else disk.mail(slot)
    return mail is not None and mail.message in POISON
