"""The registry of a data folder for the other commands: through the process that serves it, or by opening it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from drystone.control_client import exchange, serving
from drystone.folder import DataFolder
from drystone.node_identity import find_identity
from store.core.clock import SystemClock
from store.core.errors import DamageError, NotFoundError
from store.registry import Registry, open_embedded
from store.registry.remote import RemoteRegistry


@asynccontextmanager
async def open_registry(folder: DataFolder) -> AsyncIterator[Registry]:
    """The folder's registry: through the process that serves it, or by opening it."""
    folder.need_cluster()
    if serving(folder):

        async def call(request: bytes) -> bytes:
            return await trio.to_thread.run_sync(exchange, folder, "POST", "/registry", request)

        yield RemoteRegistry(call)
        return
    identity = find_identity(folder)
    if identity is not None and not identity.owns_registry:
        where = "in etcd" if identity.etcd else f"with node {identity.registry}"
        raise NotFoundError(
            f"the registry is {where}, and nobody serves this folder: start it with 'drystone up --data {folder.path}'"
        )
    if not folder.has_registry:
        raise DamageError(folder.lost("registry"))
    with open_embedded(folder.registry, SystemClock()) as registry:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.run)
            yield registry
            nursery.cancel_scope.cancel()
