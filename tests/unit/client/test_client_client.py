"""The client: it frames questions, and tells apart what can go wrong."""

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from komainu.client.client import Client
from komainu.model.report import Refused
from komainu.model.request import AskStatus, AskWhy, Done


def answered(folder: Path, serve: Callable[[socket.socket], object]) -> Client:
    """Return a client of a daemon that does this with the first connection."""
    path = str(folder / "d.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def run() -> None:
        with server, server.accept()[0] as connection:
            serve(connection)

    threading.Thread(target=run).start()
    return Client(path, 5)


def test_question_and_answer_are_framed(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        (size,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
        seen.append(connection.recv(size, socket.MSG_WAITALL))
        answer = msgspec.json.encode(Done("1.2", "done"))
        for byte in struct.pack(">I", len(answer)) + answer:  # byte by byte, as streams may come
            connection.sendall(bytes([byte]))

    assert answered(tmp_path, serve).ask(AskWhy("web")) == Done("1.2", "done")
    assert seen == [b'{"type":"why","subject":"web","at":null}']


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="systemctl start komainu"):
        Client(str(tmp_path / "none.sock")).ask(AskStatus())


def test_a_socket_without_a_daemon_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "d.sock"))
    with pytest.raises(Refused, match="no komainu daemon answers"):
        Client(str(tmp_path / "d.sock")).ask(AskStatus())


def test_an_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "d.sock"))
        server.listen()
        with pytest.raises(Refused, match=r"did not answer within 0\.05 s"):
            Client(str(tmp_path / "d.sock"), 0.05).ask(AskStatus())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "hung up: before it had answered"),
        (struct.pack(">I", 10) + b"half", "hung up: before it had answered"),
        (struct.pack(">I", 2**32 - 1), "hung up: its answer is too large"),
        (struct.pack(">I", 2) + b"{}", "the daemon's answer is not understood"),
    ],
)
def test_odd_answers_are_told_apart(tmp_path: Path, data: bytes, said: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)

    with pytest.raises(Refused, match=said):
        answered(tmp_path, serve).ask(AskStatus())
