"""`python -m bench.outage`: a device is away for minutes under write load and comes back; then another dies for good.

Shows how long it takes until every row is at full replication again, by hints alone: afterwards a scrub of everything
finds nothing to repair. Then a device is out and is taken off the ring, and the change completes by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import click

from bench.client import Client
from bench.stalls import small
from bench.targets import Target, drystone, drystone_status

AWAY, DEAD = 1, 2
"""The device that comes back, and the one that does not."""
PATIENCE_SECONDS = 1800.0
QUIET_SECONDS = 5.0
"""A loop that has done nothing for so long, and has nothing left, is done."""
_CONNECTIONS = 4


def _folder(target: Target, device: int) -> str:
    return os.path.join(target.folder, "devices", str(device))


def _operator(target: Target, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "drystone", "--data", target.folder, *words], check=True, capture_output=True)


def _loop(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(loop for loop in status["loops"] if loop["loop"] == name)


def _state(status: dict[str, Any], device: int) -> str:
    return next(str(row["state"]) for row in status["devices"] if row["device"] == device)


def _wait(target: Target, what: str, holds: Callable[[dict[str, Any]], bool]) -> float:
    """Seconds until it holds. Raises TimeoutError."""
    began = time.monotonic()
    while not holds(drystone_status(target.folder)):
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(what)
        time.sleep(0.5)
    took = time.monotonic() - began
    click.echo(f"  {what}: {took:.1f} s")
    return took


class _Quiet:
    """Whether a loop is done."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = -1
        self._since = 0.0

    def __call__(self, status: dict[str, Any]) -> bool:
        loop = _loop(status, self._name)
        if loop["left"] or loop["done"] != self._done:
            self._done, self._since = loop["done"], time.monotonic()
        return time.monotonic() - self._since >= QUIET_SECONDS


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long the device is away.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(minutes: float, where: str) -> None:
    """A device out and back, and one that dies, under load. Exits with 1 where the scrub found something to repair."""
    with drystone("drystone", where, 4, ["standard=3"]) as target:
        Client(target).ask("PUT", "before")
        small(target, "PUT", "/before", 5, 16)
        click.echo(f"device {AWAY} is away for {minutes:g} minutes")
        os.rename(_folder(target, AWAY), f"{_folder(target, AWAY)}.away")
        Client(target).ask("PUT", "during")
        load = threading.Thread(target=small, args=(target, "PUT", "/during", minutes * 60, _CONNECTIONS))
        load.start()
        _wait(target, "noticed", lambda status: _state(status, AWAY) != "ok")
        load.join()
        os.rename(f"{_folder(target, AWAY)}.away", _folder(target, AWAY))
        took = _wait(target, "in use again", lambda status: _state(status, AWAY) == "ok")
        took += _wait(target, "every hint replayed", _Quiet("replay hints"))
        click.echo(f"  {_loop(drystone_status(target.folder), 'replay hints')['done']:,} hints; at full replication")
        click.echo(f"  {took - QUIET_SECONDS:.1f} s after its return")
        found = _scrubbed(target)
        click.echo(f"a scrub of everything then repaired {found:,} objects")
        click.echo(f"device {DEAD} dies and is taken off the ring")
        os.rename(_folder(target, DEAD), f"{_folder(target, DEAD)}.dead")
        _wait(target, "noticed", lambda status: _state(status, DEAD) != "ok")
        _operator(target, "ring", "remove", str(DEAD))
        _operator(target, "ring", "apply")
        _wait(target, "change complete", lambda status: len(status["live_layouts"]) == 1)
    sys.exit(1 if found else 0)


def _scrubbed(target: Target) -> int:
    """Items that a whole scrub had to have repaired."""
    before = _loop(drystone_status(target.folder), "repair")["done"]
    rounds = _loop(drystone_status(target.folder), "scrub")["rounds"]
    _operator(target, "scrub")
    _wait(target, "scrub", lambda status: _loop(status, "scrub")["rounds"] > rounds)
    _wait(target, "repairs", lambda status: not _loop(status, "repair")["left"])
    return int(_loop(drystone_status(target.folder), "repair")["done"] - before)


if __name__ == "__main__":
    main()
