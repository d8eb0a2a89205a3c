"""A backup as clients see it, by microversion; and as one cloud hands it to another."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from gateway.rest.times import shown_us
from gateway.volumes.backup_records import Backup
from gateway.volumes.call import Call
from gateway.volumes.listing import Row
from gateway.volumes.volume_view import links

PROJECT: Final = 18
METADATA: Final = 43
USER: Final = 56
DRIVER: Final = "cinder.backup.drivers.swift.SwiftBackupDriver"
"""What stock cinder calls the service whose layout of objects this is."""


def summary(call: Call, backup: Backup) -> Row:
    """What short lists say of it."""
    return {"id": backup.id, "name": backup.name, "links": links(call, "backups", backup.id)}


def detail(call: Call, backup: Backup, status: str, *, dependents: bool, admin: bool) -> Row:
    """All of it. `dependents`: whether others go on from it."""
    shown: Row = summary(call, backup) | {
        "status": status,
        "size": backup.size,
        "object_count": backup.object_count,
        "availability_zone": backup.zone,
        "container": backup.container,
        "created_at": shown_us(backup.created_us),
        "updated_at": shown_us(backup.updated_us),
        "description": backup.description,
        "fail_reason": backup.fail_reason,
        "volume_id": backup.volume_id,
        "is_incremental": backup.parent_id is not None,
        "has_dependent_backups": dependents,
        "snapshot_id": backup.snapshot_id,
        "data_timestamp": shown_us(backup.data_us),
    }
    if call.since(METADATA):
        shown["metadata"] = backup.metadata
    if call.since(PROJECT) and admin:
        shown["os-backup-project-attr:project_id"] = backup.project_id
    if call.since(USER) and admin:
        shown["user_id"] = backup.user_id
    return shown


def exported(backup: Backup, status: str) -> dict[str, str]:
    """The record as another cloud imports it, with the names that stock cinder has."""
    record: dict[str, Any] = {
        "id": backup.id,
        "user_id": backup.user_id,
        "project_id": backup.project_id,
        "volume_id": backup.volume_id,
        "host": None,
        "availability_zone": backup.zone,
        "container": backup.container,
        "parent_id": backup.parent_id,
        "status": status,
        "fail_reason": backup.fail_reason,
        "size": backup.size,
        "display_name": backup.name,
        "display_description": backup.description,
        "service_metadata": backup.prefix,
        "service": DRIVER,
        "object_count": backup.object_count,
        "temp_volume_id": None,
        "temp_snapshot_id": None,
        "num_dependent_backups": None,
        "snapshot_id": backup.snapshot_id,
        "data_timestamp": _time(backup.data_us),
        "restore_volume_id": backup.restored_to,
        "metadata": backup.metadata,
        "encryption_key_id": None,
        "created_at": _time(backup.created_us),
        "updated_at": _time(backup.updated_us),
        "deleted_at": None,
        "deleted": False,
        "driver_info": {},
    }
    url = base64.b64encode(json.dumps(record).encode()).decode()
    return {"backup_service": DRIVER, "backup_url": url}


def _time(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
