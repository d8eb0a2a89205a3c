"""The status of a volume and of a snapshot: computed from what is, so that nothing sticks. Pure."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.volumes.records import Doing, Volume

MARK_US: Final = 15 * 60 * 1_000_000
"""What a client said it was about to do counts for so long: a client that died in it leaves nothing behind."""

ERRORS: Final = {
    "deleting": "error_deleting",
    "extending": "error_extending",
    "restoring-backup": "error_restoring",
}
"""The status where a task failed, by what it was doing; `error` for all others but those that leave the volume as it
was."""
HARMLESS: Final = frozenset({"uploading", "backing-up", "retyping", "restoring"})
"""What a task may fail in without harm to the volume, or to the backup that is restored."""


class Worked(Protocol):
    """What tasks do something with: snapshots, backups, groups."""

    @property
    def doing(self) -> Doing | None: ...

    @property
    def error(self) -> str: ...

    @property
    def declared(self) -> str: ...


def error_of(what: str) -> str:
    """The status after a task failed in doing `what`; "" where nothing happened to the volume."""
    return "" if what in HARMLESS else ERRORS.get(what, "error")


def volume_status(volume: Volume, now_us: int, *, lost: bool = False) -> str:
    """`lost`: the task of what is being done is no more, and left nothing in the record. The first that holds."""
    error = volume.error
    if volume.doing is not None:
        if not lost:
            return volume.doing.what
        error = error_of(volume.doing.what)
    if error:
        return error
    if volume.declared:
        return volume.declared
    mark = volume.mark if now_us < volume.marked_us + MARK_US else ""
    states = {attachment.state for attachment in volume.attachments}
    if "attached" in states:
        return "detaching" if mark == "detaching" else "in-use"
    if "attaching" in states or mark == "attaching":
        return "attaching"
    if "reserved" in states:
        return "reserved"
    return "awaiting-transfer" if volume.transfer_id is not None else "available"


def attach_status(volume: Volume) -> str:
    """As administrators know it."""
    states = [attachment.state for attachment in volume.attachments]
    return next((state for state in ("attached", "attaching", "reserved") if state in states), "detached")


def status_of(record: Worked, *, lost: bool = False) -> str:
    """As of a volume, of all else."""
    error = record.error
    if record.doing is not None:
        if not lost:
            return record.doing.what
        error = error_of(record.doing.what)
    return error or record.declared or "available"


def task_of(doing: Doing | None) -> str:
    return "" if doing is None else doing.task
