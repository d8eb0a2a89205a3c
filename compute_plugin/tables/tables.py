"""`Tables`: all tables of a service, and what the registry has to be told of a change to them. Pure.

<prefix><kind>/<id>     a record
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from compute_plugin.tables.table import Kind, Table
from store.registry import Delete, Put


class Tables:
    """Subclasses have a table of each kind as an attribute. One over another is what a change sees: its own writes, and
    nobody else does."""

    prefix: ClassVar[bytes]
    """Of the registry's keys."""

    def tables(self) -> Iterator[Table[Any]]:
        """All of them."""
        yield from (table for table in vars(self).values() if isinstance(table, Table))

    def changed(self) -> int:
        """How many records lie over the tables below."""
        return sum(len(table.changes()) for table in self.tables())

    def operations(self) -> list[Put | Delete]:
        """What makes the registry have what lies over the tables below."""
        return [
            Delete(self.key_of(table.kind, id_))
            if record is None
            else Put(self.key_of(table.kind, id_), table.kind.codec.encode(record))
            for table in self.tables()
            for id_, record in table.changes().items()
        ]

    def key_of(self, kind: Kind[Any], id_: str) -> bytes:
        """Where a record is in the registry."""
        return self.prefix + f"{kind.name}/{id_}".encode()
