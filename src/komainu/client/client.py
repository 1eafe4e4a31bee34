"""Ask the daemon of this machine, over its Unix socket, and wait for its answer.

Decides nothing. Small and quick to import, since agents call the tools built on it by the hundred.
Frames: model/request.py.
"""

import socket
import struct
from typing import Final

import msgspec

from komainu.model.report import Refused, Report
from komainu.model.request import FRAME_BYTES_MAX, Reply, Request

SOCKET_PATH: Final = "/run/komainu/komainu.sock"

ANSWER_TIMEOUT_S: Final = 60.0
"""How long an answer is waited for: a change waits for the disks of all members, a status for nothing."""

_LENGTH: Final = struct.Struct(">I")
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Reply]] = msgspec.json.Decoder(Reply)


class Client:
    """A way to ask one daemon. Each question is a connection of its own."""

    def __init__(self, path: str = SOCKET_PATH, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def patient(self, timeout_s: float) -> "Client":
        """Return a client that waits longer for its answer."""
        return Client(self._path, timeout_s)

    def ask(self, request: Request) -> Reply:
        """Ask, and return the answer. Raises Refused when there is no daemon, no permission or no answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout_s)
            try:
                connection.connect(self._path)
                data = _ENCODER.encode(request)
                connection.sendall(_LENGTH.pack(len(data)) + data)
                (size,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
                if size > FRAME_BYTES_MAX:
                    raise ConnectionError("its answer is too large")
                return _DECODER.decode(_read(connection, size))
            except (OSError, msgspec.MsgspecError) as error:
                raise Refused((self._report(error),)) from None

    def _report(self, error: Exception) -> Report:
        """Say which of the few things that can go wrong went wrong."""
        match error:
            case FileNotFoundError() | ConnectionRefusedError():
                message = f"no komainu daemon answers at {self._path}"
                return Report(
                    "client.no-daemon", message, "start it: systemctl start komainu, or komainu node"
                )
            case PermissionError():
                message = f"you may not open {self._path}"
                return Report("client.no-permission", message, "run it as root, or join the group komainu")
            case TimeoutError():
                message = f"the daemon did not answer within {self._timeout_s:g} s"
                hint = (
                    "a change is answered when every member has stored it: komainu status shows who is missing. "
                    "It may still take effect"
                )
                return Report("client.no-answer", message, hint)
            case msgspec.MsgspecError():
                message = f"the daemon's answer is not understood: {error}"
                return Report(
                    "client.version", message, "use the komainu command of the daemon's own version"
                )
            case _:
                message = f"the daemon hung up: {error}"
                return Report("client.hung-up", message, "see its log: journalctl -u komainu")


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("before it had answered")
        data += piece
    return bytes(data)
