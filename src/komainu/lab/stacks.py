"""Say what a machine of a lab runs as its cluster: komainu, or a peer with the peer's own settings.

Pure values. The peers are the distribution's unchanged programs with their defaults, but for what namespaces
demand (no real-time scheduling, no move to the root cgroup). Source: corosync.conf(5), pacemakerd(8).
"""

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import Final

from komainu.lab.files import CERTIFICATES, SHARED_DISK, WATCHDOG_FILE, qnetd_tls
from komainu.lab.layout import WITNESS_ADDRESS, Layout
from komainu.lab.managers import MachineFile


class Stack(Enum):
    """Which cluster manager."""

    KOMAINU = "komainu"
    KOMAINU_ON_COROSYNC = "komainu-on-corosync"
    COROSYNC3 = "corosync3"
    COROSYNC3_UDPU = "corosync3-udpu"
    PACEMAKER = "pacemaker"

    @property
    def has_corosync(self) -> bool:
        """Whether it is a peer, with Corosync's own settings and log."""
        return not self.is_komainu

    @property
    def is_komainu(self) -> bool:
        """Whether komainu runs the cluster, on whichever engine."""
        return self in {Stack.KOMAINU, Stack.KOMAINU_ON_COROSYNC}

    @property
    def engine(self) -> str:
        """What komainu.toml names as the ring's engine."""
        return "corosync" if self is Stack.KOMAINU_ON_COROSYNC else "builtin"

    @property
    def runs_service(self) -> bool:
        """Whether it runs resources, so that a client can be served."""
        return self.is_komainu or self is Stack.PACEMAKER


PROGRAMS: Final = {
    Stack.KOMAINU: (),
    Stack.KOMAINU_ON_COROSYNC: ("/usr/sbin/corosync",),
    Stack.COROSYNC3: ("/usr/sbin/corosync",),
    Stack.COROSYNC3_UDPU: ("/usr/sbin/corosync",),
    Stack.PACEMAKER: ("/usr/sbin/corosync", "/usr/sbin/pacemakerd", "/usr/sbin/cibadmin"),
}
"""What must be installed."""

QNETD: Final = "/usr/bin/corosync-qnetd"
QDEVICE: Final = "/usr/sbin/corosync-qdevice"
"""A witness where Corosync has the votes, and what asks it on each machine."""

QNETD_SOCKET: Final = "qnetd.sock"

SBD: Final = "/usr/sbin/sbd"
SBD_SETTINGS: Final = "/etc/default/sbd"

PACEMAKER_LOG: Final = "/var/log/pacemaker/pacemaker.log"
COROSYNC_LOG: Final = "/var/log/corosync/corosync.log"
_OURS: Final = Path(__file__).resolve().parent.parent / "agents"
_AGENTS: Final = _OURS / "ocf/komainu"
_FENCE_LAB: Final = f"""#!/bin/sh
order=$(cat)
case $order in *action=metadata*) exec cat /run/fence_lab.xml ;; esac
printf '%s\\n' "$order" | {sys.executable} {_OURS / "fence/fence_lab"}
"""
"""Pacemaker asks for the meta-data as a user that may not be able to read komainu's programs."""

_KOMAINU: Final = (sys.executable, "-m", "komainu.cli.main", "node")

# What asks the witness may come before Corosync has formed a membership, and ends: it is started anew, as by its unit.
_ASK_WITNESS: Final = (
    "if grep -q 'device {' /etc/corosync/corosync.conf && mkdir /run/corosync-qdevice 2>/dev/null; then "
    "{ until corosync-qdevice -f; do sleep 0.1; done; } >/run/corosync-qdevice.log 2>&1 & fi"
)

