"""A program to try faults on: `python -m tests.cluster.echo` answers datagrams and notes them; `Peer` sends them.

An answer is the datagram, the wall clock and the monotonic clock in nanoseconds. What arrives is printed.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import dataclass

from tests.cluster.machines import WAIT_SECONDS, Machine, Process

PORT = 4000
_SEND = """
import socket, sys
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.settimeout({seconds})
for word in sys.argv[2:]:
    port.sendto(word.encode(), (sys.argv[1], {port}))
print(port.recv(1000).decode() if {answered} else "")
"""


@dataclass(frozen=True)
class Answer:
    word: str
    wall_ns: int
    monotonic_ns: int


class Peer:
    """The program on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.process: Process = machine.process(sys.executable, "-m", "tests.cluster.echo")
        self.process.start()
        self.heard_until("serves")

    def send(self, sender: Machine, *words: str) -> None:
        """Datagrams from another machine, in order; nobody waits for an answer."""
        self._send(sender, words, answered=False)

    def ask(self, sender: Machine, word: str) -> Answer:
        return Answer(*json.loads(self._send(sender, (word,), answered=True)))

    def _send(self, sender: Machine, words: tuple[str, ...], *, answered: bool) -> str:
        script = _SEND.format(port=PORT, answered=answered, seconds=WAIT_SECONDS)
        return sender.run(sys.executable, "-S", "-c", script, self.machine.address, *words)

    def heard(self) -> list[str]:
        """All that has arrived, in order."""
        return self.process.output().split()

    def heard_until(self, word: str) -> list[str]:
        """All that has arrived, once `word` has."""
        deadline = time.monotonic() + WAIT_SECONDS
        while word not in self.heard():
            assert time.monotonic() < deadline, f"{word} did not arrive: {self.heard()[-5:]}"
            time.sleep(0.005)
        return self.heard()


def main() -> None:
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    port.bind(("0.0.0.0", PORT))
    print("serves", flush=True)
    while True:
        word, sender = port.recvfrom(1000)
        print(word.decode(), flush=True)
        port.sendto(json.dumps([word.decode(), time.time_ns(), time.monotonic_ns()]).encode(), sender)


if __name__ == "__main__":
    main()
