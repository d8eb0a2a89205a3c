"""What a request waits for: so that one which was slow can say where its time went.

Whoever serves a request begins its `Waits`; whoever waits on its behalf notes for what, and since when. Noted is only
what was really waited for, so what is answered at once costs nothing. Tasks that a request starts note with it. Where
several wait at once, the parts together may be more than the whole.
"""

from __future__ import annotations

from contextvars import ContextVar

import trio


class Waits:
    """Seconds that one request has waited."""

    __slots__ = ("client", "devices", "key_lock", "noted", "workers")

    def __init__(self) -> None:
        self.noted = False
        self.client = 0.0
        """For the client to send its body, or to take the answer."""
        self.key_lock = 0.0
        """For other writers of the same key."""
        self.workers = 0.0
        """For threads that hash and code."""
        self.devices: dict[int, float] = {}
        """For answers of devices, by the number of the last that was needed."""


_CURRENT: ContextVar[Waits | None] = ContextVar("waits", default=None)


def begin_waits() -> Waits:
    """Those of a request that this task serves from now on."""
    waits = _CURRENT.get()
    if waits is None or waits.noted:
        waits = Waits()
        _CURRENT.set(waits)
    return waits


def waited_for_client(since: float) -> None:
    """Since that time of trio's clock."""
    waits = _CURRENT.get()
    if waits is not None:
        waits.noted = True
        waits.client += trio.current_time() - since


def waited_for_key_lock(since: float) -> None:
    """As `waited_for_client`."""
    waits = _CURRENT.get()
    if waits is not None:
        waits.noted = True
        waits.key_lock += trio.current_time() - since


def waited_for_workers(since: float) -> None:
    """As `waited_for_client`."""
    waits = _CURRENT.get()
    if waits is not None:
        waits.noted = True
        waits.workers += trio.current_time() - since


def waited_for_device(number: int, since: float) -> None:
    """As `waited_for_client`."""
    waits = _CURRENT.get()
    if waits is not None:
        waits.noted = True
        waits.devices[number] = waits.devices.get(number, 0.0) + trio.current_time() - since
