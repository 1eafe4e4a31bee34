"""Put together what is known of each interface from sysfs, from `ip`, and from its profiles.

Decides what kind an interface is and which hardware it sits on. Must not know what a cluster does with it.
Source: the kernel's Documentation/ABI/testing/sysfs-class-net; ip-address(8) for its JSON.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from glob import escape
from typing import Final

from komainu.network.doctor.evidence import Evidence
from komainu.network.doctor.profile import Interface, Profile, whole

INTERFACES_MAX: Final = 2_000
"""More interfaces than this are not looked at; a host of a thousand containers has fewer."""

_PCI: Final = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]")
_KINDS: Final = {"infiniband": "infiniband", "dummy": "dummy", "tun": "tun", "veth": "ethernet"}


def read(evidence: Evidence, profiles: Iterable[Profile]) -> tuple[Interface, ...]:
    """Return every interface, sorted by name; from a file tree those that profiles name."""
    told = _told(evidence)
    names = {
        file.path.rpartition("/")[2] for file in evidence.matching("/sys/class/net/*") if file.target
    } | set(told)
    profiles = list(profiles)
    if not names - {"lo"}:
        names |= {profile.interface for profile in profiles if _is_name(profile.interface)}
    found = [_interface(evidence, name, told.get(name, ())) for name in sorted(names)[:INTERFACES_MAX]]
    return tuple(_with_profiles(interface, profiles) for interface in found)


def _is_name(text: str) -> bool:
    return bool(text) and not set(text) & set("*?[]! \t/")


def _told(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """Return the addresses that `ip` told, by interface. What is no such answer is no address."""
    output = evidence.outputs.get("addresses")
    try:
        entries: object = json.loads(output.text) if output is not None else []
    except ValueError:
        return {}
    told: dict[str, tuple[str, ...]] = {}
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("ifname") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        addresses = entry.get("addr_info")
        told[name] = tuple(
            f"{one['local']}/{one.get('prefixlen', 32)}"
            for one in (addresses if isinstance(addresses, list) else [])
            if isinstance(one, dict) and isinstance(one.get("local"), str)
        )
    return told


def _interface(evidence: Evidence, name: str, addresses: tuple[str, ...]) -> Interface:
    base = f"/sys/class/net/{name}"
    driver = evidence.files.get(f"{base}/device/driver")
    home = evidence.files.get(base)
    controller = evidence.files.get(f"{base}/master")
    hardware = _PCI.findall("" if home is None else home.target)
    carrier = evidence.text(f"{base}/carrier").strip()
    lowers = [file.path.rpartition("/lower_")[2] for file in evidence.matching(f"{escape(base)}/lower_*")]
    return Interface(
        name,
        kind=_kind(name, evidence.text(f"{base}/uevent"), bool(evidence.text(f"/proc/net/bonding/{name}"))),
        mac=evidence.text(f"{base}/address").strip(),
        mtu=whole(evidence.text(f"{base}/mtu")),
        has_carrier={"1": True, "0": False}.get(carrier),
        driver="" if driver is None else driver.target.rpartition("/")[2],
        hardware=hardware[-1] if hardware else "",
        controller="" if controller is None else controller.target.rpartition("/")[2],
        lowers=tuple(sorted(lowers)),
        addresses=addresses,
    )


def _kind(name: str, uevent: str, is_bond: bool) -> str:
    if name == "lo":
        return "loopback"
    told = re.search(r"^DEVTYPE=(\S+)", uevent, re.MULTILINE)
    if told:
        return _KINDS.get(told[1], told[1])
    return "bond" if is_bond else "ethernet"


def _with_profiles(interface: Interface, profiles: list[Profile]) -> Interface:
    """Fill in what only a profile says: its kind, its ports, the bond that it belongs to."""
    for profile in profiles:
        if profile.lowers and interface.name in profile.lowers:
            interface = replace(interface, controller=interface.controller or profile.interface)
        if not profile.fits(interface):
            continue
        kind = profile.kind if interface.kind == "ethernet" and profile.kind else interface.kind
        interface = replace(
            interface,
            kind=kind,
            lowers=interface.lowers or profile.lowers,
            controller=interface.controller or profile.controller,
        )
    ports = tuple(profile.interface for profile in profiles if profile.controller == interface.name)
    return replace(interface, lowers=interface.lowers or ports)
