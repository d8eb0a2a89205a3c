"""What marks of packets say, on their way through a bridge.

From where a frame comes in until its connection is known: the number of the port that it came by, and NO_TRACK. From
where it is known by which port it leaves: BRIDGED and the number of that. A number of 0 is of no server.
"""

from __future__ import annotations

BRIDGED = 0x10000
NO_TRACK = 0x20000
NUMBER = 0x0FFFF


def hexadecimal(mark: int) -> str:
    return f"{mark:#010x}"
