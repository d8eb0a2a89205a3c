"""What the volume API asks of the compute service, and tells it."""

from __future__ import annotations

from typing import Protocol


class Servers(Protocol):
    """Of the compute service."""

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        """Whether there is such a server, and it has the volume by that attachment."""
        ...

    async def grown(self, volume_id: str, size: int) -> None:
        """A volume has become larger, GiB: the guests that have it are to see that. May be told twice."""
        ...


class NoServers:
    """As long as there is no compute service."""

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        return False

    async def grown(self, volume_id: str, size: int) -> None:
        return
