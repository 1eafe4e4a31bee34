"""A lock that one program of the whole cluster holds: who joined the group first holds it, the others wait in line.

    python distributed_lock.py NAME COMMAND …      run COMMAND while holding the lock NAME

A program that dies, or whose node is lost, leaves the group, and the next in line holds the lock. A holder that is cut
off stops when its part of the cluster has no quorum; until it notices, it may overlap with the next holder for as long
as the cluster takes to detect a loss. What must never run twice belongs into a resource, behind fencing.
"""

import os
import subprocess
import sys

from komainu.client.groups import GROUPS_PATH, Group


def run_locked(name: str, command: list[str], path: str) -> int:
    """Wait in line, run the command, and stop it if the lock is lost."""
    with Group(f"lock/{name}", path) as group:
        while group.members[0] != group.me or not group.is_quorate:
            group.receive()  # somebody came or went
        with subprocess.Popen(command) as work:
            group.wait(
                until=lambda: work.poll() is not None or group.me not in group.members or not group.is_quorate
            )
            if work.poll() is None:
                print(f"the lock {name} is lost: stopping", file=sys.stderr)
                work.terminate()
            return work.wait()


if __name__ == "__main__":
    sys.exit(run_locked(sys.argv[1], sys.argv[2:], os.environ.get("KOMAINU_GROUPS", GROUPS_PATH)))
