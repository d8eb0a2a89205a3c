"""Guests whose state changed, by libvirt's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import libvirt
import trio

from compute_plugin.hypervisors.libvirt.connection import subscribed
from compute_plugin.hypervisors.libvirt.link import Link, Opened
from store.core.errors import RetryableError


class DomainChanges:
    """Each guest is told of once, however often it changed until it is asked for."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._pending: dict[str, None] = {}

    def tell(self, id_: str) -> None:
        self._pending[id_] = None
        self._opened.changed.ring()

    async def next(self) -> str:
        await trio.lowlevel.checkpoint()
        while not self._pending:
            if self._opened.is_gone:
                raise RetryableError("the hypervisor is gone: what changed meanwhile nobody told")
            await self._opened.changed.wait()
        id_ = next(iter(self._pending))
        del self._pending[id_]
        return id_


@asynccontextmanager
async def following(link: Link) -> AsyncIterator[DomainChanges]:
    """Raises RetryableError where nobody answers."""
    opened = await link.opened()
    changes = DomainChanges(opened)

    def heard(event: tuple[Any, ...]) -> None:
        changes.tell(event[1].UUIDString())

    async with subscribed(opened.connection, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, heard):
        yield changes
