"""Measure how steadily the watchdog is petted while every core of the computer is busy.

Usage: python benchmarks/petting.py [--seconds N] [--hogs-per-core N]

Two nodes in a lab run a service, with the lab's watchdog device and its real calls. Beside them, programs that only
count take every core. Printed is the longest time between two pets since each daemon was started, set-up included,
as `komainu status` has it. Aim: under a tenth of the time-out.
"""

import argparse
import json
import os
import subprocess
import sys
import time

from komainu.lab import drill as drills
from komainu.lab import lab as labs
from komainu.lab import protocol
from komainu.lab.runner import Runner

AIM_PERCENT = 10
ASKED_EVERY_S = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--hogs-per-core", type=int, default=2)
    options = parser.parse_args()
    found = drills.load(drills.find("demo"))
    lab = labs.start(
        protocol.Blueprint(f"petting-{os.getpid()}", found.layout, labs.DAEMON, found.cluster.probe)
    )
    hogs: list[subprocess.Popen[bytes]] = []
    try:
        Runner(found, lab, lambda _: None).set_up()
        count = options.hogs_per_core * (os.cpu_count() or 1)
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        until = time.monotonic() + options.seconds
        asked = 0
        while time.monotonic() < until:
            lab.run(found.layout.nodes[asked % 2], ("komainu", "status"))
            asked += 1
            time.sleep(ASKED_EVERY_S)
        load = os.getloadavg()[0]
        print(
            f"{count} hogs on {os.cpu_count()} cores, {options.seconds} s, {asked} times asked for status, load {load:.1f}"
        )
        for node in found.layout.nodes:
            watchdog = json.loads(lab.run(node, ("komainu", "status", "--format", "json")).stdout)["watchdog"]
            percent = 100 * watchdog["longest_gap_ms"] / watchdog["timeout_ms"]
            print(
                f"longest time between two pets of {node}: {watchdog['longest_gap_ms']} ms of a time-out of "
                f"{watchdog['timeout_ms']} ms = {percent:.1f} % (aim {AIM_PERCENT} %)",
                flush=True,
            )
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
        lab.down()


if __name__ == "__main__":
    main()
