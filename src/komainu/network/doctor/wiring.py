"""Decide who looks after each interface, and what its address does when the carrier goes.

Must not know clusters. Source: the measured behaviour of each manager without its settings: NetworkManager 1.42
takes a static address away after 6 s, systemd-networkd 252 after 10 ms, ifupdown, wicked and the network scripts
never; who wins where several could is by their manual pages (interfaces(5), NetworkManager.conf(5), netplan(5)).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from komainu.model.report import Place
from komainu.network.doctor import ifcfg, ini, netplan, networkd, networkmanager
from komainu.network.doctor.evidence import Evidence
from komainu.network.doctor.finding import Seen, Sureness
from komainu.network.doctor.netplan import Netplan
from komainu.network.doctor.networkd import NetworkFile
from komainu.network.doctor.networkmanager import NetworkManager, Verdict
from komainu.network.doctor.profile import Interface, Manager, Profile

_PROGRAMS: Final = {
    Manager.NETWORKMANAGER: "NetworkManager",
    Manager.NETWORKD: "systemd-networkd",
    Manager.WICKED: "wickedd",
}
_UNITS: Final = {
    Manager.NETWORKMANAGER: ("NetworkManager.service",),
    Manager.NETWORKD: ("systemd-networkd.service",),
    Manager.WICKED: ("wicked.service", "wickedd.service"),
}


@dataclass(frozen=True, slots=True)
class Keeping:
    """What an interface's address does when its carrier goes, and who decides that.

    `after_ms` None: it is kept. `overruled` are settings that promise otherwise and do not count.
    """

    manager: Manager
    profile: Profile | None
    after_ms: int | None
    seen: tuple[Seen, ...]
    overruled: tuple[Seen, ...] = ()
    is_global: bool = False  # it is kept by a setting that speaks about every interface
    sureness: Sureness = Sureness.CERTAIN
    because: str = ""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The configuration of every network manager of a machine, merged as each does it."""

    evidence: Evidence
    active: Mapping[Manager, bool | None]
    networkmanager: NetworkManager
    networkd: tuple[NetworkFile, ...]
    netplan: Netplan
    ifupdown: tuple[Profile, ...]
    wicked: tuple[Profile, ...]
    red_hat: tuple[Profile, ...]

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """Return every profile of every manager that is not known to be at rest."""
        by_manager = {
            Manager.NETWORKMANAGER: self.networkmanager.profiles,
            Manager.NETWORKD: tuple(file.profile for file in self.networkd),
            Manager.WICKED: self.wicked,
        }
        active = (mine for manager, mine in by_manager.items() if self.is_active(manager) is not False)
        rest = (*self.netplan.profiles, *self.ifupdown, *self.red_hat)
        return (*(profile for mine in active for profile in mine), *rest)

    def is_active(self, manager: Manager) -> bool | None:
        """Tell whether a manager runs; for a file tree, whether it is enabled. None: neither is known."""
        return self.active.get(manager)

    def profile_of(self, interface: Interface) -> Profile | None:
        """Return the profile that counts for an interface."""
        return self.owner(interface)[1]

    def owner(self, interface: Interface) -> tuple[Manager, Profile | None]:
        """Decide who looks after an interface, and by which profile."""
        planned = self.netplan.find(interface)
        if planned is not None:
            return planned.manager, planned
        file = self._network_file(interface)
        if file is not None:
            return Manager.NETWORKD, file.profile
        for manager, profiles in ((Manager.IFUPDOWN, self.ifupdown), (Manager.WICKED, self.wicked)):
            mine = next((profile for profile in profiles if profile.fits(interface)), None)
            if mine is not None and self._is_in_charge(manager):
                return manager, mine
        return self._red_hat_owner(interface)

    def claims(self, interface: Interface) -> dict[Manager, Profile | None]:
        """Name every manager that acts on an interface by its own settings; more than one is one too many."""
        manager, profile = self.owner(interface)
        found: dict[Manager, Profile | None] = {} if manager is Manager.NOBODY else {manager: profile}
        file = self._network_file(interface)
        if file is not None:
            found.setdefault(Manager.NETWORKD, file.profile)
        for other, profiles in ((Manager.IFUPDOWN, self.ifupdown), (Manager.WICKED, self.wicked)):
            mine = next((profile for profile in profiles if profile.fits(interface)), None)
            if mine is not None and self._is_in_charge(other):
                found.setdefault(other, mine)
        own, mine = self._red_hat_owner(interface)
        # Without a profile of its own NetworkManager only acts on what nobody else configured.
        if own is Manager.INITSCRIPTS or (own is Manager.NETWORKMANAGER and mine is not None):
            found.setdefault(own, mine)
        return found

    def _is_in_charge(self, manager: Manager) -> bool:
        """Tell whether ifupdown or wicked look after what their files name."""
        if manager is Manager.WICKED:
            return self.is_active(manager) is not False
        return not (self.networkmanager.takes_ifupdown and self.is_active(Manager.NETWORKMANAGER))

    def _red_hat_owner(self, interface: Interface) -> tuple[Manager, Profile | None]:
        """Decide between NetworkManager, the network scripts that share files with it, and nobody."""
        scripted = next((profile for profile in self.red_hat if profile.fits(interface)), None)
        nm = self.networkmanager
        own = next((profile for profile in nm.profiles if profile.fits(interface)), None)
        is_active = self.is_active(Manager.NETWORKMANAGER)
        is_there = is_active or (is_active is None and bool(nm.files or nm.profiles))
        if scripted is not None and (scripted.manager is Manager.INITSCRIPTS or not is_there):
            return Manager.INITSCRIPTS, scripted
        if not is_there or nm.is_unmanaged(interface) or self._told_state(interface) == "unmanaged":
            return Manager.NOBODY, None
        return Manager.NETWORKMANAGER, own or scripted

    def _network_file(self, interface: Interface) -> NetworkFile | None:
        """Return the .network file that networkd uses for an interface; None where it does not run."""
        if self.is_active(Manager.NETWORKD) is False:
            return None
        file = next((file for file in self.networkd if file.fits(interface)), None)
        unmanaged = None if file is None else file.last("Link", "Unmanaged")
        return None if unmanaged is not None and ini.is_true(unmanaged.value) else file

    def _told_state(self, interface: Interface) -> str:
        """Return what nmcli calls the state of a device."""
        output = self.evidence.outputs.get("devices")
        for line in "" if output is None else output.text.splitlines():
            name, _, state = line.rpartition(":")
            if name.replace("\\:", ":").replace("\\\\", "\\") == interface.name:
                return state
        return ""

    def keeping(self, interface: Interface) -> Keeping:
        """Decide what an interface's address does when its carrier goes."""
        manager, profile = self.owner(interface)
        match manager:
            case Manager.NETWORKMANAGER:
                return self._by_networkmanager(interface, profile)
            case Manager.NETWORKD:
                return self._by_networkd(interface, profile)
            case Manager.IFUPDOWN:
                return self._by_ifupdown(profile)
            case Manager.WICKED | Manager.INITSCRIPTS | Manager.NOBODY:
                return Keeping(manager, profile, None, tuple(_own(interface, manager, profile)))
            case _:
                assert_never(manager)

    def _by_networkmanager(self, interface: Interface, profile: Profile | None) -> Keeping:
        verdict = self.networkmanager.carrier(interface)
        state = self._told_state(interface)
        is_external = "externally" in state
        sureness, because = Sureness.CERTAIN, ""
        if self.is_active(Manager.NETWORKMANAGER) is None:
            sureness, because = Sureness.LIKELY, "whether NetworkManager runs cannot be told from these files"
        elif is_external:
            sureness, because = (
                Sureness.LIKELY,
                "the address was set by hand, and NetworkManager took it over",
            )
        return Keeping(
            Manager.NETWORKMANAGER,
            profile,
            None if verdict.is_ignored else verdict.wait_ms,
            (*_own(interface, Manager.NETWORKMANAGER, profile), *self._verdict_seen(interface, verdict)),
            tuple(_claimed(claim) for claim in verdict.overruled if claim.is_ignored),
            is_global=verdict.claim is not None and verdict.claim.is_global,
            sureness=sureness,
            because=because,
        )

    def _verdict_seen(self, interface: Interface, verdict: Verdict) -> Iterator[Seen]:
        if verdict.claim is not None and not (verdict.claim.section == "main" and not verdict.is_ignored):
            yield _claimed(verdict.claim)
        elif verdict.claim is not None:
            entry = verdict.claim.entry
            yield Seen(f"{entry} does not cover {interface.name}", entry.place)
        elif verdict.is_ignored:
            yield Seen(f"{interface.name} is a {interface.kind}, whose carrier is ignored by default")
        else:
            count = len(self.networkmanager.files)
            files = "no configuration file" if count == 0 else f"{count} file{'s' * (count > 1)}"
            yield Seen(
                f"{files} of NetworkManager, none with ignore-carrier for {interface.name}"
                if count
                else f"{files} of NetworkManager: ignore-carrier is not set for {interface.name}",
                Place("/etc/NetworkManager"),
            )
        if verdict.wait_entry is not None and not verdict.is_ignored:
            yield Seen(str(verdict.wait_entry), verdict.wait_entry.place)

    def _by_networkd(self, interface: Interface, profile: Profile | None) -> Keeping:
        own = tuple(_own(interface, Manager.NETWORKD, profile))
        file = self._network_file(interface)
        if file is None:
            flag = None if profile is None else profile.settings.get("ignore-carrier")
            keeps = flag is not None and flag.value == "true"
            seen = (
                Seen("ignore-carrier is not set")
                if flag is None
                else Seen(f"{flag.key}: {flag.value}", flag.place)
            )
            return Keeping(Manager.NETWORKD, profile, None if keeps else networkd.DROP_MS, (*own, seen))
        loss = networkd.carrier_loss(file)
        where = Place(file.file.path)
        default = Seen("neither ConfigureWithoutCarrier nor IgnoreCarrierLoss is set", where)
        counts = default if loss.entry is None else Seen(str(loss.entry), loss.entry.place)
        overruled = tuple(Seen(str(entry), entry.place) for entry in loss.overruled)
        return Keeping(Manager.NETWORKD, profile, loss.after_ms, (*own, counts), overruled)

    def _by_ifupdown(self, profile: Profile | None) -> Keeping:
        own = () if profile is None else (Seen(f"iface {profile.interface}", profile.place),)
        watchers = [name for name in ("ifplugd", "dhcpcd") if self.evidence.is_running(name) is True]
        if watchers:
            return Keeping(
                Manager.IFUPDOWN,
                profile,
                0,
                (*own, Seen(f"{watchers[0]} is running, which acts on carrier")),
                sureness=Sureness.UNKNOWN,
                because=f"it depends on the interfaces that {watchers[0]} watches",
            )
        return Keeping(Manager.IFUPDOWN, profile, None, own)


