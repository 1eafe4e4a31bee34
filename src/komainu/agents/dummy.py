"""Be a resource that does nothing but remember whether it runs: for tests and first steps.

Source: OCF resource agent API 1.1.
"""

import os
import sys
import time

from komainu.agents.resource_agent import ERROR, NOT_RUNNING, OK, Agent, Failure, Parameter, say, state_file

_AGENT = Agent(
    "dummy",
    "A resource that does nothing",
    "Keeps a state file while it is started, and nothing else. It can be told to be slow or to fail.",
    [
        Parameter("state", "string", None, "the state file; by default one of its own", unique=True),
        Parameter(
            "op_sleep", "integer", "0", "seconds that each start, stop and monitor takes", reloadable=True
        ),
        Parameter(
            "fail_on", "string", "", "names of actions that fail, separated by blanks", reloadable=True
        ),
    ],
)


def _path() -> str:
    return _AGENT.value("state") or state_file("dummy", "state")


def _pretend(action: str) -> None:
    time.sleep(_AGENT.number("op_sleep"))
    if action in _AGENT.value("fail_on").split():
        raise Failure(ERROR, f"{action} fails, as fail_on demands")


def _start() -> int:
    _pretend("start")
    with open(_path(), "w", encoding="ascii"):  # noqa: PTH123 - pathlib costs milliseconds at each run
        return OK


def _stop() -> int:
    _pretend("stop")
    if os.path.exists(_path()):  # noqa: PTH110 - as above
        os.unlink(_path())  # noqa: PTH108 - as above
    return OK


def _monitor() -> int:
    _pretend("monitor")
    return OK if os.path.exists(_path()) else NOT_RUNNING  # noqa: PTH110 - as above


def _reload() -> int:
    _pretend("reload-agent")
    return OK


def _validate() -> int:
    folder = os.path.dirname(_path())  # noqa: PTH120 - as above
    if os.path.isdir(folder):  # noqa: PTH112 - as above
        return OK
    return say(ERROR, f"the folder {folder} of the state file does not exist; create it")


def main() -> None:
    """Do the action of the command line."""
    _AGENT.add("start", "20s", _start)
    _AGENT.add("stop", "20s", _stop)
    _AGENT.add("monitor", "20s", _monitor, interval="10s")
    _AGENT.add("reload-agent", "20s", _reload)
    _AGENT.add("validate-all", "20s", _validate)
    sys.exit(_AGENT.run())
