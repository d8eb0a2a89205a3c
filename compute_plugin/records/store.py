"""`ComputeStore`: the records of servers, and the one way to change them."""

from __future__ import annotations

from typing import ClassVar

from compute_plugin.records.records import Records
from compute_plugin.tables.store import TableStore
from store.registry import Registry


class ComputeStore(TableStore[Records]):
    """See TableStore."""

    called: ClassVar = "servers"

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, Records)
