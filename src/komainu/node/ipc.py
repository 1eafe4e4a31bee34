"""Answer programs of this machine over a Unix socket: read their questions, hand on what the drive answers.

Decides who may ask what: everybody who may open the socket may look, only root and the daemon's own user may
change. Knows nothing of what the answers mean. A frame is four bytes of length, big endian, and JSON
(model/request.py). Source: unix(7), SO_PEERCRED.
"""

import asyncio
import contextlib
import grp
import os
import pwd
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from komainu.model.report import Refused, Report
from komainu.model.request import (
    FRAME_BYTES_MAX,
    AskConfiguration,
    AskLinks,
    AskStatus,
    AskWhy,
    Refusal,
    RefusedReply,
    Reply,
    Request,
)
from komainu.node.interface import Answer, ClientAsked, ClientId

SOCKET_NAME: Final = "komainu.sock"
SOCKET_MODE: Final = 0o660
GROUP: Final = "komainu"
"""Members of this group, where it exists, may open the socket and look."""

CONNECTIONS_MAX: Final = 64
"""Programs that are connected at a time; agents ask by the dozen, not by the hundred."""

QUESTION_BYTES_MAX: Final = 65_536
"""Largest frame of somebody who may only look: no question needs more."""

FRAME_TIMEOUT_S: Final = 10.0
"""How long a program may take to send a frame it began, or to take an answer: then it is cut off."""

IDLE_TIMEOUT_S: Final = 300.0
"""How long a connection may be open without a question."""

_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_WIRE: Final = msgspec.msgpack.Encoder()
"""What the ring carries has numbers of 64 bits, JSON has longer ones: they are refused at the door."""

_LOOKING: Final = (AskStatus, AskConfiguration, AskWhy, AskLinks)


class ClientSocket:
    """The daemon's Unix socket. Calls `report` with each question; each gets exactly one `answer`."""

    def __init__(self, run_folder: str, report: Callable[[ClientAsked], None]) -> None:
        self._path = Path(run_folder) / SOCKET_NAME
        self._report = report
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._waiting: dict[ClientId, _Connection] = {}
        self._last = 0

    async def start(self) -> None:
        """Begin to listen; a socket that a dead daemon left behind is replaced. Raises Refused."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            message = f"the socket {self._path} cannot be made: {error.strerror or error}"
            hint = "run as root, or name another folder: [paths] run"
            raise Refused((Report("ipc.unusable", message, hint),)) from None
        finally:
            os.umask(before)
        with contextlib.suppress(KeyError, PermissionError):  # else nobody but root and this user may look
            os.chown(self._path, -1, grp.getgrnam(GROUP).gr_gid)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener)

    def answer(self, effect: Answer) -> None:
        """Send the drive's answer; a program that is gone misses it."""
        connection = self._waiting.pop(effect.client, None)
        if connection is not None:
            connection.answer(effect.reply)

    def close(self) -> None:
        """Stop listening; what was answered already still leaves, who still waits is cut off."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        self._path.unlink(missing_ok=True)

    def opened(self, connection: "_Connection") -> bool:
        """Count a connection; False when there are too many."""
        self._connections.add(connection)
        return len(self._connections) <= CONNECTIONS_MAX

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection and what it waited for."""
        self._connections.discard(connection)
        for client in [client for client, other in self._waiting.items() if other is connection]:
            del self._waiting[client]

    def ask(self, connection: "_Connection", request: Request, user: str) -> None:
        """Hand a question to the drive."""
        self._last += 1
        client = ClientId(self._last)
        self._waiting[client] = connection
        self._report(ClientAsked(client, request, user))


class _Connection(asyncio.Protocol):
    """One program that asks one question after the other."""

    def __init__(self, owner: ClientSocket) -> None:
        self._owner = owner
        self._buffer = bytearray()
        self._is_asking = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._user, self._may_change = "", False

    # -- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._user, self._may_change = _caller(transport.get_extra_info("socket"))
        self._wait(IDLE_TIMEOUT_S)
        if not self._owner.opened(self):
            busy = f"{CONNECTIONS_MAX} programs are connected already"
            self._refuse("ipc.busy", busy, "try again in a moment", last=True)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # it went away: nobody is left to be told
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        if not self._is_asking:
            self._wait(FRAME_TIMEOUT_S)
        self._buffer += data
        if len(self._buffer) > FRAME_BYTES_MAX + _LENGTH.size:
            self.close()  # it goes on without waiting for answers
        self._go_on()

    # -- questions and answers --------------------------------------------------------------------------

    def answer(self, reply: Reply) -> None:
        """Send the answer, then look at the next question."""
        self._is_asking = False
        self._send(reply)
        self._go_on()

    def close(self) -> None:
        """Close when what was sent has left; who does not take it is cut off."""
        if self._transport is not None:
            self._transport.close()
            self._wait(FRAME_TIMEOUT_S)

    def _go_on(self) -> None:
        """Take the next frame, if it is complete and nothing is being asked."""
        while not self._is_asking and self._transport is not None and not self._transport.is_closing():
            if len(self._buffer) < _LENGTH.size:
                return
            (size,) = _LENGTH.unpack_from(self._buffer)
            size_max = FRAME_BYTES_MAX if self._may_change else QUESTION_BYTES_MAX
            if size > size_max:
                text = f"the frame of {size} bytes is larger than {size_max} bytes"
                self._refuse("ipc.too-large", text, "", last=True)
                return
            if len(self._buffer) < _LENGTH.size + size:
                return
            frame = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
            del self._buffer[: _LENGTH.size + size]
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        try:
            request = _DECODER.decode(frame)
            _WIRE.encode(request)
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError) as error:
            hint = "use the komainu command of the daemon's own version"
            self._refuse("ipc.not-understood", f"this is no request: {error}", hint, last=True)
            return
        if not self._may_change and not isinstance(request, _LOOKING):
            text = f"user {self._user} may look, but not change the cluster"
            self._refuse("ipc.not-allowed", text, "run it as root: sudo komainu …")
            return
        self._is_asking = True
        if self._timer is not None:  # from here on the drive decides how long it takes
            self._timer.cancel()
        self._owner.ask(self, request, self._user)

    def _send(self, reply: Reply) -> None:
        data = _ENCODER.encode(reply)
        if len(data) > FRAME_BYTES_MAX:
            text = f"the answer of {len(data)} bytes is larger than {FRAME_BYTES_MAX} bytes"
            data = _ENCODER.encode(_refusal("ipc.too-large", text, ""))
        if self._transport is not None:
            self._transport.write(_LENGTH.pack(len(data)) + data)
            self._wait(FRAME_TIMEOUT_S if self._transport.get_write_buffer_size() else IDLE_TIMEOUT_S)

    def _refuse(self, code: str, message: str, hint: str, *, last: bool = False) -> None:
        self._send(_refusal(code, message, hint))
        if last:
            self.close()

    def _wait(self, seconds: float) -> None:
        """Cut the program off when it does nothing for so long."""
        if self._timer is not None:
            self._timer.cancel()
        assert self._transport is not None
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)


def _caller(connection: socket.socket) -> tuple[str, bool]:
    """Return who is at the other end, by the kernel's word, and whether he may change things."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(credentials)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return name, uid in {0, os.geteuid()}


def _refusal(code: str, message: str, hint: str) -> RefusedReply:
    return RefusedReply((Refusal(code, message, hint, ""),))
