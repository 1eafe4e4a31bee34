"""Measure the guard of links: how soon a change is known on the peer, how soon a kept address is back, a storm, the doctor.

Usage: python benchmarks/links.py [--times N]

Each figure is taken in a lab of two nodes on this machine: real daemons, real netlink. The address of one end is
deleted with `ip`; the peer's daemon is asked over its socket again and again until it tells of it, so the figure
contains one question and answer. The clock is the machine's monotonic one, which all namespaces share. The doctor runs
as a command, from its start to its end, on a node with the real NetworkManager where that is installed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice

from run import cpu_seconds, daemon_of, pss_mb

from komainu.client.client import Client
from komainu.lab import lab as labs
from komainu.lab import managers, preflight, protocol
from komainu.lab.layout import Layout
from komainu.lab.managers import Network
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
    storm()
    show("komainu doctor on one node", doctor(max(5, options.times // 10)), 1000)


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


def storm() -> None:
    """A thousand interfaces, each renamed four times, and ten thousand addresses: is a's daemon disturbed by it?"""
    lab = labs.start(protocol.Blueprint("benchstorm", Layout(), labs.DAEMON, ""))
    try:
        a, b = client(lab, "a"), client(lab, "b")
        wait(lambda: is_up(b))
        daemon = daemon_of(lab, "a")
        before_mb, before_s = pss_mb(daemon), cpu_seconds(daemon)
        answers: list[float] = []
        over = threading.Event()
        asking = threading.Thread(target=ask_until, args=(a, over, answers))
        asking.start()
        pairs = range(500)
        batch(lab, *(f"link add s{n} type veth peer name t{n}" for n in pairs))
        batch(lab, *(f"address add 172.16.{n // 250}.{n % 250}/32 dev s0" for n in range(10_000)))
        for turn in range(4):
            old, new = ("s", "u") if turn % 2 == 0 else ("u", "s")
            batch(lab, *(f"link set {old}{n} name {new}{n}" for n in pairs))
        batch(lab, "address flush dev s0")
        began = time.monotonic()
        batch(lab, f"address del {ADDRESS} dev eth1")
        wait(lambda: way(a).state is LinkState.BY_FRAMES)
        last_word_ms = (time.monotonic() - began) * 1000
        over.set()
        asking.join()
        show("storm: an answer of the daemon meanwhile", answers, 100)
        print(f"{'storm: the last word about the link is known':<54} {'':>8} {'':>8} {last_word_ms:>8.1f}")
        used_s = cpu_seconds(daemon) - before_s
        print(
            f"storm: memory {before_mb:.1f} MB before, {pss_mb(daemon):.1f} MB after; CPU of the daemon {used_s:.1f} s"
        )
    finally:
        lab.down()


def ask_until(asked: Client, over: threading.Event, answers: list[float]) -> None:
    while not over.wait(0.01):
        began = time.monotonic()
        way(asked)
        answers.append((time.monotonic() - began) * 1000)


def batch(lab: labs.Lab, *lines: str) -> None:
    lab.run("a", ("ip", "-batch", "-"), stdin="\n".join(lines) + "\n", timeout_s=120)


def doctor(times: int) -> list[float]:
    """Run the doctor on a node, as a command."""
    has_manager = not preflight.absent(managers.PROGRAMS[Network.NETWORKMANAGER])
    network = Network.NETWORKMANAGER if has_manager else Network.STATIC
    lab = labs.start(protocol.Blueprint("benchdoctor", Layout(), labs.DAEMON, "", network=network))
    try:
        b = client(lab, "b")
        wait(lambda: is_up(b))
        found = []
        for _ in range(times):
            began = time.monotonic()
            lab.run("a", (sys.executable, "-m", "komainu.cli.main", "doctor"))
            found.append((time.monotonic() - began) * 1000)
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
