"""Ask the other nodes of a cluster for the doctor's report, over ssh as the administrator uses it.

A shell: it decides nothing about findings. Only looks, on every node; never asks for a password.
Source: ssh(1), ssh_config(5).
"""

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import msgspec

from komainu.network.doctor.peers import Summary

COMMAND: Final = ("komainu", "doctor", "--format", "json")
OPTIONS: Final = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
ANSWER_TIMEOUT_S: Final = 30
"""A doctor takes a second; a machine in trouble takes longer, and is worth waiting for."""

AT_ONCE_MAX: Final = 32


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
    """What came of asking one node: its report, or why there is none."""

    node: str
    report: bytes = b""
    problem: str = ""
    findings: tuple[Told, ...] = ()


def ask(nodes: Iterable[str]) -> tuple[Answer, ...]:
    """Ask all at once; give the answers in the order of the names."""
    with ThreadPoolExecutor(AT_ONCE_MAX) as beside:
        return tuple(beside.map(_ask, nodes))


def _ask(node: str) -> Answer:
    command = ["ssh", *OPTIONS, "--", node, *COMMAND]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(node, problem=f"no answer within {ANSWER_TIMEOUT_S} s")
    except OSError as error:
        return Answer(node, problem=f"ssh cannot be run: {error.strerror}")
    try:
        msgspec.json.decode(done.stdout, type=Summary)
        findings = msgspec.json.decode(done.stdout, type=Findings).findings
    except msgspec.MsgspecError:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Answer(
            node, problem=said[-1] if said else f"it ended with {done.returncode}, without a report"
        )
    return Answer(node, done.stdout, "", findings)
