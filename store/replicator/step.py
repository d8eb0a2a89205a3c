"""A step of the ring, as daemons take it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from store.ring import Ring

Step = Callable[[Callable[[Ring], Ring]], Awaitable[Ring]]
"""Takes one step on the stored ring, and gives the ring that came of it. Raises DrystoneError where it cannot be stored
now."""
