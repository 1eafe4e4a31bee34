"""Give a machine its own files: what is private to it, what outlives its power, and its cluster settings.

A machine sees the computer's own system (programs, libraries) and has for itself: /etc and /var (an overlay:
what it writes outlives its power, not the lab), /run, /tmp and /dev/shm (empty at each boot), /proc and /sys
of its own namespaces. The computer's own komainu files are never visible in it. Runs inside the machine's
mount namespace. Source: mount(2), mount_namespaces(7), kernel Documentation/filesystems/overlayfs.rst.
"""

import base64
import contextlib
import ctypes
import os
import shutil
import struct
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Final

from komainu.lab.layout import CLIENT_ADDRESS, WITNESS_ADDRESS, Layout
from komainu.lab.managers import MachineFile
from komainu.lab.plant import LabFailure
from komainu.lab.watchdog_file import MODE

POWER_SOCKET: Final = "/run/komainu-lab/power.sock"
SHARED_DISK: Final = "/run/komainu-lab/disk{}"
SHARED: Final = "/run/komainu-lab/shared"
LEASE_FILE: Final = f"{SHARED}/witness.lease"
_SBD_HEADER: Final = struct.Struct(">8sBB2xIIIIIB16s")
"""Magic, version, slots, bytes of a sector; seconds: watchdog, allocate, loop, msgwait; minor version, UUID."""

DISK_BYTES: Final = 1 << 20
"""Room for all slots of sbd's format, and a whole number of blocks."""

WATCHDOG_SOCKET: Final = "/run/komainu-machine/watchdog.sock"
WATCHDOG_FILE: Final = "/run/komainu-machine/watchdog"
FUSE_DEVICE: Final = "/dev/fuse"
DAEMON_LOG: Final = "/var/log/komainu/daemon.log"
WITNESS_KEY: Final = "witness.key"
CERTIFICATES: Final = "certificates"
OVERLAID: Final = ("/etc", "/var", "/usr/lib/ocf")
"""What a machine may change for itself. The agents' directory, so that a peer finds komainu's agents, too."""

PROGRAMS: Final = "/usr/sbin"

PRIVATE: Final = ("/etc/komainu", "/var/lib/komainu", "/var/log/komainu")

_MS_RDONLY: Final = 0x1
_MS_NOSUID: Final = 0x2
_MS_NODEV: Final = 0x4
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_MNT_DETACH: Final = 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", *, flags: int = 0, options: str = "") -> None:
    """Mount, or raise OSError with the target's name."""
    done = _LIBC.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def bind(source: Path, target: str) -> None:
    """Let the target show the source, with what is mounted below it."""
    mount(str(source), target, flags=_MS_BIND | _MS_REC)


def detach(target: Path) -> None:
    """Take a mount off, at once; nothing happens where none is."""
    _LIBC.umount2(str(target).encode(), _MNT_DETACH)


