"""Be the witness of one or more clusters: a UDP socket around witness/hall.py.

Reads its settings, opens what comes, answers it. Keeps nothing on disk: what must be remembered is a lease of a
second or so, and a part that has the vote says so to a witness that was started anew.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from komainu.model.ids import Instant
from komainu.model.report import Level, Note, Place, Refused, Report
from komainu.node.key import read_key
from komainu.node.log import Log
from komainu.node.settings import WITNESS_PORT
from komainu.node.toml_document import FILE_BYTES_MAX, Document
from komainu.witness.hall import Hall
from komainu.witness.message import (
    KEY_BYTES,
    NONCE_BYTES,
    Answer,
    Question,
    cluster_of,
    open_question,
    refusal,
    seal,
)

SETTINGS_FILE: Final = "/etc/komainu/witness.toml"

CLUSTERS_MAX: Final = 256
"""Clusters of one witness. Each asks some ten times a second."""

REFUSALS_PER_SECOND_MAX: Final = 10
"""Refusals are answers to strangers: few, so that nobody is flooded by them."""


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """What witness.toml says, checked."""

    listen: str
    port: int
    keys: dict[str, bytes]


def read_witness_settings(file: str) -> WitnessSettings:
    """Read witness.toml and the keys that it names. Raises Refused with every mistake."""
    try:
        text = Path(file).read_text(encoding="utf-8")[:FILE_BYTES_MAX]
    except (OSError, UnicodeDecodeError) as error:
        hint = "docs/concepts/fencing.md has one to begin with; --config names another file"
        message = f"the settings cannot be read: {getattr(error, 'strerror', None) or error}"
        raise Refused((Report("witness.unreadable", message, hint, Place(file)),)) from None
    document = Document(file, text)
    root = document.root
    listen = root.text("listen", "0.0.0.0")  # noqa: S104 - the nodes come from anywhere; only who has a key is heard
    port = root.whole("port", WITNESS_PORT, low=1, high=65_535)
    keys: dict[str, bytes] = {}
    wrong: list[Report] = []
    for table in root.tables("cluster"):
        name = table.text("name", required=True)
        path = table.text("key_file", required=True)
        table.refuse_unknown()
        if name in keys:
            table.complain("name", "witness.twice", f"the cluster {name} is there twice", "remove one")
        keys[name] = b""
        if path:
            try:
                keys[name] = _usable(read_key(path), path)
            except Refused as refused:
                wrong.extend(refused.reports)
    root.refuse_unknown()
    if not 1 <= len(keys) <= CLUSTERS_MAX:
        hint = 'add [[cluster]] with name = "…" and key_file = "…"'
        root.complain(
            "", "witness.clusters", f"{len(keys)} clusters; 1 to {CLUSTERS_MAX} can be served", hint
        )
    if document.reports or wrong:
        raise Refused((*document.reports, *wrong))
    return WitnessSettings(listen, port, keys)


def _usable(key: bytes, path: str) -> bytes:
    if len(key) != KEY_BYTES:
        hint = "on a node of the cluster: komainu witness key"
        message = f"this is no key of a witness: {len(key)} bytes instead of {KEY_BYTES}"
        raise Refused((Report("witness.key", message, hint, Place(path)),))
    return key


class WitnessServer(asyncio.DatagramProtocol):
    """Answers questions as they come."""

    def __init__(self, settings: WitnessSettings, log: Log) -> None:
        self.hall = Hall(settings.keys, epoch=int.from_bytes(os.urandom(7)) + 1, now=_now())
        self._keys = settings.keys
        self._log = log
        self._transport: asyncio.DatagramTransport | None = None
        self._last: dict[tuple[str, int], str] = {}  # what each node was told last
        self._refused_in = (0, 0)  # the second, and how many refusals were sent in it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question; say to others, sparingly, why they are not heard."""
        assert self._transport is not None, "open while anything comes"
        cluster = cluster_of(data)
        key = None if cluster is None else self._keys.get(cluster)
        if cluster is None:
            return
        if key is None:
            self._refuse(addr, f"it serves no cluster of the name {cluster}")
            return
        question = open_question(data, key)
        if question is None:
            self._refuse(addr, f"the key of cluster {cluster} is another one here")
            return
        answer = self.hall.ask(cluster, question, _now())
        if answer is not None:
            self._note(cluster, question, answer)
            self._transport.sendto(seal(answer, key, cluster, os.urandom(NONCE_BYTES)), addr)

    def _note(self, cluster: str, question: Question, answer: Answer) -> None:
        """Log what a node is told when it is something new."""
        parts = " ".join(str(node) for node in question.members)
        text = f"{cluster}: node {question.node} in part {parts}: {answer.verdict.value}: {answer.reason}"
        if self._last.get((cluster, question.node)) != text:
            self._last[cluster, question.node] = text
            self._log.write(Note(Level.NOTICE, "witness.vote", text))

    def _refuse(self, addr: tuple[str, int], reason: str) -> None:
        second, sent = self._refused_in
        now = _now() // 1000
        sent = 0 if now != second else sent
        self._refused_in = (now, sent + 1)
        if sent < REFUSALS_PER_SECOND_MAX and self._transport is not None:
            self._log.write(Note(Level.WARNING, "witness.refused", f"{addr[0]}: {reason}"))
            self._transport.sendto(refusal(reason), addr)


async def serve(settings: WitnessSettings, log: Log) -> None:
    """Serve until a signal. Raises Refused when the port cannot be had."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    where = (settings.listen, settings.port)
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: WitnessServer(settings, log), local_addr=where, family=family
        )
    except OSError as error:
        message = f"{where[0]} port {where[1]} cannot be used: {error.strerror or error}"
        hint = "another witness may run there: ss -ulpn"
        raise Refused((Report("witness.port", message, hint),)) from None
    text = f"witness of {', '.join(sorted(settings.keys))} on {where[0]} port {where[1]}"
    log.write(Note(Level.NOTICE, "witness.starting", text))
    await ended.wait()
    transport.close()


def main(config: str) -> int:
    """Run the witness; return the exit code."""
    try:
        asyncio.run(serve(read_witness_settings(config), Log()))
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    return 0


def _now() -> Instant:
    return Instant(time.monotonic_ns() // 1_000_000)
