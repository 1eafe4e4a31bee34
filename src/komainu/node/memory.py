"""Keep the daemon in memory: a guardian that waits for a swap disk misses its pets, and its machine is reset.

Decides whether this process may, and how; must not know what the daemon does. Pages are locked as they are touched
(MCL_ONFAULT), so no memory is taken for what is never used, such as the rest of a thread's stack. What the daemon
starts, agents and services, does not inherit it. Source: mlockall(2), capabilities(7), user_namespaces(7).
"""

import ctypes
import os
import resource
from pathlib import Path
from typing import Final

from komainu.model.report import Level, Note

_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_CAP_IPC_LOCK: Final = 1 << 14
_ALL_USERS: Final = ["0", "0", "4294967295"]
"""The map of users where no user namespace lies between us and the kernel, in which a capability counts for less."""


def may_lock(status: str, uid_map: str, limit: int) -> bool:
    """Tell by /proc/self/status, /proc/self/uid_map and RLIMIT_MEMLOCK whether all memory may be locked.

    A limit that is only large enough for now is no leave: once it is reached, no memory is given at all.
    """
    held = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    is_capable = bool(int(held.partition(":")[2], 16) & _CAP_IPC_LOCK)
    return (is_capable and uid_map.split() == _ALL_USERS) or limit == resource.RLIM_INFINITY


def keep_in_memory(*, is_guarded: bool) -> Note:
    """Lock all memory, now and later. `is_guarded`: a watchdog fires when the daemon stands still."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        uid_map = Path("/proc/self/uid_map").read_text(encoding="ascii")
        if not may_lock(status, uid_map, resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]):
            return _refused("neither CAP_IPC_LOCK nor LimitMEMLOCK=infinity is given", is_guarded=is_guarded)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
            return _refused(os.strerror(ctypes.get_errno()), is_guarded=is_guarded)
    except (OSError, AttributeError, ValueError) as error:
        return _refused(str(error), is_guarded=is_guarded)
    return Note(Level.INFO, "daemon.memory-locked", "the memory of the daemon is not swapped out")


def _refused(reason: str, *, is_guarded: bool) -> Note:
    harm = "its watchdog may fire while it waits for that" if is_guarded else "it may be slow to answer then"
    text = (
        f"the daemon may be swapped out, and {harm}: {reason}. "
        "hint: run it as root, or by systemd with LimitMEMLOCK=infinity"
    )
    return Note(Level.WARNING if is_guarded else Level.INFO, "daemon.memory-not-locked", text)
