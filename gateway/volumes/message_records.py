"""Messages as the registry keeps them: why something that was asked for was not done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.volumes.table import Table
from store.core.codec import Codec
from store.registry import Registry

KEPT_US: Final = 30 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """For a project, about one of its things."""

    id: str
    project_id: str
    resource_type: str
    """Such as `VOLUME`."""
    resource_id: str
    what: str
    """What was being done, such as `creating`."""
    text: str
    created_us: int
    expires_us: int


MESSAGE_CODEC: Final = Codec(
    "volume message",
    1,
    lambda one: [
        one.id, one.project_id, one.resource_type, one.resource_id, one.what, one.text, one.created_us, one.expires_us,
    ],
    {1: lambda f: Message(*f)},
)  # fmt: skip


class MessageTable(Table[Message]):
    """All of them."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "message", MESSAGE_CODEC)

    async def forget_expired(self, now_us: int) -> None:
        """Drop those whose time has come."""
        for one in await self.every():
            if one.expires_us <= now_us:
                await self._registry.transact((), self.deletes(one))
