"""Actions of snapshots."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.volumes.actions import Action, acting
from gateway.volumes.call import Call
from gateway.volumes.snapshots import DELETABLE, begin_delete
from gateway.volumes.standing import find_snapshot, snapshot_standing
from store.core.errors import InvalidError

STATUSES: Final = (
    "error", "available", "creating", "deleting", "deleted", "updating", "error_deleting", "unmanaging", "backing-up",
    "restoring",
)  # fmt: skip
TOLD: Final = {
    "creating": ("creating", "available", "error"),
    "deleting": ("deleting", "error_deleting"),
}
"""What a client may say that a snapshot is, by what it is."""
_PROGRESS: Final = re.compile(r"(100|[0-9]{1,2})%")


async def reset_status(call: Call, asked: Fields) -> Response:
    """An administrator's word: `available` takes back what was declared and an error, any other is declared."""
    found = await find_snapshot(call, "volume_extension:snapshot_admin_actions:reset_status")
    status = asked.one_of("status", STATUSES)
    now, _ = await snapshot_standing(call.service, found.record)
    lost = await call.service.is_lost(now.doing)
    await call.service.snapshots.change(
        now.id,
        lambda one: replace(
            one,
            declared="" if status == "available" else status,
            error="",
            doing=None if lost and one.doing == now.doing else one.doing,
            progress="",
        ),
    )
    return accepted()


async def tell_status(call: Call, asked: Fields) -> Response:
    """How far it is, as whoever makes it says."""
    found = await find_snapshot(call, "snapshot_extension:snapshot_actions:update_snapshot_status")
    now, current = await snapshot_standing(call.service, found.record)
    status, progress = asked.text("status"), asked.value("progress")
    if status not in TOLD.get(current, ()):
        raise InvalidError(f"A snapshot that is {current} cannot become {status[:64]}.")
    if progress is not None and not (isinstance(progress, str) and _PROGRESS.fullmatch(progress)):
        raise InvalidError("progress: a percentage such as 80%")
    await call.service.snapshots.change(
        now.id,
        lambda one: replace(
            one, declared="" if status == "available" else status, progress=progress if progress else one.progress
        ),
    )
    return accepted()


async def force_delete(call: Call, _: Fields) -> Response:
    found = await find_snapshot(call, "volume_extension:snapshot_admin_actions:force_delete")
    await begin_delete(call, found.record.id, None)
    return accepted()


async def unmanage(call: Call, _: Fields) -> Response:
    """It is forgotten here; the store keeps it."""
    found = await find_snapshot(call, "snapshot_extension:snapshot_unmanage")
    await begin_delete(call, found.record.id, DELETABLE, leave=True)
    return accepted()


ROUTES: Final[Routes[Call]] = {
    "/snapshots/{snapshot_id}/action": {
        "POST": acting(
            {
                "os-reset_status": Action(reset_status),
                "os-update_snapshot_status": Action(tell_status),
                "os-force_delete": Action(force_delete),
                "os-unmanage": Action(unmanage),
            }
        )
    },
}
