"""Ask the kernel to add or remove an address, by rtnetlink.

Decides nothing: which address is put back is network/address_guard.py's business. One request, one answer, in
some ten microseconds; but the kernel may be busy with a thousand interfaces, so it is asked beside the loop. Source: rtnetlink(7), netlink(7), linux/if_addr.h.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Final

from komainu.network.interface import AddAddress, AddRefused, RemoveAddress

ANSWER_TIMEOUT_S: Final = 0.05
"""The kernel answers before the send returns; whatever takes longer is counted as refused."""

_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_REPLACE, _NLM_F_CREATE = 0x1, 0x4, 0x100, 0x400
_NLMSG_ERROR: Final = 2
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD: Final = 0x02  # it was there a moment ago: the seconds of looking for a second one would be lost
_HEADER: Final = struct.Struct("=LHHLL")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")


class Addresses:
    """Carries out what the guard of addresses decides."""

    def __init__(self, report: Callable[[AddRefused], None]) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, effect: AddAddress) -> None:
        """Put an address on an interface; a refusal is reported, success is seen by whoever listens."""
        self._begin(self._add(effect))

    def remove(self, effect: RemoveAddress) -> None:
        """Take an address away; that it is gone already is as good."""
        self._begin(self._remove(effect))

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add(self, effect: AddAddress) -> None:
        code = await asyncio.to_thread(_ask, request_of(effect))
        if code:
            reason = os.strerror(code)
            if code == errno.EPERM:
                reason += " (the capability CAP_NET_ADMIN is missing)"
            self._report(AddRefused(effect.link, reason))

    @staticmethod
    async def _remove(effect: RemoveAddress) -> None:
        await asyncio.to_thread(_ask, request_of(effect))


def _ask(request: bytes) -> int:
    """Send one request; return the error number of the answer, 0 for success."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as one:
            one.settimeout(ANSWER_TIMEOUT_S)
            one.bind((0, 0))
            one.send(request)
            answer = one.recv(4096)
    except OSError as error:  # TimeoutError is one, too
        return error.errno or errno.ETIMEDOUT
    _, answer_kind, *_ = _HEADER.unpack_from(answer)
    if answer_kind != _NLMSG_ERROR:
        return 0
    (number,) = struct.unpack_from("=i", answer, _HEADER.size)
    return -int(number)


def request_of(effect: AddAddress | RemoveAddress) -> bytes:
    """Write the request as the kernel reads it."""
    is_add = isinstance(effect, AddAddress)
    kind, flags = (_RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_REPLACE) if is_add else (_RTM_DELADDR, 0)
    literal = ipaddress.ip_address(effect.address)
    is_v4 = literal.version == 4
    family = socket.AF_INET if is_v4 else socket.AF_INET6
    body = _ADDRESS.pack(family, effect.prefix, 0, 0, effect.index)
    body += _attribute(_IFA_LOCAL, literal.packed) + _attribute(_IFA_ADDRESS, literal.packed)
    if is_v4 and effect.prefix < 31:
        network = ipaddress.ip_network((effect.address, effect.prefix), strict=False)
        body += _attribute(_IFA_BROADCAST, network.broadcast_address.packed)
    if not is_v4:
        body += _attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
    return _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_ACK | flags, 1, 0) + body


def _attribute(kind: int, content: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(size, kind) + content + bytes(-size % 4)
