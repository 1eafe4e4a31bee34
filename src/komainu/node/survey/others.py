"""Ask the other nodes of a cluster for the doctor's report, over ssh as the administrator uses it.

A shell: it decides nothing about findings. Only looks, on every node; never asks for a password; is done in time,
whatever a node does. Source: ssh(1), ssh_config(5).
"""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from komainu.model.report import Refused, Report
from komainu.network.doctor.peers import Summary

REPORT: Final = "komainu doctor --format json"
OPTIONS: Final = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "ControlMaster=no")
"""No password is asked for, and no connection is left behind for later calls, which would hold our pipes open."""

ANSWER_TIMEOUT_S: Final = 10.0
"""For one node, by all its addresses: a doctor takes a second, and a machine in trouble is worth some waiting."""

SSH_FAILED: Final = 255
"""The exit code with which ssh tells a fault of its own; every other one is the command's."""

AT_ONCE_MAX: Final = 32
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""A report of a thousand findings has half a megabyte."""

_PLACES: Final = f"/usr/local/bin:/usr/local/sbin:{shlex.quote(str(Path(sys.argv[0]).absolute().parent))}"
"""Where komainu may be without being in the path of root's shell there; nodes are mostly installed alike."""

_CHUNK_BYTES: Final = 65_536
_WORDS_MAX: Final = 200
_UNREACHED: Final = (
    *("Could not resolve", "No route to host", "timed out", "refused", "Network is unreachable"),
    *("Connection closed by", "Connection reset by"),
)
"""What ssh says of a way that leads nowhere; another address of the same node may be one that does."""

_HINTS: Final = {
    "HOST IDENTIFICATION HAS CHANGED": "find out why its host key is another; then ssh-keygen -R {node}",
    "Permission denied": "let your key in there: ssh-copy-id {node}",
    "Host key verification failed": "look at its host key once, and accept it: ssh {node}",
    "not found": "install komainu on {node}, or where root's shell finds it (/usr/local/bin)",
    "Could not resolve": "write {node} with its address into /etc/hosts, on every node",
}
"""What mends it, by ssh's own words."""


class Told(msgspec.Struct, frozen=True):
    """A finding, as another node's report has it."""

    gravity: str
    rule: str
    subject: str
    title: str


class Findings(msgspec.Struct, frozen=True):
    """What of another node's report is shown here."""

    findings: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking one node: its report, or why there is none and what mends that."""

    node: str
    report: bytes = b""
    summary: Summary | None = None
    findings: tuple[Told, ...] = ()
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """How one call of ssh ended. `code` None: it did not, in time."""

    code: int | None
    out: bytes
    err: str
    begun_s: float
    ended_s: float


def ask(ways: Iterable[tuple[str, ...]], own_name: str) -> tuple[Answer, ...]:
    """Ask all nodes at once, each by its name or else its addresses; give the answers in their order.

    Raises Refused when there is no ssh here.
    """
    return asyncio.run(_ask_all(tuple(ways), own_name))


async def _ask_all(ways: tuple[tuple[str, ...], ...], own_name: str) -> tuple[Answer, ...]:
    turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def in_turn(names: tuple[str, ...]) -> Answer:
        async with turns:
            return await _ask(names, own_name)

    return tuple(await asyncio.gather(*(in_turn(names) for names in ways)))


async def _ask(names: tuple[str, ...], own_name: str) -> Answer:
    """Ask one node. Where the first name leads nowhere, its addresses are tried, in the time that is left."""
    end = time.monotonic() + ANSWER_TIMEOUT_S
    tries: list[_Said] = []
    for name in names:
        tries.append(await _call(name, end - time.monotonic()))
        if tries[-1].code != SSH_FAILED or not any(words in tries[-1].err for words in _UNREACHED):
            break
    *_, last = tries
    if last.code in {None, SSH_FAILED}:
        late = f"no answer within {ANSWER_TIMEOUT_S:g} s"
        words = dict.fromkeys(late if one.code is None else _line(one.err) for one in tries)
        by_hand = f"try it by hand: ssh {names[0]} komainu doctor"
        return Answer(names[0], problem="; ".join(words), hint=_hint(names[0], last.err) or by_hand)
    return _read_answer(names[0], last, own_name)


def _read_answer(node: str, said: _Said, own_name: str) -> Answer:
    """Judge what a command that was run over there has said."""
    try:
        summary = msgspec.json.decode(said.out, type=Summary)
        findings = msgspec.json.decode(said.out, type=Findings).findings
    except msgspec.MsgspecError:
        words = _line(said.err) or f"it ended with {said.code}, without a report"
        return Answer(node, problem=words, hint=_hint(node, said.err))
    if summary.node == own_name:
        words = "its name leads to this machine itself, or to another one with the same host name"
        return Answer(node, problem=words, hint=f"compare `ssh {node} hostname` with the lines of /etc/hosts")
    summary = msgspec.structs.replace(summary, apart_s=_apart_s(summary, said))
    return Answer(node, said.out, summary, findings)


def _hint(node: str, said: str) -> str:
    return next((text.format(node=node) for words, text in _HINTS.items() if words in said), "")


def _line(text: str) -> str:
    """Return the line in which ssh, or the shell there, says what went wrong: its last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [""])[-1][:_WORDS_MAX]


def _apart_s(summary: Summary, said: _Said) -> float:
    """Return how far its clock is at least from ours: it looked some time between our asking and its answer."""
    clock = summary.clock_s
    if clock is None or said.begun_s <= clock <= said.ended_s:
        return 0
    return clock - said.ended_s if clock > said.ended_s else clock - said.begun_s


async def _call(name: str, left_s: float) -> _Said:
    """Run the doctor there. Nothing that ssh has started is left running, however this ends."""
    there = f"PATH=$PATH:{_PLACES} exec {REPORT}"
    begun = time.time()
    try:
        process = await asyncio.create_subprocess_exec(
            *("ssh", *OPTIONS, "--", name, f"exec sh -c {shlex.quote(there)}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        hint = (
            "install the client of OpenSSH, or use --peer with reports that were written on the other nodes"
        )
        raise Refused((Report("doctor.ssh", f"ssh cannot be run: {error.strerror}", hint),)) from None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(max(0.0, left_s)):
            out, err = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code: int | None = await process.wait()
    except TimeoutError:
        out, err, code = b"", b"", None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _Said(code, out, err.decode("utf-8", "replace"), begun, time.time())


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Read all that is said, up to the limit; who says more is not listened to any further."""
    parts, size = [], 0
    while size <= ANSWER_BYTES_MAX and (part := await stream.read(_CHUNK_BYTES)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