def mount_watchdog(target: Path) -> int:
    """Let a file be served by us as a watchdog; return the descriptor that gives the kernel's requests.

    Raises OSError where this computer has no FUSE, or not for us.
    """
    target.touch(mode=0o600)
    descriptor = os.open(FUSE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    options = f"fd={descriptor},rootmode={MODE:o},user_id={os.getuid()},group_id={os.getgid()}"
    try:
        mount("komainu-watchdog", str(target), "fuse", flags=_MS_NOSUID | _MS_NODEV, options=options)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def can_play_watchdog(scratch: Path) -> bool:
    """Whether machines can have a watchdog that is a file; else they have one that is a socket."""
    try:
        os.close(mount_watchdog(scratch))
    except OSError:
        return False
    finally:
        detach(scratch)
        scratch.unlink(missing_ok=True)
    return True


def prepare_store(store: Path) -> None:
    """Mount the memory in which all files of a lab live, and our own /proc. For the host, once."""
    mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    mount("proc", "/proc", "proc", flags=_MS_NOSUID | _MS_NODEV)
    store.mkdir(exist_ok=True)
    mount("komainu-lab", str(store), "tmpfs", flags=_MS_NOSUID | _MS_NODEV, options="mode=0755")


def prepare_disks(directory: Path, count: int) -> None:
    """Make the shared disks of a lab, with sbd's header on each, as `sbd create` makes it. For the host, once."""
    header = _SBD_HEADER.pack(b"SBD_SBD_", 2, 255, 512, 5, 2, 1, 10, 1, uuid.uuid4().bytes)
    for number in range(1, count + 1):
        path = directory / Path(SHARED_DISK.format(number)).name
        path.write_bytes(header.ljust(DISK_BYTES, b"\0"))


def attach_disks(directory: Path, count: int) -> tuple[int, ...]:
    """Let the shared disks be block devices, as sbd itself wants them. For the host, once.

    They go with the descriptors that are returned, however the host ends. Raises LabFailure.
    """
    held = []
    for number in range(1, count + 1):
        disk = directory / Path(SHARED_DISK.format(number)).name
        image = disk.rename(directory / f"image{number}")
        device = _losetup("--find", "--show", str(image))
        held.append(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        _losetup("--detach", device)  # the kernel does it once nobody has it open
        disk.symlink_to(device)
    return tuple(held)


def _losetup(*arguments: str) -> str:
    done = subprocess.run(["losetup", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabFailure(f"a shared disk cannot be a block device: {done.stderr.strip()}")
    return done.stdout.strip()


def prepare_machine(root: Path, power_socket: Path) -> None:
    """Mount everything a machine has for itself; `root` is its directory in the lab's store."""
    for directory in filter(os.path.isdir, OVERLAID):
        _overlay(directory, root)
    if (root / "upper" / PROGRAMS.lstrip("/")).is_dir():  # a peer looks for fence agents there only
        _overlay(PROGRAMS, root)
    for directory in PRIVATE:
        target = Path(directory)
        source = root / "private" / target.relative_to("/")
        source.mkdir(parents=True, exist_ok=True)
        if not target.is_dir():  # and never make it on the computer's own disk
            raise LabFailure(f"{directory} cannot be made private. hint: as root, `mkdir -p {directory}`")
        bind(source, directory)
    mount("proc", "/proc", "proc", flags=_MS_NOSUID | _MS_NODEV)
    with contextlib.suppress(OSError):  # a peer that resets its machine must not reset the computer
        bind(Path("/dev/null"), "/proc/sysrq-trigger")
    with contextlib.suppress(OSError):  # only tools that look into /sys/class/net miss it
        mount("sysfs", "/sys", "sysfs", flags=_MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    with contextlib.suppress(OSError):
        mount("shm", "/dev/shm", "tmpfs", flags=_MS_NOSUID | _MS_NODEV, options="mode=1777")
    _fresh_run(root, power_socket)
    _fresh_tmp(root)


def _overlay(directory: str, root: Path) -> None:
    """Make a directory of the computer writable for this machine only, where there is overlayfs.

    The private directories are made in the upper layer, before it covers the computer's: an ordinary user's
    namespace may not make them in a directory whose owner is the computer's root.
    """
    upper, work = root / f"upper{directory}", root / f"work{directory}"
    upper.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for private in PRIVATE:
        if Path(private).is_relative_to(directory):
            (root / f"upper{private}").mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={directory},upperdir={upper},workdir={work}"
    with contextlib.suppress(OSError):
        mount("overlay", directory, "overlay", flags=_MS_NODEV, options=options)


def _fresh_run(root: Path, power_socket: Path) -> None:
    """Give the machine an empty /run with the power switch's socket in it, as a management LAN would be."""
    run = root / "run"
    run.mkdir(exist_ok=True)
    mount("run", str(run), "tmpfs", flags=_MS_NOSUID | _MS_NODEV, options="mode=0755")
    inside = run / Path(POWER_SOCKET).relative_to("/run")
    for directory in (inside.parent, run / "lock", run / Path(WATCHDOG_SOCKET).parent.name):
        directory.mkdir(mode=0o755, exist_ok=True)
    inside.touch()
    bind(power_socket, str(inside))
    for disk in sorted(power_socket.parent.glob("disk*")):
        (inside.parent / disk.name).touch()
        bind(disk, str(inside.parent / disk.name))
    storage = power_socket.parent / Path(SHARED).name
    if storage.is_dir():
        (inside.parent / storage.name).mkdir(exist_ok=True)
        bind(storage, str(inside.parent / storage.name))
    bind(run, "/run")


def _fresh_tmp(root: Path) -> None:
    """Give the machine its own /tmp, unless the program itself lives there."""
    in_use = (sys.prefix, sys.executable, __file__, str(root))
    if not any(Path(path).resolve().is_relative_to("/tmp") for path in in_use):
        mount("tmp", "/tmp", "tmpfs", flags=_MS_NOSUID | _MS_NODEV, options="mode=1777")


def write_settings(root: Path, *, layout: Layout, name: str, key: bytes, engine: str, watchdog: str) -> None:
    """Write a node's komainu.toml and cluster key where `prepare_machine` will show them in /etc/komainu."""
    directory = root / "private/etc/komainu"
    directory.mkdir(parents=True, exist_ok=True)
    settings = directory / "komainu.toml"
    settings.write_text(settings_text(layout, name, engine, watchdog), encoding="utf-8")
    secret = directory / "cluster.key"
    secret.touch(mode=0o600)
    secret.write_bytes(base64.b64encode(key) + b"\n")


def give_certificates(directory: Path, root: Path) -> None:
    """Show the cluster's certificate in the machine's own layer of /etc, where corosync-qdevice looks for it."""
    shutil.copytree(directory / CERTIFICATES / "qdevice", root / "upper/etc/corosync/qdevice")


def write_extra(root: Path, wanted: tuple[MachineFile, ...]) -> None:
    """Write files where the machine's own layer of /etc will show them: as if they had been changed there."""
    for one in wanted:
        target = root / "upper" / one.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=one.mode)
        target.write_text(one.text, encoding="utf-8")


def qnetd_tls(layout: Layout) -> str:
    """Say whether a qnetd and those who ask it speak TLS."""
    return "required" if layout.witness_has_tls else "off"


def write_witness(directory: Path, name: str) -> Path:
    """Write the settings of the lab's witness beside the key that a node's own command makes."""
    settings = directory / "witness.toml"
    text = f'[[cluster]]\nname = "{name}"\nkey_file = "{directory / WITNESS_KEY}"\n'
    settings.write_text(text, encoding="utf-8")
    return settings


def watchdog_line(*, is_file: bool) -> str:
    """Write by what a machine's daemon reaches its watchdog."""
    return f'device = "{WATCHDOG_FILE}"' if is_file else f'socket = "{WATCHDOG_SOCKET}"'


def settings_text(
    layout: Layout, name: str, engine: str = "builtin", watchdog: str = f'device = "{WATCHDOG_FILE}"'
) -> str:
    """Write komainu.toml for every node of a lab: the same text for all, as the daemon wants it."""
    lines = [
        "# Written by `komainu lab`: the machines of a rehearsal.",
        "[cluster]",
        f'name = "{name}"',
        'key_file = "/etc/komainu/cluster.key"',
        *([] if layout.detect_within_ms is None else [f'detect_within = "{layout.detect_within_ms}ms"']),
        "",
        "[watchdog]",
        watchdog,
        "",
        "[ring]",
        f'engine = "{engine}"',
    ]
    if layout.has_witness:
        lines += ["", "[cluster.quorum.witness]", f'address = "{WITNESS_ADDRESS}"']
        lines += [f'algorithm = "{layout.witness_algorithm}"']
        lines += [f'tls = "{qnetd_tls(layout)}"'] if engine == "corosync" else []
    if layout.has_lease:
        lines += ["", "[cluster.quorum.witness]", f'path = "{LEASE_FILE}"']
    if layout.knows_clients:
        lines += ["", "[clients]", f'targets = ["{CLIENT_ADDRESS}"]']
    if layout.shared_disks:
        disks = ", ".join(f'"{SHARED_DISK.format(number)}"' for number in range(1, layout.shared_disks + 1))
        lines += ["", "[sbd]", f"devices = [{disks}]"]
    for number, node in enumerate(layout.nodes, start=1):
        links = ", ".join(f'"{layout.address(node, cable)}"' for cable in layout.ring_cables)
        lines += ["", "[[node]]", f'name = "{node}"', f"id = {number}", f"links = [{links}]"]
    return "\n".join(lines) + "\n"
