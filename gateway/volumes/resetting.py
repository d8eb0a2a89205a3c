"""An administrator's word on the status of a backup, a group or a snapshot of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from gateway.volumes.backup_records import Backup
from gateway.volumes.group_records import Group, GroupSnapshot
from gateway.volumes.service import VolumeService
from gateway.volumes.table import Table

R = TypeVar("R", Backup, Group, GroupSnapshot)


async def reset(service: VolumeService, table: Table[R], found: R, status: str) -> None:
    """`available` takes back what was declared and an error, any other is declared. What nobody does any more is
    forgotten; a task that goes on counts more than either."""
    lost = await service.is_lost(found.doing)

    def step(now: R) -> R:
        doing = None if lost and now.doing == found.doing else now.doing
        after: R = replace(now, declared="" if status == "available" else status, error="", doing=doing)
        return after

    await table.change(found.id, step)
