"""Decide when an interconnect's address that somebody deleted is put back.

Only where the settings ask for it (`keep_address`), never on a service LAN or an interface with the default
route, never on an interface that is set down, and not while an operator has released the link. Whoever deletes
it again and again wins after PER_MINUTE_MAX times: two programs must not fight for ever. Must not know netlink.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from komainu.model.ids import Instant, LinkNumber
from komainu.model.link import LinkEnd
from komainu.model.report import Level
from komainu.network.interface import AddAddress, NetworkEffect, Remark, RemoveAddress

PER_MINUTE_MAX: Final = 10
"""How often an address is put back within MINUTE_MS before its guard gives up."""

MINUTE_MS: Final = 60_000

RETRY_MS: Final = 1_000
"""Pause after the kernel refused to add the address, or added it and it was not seen."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an end stands right now. `index` is None while its interface does not exist."""

    index: int | None
    name: str
    prefix: int
    is_up: bool
    has_address: bool
    has_default_route: bool


@dataclass(slots=True)
class AddressGuard:
    """Guard the address of one end."""

    end: LinkEnd
    address: str
    deadline: Instant | None = None  # wake me then with `look`
    is_released: bool = False
    has_given_up: bool = False
    times: deque[Instant] = field(default_factory=deque)  # when it was put back, within the last minute
    ours_on: int | None = None  # index of the interface whose address was put there by this guard
    is_under_way: bool = False  # it was asked for, and not seen yet
    _is_warned: bool = False

    @property
    def link(self) -> LinkNumber:
        """The link whose end this is."""
        return self.end.link

    def kept(self, now: Instant) -> int:
        """Return how often the address was put back within the last minute."""
        return sum(now - moment < MINUTE_MS for moment in self.times)

    def release(self, *, is_released: bool) -> None:
        """Leave the address to the operator, or guard it again, with a fresh count."""
        self.is_released = is_released
        self.has_given_up = False
        self.times.clear()
        self.deadline = None

    def refused(self, reason: str, now: Instant) -> list[NetworkEffect]:
        """Take in that the kernel refused; it is tried again, which counts like any other time."""
        self.ours_on, self.is_under_way = None, False
        self.deadline = Instant(now + RETRY_MS)
        text = f"address {self.address} cannot be put back: {reason}"
        return [Remark(self.link, Level.ERROR, "network.keep-failed", text)]

    def look(self, standing: Standing, now: Instant) -> list[NetworkEffect]:
        """Look at the end after something changed or the deadline came; return what is to be done."""
        if not self.end.keep_address or self.is_released:
            return []
        self.is_under_way = self.is_under_way and not standing.has_address
        if standing.index is None or not standing.is_up:
            return self._stand_back(standing)
        if standing.has_address:
            self.deadline = None
            return []
        prefix = standing.prefix or self.end.prefix
        if not prefix or self.has_given_up or (self.deadline is not None and now < self.deadline):
            return []
        if standing.has_default_route:
            return self._decline(standing)
        while self.times and now - self.times[0] >= MINUTE_MS:
            self.times.popleft()
        if len(self.times) >= PER_MINUTE_MAX:
            return self._give_up(standing)
        self.times.append(now)
        self.ours_on, self.is_under_way = standing.index, True
        self.deadline = Instant(now + RETRY_MS)
        text = f"{standing.name}: address {self.address}/{prefix} is put back (keep_address)"
        return [
            AddAddress(self.link, standing.index, self.address, prefix),
            Remark(self.link, Level.WARNING, "network.address-kept", text),
        ]

    def _stand_back(self, standing: Standing) -> list[NetworkEffect]:
        """An interface is set down on purpose: take what is ours, or `ifup` would find the address taken."""
        self.deadline = None
        if standing.index is None or self.ours_on != standing.index:
            self.ours_on = None
            return []
        if not standing.has_address:
            # What was asked for a moment ago may still come, and is taken away then.
            self.ours_on = self.ours_on if self.is_under_way else None
            return []
        self.ours_on = None
        return [RemoveAddress(self.link, standing.index, self.address, standing.prefix)]

    def _decline(self, standing: Standing) -> list[NetworkEffect]:
        if self._is_warned:
            return []
        self._is_warned = True
        text = (
            f"{standing.name} carries the default route, so address {self.address} is not put back: "
            "keep_address is for interconnects only"
        )
        return [Remark(self.link, Level.ERROR, "network.keep-declined", text)]

    def _give_up(self, standing: Standing) -> list[NetworkEffect]:
        self.has_given_up = True
        self.deadline = None
        text = (
            f"{standing.name}: address {self.address} was deleted more than {PER_MINUTE_MAX} times within a "
            f"minute: it is not put back any more; see who does it, then: komainu link guard {self.link}"
        )
        return [Remark(self.link, Level.ERROR, "network.keep-gave-up", text)]
