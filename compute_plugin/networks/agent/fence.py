"""`Fence`: keeps the fence of routers as this agent's lease allows (see `plan/fence`)."""

from __future__ import annotations

import socket
import struct
from typing import Final

import structlog
import trio

from compute_plugin.networks.agent.netlink import messages as nl
from compute_plugin.networks.agent.netlink.set_elements import put, take
from compute_plugin.networks.agent.running import run
from compute_plugin.networks.plan.fence import LEASE, TABLE, Members, script
from compute_plugin.networks.plan.nft_script import removal
from store.core.clock import Clock

ETHERNET: Final = struct.pack("=H", 1)
"""The one element of the lease: the kind of link that all routers' are."""
MARGIN_S: Final = 2.0
"""The kernel shuts it so long before the lease can end anywhere: more than it may take to tell the kernel."""

_log = structlog.get_logger(__name__)


class Fence:
    """Of one host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = trio.Lock()
        self._written: Members | None = None
        """None where nothing is known."""
        self._there = True
        """Whether the table may be."""
        self._refreshed = 0.0
        self._asked: socket.socket | None = None

    async def tend(self, wanted: Members, ends: float) -> None:
        """`ends`: when the lease with which they are held ends at the earliest. Who is no member is shut before anybody
        is open for longer."""
        async with self._lock:
            if self._written is None and wanted == Members():
                return  # what an agent before this one has left shuts by itself
            if wanted != self._written:
                self._written, self._there = None, True
                ended = await run(["nft", "-f", "-"], script(wanted))
                if ended.status != 0:
                    _log.warning("the fence of routers cannot be made", errors=ended.errors[-500:])
                    return
                self._written = wanted
                self._refreshed = 0.0
            if wanted.held and ends != self._refreshed:
                self._refresh(ends)

    async def remove(self) -> None:
        """Where no router has any link here."""
        async with self._lock:
            if self._there:
                ended = await run(["nft", "-f", "-"], removal("bridge", TABLE))
                self._there = ended.status != 0
                self._written = None

    def close(self) -> None:
        if self._asked is not None:
            self._asked.close()

    def _refresh(self, ends: float) -> None:
        left = ends - MARGIN_S - self._clock.monotonic()
        if left <= 0:
            return
        if self._asked is None:
            self._asked = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, nl.NETFILTER)
        try:
            put(self._asked, TABLE, LEASE, ETHERNET, int(left * 1000))
            if self._clock.monotonic() + left > ends:  # it took so long that it would be open for too long
                take(self._asked, TABLE, LEASE, ETHERNET)
                return
        except OSError as error:  # such as when somebody has taken the table away
            self._written = None
            _log.warning("the fence of routers cannot be kept open", error=str(error))
            return
        self._refreshed = ends
