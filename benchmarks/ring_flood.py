"""Flood the first node's ring with what it must not believe; run in another machine's namespace by benchmarks/ring.py.

Usage: python ring_flood.py SECONDS     (prints one JSON line: datagrams sent, by kind)

A quarter each, by turns as fast as the kernel takes them: noise of 1400 bytes in trains of 46, whole datagrams sealed with
another cluster's key, these cut short, and noise that is larger than any datagram of the ring.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections import Counter

from komainu.model.ids import Incarnation, LinkNumber
from komainu.node.settings import read_settings
from komainu.ring.packet import Leaving
from komainu.ring.wire import DATAGRAM_BYTES_MAX, Wire

SETTINGS = "/etc/komainu/komainu.toml"
TRAIN = 46
SOL_UDP, UDP_SEGMENT = 17, 103


def main() -> None:
    settings = read_settings(SETTINGS, (socket.gethostname(),))
    first = settings.ring.nodes[0]
    target = first.ends[0].address, settings.port
    stranger = Wire(settings.ring, key=os.urandom(32), incarnation=Incarnation(1))
    (sealed,) = stranger.seal(LinkNumber(0), first.node, Leaving(Incarnation(1)))
    noise = os.urandom(DATAGRAM_BYTES_MAX * TRAIN)
    size = struct.pack("=H", DATAGRAM_BYTES_MAX)
    sent: Counter[str] = Counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        until = time.monotonic() + float(sys.argv[1])
        while time.monotonic() < until:
            with contextlib.suppress(OSError):  # the kernel's queue is full for a moment
                one.sendmsg([noise], [(SOL_UDP, UDP_SEGMENT, size)], 0, target)
                sent["noise"] += TRAIN
                for _ in range(TRAIN):
                    one.sendto(sealed, target)
                    one.sendto(sealed[:-9], target)
                    one.sendto(noise[:9_000], target)
                    sent.update(("another cluster's", "cut short", "too large"))
    print(json.dumps(sent))


if __name__ == "__main__":
    main()
