"""`NetworkStore`: the records of networks, and the one way to change them."""

from __future__ import annotations

from typing import ClassVar, Final

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.records import Records
from compute_plugin.tables.store import TableStore
from store.registry import Registry

ROOM: Final = 100
"""What a change takes of things that can be many, and leaves to the next."""


class NetworkStore(TableStore[Records]):
    """See TableStore."""

    called: ClassVar = "networks"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, Records)

    def too_much(self, why: str) -> Exception:
        """See TableStore."""
        return BadRequestError("InvalidInput", why)
