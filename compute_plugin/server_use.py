"""What the volume service asks about servers, and tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
import trio

from compute_plugin.clients.callers import COMPUTE
from compute_plugin.lifecycle.changes import BusyServerError, begun
from compute_plugin.records.records import Records
from store.core.errors import ConflictError

if TYPE_CHECKING:
    from compute_plugin.service import ComputeService

SOON_S: Final = 30.0
"""How long it is waited for the end of what is being done with a server."""

_log = structlog.get_logger(__name__)


class ServerUse:
    """Which servers have volumes: see gateway.volumes.server_check.Servers."""

    def __init__(self) -> None:
        self._service: ComputeService | None = None

    def follow(self, service: ComputeService) -> None:
        """Servers are those of this service. Before that there are none."""
        self._service = service

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        """Raises RetryableError."""
        if self._service is None:
            return False
        server = (await self._service.store.fresh()).servers.get(server_id)
        return server is not None and any(
            disk.volume_id == volume_id and disk.attachment_id == attachment_id for disk in server.disks
        )

    async def grown(self, volume_id: str, size: int) -> None:
        """Guests that run are told; others see it when they start."""
        if self._service is None:
            return
        for server in (await self._service.store.fresh()).servers.by("volume", volume_id):
            if server.host:
                await self._tell(self._service, server.id, volume_id, size)

    async def _tell(self, service: ComputeService, server_id: str, volume_id: str, size: int) -> None:
        def step(records: Records) -> None:
            server = records.servers.get(server_id)
            if server is not None:
                begun(
                    records,
                    server,
                    "extend-volume",
                    COMPUTE,
                    id_=service.new_id(),
                    request_id=f"req-{service.new_id()}",
                    now_us=service.clock.wall_us(),
                    arguments={"volume": volume_id, "size": size},
                )

        with trio.move_on_after(SOON_S):
            while True:
                revision = service.store.revision
                try:
                    await service.store.change(step)
                except BusyServerError:
                    await service.store.later_than(revision)
                except ConflictError as error:
                    _log.info("a guest is not told that a volume has grown", server=server_id, why=str(error))
                    return
                else:
                    return
        _log.warning("a guest is not told that a volume has grown: its server is busy", server=server_id)
