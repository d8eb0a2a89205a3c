"""A snapshot as clients see it, by microversion."""

from __future__ import annotations

from typing import Final

from gateway.rest.times import shown_us
from gateway.volumes.call import Call
from gateway.volumes.listing import Row
from gateway.volumes.records import Snapshot

GROUP: Final = 14
USER: Final = 41
CONSUMES_QUOTA: Final = 65


def summary(snapshot: Snapshot, status: str) -> Row:
    """What short lists say of it."""
    return {
        "id": snapshot.id,
        "created_at": shown_us(snapshot.created_us),
        "updated_at": shown_us(snapshot.updated_us),
        "name": snapshot.name,
        "description": snapshot.description,
        "volume_id": snapshot.volume_id,
        "status": status,
        "size": snapshot.size,
        "metadata": snapshot.metadata,
    }


def detail(call: Call, snapshot: Snapshot, status: str) -> Row:
    """All of it, as it is shown and listed."""
    return changed(call, snapshot, status) | {
        "os-extended-snapshot-attributes:project_id": snapshot.project_id,
        "os-extended-snapshot-attributes:progress": snapshot.progress or ("0%" if status == "creating" else "100%"),
    }


def changed(call: Call, snapshot: Snapshot, status: str) -> Row:
    """What is told to whoever made or changed it: as in stock cinder without what its extensions say."""
    shown = summary(snapshot, status)
    if call.since(GROUP):
        shown["group_snapshot_id"] = snapshot.group_snapshot_id
    if call.since(USER):
        shown["user_id"] = snapshot.user_id
    if call.since(CONSUMES_QUOTA):
        shown["consumes_quota"] = True
    return shown
