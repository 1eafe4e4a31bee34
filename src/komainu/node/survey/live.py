"""Ask a running machine what no file says: processes, the clock, and commands that only look.

Decides nothing. All commands run at once, each with a fraction of a second; one that hangs is killed, and said
to have hung. Source: proc(5), adjtimex(2).
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from komainu.network.doctor.evidence import COMMANDS, Output

ANSWER_TIMEOUT_S: Final = 0.4
"""How long a command may take. Each needs some 30 ms on an idle machine; the whole checkup has one second."""

OUTPUT_BYTES_MAX: Final = 16 * 1024 * 1024

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 512  # more than struct timex has on any machine; modes 0 only reads
_NEEDS: Final = {"devices": "NetworkManager", "journal": "NetworkManager", "cib": "pacemaker-based"}


def processes() -> dict[str, float]:
    """Return running programs, by the name that the kernel keeps (15 characters), and when the last one started.

    Those of containers, which have a network of their own, are left out where that may be seen.
    """
    mine = _network(Path("/proc/self"))
    found: dict[str, float] = {}
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _network(entry) in {mine, ""}:
            with contextlib.suppress(OSError, ValueError, IndexError):
                name, ticks = _stat((entry / "stat").read_text(encoding="utf-8", errors="replace"))
                found[name] = max(found.get(name, 0), booted + ticks / os.sysconf("SC_CLK_TCK"))
    return found


def _network(process: Path) -> str:
    """Name the network namespace of a process; the empty text where it may not be seen."""
    try:
        return str((process / "ns" / "net").readlink())
    except OSError:
        return ""


def _stat(text: str) -> tuple[str, int]:
    """Return name and start in ticks since boot: fields 2 and 22. A name may hold blanks and brackets."""
    head, _, rest = text.rpartition(")")
    return head.partition("(")[2], int(rest.split()[19])


def is_clock_synchronised() -> bool | None:
    """Ask the kernel whether something keeps its clock right; None where it does not say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def outputs(running: Mapping[str, float]) -> dict[str, Output]:
    """Run every command that is installed and whose program runs; return what each said."""
    wanted = {
        name: command
        for name, command in COMMANDS.items()
        if _NEEDS.get(name, "")[:15] in {"", *running} and _is_installed(command[0])
    }
    answers = asyncio.run(_all(wanted))
    if "addresses" not in answers:
        answers["addresses"] = Output(problem="`ip` of iproute2 is not installed")
    return answers


def _is_installed(program: str) -> bool:
    return (
        shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin") is not None
    )


async def _all(commands: dict[str, tuple[str, ...]]) -> dict[str, Output]:
    answers = await asyncio.gather(*(run(command) for command in commands.values()))
    return dict(zip(commands, answers, strict=True))


async def run(command: tuple[str, ...], timeout_s: float = ANSWER_TIMEOUT_S) -> Output:
    """Run one command, and kill it with its children when it does not answer in time."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin", "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
            limit=OUTPUT_BYTES_MAX,
        )
    except OSError as error:
        return Output(problem=f"`{command[0]}`: {error.strerror}")
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return Output(problem=f"`{' '.join(command)}` did not answer within {timeout_s:g} s")
    if process.returncode:
        words = err.decode(errors="replace").strip().splitlines()
        reason = words[0] if words else f"exit code {process.returncode}"
        return Output(problem=f"`{' '.join(command)}`: {reason}")
    return Output(out.decode(errors="replace"))
