"""Measure how quickly a change of an interface is known on the peer, and how quickly a kept address is back.

Usage: python benchmarks/links.py [--times N]

Each figure is taken in a lab of two nodes on this machine: real daemons, real netlink. The address of one end is
deleted with `ip`; the peer's daemon is asked over its socket again and again until it tells of it, so the figure
contains one question and answer. The clock is the machine's monotonic one, which all namespaces share.
"""

import argparse
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from itertools import islice

from komainu.client.client import Client
from komainu.lab import lab as labs
from komainu.lab import protocol
from komainu.lab.layout import Layout
from komainu.model.link import LinkState
from komainu.model.report import Refused
from komainu.model.request import AskLinks, Links, LinkView, ReleaseLink

ADDRESS = "192.168.33.101/24"
SETTINGS = "/etc/komainu/komainu.toml"
KEEPS = r's/"(192\.168\.33\.[0-9]+)"/{ address = "\1", interface = "eth1", keep_address = "yes" }/'
KEEPING = ("sh", "-c", f"sed -E -i '{KEEPS}' {SETTINGS}; exec \"$@\"", "sh", *labs.DAEMON)
LIMIT_S = 20
PER_MINUTE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="how often each thing is done")
    options = parser.parse_args()
    print(f"{'figure':<54} {'median':>8} {'p99':>8} {'worst':>8} {'aim':>6}  (milliseconds)")
    show("address deleted -> known on the peer", told_to_peer(options.times), 50)
    show("address deleted -> put back", put_back(options.times), 20)


def show(name: str, found_ms: list[float], aim_ms: int) -> None:
    ordered = sorted(found_ms)
    p99 = ordered[max(0, -(-99 * len(ordered) // 100) - 1)]
    middle = statistics.median(ordered)
    print(f"{f'{name}, n={len(ordered)}':<54} {middle:>8.1f} {p99:>8.1f} {ordered[-1]:>8.1f} {aim_ms:>6}")


def told_to_peer(times: int) -> list[float]:
    """Delete and add the address of a; wait for b to know."""
    lab = labs.start(protocol.Blueprint("benchlinks", Layout(), labs.DAEMON, ""))
    try:
        b = client(lab, "b")
        wait(lambda: is_up(b))
        command = lab.inside("a", ("ip", "-batch", "-"))
        found = []
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1) as ip:
            assert ip.stdin is not None
            for _ in range(times):
                begun = time.monotonic()
                ip.stdin.write(f"address del {ADDRESS} dev eth1\n")
                wait(lambda: way(b).peer_state is not LinkState.UP, pause_s=0)
                found.append((time.monotonic() - begun) * 1000)
                ip.stdin.write(f"address add {ADDRESS} dev eth1\n")
                wait(lambda: is_up(b))
        return found
    finally:
        lab.down()


def put_back(times: int) -> list[float]:
    """Delete the address of a; the kernel's own messages, with their times, tell when it was there again."""
    lab = labs.start(protocol.Blueprint("benchkeep", Layout(), KEEPING, ""))
    try:
        a, b = client(lab, "a"), client(lab, "b")
        wait(lambda: is_up(b))
        watching = lab.inside("a", ("ip", "-ts", "-o", "monitor", "address"))
        monitor = subprocess.Popen(watching, stdout=subprocess.PIPE, text=True)  # ends with the lab
        assert monitor.stdout is not None
        time.sleep(0.3)
        lines = (line for line in monitor.stdout if "192.168.33.101" in line)
        found = []
        for number in range(times):
            if number % (PER_MINUTE - 1) == 0:
                a.ask(ReleaseLink(0, is_released=False))  # begin the minute's count anew
            lab.run("a", ("ip", "address", "del", ADDRESS, "dev", "eth1"))
            gone, back = map(moment, islice(lines, 2))
            found.append((back - gone) * 1000)
            wait(lambda: is_up(b))
        return found
    finally:
        lab.down()


def moment(line: str) -> float:
    """Return the seconds of the minute that a line of `ip -ts monitor` begins with, as seconds of the day."""
    found = re.match(r"\[\S+T(\d+):(\d+):([\d.]+)\]", line)
    assert found, line
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def client(lab: labs.Lab, node: str) -> Client:
    root = lab.root(node)
    assert root is not None
    return Client(str(root / "run/komainu/komainu.sock"))


def way(asked: Client) -> LinkView:
    reply = asked.ask(AskLinks())
    assert isinstance(reply, Links)
    return reply.links[0]


def is_up(asked: Client) -> bool:
    try:
        link = way(asked)
    except Refused:
        return False
    return link.state is LinkState.UP and link.peer_state is LinkState.UP


def wait(claim: Callable[[], bool], pause_s: float = 0.005) -> None:
    end = time.monotonic() + LIMIT_S
    while not claim():
        assert time.monotonic() < end, "it did not come true"
        if pause_s:
            time.sleep(pause_s)


if __name__ == "__main__":
    main()
