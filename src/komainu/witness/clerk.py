"""Decide which node is the clerk: the one that keeps the ballot box of a cluster whose witness is a file or a disk.

Must not know: questions, votes, how blocks are read. There is one clerk at a time, whatever the storage does.
Source: the light-weight leases of Chockler and Malkhi (2002) in what is written and looked at; deviation: they trust a
bound on the time of a write, which is not needed here.

Theory of operation. A round is: write the own slot, then read the others. Being the clerk is a lease.

- A clerk keeps it up by a round with its claim: it has it for `lease_ms` from when the round *began*, and only if the
  round was over while the last such time still ran. A write that hangs keeps nothing up.
- Who wants to be the clerk has watched every other slot for `patience_ms`, which is longer, and in that time each was quiet:
  it held the very same block, or pages of one life that claim nothing. Then it writes its claim, and looks once more:
  only if all are still as quiet it is the clerk.
- So a clerk that lives is seen: within the time in which it believes, its slot changed and claims. Of two that want
  to be it at once, who looks later sees the other's claim, since each looks after its own was written.
- A write that failed may still come, even in the next life of its node, over what that wrote. It is not taken for a node
  that goes on: after a failed write the node has another life, so each life has one such write at most, and a
  change of the life is not quiet. Nobody comes to be the clerk unseen between two looks: they are a lease apart at most.
- Assumed is that a write comes once; that a read that begins after a write was confirmed shows it, or what was written
  later; and that clocks run alike up to the difference of the two times.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant
from komainu.witness.slots import SLOTS, Page

PATIENCE_PER_LEASE: Final = 1.1
"""A tenth is left to clocks that do not run alike; real ones differ by less than a thousandth."""

ROUNDS_PER_LEASE: Final = 10
"""So often within a lease the slots are read."""


def patience_ms(lease_ms: int) -> int:
    """Return after what time nobody believes any longer in a lease that was not kept up."""
    return round(lease_ms * PATIENCE_PER_LEASE)


@dataclass(frozen=True, slots=True)
class Block:
    """What a slot held. `page` None: blank, torn, or no page at all."""

    raw: bytes  # as it was read
    page: Page | None = None


@dataclass(slots=True)
class _Seen:
    """What is known of another slot."""

    block: Block
    looked_at: Instant
    changed_at: Instant
    quiet_since: Instant


class Clerkship:
    """One node's way to be the clerk, and to stay it."""

    def __init__(self, slot: int, lease_ms: int) -> None:
        self._slot = slot
        self._lease_ms = lease_ms
        self._seen: dict[int, _Seen] = {}
        self._until: Instant | None = None

    def is_held(self, now: Instant) -> bool:
        """Whether this node is the clerk."""
        return self._until is not None and now < self._until

    def drop(self) -> None:
        """Be the clerk no longer."""
        self._until = None

    def may_claim(self, now: Instant) -> bool:
        """Whether all other slots were quiet for long enough. Of several nodes the one in the lowest slot tries first."""
        if len(self._seen) < SLOTS - 1:
            return False
        patience = patience_ms(self._lease_ms)
        before = sum(
            slot < self._slot and seen.block.page is not None and now - seen.changed_at < patience
            for slot, seen in self._seen.items()
        )
        since = max(seen.quiet_since for seen in self._seen.values())
        return now - since >= patience + before * self._lease_ms // ROUNDS_PER_LEASE

    def look(self, blocks: Mapping[int, Block], now: Instant) -> list[int]:
        """Take in what a round read; return which slots changed."""
        changed = []
        for slot, block in blocks.items():
            if slot == self._slot:
                continue
            seen = self._seen.get(slot)
            if seen is None:
                self._seen[slot] = _Seen(block, now, now, now)
                changed.append(slot)
                continue
            if now - seen.looked_at > self._lease_ms or not _is_quiet(seen.block, block):
                seen.quiet_since = now
            if seen.block.raw != block.raw:
                seen.block, seen.changed_at = block, now
                changed.append(slot)
            seen.looked_at = now
        return changed

    def take(self, began: Instant, now: Instant) -> bool:
        """End a round with a new claim, in which every slot was looked at; whether this node is the clerk by it."""
        is_clear = all(
            began - seen.quiet_since >= patience_ms(self._lease_ms) for seen in self._seen.values()
        )
        self._until = Instant(began + self._lease_ms) if is_clear else None
        return self.is_held(now)

    def keep_up(self, began: Instant, now: Instant) -> None:
        """End a round with the claim of the clerk: it counts if it was over in time."""
        self._until = Instant(began + self._lease_ms) if self.is_held(now) else None

    def unchanged_since(self) -> dict[int, Instant]:
        """Return since when each other slot is as it is."""
        return {slot: seen.changed_at for slot, seen in self._seen.items()}


def _is_quiet(old: Block, new: Block) -> bool:
    """Whether nothing changed, or shows a node that goes on in its life and is no clerk."""
    if old.raw == new.raw:
        return True
    before, after = old.page, new.page
    if before is None or after is None or after.claim:
        return False
    return (before.node, before.life) == (after.node, after.life) and before.number < after.number
