"""Ask the clients' targets whether they are there: ICMP echoes, to addresses and to the default gateway.

A shell around network/client_watch.py: two raw sockets and one timer. It decides nothing. What cannot be sent is an
echo that is not answered; a machine that does not let us open the sockets has no targets, and that is said.
Source: RFC 792 and RFC 4443 (echo); proc(5), /proc/net/route (the default gateway).
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, assert_never

from komainu.model.ids import Instant
from komainu.model.report import Level, Note
from komainu.network.client_watch import ClientWatch, Echo
from komainu.network.interface import ClientsSeen

GATEWAY: Final = "gateway"
"""The target that stands for the default gateway, whatever it is at the moment."""

ROUTES: Final = Path("/proc/net/route")
LOOK_EVERY: Final = 50
"""So many echoes between two looks at the routes: some seconds. A gateway that went is the last one known."""

READS_MAX: Final = 64
"""Packets that are read in one turn of the loop: a raw socket sees those of everybody on this machine."""

_ECHO: Final = {4: (8, 0), 6: (128, 129)}  # by version: the types of a question and of its answer
_HEAD: Final = struct.Struct("!BBHHH")
_DEFAULT_UP: Final = 0x3  # RTF_UP and RTF_GATEWAY


class ClientProbe:
    """This node's way to its clients' targets."""

    def __init__(
        self,
        targets: tuple[str, ...],
        detect_within_ms: int,
        now: Callable[[], Instant],
        tell: tuple[Callable[[ClientsSeen], None], Callable[[Note], None]],
    ) -> None:
        """`tell` takes the verdicts, and what is for the log."""
        self._wanted = targets
        self._targets: tuple[str, ...] = ()
        self._gateway = ""
        self._now = now
        self._say, self._note = tell
        self._watch = ClientWatch(detect_within_ms=detect_within_ms, now=now())
        self._identity = os.getpid() & 0xFFFF
        self._token = os.urandom(8)
        self._sockets: dict[int, socket.socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0

    def start(self) -> None:
        """Open the sockets and begin to ask."""
        loop = asyncio.get_running_loop()
        try:
            for version in {4 if target == GATEWAY else version_of(target) for target in self._wanted}:
                self._sockets[version] = one = _open(version)
                loop.add_reader(one.fileno(), self._read, version, one)
        except OSError as error:
            self.close()
            text = f"the clients' targets cannot be asked ({error.strerror}): nothing is concluded from them"
            self._note(Note(Level.WARNING, "clients.no-socket", text))
            return
        self._wake()

    def close(self) -> None:
        """Ask nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        for one in self._sockets.values():
            asyncio.get_running_loop().remove_reader(one.fileno())
            one.close()
        self._sockets.clear()

    def _wake(self) -> None:
        if self._looks % LOOK_EVERY == 0:
            self._look()
        self._looks += 1
        self._carry_out(self._watch.tick(self._targets, self._now()))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._watch.deadline / 1000 + 0.0005, self._wake)

    def _look(self) -> None:
        """Find out what the targets are now."""
        if GATEWAY in self._wanted:
            with contextlib.suppress(OSError):
                self._gateway = gateway_in(ROUTES.read_text(encoding="ascii")) or self._gateway
        named = (self._gateway if target == GATEWAY else target for target in self._wanted)
        self._targets = tuple(target for target in named if target)

    def _carry_out(self, effects: Sequence[Echo | ClientsSeen]) -> None:
        for effect in effects:
            match effect:
                case Echo(target=target, number=number):
                    version = version_of(target)
                    with contextlib.suppress(OSError):  # no route, no carrier: it is not answered
                        packet = echo(version, self._identity, number, self._token)
                        self._sockets[version].sendto(packet, (target, 0))
                case ClientsSeen(is_reached=is_reached, reason=reason):
                    level = Level.NOTICE if is_reached else Level.WARNING
                    self._note(Note(level, "clients.seen", f"clients: {reason}"))
                    self._say(effect)
                case _:
                    assert_never(effect)

    def _read(self, version: int, one: socket.socket) -> None:
        for _ in range(READS_MAX):
            try:
                packet, address = one.recvfrom(256)
            except OSError:  # nothing left, or an error that an earlier echo came back with
                return
            if is_answer(version, packet, self._identity, self._token):
                self._carry_out(self._watch.answered(str(address[0]), self._now()))


def version_of(address: str) -> int:
    """Return the version of IP that an address belongs to."""
    return ipaddress.ip_address(address).version


def echo(version: int, identity: int, number: int, token: bytes) -> bytes:
    """Write a question. The checksum of version 6 is the kernel's to make."""
    kind = _ECHO[version][0]
    total = 0
    if version == 4:
        bare = _HEAD.pack(kind, 0, 0, identity, number) + token
        total = sum(struct.unpack(f"!{len(bare) // 2}H", bare))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~(total + (total >> 16)) & 0xFFFF
    return _HEAD.pack(kind, 0, total, identity, number) + token


def is_answer(version: int, packet: bytes, identity: int, token: bytes) -> bool:
    """Whether this is the answer to a question of ours; a raw socket of version 4 gives the IP header, too."""
    start = (packet[0] & 0xF) * 4 if version == 4 and packet else 0
    if len(packet) < start + _HEAD.size + len(token):
        return False
    kind, code, _, whose, _ = _HEAD.unpack_from(packet, start)
    is_ours = (kind, code, whose) == (_ECHO[version][1], 0, identity)
    return is_ours and packet[start + _HEAD.size :].startswith(token)


def gateway_in(routes: str) -> str:
    """Return the default gateway in the text of /proc/net/route; "" where there is none."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if (
            len(fields) > 7
            and fields[1] == fields[7] == "00000000"
            and int(fields[3], 16) & _DEFAULT_UP == _DEFAULT_UP
        ):
            return socket.inet_ntoa(int(fields[2], 16).to_bytes(4, sys.byteorder))
    return ""


def _open(version: int) -> socket.socket:
    """Open a raw socket for echoes. Raises OSError."""
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
