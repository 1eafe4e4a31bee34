"""The probe's echoes: what is written, what counts as an answer, and the real thing on the loopback."""

import asyncio
import os
import struct
import sys

import pytest

from komainu.model.ids import Instant
from komainu.model.report import Note
from komainu.network.interface import ClientsSeen
from komainu.node import client_probe
from komainu.node.client_probe import ClientProbe, echo, gateway_in, is_answer
from komainu.node.daemon import now_ms

TOKEN = b"12345678"
IP_HEAD = bytes([0x45]) + bytes(19)


def answer(version: int, *, identity: int = 7, token: bytes = TOKEN, code: int = 0) -> bytes:
    head = struct.pack("!BBHHH", 0 if version == 4 else 129, code, 0, identity, 1)
    return (IP_HEAD if version == 4 else b"") + head + token


@pytest.mark.parametrize("version", [4, 6])
def test_only_the_answer_to_our_own_question_counts(version: int) -> None:
    assert is_answer(version, answer(version), 7, TOKEN)
    assert not is_answer(version, answer(version, identity=8), 7, TOKEN)
    assert not is_answer(version, answer(version, token=b"87654321"), 7, TOKEN)
    assert not is_answer(version, answer(version, code=1), 7, TOKEN)
    question = echo(version, 7, 1, TOKEN)
    assert not is_answer(version, (IP_HEAD if version == 4 else b"") + question, 7, TOKEN)
    for length in range(len(answer(version))):
        assert not is_answer(version, answer(version)[:length], 7, TOKEN)


def test_the_checksum_of_a_question_adds_up() -> None:
    for number in (0, 1, 255, 65_535):
        words = struct.unpack("!8H", echo(4, 0xFFFF, number, TOKEN))
        total = sum(words)
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        assert total == 0xFFFF


def test_the_gateway_is_read_from_the_routes() -> None:
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    written = int.from_bytes(bytes([10, 77, 0, 254]), sys.byteorder)
    local = "eth0\t004D0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    default = f"eth0\t00000000\t{written:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert gateway_in(head + local + default) == "10.77.0.254"
    assert gateway_in(head + local) == ""
    assert gateway_in("") == ""


def test_the_loopback_answers() -> None:
    if os.geteuid() != 0:
        pytest.skip("raw sockets are root's")
    seen: list[ClientsSeen] = []

    async def ask() -> None:
        found = asyncio.Event()

        def take(one: ClientsSeen) -> None:
            seen.append(one)
            found.set()

        probe = ClientProbe(("127.0.0.1",), 200, now_ms, (take, lambda note: None))
        probe.start()
        try:
            await asyncio.wait_for(found.wait(), 5)
        finally:
            probe.close()

    asyncio.run(ask())
    assert [one.is_reached for one in seen] == [True]


def test_a_machine_that_refuses_the_socket_has_no_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(version: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(client_probe, "_open", refuse)
    notes: list[Note] = []
    probe = ClientProbe(("127.0.0.1",), 200, lambda: Instant(0), (lambda seen: None, notes.append))

    async def start() -> None:
        probe.start()

    asyncio.run(start())
    assert [note.code for note in notes] == ["clients.no-socket"]
