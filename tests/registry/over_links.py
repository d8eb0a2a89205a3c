"""A registry of this process behind a link, as if it were one of another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from store.registry.local import LocalRegistry
from store.registry.served import RegistryService, ServedRegistry
from store.wire.server import Peer
from tests.wire.pairs import Wire, connected


class Owner:
    """The process that owns it; `start` is its next life, with what it has opened then."""

    def __init__(self, registry: LocalRegistry) -> None:
        self.wire: Wire
        self.served: ServedRegistry
        self.start(registry)

    def start(self, registry: LocalRegistry) -> None:
        self._service = RegistryService(registry)

    def serve(self, peer: Peer) -> None:
        self._service.serve(peer)


@asynccontextmanager
async def linked(registry: LocalRegistry) -> AsyncIterator[Owner]:
    owner = Owner(registry)
    async with connected(owner.serve) as owner.wire:
        owner.served = ServedRegistry(owner.wire.client)
        yield owner


@asynccontextmanager
async def over_link(registry: LocalRegistry) -> AsyncIterator[ServedRegistry]:
    async with linked(registry) as owner:
        yield owner.served