# Corosync goes into the background once it is ready and becomes a child of the machine's first process;
# pacemakerd ends when it loses Corosync, so one watched process stands for both.
# Where sbd's settings name a watchdog, it starts beside Corosync, and Pacemaker when it has its disks, as its unit has it;
# without a disk it waits for the cluster itself. Its settings are variables of both.
_SBD: Final = (
    f"set -a; . {SBD_SETTINGS} 2>/dev/null; set +a; "
    'if [ -n "$SBD_WATCHDOG_DEV" ] && [ ! -e /run/sbd.pid ]; then sbd -R -p /run/sbd.pid watch & sbd=$!; fi; '
)

_PACEMAKER: Final = (
    f"mkdir -p /usr/lib/ocf/resource.d && ln -sfn {_AGENTS} /usr/lib/ocf/resource.d/komainu; "
    f"echo action=metadata | {sys.executable} {_OURS / 'fence/fence_lab'} >/run/fence_lab.xml; "
    f"{_SBD}{{ corosync-cfgtool -s >/dev/null 2>&1 || corosync; }} && {{ {_ASK_WITNESS}; ${{SBD_DEVICE:+wait $sbd}}; exec pacemakerd; }}"
)

# A Corosync that runs already, since only the daemon was started anew, goes on.
_ON_COROSYNC: Final = f"{shlex.join(_KOMAINU[:-1])} config corosync --write --in-container; corosync; {_ASK_WITNESS}; exec {shlex.join(_KOMAINU)}"

# Corosync's own tools know their directories by name only. Source: corosync-qdevice-net-certutil(8).
_CERTIFY: Final = """
mkdir -p "$1/qnetd" "$1/qdevice/net"; mount --bind "$1" /etc/corosync; cd /etc/corosync
corosync-qnetd-certutil -i -G
corosync-qdevice-net-certutil -i -c qnetd/nssdb/qnetd-cacert.crt
corosync-qdevice-net-certutil -r -n "$2"
corosync-qnetd-certutil -s -G -c qdevice/net/nssdb/qdevice-net-node.crq -n "$2"
corosync-qdevice-net-certutil -M -c "qnetd/nssdb/cluster-$2.crt"
"""

DAEMON: Final[dict[Stack, tuple[str, ...]]] = {
    Stack.KOMAINU: _KOMAINU,
    Stack.KOMAINU_ON_COROSYNC: ("/bin/sh", "-c", _ON_COROSYNC),
    Stack.COROSYNC3: ("corosync", "-f"),
    Stack.COROSYNC3_UDPU: ("corosync", "-f"),
    Stack.PACEMAKER: ("/bin/sh", "-c", _PACEMAKER),
}
"""What the machine starts and watches as its daemon."""


def programs(layout: Layout, stack: Stack) -> tuple[str, ...]:
    """Name what must be installed for a lab of this layout."""
    has_qnetd = layout.has_witness and stack is not Stack.KOMAINU
    sbd = (SBD,) if _runs_sbd(layout, stack) else ()
    return (*PROGRAMS[stack], *((QNETD, QDEVICE) if has_qnetd else ()), *sbd)


def _runs_sbd(layout: Layout, stack: Stack) -> bool:
    return stack is Stack.PACEMAKER and (layout.has_sbd or layout.shared_disks > 0)


def qnetd_command(directory: Path, layout: Layout) -> tuple[str, ...]:
    """Give the command of a qnetd on the service LAN, whose files stand in this directory."""
    own = {
        "lock_file": directory / "qnetd.pid",
        "local_socket_file": directory / QNETD_SOCKET,
        "nss_db_dir": directory / CERTIFICATES / "qnetd/nssdb",
    }
    own_files = ",".join(f"{name}={path}" for name, path in own.items())
    tls = "req" if layout.witness_has_tls else "off"
    return (QNETD, "-f", "-s", tls, "-l", WITNESS_ADDRESS, "-S", own_files)


def certify_command(directory: Path, name: str) -> tuple[str, ...]:
    """Give the command that makes the certificates of a qnetd and of the cluster of this name, in this directory.

    As an administrator does, on both machines at once: their directories in /etc are shown this one instead.
    """
    return ("unshare", "--mount", "sh", "-ec", _CERTIFY, "certify", str(directory / CERTIFICATES), name)


