"""Frames between a machine's link and the bridge, late.

Usage: python -m tests.cluster.relay PORT TAP DELAY JITTER LOST TWICE

Run in the namespace of the bridge. Makes TAP, says "ready", and from then on moves every frame from PORT to TAP and
back, each after DELAY and up to JITTER milliseconds; a part LOST is dropped, a part TWICE sent again. Frames carry the
kernel's virtio header, so that what it has not yet cut up or summed passes as it is (Linux
Documentation/networking/tuntap.rst, packet(7)).
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time
from contextlib import suppress

FRAME_BYTES = 1 << 17
ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 0x01, 0x02, 0x04


def open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.bind((name, ETH_P_ALL))
    port.setblocking(False)
    return port


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
    return tap


def relay(port: int, tap: int, delay: float, jitter: float, lost: float, twice: float) -> None:
    """Until killed. Times are seconds."""
    draw = random.Random(1)
    late: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        ready, _, _ = select.select([port, tap], [], [], wait)
        now = time.monotonic()
        for source in ready:
            frame = os.read(source, FRAME_BYTES)
            copies = 0 if draw.random() < lost else 2 if draw.random() < twice else 1
            for _ in range(copies):
                number += 1
                target = tap if source == port else port
                heapq.heappush(late, (now + delay + jitter * draw.random(), number, target, frame))
        while late and late[0][0] <= now:
            _, _, target, frame = heapq.heappop(late)
            with suppress(OSError):  # a queue is full, or the tap is not up yet: a link loses frames
                os.write(target, frame)


def main() -> None:
    name, tap_name = sys.argv[1:3]
    delay, jitter, lost, twice = map(float, sys.argv[3:])
    port, tap = open_port(name), open_tap(tap_name)
    print("ready", flush=True)
    relay(port.fileno(), tap, delay / 1e3, jitter / 1e3, lost, twice)


if __name__ == "__main__":
    main()
