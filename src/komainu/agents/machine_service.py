"""Start, stop and look at a service of the machine itself: a systemd unit, or a script of /etc/init.d.

Gives the exit codes and reasons of an OCF agent, so that nobody beyond this file has to know the difference. While the
cluster has a unit started, systemd must not restart it behind its back, and stops it after the cluster at a shutdown.
Source: systemctl(1), systemd.unit(5); Linux Standard Base 5.0, Generic Part, "Init Script Actions" (exit codes);
Pacemaker Explained, "Supported Resource Classes".
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from komainu.agents.resource_agent import ERROR, NOT_INSTALLED, NOT_RUNNING, OK, UNIMPLEMENTED, Failure

INIT_FOLDER = "/etc/init.d"
UNIT_FOLDER = "/run/systemd/system"
"""Changes that are gone after a boot, when the cluster begins anew, too."""

DROP_IN = "50-komainu.conf"
DROP_IN_TEXT = "[Unit]\nBefore=komainu.service\n\n[Service]\nRestart=no\n"

POLL_S = 0.2

_SUFFIXES = (
    ".service",
    ".socket",
    ".mount",
    ".path",
    ".timer",
    ".target",
    ".scope",
    ".slice",
    ".automount",
    ".swap",
)
_UP = {"active", "reloading", "refreshing", "maintenance"}
_ON_THE_WAY = {"activating", "deactivating"}
_SAID_BY_STATUS = {0: OK, 1: NOT_RUNNING, 2: NOT_RUNNING, 3: NOT_RUNNING}
_ACTIONS = {"start", "stop", "monitor"}


def main() -> None:
    """Do what the command line says: CLASS NAME ACTION, where CLASS is lsb, systemd or service."""
    try:
        code = _act(*sys.argv[1:4])
    except Failure as failure:
        print(f"ocf-exit-reason:{failure.reason}", file=sys.stderr)
        code = failure.code
    sys.exit(code)


def _act(kind: str, name: str, action: str) -> int:
    if action not in _ACTIONS:
        raise Failure(UNIMPLEMENTED, f"services of the machine have no action {action}")
    script = Path(INIT_FOLDER, name)
    is_script = kind == "lsb" or (kind == "service" and not _has_unit(name) and script.exists())
    return by_script(script, action) if is_script else by_systemd(unit_of(name), action)


def by_script(script: Path, action: str) -> int:
    """Run a script of /etc/init.d. Raises Failure."""
    if not script.exists():
        raise Failure(NOT_INSTALLED, f"{script} is not installed")
    word = "status" if action == "monitor" else action
    try:
        code = subprocess.run([script, word], check=False).returncode
    except OSError as error:
        raise Failure(ERROR, f"{script} cannot be run: {error.strerror}") from None
    if word == "status":
        if code not in _SAID_BY_STATUS:
            raise Failure(ERROR, f"{script} status does not know: it ended with {code}")
        return _SAID_BY_STATUS[code]
    if code != OK:
        raise Failure(code if ERROR <= code <= NOT_RUNNING else ERROR, f"{script} {word} ended with {code}")
    return OK


def unit_of(name: str) -> str:
    """Give a unit's full name: one without a suffix is a service."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def by_systemd(unit: str, action: str) -> int:
    """Have systemd do it, and wait until it has. Raises Failure."""
    loaded, state = _state_of(unit) if _has_systemd() else ("there is no systemd here", "inactive")
    if loaded != "loaded" and state not in _UP:
        if action == "stop":
            return OK
        raise Failure(NOT_INSTALLED, f"systemd cannot load {unit}: {loaded}")
    if action == "start":
        _take_over(unit)
        _systemctl("start", unit)
    elif action == "stop":
        _systemctl("stop", unit)
        _give_back(unit)
    state = _settled(unit)
    if action == "monitor":
        return OK if state in _UP else NOT_RUNNING
    if (state in _UP) != (action == "start"):
        raise Failure(ERROR, f"{unit} is {state} after its {action}; see systemctl status {unit}")
    return OK


def _settled(unit: str) -> str:
    """Wait until a unit is on its way no longer; whoever called us ends it when that takes too long."""
    while True:
        _, state = _state_of(unit)
        if state not in _ON_THE_WAY:
            return state
        time.sleep(POLL_S)


def _take_over(unit: str) -> None:
    """Tell systemd that the cluster alone decides when this unit runs."""
    drop_in = Path(UNIT_FOLDER, f"{unit}.d", DROP_IN)
    try:
        if drop_in.exists():
            return
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text(DROP_IN_TEXT, encoding="ascii")
    except OSError as error:
        raise Failure(ERROR, f"{drop_in} cannot be written: {error.strerror}") from None
    _systemctl("daemon-reload")


def _give_back(unit: str) -> None:
    drop_in = Path(UNIT_FOLDER, f"{unit}.d", DROP_IN)
    if drop_in.exists():
        drop_in.unlink()
        _systemctl("daemon-reload")


def _has_systemd() -> bool:
    """Whether this machine was booted with systemd, as sd_booted(3) asks: else no unit can be active."""
    return Path(UNIT_FOLDER).is_dir()


def _has_unit(name: str) -> bool:
    return _has_systemd() and _state_of(unit_of(name))[0] == "loaded"


def _state_of(unit: str) -> tuple[str, str]:
    """Ask whether a unit could be loaded, and its state. Raises Failure."""
    said = _systemctl("show", "--property=LoadState,ActiveState", unit)
    values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return values.get("LoadState", "not-found"), values.get("ActiveState", "inactive")


def _systemctl(*arguments: str) -> str:
    command = ["systemctl", "--no-ask-password", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise Failure(ERROR, f"systemctl {' '.join(arguments)}: {lines[0]}")
    return done.stdout