def _own(interface: Interface, manager: Manager, profile: Profile | None) -> Iterator[Seen]:
    if profile is not None:
        yield Seen(f"{manager.value} configures {interface.name} by this file", profile.place)
    elif manager is Manager.NOBODY:
        yield Seen(f"no network manager looks after {interface.name}")
    else:
        yield Seen(f"{manager.value} looks after {interface.name}; no file of its own is known")


def _claimed(claim: networkmanager.Claim) -> Seen:
    return Seen(f"[{claim.section}] {claim.entry}", claim.entry.place)


def read(evidence: Evidence) -> Wiring:
    """Read the configuration of every network manager."""
    return Wiring(
        evidence,
        {manager: _is_active(evidence, manager) for manager in _PROGRAMS},
        networkmanager.read(evidence),
        networkd.read(evidence),
        netplan.read(evidence),
        tuple(ifcfg.read_interfaces(evidence)),
        tuple(ifcfg.read_suse(evidence)),
        tuple(ifcfg.read_red_hat(evidence)),
    )


def _is_active(evidence: Evidence, manager: Manager) -> bool | None:
    running = evidence.is_running(_PROGRAMS[manager])
    if running is not None:
        return running
    enabled = {other for other, units in _UNITS.items() if any(_is_enabled(evidence, unit) for unit in units)}
    # A tree that says which manager is enabled says, too, which is not.
    return manager in enabled if enabled else None


def _is_enabled(evidence: Evidence, unit: str) -> bool:
    alias = evidence.files.get("/etc/systemd/system/network.service")
    return any(evidence.matching(f"/etc/systemd/system/*.wants/{unit}")) or (
        alias is not None and alias.target.endswith(unit)
    )
