"""The volumes of a store, by name: each is a container of the account `.volumes`."""

from __future__ import annotations

from typing import Final

from store.blocks.head import ROW_NAME, SIZE_MAX, Head, new_head
from store.blocks.owned_head import change_head, load_head
from store.blocks.place import BLOCK_BYTES
from store.blocks.table import Table
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.device.row import Row
from store.objects.model import Container, ListingQuery, Subdir
from store.objects.store import DeviceStore

ACCOUNT: Final = ".volumes"
PAGE: Final = 1000


class Catalogue:
    """Volumes by name."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    async def create(self, name: str, size: int, policy: int | None = None) -> Container:
        """An empty volume of `size` bytes. Raises InvalidError, and ConflictError where there is one of this name, or
        one that was not deleted to the end."""
        check_size(size)
        for each in self._store.policies:
            if each.erasure and (each.default if policy is None else each.index == policy):
                raise InvalidError(f"policy {each.name} codes what it keeps: volumes are kept in copies")
        await self._store.put_account(ACCOUNT, {})
        container, _ = await self._store.put_container(ACCOUNT, name, {}, policy)
        table = Table(self._store, container)
        left = await table.names("", limit=1)
        if left and left != [ROW_NAME]:
            raise ConflictError(f"there is a volume {name} already, or one that is being deleted")

        def edit(row: Row | None) -> Row:
            if row is not None:
                raise ConflictError(f"there is a volume {name} already")
            return table.row(ROW_NAME, new_head(size).encode())

        await table.change(ROW_NAME, edit)
        return container

    async def find(self, name: str) -> Container:
        """Raises NotFoundError."""
        try:
            return await self._store.container(ACCOUNT, name)
        except NotFoundError as error:
            raise NotFoundError(f"there is no volume {name}") from error

    async def head(self, name: str) -> Head:
        """Raises NotFoundError."""
        return await load_head(Table(self._store, await self.find(name)))

    async def names(self, after: str = "", limit: int = PAGE) -> list[str]:
        """The names of volumes behind `after`, in order."""
        try:
            account = await self._store.account(ACCOUNT)
        except NotFoundError:
            return []
        entries = await self._store.list_containers(account, ListingQuery(marker=after, limit=limit))
        return [entry.name for entry in entries if not isinstance(entry, Subdir)]

    async def resize(self, name: str, size: int) -> Head:
        """Have a volume larger, which nobody may have open. Raises InvalidError where it were smaller."""
        check_size(size)

        def edit(head: Head) -> Head:
            if size < head.size:
                raise InvalidError(f"the volume has {head.size} bytes already: it can grow, and not shrink")
            return head._replace(size=size)

        return await change_head(Table(self._store, await self.find(name)), edit)

    async def delete(self, name: str) -> None:
        """Delete a volume, and all that is in it. Raises NotFoundError. What was begun and failed is begun again."""
        container = await self.find(name)
        table = Table(self._store, container)
        await table.delete(ROW_NAME)  # nobody opens it from now on
        while names := await table.names(""):
            for row in names:
                await table.delete(row)
        await self._store.delete_container(ACCOUNT, name)


def check_size(size: int) -> None:
    """Raises InvalidError where no volume has this size."""
    if not 0 < size <= SIZE_MAX or size % BLOCK_BYTES:
        raise InvalidError(f"a volume has a multiple of {BLOCK_BYTES} bytes, and at most {SIZE_MAX >> 40} TiB")
