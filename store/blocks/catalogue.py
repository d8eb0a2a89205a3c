"""The volumes of a store, by name.

Each volume is a container of the account `.volumes`, by its id in hexadecimal; the container `names` has a row for each
name: msgpack [1, id]. So a volume is renamed, and deleted, whatever it has in it. The container `trash` has a row for
each volume that was deleted and can be brought back (`trash.py`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import msgpack

from store.blocks.head import ROW_NAME, SIZE_MAX, Head, Root, first_head, new_head
from store.blocks.lineage import ACCOUNT, volume_table
from store.blocks.owned_head import change_head, load_head
from store.blocks.place import BLOCK_BYTES, DEPTH_MAX
from store.blocks.removal import remove
from store.blocks.snapshots import Snapshot, Snapshots
from store.blocks.table import Table
from store.blocks.trash import TRASH, Trashed
from store.core.codec import unknown_version
from store.core.entropy import Random
from store.core.errors import (
    CallerError,
    ConflictError,
    DamageError,
    DrystoneError,
    InvalidError,
    NotFoundError,
)
from store.core.limits import NAME_BYTES_MAX
from store.device.row import Row
from store.objects.model import Container, ListingQuery, Subdir
from store.objects.rows import tombstone
from store.objects.store import DeviceStore

NAMES: Final = "names"
VERSION: Final = 1
PAGE: Final = 1000
ID_BYTES: Final = 16


class Found(NamedTuple):
    """A volume, by its id, and where its rows are."""

    id: bytes
    container: Container


class Catalogue:
    """Volumes by name."""

    def __init__(self, store: DeviceStore, random: Random) -> None:
        self._store = store
        self._random = random

    # -- what there is -------------------------------------------------------------------------------------------

    async def names(self, after: str = "", limit: int = PAGE) -> list[str]:
        """The names of volumes behind `after`, in order."""
        try:
            table = Table(self._store, await self._store.container(ACCOUNT, NAMES))
        except NotFoundError:
            return []
        return await table.names("", after, limit)

    async def find(self, name: str) -> Container:
        """The container that a volume is. Raises NotFoundError."""
        return (await self._look(name)).container

    async def head(self, name: str) -> Head:
        """Raises NotFoundError."""
        return await load_head(Table(self._store, await self.find(name)))

    async def snapshots(self, name: str) -> dict[str, Snapshot]:
        """The snapshots of a volume that are made, by name. Raises NotFoundError."""
        found = await Snapshots(Table(self._store, await self.find(name))).all()
        return {key: each for key, each in found.items() if each.root is not None and not each.deleted}

    async def _look(self, name: str) -> Found:
        try:
            names = Table(self._store, await self._store.container(ACCOUNT, NAMES))
            row = await names.load(name)
            if row is not None:
                volume = _decode(row.payload)
                return Found(volume, (await volume_table(self._store, volume)).container)
        except NotFoundError as error:
            raise NotFoundError(f"there is no volume {name}") from error
        raise NotFoundError(f"there is no volume {name}")

    # -- changes -------------------------------------------------------------------------------------------------

    async def create(self, name: str, size: int, policy: int | None = None, window_us: int = 0) -> Container:
        """An empty volume of `size` bytes, which can be seen as it was at any time of a window, in microseconds. Raises
        InvalidError, and ConflictError where there is one of this name."""
        check_size(size)
        return await self._make(name, policy, new_head(size, window_us), None)

    async def clone(
        self, name: str, snapshot: str, new: str, size: int | None = None, window_us: int | None = None
    ) -> Container:
        """A volume that begins as a snapshot of another, of the same size or larger, with a window of its own or the
        same. Raises NotFoundError, InvalidError and ConflictError."""
        parent = await self._look(name)
        table = Table(self._store, parent.container)
        of, head = await Snapshots(table).find(snapshot), await _usable_head(table, name)
        assert of.root is not None
        wanted = of.size if size is None else size
        check_size(wanted)
        if wanted < of.size:
            raise InvalidError(f"the snapshot has {of.size} bytes: a clone has no fewer")
        if head.depth >= DEPTH_MAX:
            raise InvalidError(f"a chain of clones has at most {DEPTH_MAX} of them: flatten the volume first")
        root = Root(of.root.depth, of.root.checkpoint, 1, 0, of.root.behind)
        window = head.window_us if window_us is None else window_us
        made = Head(wanted, 0, root, 1, (*head.lineage, parent.id), snapshot, window_us=window)
        return await self._make(new, parent.container.policy, made, of.root)

    async def _make(self, name: str, policy: int | None, head: Head, of: Root | None) -> Container:
        """Of a clone, `of` is the root of its snapshot."""
        check_name(name)
        names = await self._own_table(NAMES)
        if await names.load(name) is not None:
            raise ConflictError(f"there is a volume {name} already")
        volume = self._random.bytes(ID_BYTES)
        container, _ = await self._store.put_container(ACCOUNT, volume.hex(), {}, policy)
        table = Table(self._store, container)
        try:
            if table.policy.erasure:
                raise InvalidError(f"policy {table.policy.name} codes what it keeps: volumes are kept in copies")
            await table.change(ROW_NAME, lambda row: row or table.row(ROW_NAME, first_head(head).encode()))
            if of is not None:
                parent = await volume_table(self._store, head.lineage[-1])
                await Snapshots(parent).add_clone(head.origin, of, volume)
            await self._name(names, name, volume)
        except CallerError:  # where nobody can tell whether it was made, it may be there
            await remove(self._store, volume)
            raise
        return container

    async def _name(self, names: Table, name: str, volume: bytes) -> None:
        def edit(row: Row | None) -> Row | None:
            if row is not None and _decode(row.payload) != volume:
                raise ConflictError(f"there is a volume {name} already")
            return names.row(name, _encode(volume)) if row is None else None

        await names.change(name, edit)

    async def _own_table(self, name: str) -> Table:
        """Of names, or of the trash."""
        await self._store.put_account(ACCOUNT, {})
        container, _ = await self._store.put_container(ACCOUNT, name, {})
        return Table(self._store, container)

    async def rename(self, name: str, new: str) -> None:
        """Give a volume another name, whoever has it open. Raises NotFoundError, InvalidError, and ConflictError where
        there is one of the new name. A crash may leave it under both."""
        check_name(new)
        found = await self._look(name)
        await _usable_head(Table(self._store, found.container), name)
        names = await self._own_table(NAMES)
        await self._name(names, new, found.id)
        await self._forget(names, name, found.id)

    async def _forget(self, names: Table, name: str, volume: bytes) -> None:
        def edit(row: Row | None) -> Row | None:
            if row is None or _decode(row.payload) != volume:
                return None
            return tombstone(names.key(name), names.container.policy)

        await names.change(name, edit)

    async def resize(self, name: str, size: int) -> Head:
        """Have a volume larger that nobody has open. Raises InvalidError where it were smaller."""
        return await change_head(Table(self._store, await self.find(name)), lambda head: grown(head, size))

    async def delete(self, name: str) -> None:
        """Delete a volume and its snapshots. What clones of these need stays until they are deleted, too. Raises
        NotFoundError."""
        found = await self._look(name)
        await self._forget(await self._own_table(NAMES), name, found.id)
        await remove(self._store, found.id)

    # -- the trash -----------------------------------------------------------------------------------------------

    async def move_to_trash(self, name: str, now_us: int, keep_us: int) -> bytes:
        """Have a volume be found, and opened, by nobody any more, and keep all of it for so long. Who has it open has
        it no more. Its id. Raises NotFoundError. One whose move was not done to the end is moved by another."""
        found = await self._look(name)
        trash = await self._own_table(TRASH)
        row = trash.row(found.id.hex(), Trashed(name, now_us, now_us + keep_us).encode())
        await trash.change(found.id.hex(), lambda _: row)
        await change_head(Table(self._store, found.container), _trashed)
        await self._forget(await self._own_table(NAMES), name, found.id)
        return found.id

    async def in_trash(self) -> dict[bytes, Trashed]:
        """The volumes in the trash, by their ids."""
        try:
            table = Table(self._store, await self._store.container(ACCOUNT, TRASH))
        except NotFoundError:
            return {}
        found: dict[bytes, Trashed] = {}
        after = ""
        while names := await table.names("", after):
            after = names[-1]
            for name in names:
                if (row := await table.load(name)) is not None:
                    found[bytes.fromhex(name)] = Trashed.decode(row.payload)
        return found

    async def restore(self, volume: bytes, name: str = "") -> str:
        """Bring a volume back from the trash, under a name or the one that it had: which. Raises NotFoundError,
        InvalidError, and ConflictError where there is another of that name."""
        trash, kept = await self._load_trashed(volume)
        name = name or kept.name
        check_name(name)
        names = await self._own_table(NAMES)
        there = await names.load(name)
        if there is not None and _decode(there.payload) != volume:
            raise ConflictError(f"there is a volume {name} already: restore it under another name")
        # In this order: who finds it half done finds it in the trash, and not one of that name that cannot be opened.
        await change_head(await volume_table(self._store, volume), _restored)
        await self._name(names, name, volume)
        await self._forget_trashed(trash, volume, kept)
        return name

    async def purge(self, volume: bytes) -> None:
        """Remove a volume that is in the trash for good. Raises NotFoundError. One that is being restored is only taken
        out of the trash."""
        await self._purge(volume, None)

    async def purge_due(self, now_us: int) -> int:
        """Remove what has been in the trash for its time. How many. Where that fails for some, the others go all the
        same, and the first error is raised."""
        due = [volume for volume, kept in (await self.in_trash()).items() if kept.goes_us <= now_us]
        failures: list[DrystoneError] = []
        gone = 0
        for volume in due:
            try:
                gone += await self._purge(volume, now_us)
            except NotFoundError:
                continue  # somebody else was faster
            except DrystoneError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return gone

    async def _purge(self, volume: bytes, now_us: int | None) -> bool:
        """Whether it is in the trash no more; with a time only what is still due then is removed: it may have been
        restored, and deleted again, while a row of the time before was left. Each move to the trash writes its row
        first, and draws an epoch: so what is removed is what the row is about."""
        condemned = False
        while not condemned:
            table, epoch = await self._epoch(volume)
            trash, kept = await self._load_trashed(volume)
            if now_us is not None and kept.goes_us > now_us:
                return False
            if table is None:
                break
            try:
                condemned = (await change_head(table, partial(_condemned, epoch), reserve=True)).deleted
            except ConflictError:
                await self._forget_trashed(trash, volume, kept)
                return True
            except NotFoundError:
                break
        await self._forget(await self._own_table(NAMES), kept.name, volume)  # where its move was not done to the end
        await remove(self._store, volume)
        await self._forget_trashed(trash, volume, kept)
        return True

    async def _epoch(self, volume: bytes) -> tuple[Table | None, int]:
        """Of a volume; no table where its rows are gone, or all but some."""
        try:
            table = await volume_table(self._store, volume)
            return table, (await load_head(table)).epoch
        except NotFoundError:
            return None, 0

    async def _load_trashed(self, volume: bytes) -> tuple[Table, Trashed]:
        trash = await self._own_table(TRASH)
        row = await trash.load(volume.hex())
        if row is None:
            raise NotFoundError(f"there is no volume {volume.hex()} in the trash")
        return trash, Trashed.decode(row.payload)

    async def _forget_trashed(self, trash: Table, volume: bytes, kept: Trashed) -> None:
        """Unless it was moved there again since."""

        def edit(row: Row | None) -> Row | None:
            if row is None or Trashed.decode(row.payload) != kept:
                return None
            return tombstone(trash.key(volume.hex()), trash.container.policy)

        await trash.change(volume.hex(), edit)

    # -- what was not done to the end ----------------------------------------------------------------------------

    async def reap(self, before_us: int) -> int:
        """Remove what was made before a time, in microseconds, has no name and is not in the trash: volumes whose
        making, or whose removal, was not done to the end. How many. What is kept for clones stays."""
        try:
            account = await self._store.account(ACCOUNT)
        except NotFoundError:
            return 0
        named = await self._named()
        nameless: list[str] = []
        after = ""
        while page := await self._store.list_containers(account, ListingQuery(PAGE, marker=after)):
            after = page[-1].name
            for entry in page:
                if isinstance(entry, Subdir) or entry.name in (NAMES, TRASH) or entry.name in named:
                    continue
                with suppress(NotFoundError):
                    container = await self._store.container(ACCOUNT, entry.name)
                    if container.created.time_us < before_us:
                        nameless.append(entry.name)
        if nameless:  # one that was renamed, deleted or restored while names were read may have been passed by
            named = await self._named()
        reaped = 0
        for name in nameless:
            if name not in named:
                await remove(self._store, bytes.fromhex(name))
                reaped += 1
        return reaped

    async def _named(self) -> set[str]:
        """The containers of volumes that have a name, or are in the trash."""
        named: set[str] = set()
        names: list[str] = []
        while names := await self.names(names[-1] if names else ""):
            for name in names:
                with suppress(NotFoundError):
                    named.add((await self._look(name)).container.name)
        return named | {volume.hex() for volume in await self.in_trash()}

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """Delete a snapshot. Its space comes back with the next checkpoint of whoever has the volume open. Raises
        NotFoundError."""
        await Snapshots(Table(self._store, await self.find(name))).delete(snapshot)


async def _usable_head(table: Table, name: str) -> Head:
    """Raises NotFoundError where a volume is in the trash, although it has its name still."""
    head = await load_head(table)
    if head.trashed:
        raise NotFoundError(f"volume {name} is in the trash")
    return head


def _trashed(head: Head) -> Head:
    if head.deleted:
        raise NotFoundError("the volume was deleted: it is kept for its clones alone")
    return head._replace(trashed=True, epoch=head.epoch + 1, holder="")


def _restored(head: Head) -> Head:
    if head.deleted:
        raise NotFoundError("the volume is being removed from the trash already")
    return head._replace(trashed=False)


def _condemned(epoch: int, head: Head) -> Head:
    """From here on it cannot be restored. Not where it has had another epoch since."""
    if not head.trashed and not head.deleted:
        raise ConflictError("the volume was restored, or was not moved to the end")
    return head if head.epoch != epoch else head._replace(deleted=True)


def grown(head: Head, size: int) -> Head:
    """The head of a volume that has become larger. Raises InvalidError."""
    check_size(size)
    if size < head.size:
        raise InvalidError(f"the volume has {head.size} bytes already: it can grow, and not shrink")
    return head._replace(size=size)


def check_size(size: int) -> None:
    """Raises InvalidError where no volume has this size."""
    if not 0 < size <= SIZE_MAX or size % BLOCK_BYTES:
        raise InvalidError(f"a volume has a multiple of {BLOCK_BYTES} bytes, and at most {SIZE_MAX >> 40} TiB")


def check_name(name: str) -> None:
    """Raises InvalidError where no volume has this name."""
    if not name or "/" in name or "@" in name or len(name.encode()) > NAME_BYTES_MAX or name[0] == "\0":
        raise InvalidError(f"a volume's name has 1 to {NAME_BYTES_MAX} bytes, and neither slash nor @")


def _encode(volume: bytes) -> bytes:
    packed: bytes = msgpack.packb((VERSION, volume))
    return packed


def _decode(packed: bytes | bytearray | memoryview) -> bytes:
    try:
        fields = msgpack.unpackb(packed)
        if fields[0] != VERSION:
            raise unknown_version("name of a volume", fields[0], (VERSION,))
        volume: bytes = fields[1]
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"the name of a volume is not of a known form: {error}") from error
    return volume
