"""Whether a server still has a volume: what the compute service says."""

from __future__ import annotations

from typing import Protocol


class Servers(Protocol):
    """Of the compute service."""

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        """Whether there is such a server, and it has the volume by that attachment."""
        ...


class NoServers:
    """As long as there is no compute service."""

    async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
        return False
