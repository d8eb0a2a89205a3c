"""The tables of volumes and of snapshots, with what they are found by besides.

volumes/attachment-of/<attachment>              the id of its volume
volumes/snapshots-of/<volume>/<snapshot>        the project of a snapshot
"""

from __future__ import annotations

from dataclasses import replace

from gateway.volumes.records import SNAPSHOT_CODEC, VOLUME_CODEC, Attachment, Snapshot, Volume
from gateway.volumes.table import Table
from store.core.errors import NotFoundError
from store.registry import Delete, Put, Registry, Span


class VolumeTable(Table[Volume]):
    """Volumes, and whose an attachment is."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "volume", VOLUME_CODEC)

    def deletes(self, record: Volume) -> list[Delete]:
        return [*super().deletes(record), *(Delete(attachment_key(one.id)) for one in record.attachments)]

    async def with_attachment(self, id_: str) -> tuple[Volume, Attachment]:
        """Raises NotFoundError."""
        missing = NotFoundError(f"Attachment {id_[:64]} could not be found.")
        item = await self._registry.get(attachment_key(id_)) if len(id_) <= 64 else None
        if item is None:
            raise missing
        try:
            volume = (await self.find(item.value.decode())).record
        except NotFoundError as error:
            raise missing from error
        for one in volume.attachments:
            if one.id == id_:
                return volume, one
        raise missing


class SnapshotTable(Table[Snapshot]):
    """Snapshots, and those of a volume."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "snapshot", SNAPSHOT_CODEC)

    def puts(self, record: Snapshot) -> list[Put]:
        return [*super().puts(record), Put(_of_volume(record.volume_id, record.id), record.project_id.encode())]

    def deletes(self, record: Snapshot) -> list[Delete]:
        return [*super().deletes(record), Delete(_of_volume(record.volume_id, record.id))]

    async def of_volume(self, volume_id: str) -> list[Snapshot]:
        """Of all projects, those made first in front."""
        found: list[Snapshot] = []
        for item in await self._registry.range(Span.prefix(_of_volume(volume_id, ""))):
            id_ = item.key.rpartition(b"/")[2].decode()
            try:
                found.append((await self.find(id_, item.value.decode())).record)
            except NotFoundError:
                continue  # it was deleted meanwhile
        return sorted(found, key=lambda one: (one.created_us, one.id))


def with_attachments(volume: Volume, attachments: tuple[Attachment, ...]) -> Volume:
    """The volume with these. What a client was about to do with one that is gone, it does no more."""
    mark = "" if volume.mark == "detaching" and not attachments else volume.mark
    return replace(volume, attachments=attachments, mark=mark)


def attachment_key(id_: str) -> bytes:
    return f"volumes/attachment-of/{id_}".encode("utf-8", "replace")


def _of_volume(volume_id: str, id_: str) -> bytes:
    return f"volumes/snapshots-of/{volume_id}/{id_}".encode()
