"""Gather what resets or fences a node: fence devices of the CIB, SBD, watchdog devices, who holds them.

Decides what counts as a fence device and which watchdog is only software. Must not judge any of it.
Source: sbd(8); Pacemaker Explained, "Fencing"; the kernel's watchdog-api and sysfs-class-watchdog.
"""

import re
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.cib.options import cluster_option, is_true
from komainu.model.duration import parse_ms
from komainu.model.report import Place
from komainu.network.doctor import ini
from komainu.network.doctor.evidence import Evidence
from komainu.network.doctor.ini import Entry

SBD_TIMEOUT_MS: Final = 5_000
_SBD_FILES: Final = ("/etc/sysconfig/sbd", "/etc/default/sbd")
_DEVICE_CLASSES: Final = frozenset({"stonith"})
_WATCHDOG_AGENTS: Final = frozenset({"fence_watchdog", "watchdog"})


@dataclass(frozen=True, slots=True)
class Watchdog:
    """One watchdog device. `identity` is the driver's own name; empty where the kernel does not tell."""

    name: str
    identity: str

    @property
    def is_software(self) -> bool:
        """Tell whether it is a timer of the kernel, which stops with the kernel."""
        return "software" in self.identity.lower() or self.identity.lower() == "softdog"


@dataclass(frozen=True, slots=True)
class Guards:
    """Who may reset or fence a node. `fencing_enabled` None: there is no CIB to tell."""

    fencing_enabled: bool | None
    devices: tuple[str, ...]  # ids of fence devices, without those that only stand for the watchdog
    uses_sbd: bool
    sbd_disks: tuple[str, ...]
    sbd_timeout_ms: int
    sbd_delay: Entry | None
    sbd_place: Place | None
    wait_ms: int | None  # stonith-watchdog-timeout of the CIB; None: not set
    watchdogs: tuple[Watchdog, ...]
    systemd_watchdog: Entry | None  # systemd feeds the watchdog itself

    @property
    def only_watchdog(self) -> bool:
        """Tell whether nothing but a watchdog could make sure that a lost node is off."""
        return not self.devices and not self.sbd_disks and (self.uses_sbd or bool(self.wait_ms))


def read(evidence: Evidence, cib: Element | None) -> Guards:
    """Gather what resets or fences a node."""
    files = [evidence.files[path] for path in _SBD_FILES if evidence.has(path)]
    sbd = ini.parse_assignments(files[0]) if files else None
    running = evidence.is_running("sbd")
    is_enabled = any(evidence.matching("/etc/systemd/system/*.wants/sbd.service"))
    waits = parse_ms(_option(cib, "stonith-watchdog-timeout"))
    timeout = None if sbd is None else parse_ms(sbd.value("SBD_WATCHDOG_TIMEOUT") or None)
    return Guards(
        fencing_enabled=None if cib is None else is_true(_option(cib, "stonith-enabled"), default=True),
        devices=tuple(_devices(cib)),
        uses_sbd=bool(running) or is_enabled,
        sbd_disks=()
        if sbd is None
        else tuple(disk for disk in sbd.value("SBD_DEVICE").split(";") if disk.strip()),
        sbd_timeout_ms=SBD_TIMEOUT_MS if timeout is None else timeout,
        sbd_delay=None if sbd is None else sbd.last("SBD_DELAY_START"),
        sbd_place=Place(files[0].path) if files else None,
        wait_ms=waits,
        watchdogs=tuple(
            Watchdog(file.path.rpartition("/")[2], evidence.text(f"{file.path}/identity").strip())
            for file in evidence.matching("/sys/class/watchdog/*")
        ),
        systemd_watchdog=_systemd_watchdog(evidence),
    )


def _option(cib: Element | None, name: str) -> str | None:
    """Return a cluster option, by its new name, too: fencing-enabled for stonith-enabled."""
    if cib is None:
        return None
    said = cluster_option(cib, name)
    return said if said is not None else cluster_option(cib, name.replace("stonith-", "fencing-"))


def _devices(cib: Element | None) -> list[str]:
    resources = None if cib is None else cib.at("configuration", "resources")
    return [
        one.id
        for one in (() if resources is None else resources.walk())
        if one.tag == "primitive"
        and one.get("class") in _DEVICE_CLASSES
        and one.get("type") not in _WATCHDOG_AGENTS
    ]


def _systemd_watchdog(evidence: Evidence) -> Entry | None:
    """Return the setting by which systemd opens the watchdog itself; None when it leaves it alone."""
    found: Entry | None = None
    for file in (
        *evidence.matching("/etc/systemd/system.conf"),
        *evidence.matching("/etc/systemd/system.conf.d/*.conf"),
    ):
        found = ini.parse(file).named("Manager").last("RuntimeWatchdogSec") or found
    if found is None or re.fullmatch(r"0|off|", found.value.strip()):
        return None
    return found
