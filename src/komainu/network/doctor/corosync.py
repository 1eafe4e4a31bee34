"""Read corosync.conf, compute the times that it leaves out, and say what each version does when an address goes.

Decides the effective token and consensus, ports and quorum options. Must not know the rest of the machine.
Source: corosync.conf(5), votequorum(5) of 2.4 and 3.1; the reactions were measured with 2.4.3, 2.4.5 and 3.1.7
and are those of the project's own change log ("totemudpu: Add local loop support", first in 2.4.5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor.evidence import File
from komainu.network.doctor.ini import Entry
from komainu.network.doctor.profile import whole

PORT: Final = 5405
TOKEN_MS: Final = 3_000
TOKEN_BEFORE_3_1_MS: Final = 1_000
TOKEN_COEFFICIENT_MS: Final = 650
DEPTH_MAX: Final = 16

Version = tuple[int, int, int]


@dataclass(slots=True)
class Block:
    """One `name { … }` of the file."""

    name: str
    place: Place
    entries: list[Entry] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Block"]:
        """Give the blocks of a name."""
        return (block for block in self.blocks if block.name == name)

    def first(self, name: str) -> "Block":
        """Return the first block of a name; an empty one where there is none."""
        return next(self.all(name), Block(name, self.place))

    def entry(self, key: str) -> Entry | None:
        """Return the last entry of a key."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)

    def value(self, key: str, default: str = "") -> str:
        """Return the text of a key."""
        entry = self.entry(key)
        return default if entry is None else entry.value

    def number(self, key: str) -> int | None:
        """Return the whole number of a key."""
        return whole(self.value(key))


def parse(file: File) -> tuple[Block, tuple[Place, ...]]:
    """Read the file into blocks. Lines that make no sense, and a block that never ends, are named beside it."""
    root = Block("", Place(file.path))
    stack, odd = [root], []
    for number, line in enumerate(file.text.splitlines(), 1):
        words, place = line.strip(), Place(file.path, number)
        opening = re.fullmatch(r"([\w.-]+)\s*\{", words)
        key, colon, value = words.partition(":")
        if not words or words.startswith("#"):
            continue
        if opening and len(stack) < DEPTH_MAX:
            block = Block(opening[1], place)
            stack[-1].blocks.append(block)
            stack.append(block)
        elif words == "}" and len(stack) > 1:
            stack.pop()
        elif colon and key.strip():
            stack[-1].entries.append(Entry(key.strip(), value.strip(), place))
        else:
            odd.append(place)
    return root, (*odd, *(block.place for block in stack[1:]))


def version_of(text: str) -> Version | None:
    """Find a version in `Corosync Cluster Engine, version '2.4.3'`, a package version or a folder's name."""
    match = re.search(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def token_ms(totem: Block, nodes: int, version: Version | None) -> int:
    """Compute how long silence is borne: the token, longer for each node above two."""
    default = TOKEN_BEFORE_3_1_MS if version is not None and version < (3, 1, 0) else TOKEN_MS
    token = totem.number("token") or default
    coefficient = totem.number("token_coefficient")
    extra = TOKEN_COEFFICIENT_MS if coefficient is None else coefficient
    return token + extra * max(0, nodes - 2)


def consensus_ms(totem: Block, token: int) -> int:
    """Compute how long the rest agrees: 1.2 times the token where nothing is said."""
    return totem.number("consensus") or token * 12 // 10


@dataclass(frozen=True, slots=True)
class Reaction:
    """What Corosync does when the address of its only ring goes."""

    crashes: bool
    freezes: bool
    words: str


def reaction(version: Version | None, transport: str, *, after_ms: int, formed_ms: int) -> Reaction:
    """Say what Corosync does when its only address goes `after_ms` after the cable.

    `formed_ms` is token and consensus together: the time after which a membership without the peer is formed.
    """
    if version is None:
        return Reaction(
            crashes=False,
            freezes=False,
            words="what Corosync does then depends on its version: before 2.4.5 it crashes, which reboots "
            "a node that is guarded by a watchdog",
        )
    name = "Corosync " + ".".join(str(part) for part in version)
    if transport != "knet" and version < (2, 4, 5):
        return Reaction(
            crashes=True,
            freezes=False,
            words=f"with {name} that is a crash, about 2 s after the address comes back, and with it a reboot",
        )
    if transport != "knet" and version < (3, 0, 0):
        return Reaction(
            crashes=False,
            freezes=True,
            words=f"{name} then stands still until the address is back, and goes on saying that all nodes "
            "are there",
        )
    if transport != "knet" and after_ms < formed_ms:
        return Reaction(
            crashes=False,
            freezes=True,
            words=f"{name} over {transport} then stands still until the address is back, since the address "
            f"goes before a new membership is formed ({formed_ms / 1000:g} s): it goes on saying that "
            "all nodes are there and quorate",
        )
    return Reaction(
        crashes=False,
        freezes=False,
        words=f"{name} survives it: it forms a membership without its peer after {formed_ms / 1000:g} s and "
        "joins again by itself 2 to 3 s after the address is back",
    )
