"""What the volume service asks about servers."""

from __future__ import annotations

from compute_plugin.records.store import ComputeStore


class ServerUse:
    """Whether servers have volumes: see gateway.volumes.server_check.Servers."""

    def __init__(self) -> None:
        self._store: ComputeStore | None = None

    def follow(self, store: ComputeStore) -> None:
        """Servers are those of this store. Before that there are none."""
        self._store = store

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        """Raises RetryableError."""
        if self._store is None:
            return False
        server = (await self._store.fresh()).servers.get(server_id)
        return server is not None and any(
            disk.volume_id == volume_id and disk.attachment_id == attachment_id for disk in server.disks
        )
