"""Attachments of a volume: when there may be one, what it becomes, how it goes. Pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.volumes.records import Attachment, Volume
from gateway.volumes.standing import require
from gateway.volumes.tables import with_attachments
from store.core.errors import InvalidError, NotFoundError


def reserved(volume: Volume, status: str, made: Attachment) -> Volume:
    """With an attachment more. A server that has the volume may reserve it again: it goes to another host so. Raises
    InvalidError."""
    if "error" in status:
        raise InvalidError(f"Invalid volume: one in status {status} cannot be attached.")
    again = (
        status in ("in-use", "reserved", "attaching", "detaching")
        and made.server_id is not None
        and any(one.server_id == made.server_id for one in volume.attachments)
    )
    if not again:
        _check_more(volume, status, "be reserved")
    return with_attachments(volume, (*volume.attachments, made))


def attached(volume: Volume, status: str, made: Attachment) -> Volume:
    """With a server or host that has it now; the same one twice is one. Raises InvalidError."""
    if status == "maintenance":
        raise InvalidError("Invalid volume: it cannot be attached during maintenance.")
    if volume.readonly and made.mode != "ro":
        raise InvalidError("Invalid attaching mode 'rw': the volume is read-only.")
    for one in volume.attachments:
        same = one.server_id == made.server_id and one.host == made.host
        if same and one.state == "attached":
            return volume
    if status != "attaching":
        _check_more(volume, status, "be attached")
    return replace(with_attachments(volume, (*volume.attachments, made)), mark="", declared="")


def changed(volume: Volume, id_: str, after: Attachment) -> Volume:
    """With an attachment as it is now. Raises NotFoundError."""
    if all(one.id != id_ for one in volume.attachments):
        raise NotFoundError(f"Attachment {id_} could not be found.")
    return with_attachments(volume, tuple(after if one.id == id_ else one for one in volume.attachments))


def detached(volume: Volume, id_: str) -> Volume:
    """Without an attachment."""
    return with_attachments(volume, tuple(one for one in volume.attachments if one.id != id_))


def chosen(volume: Volume, id_: str | None) -> Attachment | None:
    """The attachment that is meant, by its id or as the only one; None where there is none at all. Raises
    InvalidError."""
    if id_ is not None:
        for one in volume.attachments:
            if one.id == id_:
                return one
        raise InvalidError(f"Volume attachment {id_} could not be found.")
    if len(volume.attachments) > 1:
        raise InvalidError("Detach volume failed: more than one attachment, but no attachment_id provided.")
    return volume.attachments[0] if volume.attachments else None


def _check_more(volume: Volume, status: str, what: str) -> None:
    require(
        status, ("available", "downloading", "in-use") if volume.multiattach else ("available", "downloading"), what
    )
