"""Ask the kernel to add or remove an address, by rtnetlink.

Decides nothing: which address is put back is network/address_guard.py's business. One request, one answer, in
some ten microseconds; but the kernel may be busy with a thousand interfaces, so it is asked beside the loop.
Source: rtnetlink(7), netlink(7), linux/if_addr.h.
"""

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, ifaddrmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from komainu.network.interface import AddAddress, AddRefused, RemoveAddress

ANSWER_TIMEOUT_S: Final = 0.05
"""The kernel answers before the send returns; whatever takes longer is counted as refused."""


class Addresses:
    """Carries out what the guard of addresses decides, one request after the other.

    The thread is its own: what else this daemon does beside its loop must not keep an address waiting.
    """

    def __init__(self, report: Callable[[AddRefused], None]) -> None:
        self._report = report
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="addresses")

    def add(self, effect: AddAddress) -> None:
        """Put an address on an interface; a refusal is reported, success is seen by whoever listens."""
        answer = asyncio.get_running_loop().run_in_executor(self._thread, _ask, request_of(effect))
        answer.add_done_callback(lambda done: self._judge(effect, done))

    def remove(self, effect: RemoveAddress) -> None:
        """Take an address away; that it is gone already is as good."""
        self._thread.submit(_ask, request_of(effect))

    def close(self) -> None:
        """Give up what is not under way yet."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _judge(self, effect: AddAddress, answer: asyncio.Future[int]) -> None:
        code = 0 if answer.cancelled() else answer.result()
        if code:
            reason = os.strerror(code)
            if code == errno.EPERM:
                reason += " (the capability CAP_NET_ADMIN is missing)"
            self._report(AddRefused(effect.link, reason))


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
    for message in MarshalRtnl().parse(answer):
        if message["header"]["type"] == NLMSG_ERROR:
            return -int(message["error"])
    return 0


def request_of(effect: AddAddress | RemoveAddress) -> bytes:
    """Write the request as the kernel reads it."""
    is_add = isinstance(effect, AddAddress)
    kind, flags = (RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE) if is_add else (RTM_DELADDR, 0)
    is_v4 = ipaddress.ip_address(effect.address).version == 4
    message = ifaddrmsg()
    message["header"].update(type=kind, flags=NLM_F_REQUEST | NLM_F_ACK | flags, sequence_number=1)
    message["family"] = socket.AF_INET if is_v4 else socket.AF_INET6
    message["prefixlen"], message["index"] = effect.prefix, effect.index
    attributes: list[tuple[str, str | int]] = [
        ("IFA_LOCAL", effect.address),
        ("IFA_ADDRESS", effect.address),
    ]
    if is_v4 and effect.prefix < 31:
        network = ipaddress.ip_network((effect.address, effect.prefix), strict=False)
        attributes.append(("IFA_BROADCAST", str(network.broadcast_address)))
    if not is_v4:  # it was there a moment ago: the seconds of looking for a second one would be lost
        attributes.append(("IFA_FLAGS", IFA_F_NODAD))
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)
