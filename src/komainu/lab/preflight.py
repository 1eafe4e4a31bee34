"""Decide whether this computer can hold a lab, and say what is missing and how to get it.

Tries the real thing in a namespace that is gone a moment later; changes nothing.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from typing import Final

from komainu.model.report import Report

TRY_TIMEOUT_S: Final = 15

_PACKAGES: Final = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2"}
_TRIAL: Final = "link add x type bridge\nlink add y type veth peer name z\n"


def user_namespace() -> tuple[str, ...]:
    """Give the options of unshare that an ordinary user needs; root needs none."""
    return () if os.geteuid() == 0 else ("--user", "--map-root-user")


def absent(programs: Iterable[str]) -> tuple[str, ...]:
    """Name those of these programs, given by their paths, that are not installed."""
    return tuple(path for path in programs if not os.access(path, os.X_OK))


def missing() -> tuple[Report, ...]:
    """Say everything that stands against a lab here; empty when it can be raised."""
    absent = [program for program in _PACKAGES if shutil.which(program) is None]
    if absent:
        packages = " ".join(sorted({_PACKAGES[program] for program in absent}))
        names = ", ".join(f"`{program}`" for program in absent)
        return (
            Report(
                "lab.program-missing",
                f"a lab needs {names}, not found in PATH",
                f"apt install {packages} (Fedora, RHEL: dnf install {packages.replace('iproute2', 'iproute')})",
            ),
        )
    command = [
        "unshare",
        *user_namespace(),
        "--net",
        "--mount",
        "--pid",
        "--uts",
        "--ipc",
        "--fork",
        "ip",
        "-batch",
        "-",
    ]
    try:
        tried = subprocess.run(
            command, input=_TRIAL, capture_output=True, text=True, timeout=TRY_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return (Report("lab.kernel-refuses", f"`{' '.join(command)}` hung for {TRY_TIMEOUT_S} s"),)
    if tried.returncode == 0:
        return ()
    said = " ".join(tried.stderr.split())
    return (Report("lab.kernel-refuses", f"the kernel does not let us make a lab: {said}", _remedy(said)),)


def _remedy(said: str) -> str:
    if "Unknown device type" in said or "not supported" in said:
        return "the kernel lacks veth or bridge: as root, `modprobe -a veth bridge`"
    if os.geteuid() == 0:
        return "root is not enough here: in a container, start it with --privileged"
    return (
        "run it as root, or allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1` (Debian), "
        "`sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu 24.04), "
        "`sysctl user.max_user_namespaces=10000` (RHEL)"
    )