def links_max(stack: Stack) -> int:
    """How many links the stack's ring can have: with udpu, Corosync 3 has one."""
    return 1 if stack is Stack.COROSYNC3_UDPU else 8


def files(layout: Layout, stack: Stack, name: str) -> tuple[MachineFile, ...]:
    """Write the peer's settings, the same on every machine; komainu's own are written by files.py."""
    if not stack.has_corosync:
        return ()
    text = corosync_conf(layout, name, is_udpu=stack is Stack.COROSYNC3_UDPU)
    settings = MachineFile("/etc/corosync/corosync.conf", text)
    if stack is not Stack.PACEMAKER:
        return (settings,)
    sbd = MachineFile(SBD_SETTINGS, sbd_settings(layout) if _runs_sbd(layout, stack) else "")
    return (settings, MachineFile("/usr/sbin/fence_lab", _FENCE_LAB, 0o755), sbd)


def sbd_settings(layout: Layout) -> str:
    """Write sbd's settings, for the machine's watchdog and the layout's shared disks.

    Debian's defaults, but for one: a machine of the lab boots in 0.2 s, so that the node that fences it still waits for
    msgwait, and would tell it of its own fencing. For machines that boot so quickly the file itself wants the delay.
    """
    disks = ";".join(SHARED_DISK.format(number) for number in range(1, layout.shared_disks + 1))
    lines = [f'SBD_DEVICE="{disks}"'] if disks else []
    lines += ["SBD_PACEMAKER=yes", "SBD_STARTMODE=always", f"SBD_DELAY_START={'yes' if disks else 'no'}"]
    lines += [f"SBD_WATCHDOG_DEV={WATCHDOG_FILE}", "SBD_WATCHDOG_TIMEOUT=5"]
    lines += [
        "SBD_TIMEOUT_ACTION=flush,reboot",
        "SBD_MOVE_TO_ROOT_CGROUP=no",
        "SBD_SYNC_RESOURCE_STARTUP=yes",
    ]
    return "\n".join(lines) + "\n"


def corosync_conf(layout: Layout, name: str, *, is_udpu: bool) -> str:
    """Write corosync.conf with Corosync's default times and the ring's cables of the layout."""
    transport = "udpu" if is_udpu else "knet"
    lines = ["totem {", "  version: 2", f"  cluster_name: {name}", f"  transport: {transport}"]
    if layout.detect_within_ms is not None:
        lines.append(f"  token: {layout.detect_within_ms}")
    lines += ["  crypto_cipher: none", "  crypto_hash: none", "}", "nodelist {"]
    for number, node in enumerate(layout.nodes, start=1):
        lines += ["  node {", f"    name: {node}", f"    nodeid: {number}"]
        cables = layout.ring_cables[: 1 if is_udpu else None]
        lines += [f"    ring{link}_addr: {layout.address(node, cable)}" for link, cable in enumerate(cables)]
        lines.append("  }")
    lines += ["}", "quorum {", "  provider: corosync_votequorum"]
    if layout.has_witness:
        lines += _device(layout)
    elif len(layout.nodes) == 2:
        lines.append("  two_node: 1")
    lines.append("}")
    lines += ["system {", "  sched_rr: no", "  move_to_root_cgroup: no", "}"]
    lines += ["logging {", "  to_stderr: no", "  to_syslog: no", "  to_logfile: yes"]
    lines += [f"  logfile: {COROSYNC_LOG}", "  timestamp: hires", "}"]
    return "\n".join(lines) + "\n"


def _device(layout: Layout) -> list[str]:
    votes = 1 if layout.witness_algorithm == "ffsplit" else len(layout.nodes) - 1
    net = {"host": WITNESS_ADDRESS, "algorithm": layout.witness_algorithm, "tls": qnetd_tls(layout)}
    lines = ["  device {", "    model: net", f"    votes: {votes}", "    net {"]
    return [*lines, *(f"      {key}: {value}" for key, value in net.items()), "    }", "  }"]
