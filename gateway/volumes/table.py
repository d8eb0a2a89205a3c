"""`Table`: records of one kind in the registry, by project, and found by their ids alone.

    volumes/<kind>/<project>/<id>      a record
    volumes/<kind>-of/<id>             the project of a record

So a project's list costs only its own, and one record one get for whoever is of the project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import quote

from store.core.codec import Codec
from store.core.errors import ConflictError, NotFoundError
from store.registry import Compare, Delete, Put, Registry, Span

ATTEMPTS: Final = 32
"""How often a change is tried while others change the same record."""
ID_CHARACTERS_MAX: Final = 64
_ID: Final = re.compile(f"[0-9A-Za-z_-]{{1,{ID_CHARACTERS_MAX}}}")


class Record(Protocol):
    """Of a project."""

    @property
    def id(self) -> str: ...

    @property
    def project_id(self) -> str: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A record as it was read."""

    record: R
    same: Compare
    """It has not changed since."""


class Table(Generic[R]):
    """Of one kind."""

    def __init__(self, registry: Registry, kind: str, codec: Codec[R]) -> None:
        self._registry = registry
        self._kind = kind
        self._codec = codec

    # -- reading -------------------------------------------------------------------------------------------------

    async def find(self, id_: str, near: str | None = None) -> Found[R]:
        """`near`: the project that is looked in first. Raises NotFoundError."""
        missing = NotFoundError(f"{self._kind.capitalize()} {id_[:ID_CHARACTERS_MAX]} could not be found.")
        if not _ID.fullmatch(id_):
            raise missing
        for _ in range(ATTEMPTS):
            if near:
                item = await self._registry.get(self.key(near, id_))
                if item is not None:
                    record = self._codec.decode(item.value)
                    return Found(record, Compare.unchanged(item.key, item.mod_revision))
            where = await self._registry.get(self._where(id_))
            if where is None:
                raise missing
            near = where.value.decode()
        raise missing

    async def of_project(self, project: str) -> list[R]:
        """All of a project, in the order of their ids."""
        return await self._range(self.key(project, ""))

    async def every(self) -> list[R]:
        """Of all projects."""
        return await self._range(f"volumes/{self._kind}/".encode())

    async def _range(self, prefix: bytes) -> list[R]:
        return [self._codec.decode(item.value) for item in await self._registry.range(Span.prefix(prefix))]

    # -- writing -------------------------------------------------------------------------------------------------

    def put(self, record: R) -> Put:
        """Of one that is there."""
        return Put(self.key(record.project_id, record.id), self._codec.encode(record))

    def puts(self, record: R) -> list[Put]:
        """Of a new one."""
        return [self.put(record), Put(self._where(record.id), record.project_id.encode())]

    def deletes(self, record: R) -> list[Delete]:
        return [Delete(self.key(record.project_id, record.id)), Delete(self._where(record.id))]

    def moves(self, before: R, after: R) -> list[Put | Delete]:
        """To another project, or to the same one: there it is put, since no transaction deletes what it puts."""
        if before.project_id == after.project_id:
            return [self.put(after)]
        return [Delete(self.key(before.project_id, before.id)), *self.puts(after)]

    async def change(
        self,
        id_: str,
        step: Callable[[R], R],
        operations: Callable[[R], Sequence[Put | Delete]] | None = None,
        near: str | None = None,
    ) -> R:
        """Have a record be what `step` makes of it, and do the `operations` that go with that in the same moment. Both
        may be asked several times, and raise. Raises NotFoundError, ConflictError where others keep changing it."""
        for _ in range(ATTEMPTS):
            found = await self.find(id_, near)
            after = step(found.record)
            along = list(operations(after)) if operations is not None else []
            if after == found.record and not along:
                return after
            if (await self._registry.transact([found.same], [self.put(after), *along])).succeeded:
                return after
        raise ConflictError("Others keep changing the same; try again.")

    def key(self, project: str, id_: str) -> bytes:
        return f"volumes/{self._kind}/{quote(project, safe='')}/{quote(id_, safe='')}".encode()

    def _where(self, id_: str) -> bytes:
        return f"volumes/{self._kind}-of/{quote(id_, safe='')}".encode()
