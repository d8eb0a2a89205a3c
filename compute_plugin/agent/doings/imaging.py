"""An image is made of a server, while it runs, too."""

from __future__ import annotations

from typing import Any

from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work


async def create_image(hands: Hands, work: Work) -> None:
    """Of its root disk: a snapshot of the store, which the image registry makes the image of. Where it boots from a
    volume the image is of no bytes, and says which snapshots of volumes it is made of."""
    image = str(work.arguments["image"])
    root = next((disk for disk in work.server.disks if disk.boot_index == 0), None)
    await work.step("snapshot")
    if root is None or root.destination == "volume":
        await _of_volumes(hands, work, image)
    else:
        await hands.disks.take_snapshot(root.store_name, f"image-{image}")
        await work.step("image")
        await hands.images.seal(image, root.store_name, f"image-{image}")
        await hands.disks.drop_snapshot(root.store_name, f"image-{image}")
    await _rotate(hands, work)
    await work.end()


async def _of_volumes(hands: Hands, work: Work, image: str) -> None:
    taken: dict[str, Any] = dict(work.arguments.get("snapshots", {}))
    for disk in work.server.disks:
        if disk.destination == "volume" and disk.volume_id not in taken:
            row = await hands.volumes.take_snapshot(
                work.caller, disk.volume_id, f"snapshot for {work.arguments['name']}"
            )
            taken[disk.volume_id] = row["id"]
            await work.remember(snapshots=taken)
    await work.step("image")
    await hands.image_records.make_empty(work.caller, image, mapping_of(work, taken))


def mapping_of(work: Work, snapshots: dict[str, Any]) -> list[dict[str, Any]]:
    """The block device mapping of servers that are made of the image."""
    return [
        {
            "source_type": "snapshot",
            "destination_type": "volume",
            "snapshot_id": snapshots[disk.volume_id],
            "boot_index": disk.boot_index,
            "device_name": f"/dev/{disk.target}",
            "delete_on_termination": disk.delete_on_termination,
            "volume_size": disk.size or None,
            "disk_bus": disk.bus or None,
            "device_type": disk.device,
            "tag": disk.tag,
        }
        for disk in work.server.disks
        if disk.volume_id in snapshots
    ]


async def _rotate(hands: Hands, work: Work) -> None:
    """Of backups so many are kept, the newest."""
    keep = work.arguments.get("rotation")
    if keep is None:
        return
    type_ = str(work.arguments["backup_type"])
    held = await hands.image_records.backups(work.caller, work.server.id, type_)
    for one in held[int(keep) :]:
        await hands.image_records.delete(work.caller, one)
