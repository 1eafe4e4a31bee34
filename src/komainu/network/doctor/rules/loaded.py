"""Find settings that keep an address by what stands on the disk, and that the running manager has not read.

Decides by times: of files and folders, of the manager's start, and of its last reading, as far as its log, the
doctor's own mark or networkd's state of an interface tell it. Source: rule NET017. A file's time is that of its inode:
packages and copies bring the time of the content with them, which says nothing about when it came.
"""

import re
from collections.abc import Iterator
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor import networkd
from komainu.network.doctor.evidence import RELOAD, RELOADED, Evidence
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import End, Machine
from komainu.network.doctor.networkmanager import FOLDERS
from komainu.network.doctor.profile import Interface, Manager

_LOGGED: Final = re.compile(r"\[([0-9]+\.[0-9]+)\] config: signal: ")
"""What NetworkManager writes, with the time, whenever it was told to read its files again; also without a change."""

_INDEX: Final = re.compile(r"^IFINDEX=([0-9]+)$", re.MULTILINE)


def not_loaded(machine: Machine) -> Iterator[Finding]:
    """NET017: the setting that keeps the address is younger than what the manager that runs has read."""
    for end in machine.ends:
        if end.interface is None or end.keeping is None or end.keeping.after_ms is not None:
            continue
        if end.keeping.manager is Manager.NETWORKMANAGER:
            yield from _unread_by_networkmanager(machine, end, end.interface)
        elif end.keeping.manager is Manager.NETWORKD:
            yield from _unread_by_networkd(machine, end, end.interface)


def _unread_by_networkmanager(machine: Machine, end: End, interface: Interface) -> Iterator[Finding]:
    evidence, manager = machine.evidence, machine.wiring.networkmanager
    started = (evidence.processes or {}).get("NetworkManager")
    if started is None:
        return
    logged = _logged(evidence)
    read = max(started, evidence.changed_s(RELOADED), *logged)
    claim = manager.carrier(interface).claim
    own = "" if claim is None else claim.entry.place.file
    # Of a file that was taken away nothing is left but the time of its folder.
    paths = [*(file.path for file in manager.files), *FOLDERS]
    unread = [path for path in paths if evidence.changed_s(path) > read]
    if not unread:
        return
    if claim is not None and own in unread:
        seen = Seen(f"{claim.entry}, written after NetworkManager read its files", claim.entry.place)
        gravity = Gravity.WARNING
    else:
        seen = Seen("changed after NetworkManager read its files", Place(unread[0]))
        gravity = Gravity.NOTE
    yield Finding(
        "NET017",
        gravity,
        interface.name,
        "NetworkManager may not know yet that it is to keep its address",
        (seen,),
        f"If it was not told to read its files again, this node still loses {end.address} when the cable is pulled.",
        Sureness.LIKELY if logged else Sureness.UNKNOWN,
        "its log has no later reading"
        if logged
        else "what a running NetworkManager has read is not visible here",
        Fix(
            "tell NetworkManager to read its files again; it disturbs no connection, and may be repeated",
            reload=(RELOAD,),
        ),
    )


def _logged(evidence: Evidence) -> list[float]:
    """Give the times at which NetworkManager read its files again, by its log."""
    output = evidence.outputs.get("journal")
    return [float(moment) for moment in _LOGGED.findall("" if output is None else output.text)]


def _unread_by_networkd(machine: Machine, end: End, interface: Interface) -> Iterator[Finding]:
    """Compare with the state that networkd writes whenever it configures an interface anew."""
    evidence = machine.evidence
    file = next((one for one in machine.wiring.networkd if one.fits(interface)), None)
    entry = None if file is None else networkd.carrier_loss(file).entry
    started = (evidence.processes or {}).get("systemd-network")
    index = _INDEX.search(evidence.text(f"/sys/class/net/{interface.name}/uevent"))
    if entry is None or started is None or index is None:
        return
    state = f"/run/systemd/netif/links/{index[1]}"
    if not evidence.has(state) or evidence.changed_s(entry.place.file) <= evidence.changed_s(state):
        return
    yield Finding(
        "NET017",
        Gravity.WARNING,
        interface.name,
        "systemd-networkd does not know yet that it is to keep its address",
        (Seen(f"{entry}, written after networkd configured {interface.name}", entry.place),),
        f"Until it is told, this node still loses {end.address} when the cable is pulled.",
        Sureness.LIKELY,
        f"{state} is older, which networkd writes when it configures the interface",
        Fix(
            "tell systemd-networkd to read its files and configure the interface again",
            then=(f"networkctl reload && networkctl reconfigure {interface.name}",),
        ),
    )
