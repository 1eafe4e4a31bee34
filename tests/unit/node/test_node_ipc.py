"""The Unix socket: each question gets one answer, and nothing that a program sends can harm the daemon."""

import asyncio
import contextlib
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from komainu.client.client import Client
from komainu.model.ids import NodeName
from komainu.model.request import (
    AskConfiguration,
    AskStatus,
    ConfirmNodeOff,
    Done,
    RefusedReply,
    Reply,
    Request,
)
from komainu.node import ipc as ipc_module
from komainu.node.interface import Answer, ClientAsked
from komainu.node.ipc import SOCKET_NAME, ClientSocket


def with_daemon(
    folder: Path, work: Callable[[list[ClientAsked]], Awaitable[None]], *, answers: bool = True
) -> None:
    """Run a socket whose drive answers every question with its number."""

    async def life() -> None:
        asked: list[ClientAsked] = []

        def report(question: ClientAsked) -> None:
            asked.append(question)
            if answers:
                clients.answer(Answer(question.client, Done(str(question.client), question.user)))

        clients = ClientSocket(str(folder), report)
        await clients.start()
        try:
            async with asyncio.timeout(10):
                await work(asked)
        finally:
            clients.close()

    asyncio.run(life())


def ask_raw(folder: Path, data: bytes) -> bytes:
    """Send bytes, and return all that comes back until the daemon hangs up."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(str(folder / SOCKET_NAME))
        with contextlib.suppress(BrokenPipeError):  # who is sent away may be so before he said a word
            one.sendall(data)
        found = b""
        while piece := one.recv(65_536):
            found += piece
        return found


def framed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def test_a_question_is_answered_and_knows_its_user(tmp_path: Path) -> None:
    async def work(asked: list[ClientAsked]) -> None:
        client = Client(str(tmp_path / SOCKET_NAME), 5)
        questions: tuple[Request, ...] = (AskStatus(), ConfirmNodeOff(NodeName("b")))
        for number, question in enumerate(questions, start=1):
            reply = await asyncio.to_thread(client.ask, question)
            assert isinstance(reply, Done)
            assert reply.version == str(number)
            assert reply.message
        assert [one.request for one in asked] == list(questions)

    with_daemon(tmp_path, work)
    assert not (tmp_path / SOCKET_NAME).exists()


def test_the_socket_is_not_for_everybody(tmp_path: Path) -> None:
    async def work(asked: list[ClientAsked]) -> None:
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o660

    with_daemon(tmp_path, work)


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_NAME))
    test_a_question_is_answered_and_knows_its_user(tmp_path)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (framed(b"rubbish"), "ipc.not-understood"),
        (framed(b""), "ipc.not-understood"),
        (framed(b"\xff\xfe\x00"), "ipc.not-understood"),
        (framed(b'{"type": "format-disk"}'), "ipc.not-understood"),
        (framed(b'{"type": "why"}'), "ipc.not-understood"),
        (framed(b"[" * 60_000), "ipc.not-understood"),
        (framed(b'{"type": "why", "subject": "a", "at": %d}' % 10**30), "ipc.not-understood"),
        (struct.pack(">I", 2**32 - 1), "ipc.too-large"),
    ],
)
def test_what_is_no_request_is_refused_and_the_daemon_lives(tmp_path: Path, data: bytes, code: str) -> None:
    async def work(asked: list[ClientAsked]) -> None:
        raw = await asyncio.to_thread(ask_raw, tmp_path, data)
        reply = msgspec.json.decode(raw[4:], type=RefusedReply)
        assert reply.reasons[0].code == code
        assert isinstance(
            await asyncio.to_thread(Client(str(tmp_path / SOCKET_NAME), 5).ask, AskStatus()), Done
        )

    with_daemon(tmp_path, work)


def test_who_is_not_root_may_look_but_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc_module, "_caller", lambda _connection: ("guest", False))

    async def work(asked: list[ClientAsked]) -> None:
        client = Client(str(tmp_path / SOCKET_NAME), 5)
        assert isinstance(await asyncio.to_thread(client.ask, AskConfiguration()), Done)
        reply = await asyncio.to_thread(client.ask, ConfirmNodeOff(NodeName("b")))
        assert isinstance(reply, RefusedReply)
        assert reply.reasons[0].message == "user guest may look, but not change the cluster"
        assert [one.user for one in asked] == ["guest"]

    with_daemon(tmp_path, work)


def test_a_second_question_waits_for_the_first(tmp_path: Path) -> None:
    async def work(asked: list[ClientAsked]) -> None:
        both = framed(msgspec.json.encode(AskStatus())) + framed(msgspec.json.encode(AskConfiguration()))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET_NAME))
        for byte in range(0, len(both), 7):  # in pieces, as streams come
            writer.write(both[byte : byte + 7])
            await writer.drain()
        for number in (1, 2):
            (size,) = struct.unpack(">I", await reader.readexactly(4))
            reply: Reply = msgspec.json.decode(await reader.readexactly(size), type=Reply)
            assert reply == Done(str(number), asked[0].user)
        writer.close()

    with_daemon(tmp_path, work)


def test_who_hangs_up_before_the_answer_is_forgotten(tmp_path: Path) -> None:
    async def work(asked: list[ClientAsked]) -> None:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET_NAME))
        writer.write(framed(msgspec.json.encode(AskStatus())))
        while not asked:  # noqa: ASYNC110 - nothing can be awaited: the daemon's side is what is looked at
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()

    with_daemon(tmp_path, work, answers=False)


def test_too_many_programs_are_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc_module, "CONNECTIONS_MAX", 2)

    async def work(asked: list[ClientAsked]) -> None:
        open_ones = [await asyncio.open_unix_connection(str(tmp_path / SOCKET_NAME)) for _ in range(2)]
        await asyncio.sleep(0)
        raw = await asyncio.to_thread(ask_raw, tmp_path, b"")
        assert b"ipc.busy" in raw
        for _, writer in open_ones:
            writer.close()

    with_daemon(tmp_path, work)


@pytest.mark.parametrize("limit", ["IDLE_TIMEOUT_S", "FRAME_TIMEOUT_S"])
def test_who_is_slow_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(ipc_module, limit, 0.01)
    begun = b"" if limit == "IDLE_TIMEOUT_S" else struct.pack(">I", 100)

    async def work(asked: list[ClientAsked]) -> None:
        assert await asyncio.to_thread(ask_raw, tmp_path, begun) == b""

    with_daemon(tmp_path, work)
