"""Quotas as clients set and see them.

An account's quotas are set by reseller admins alone; a container's by whoever may change the container.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.objects.notes import QUOTA_BYTES, QUOTA_COUNT
from gateway.objects.quotas import fits, of_policy
from gateway.swift.protocol.errors import Fields, RefusedError, bad_request
from gateway.swift.protocol.request import Request
from store.objects.model import Policy

_CONTAINER = {QUOTA_BYTES: "x-container-meta-quota-bytes", QUOTA_COUNT: "x-container-meta-quota-count"}
_ACCOUNT, _QUOTA = "x-account-quota-", ".quota-"
_OLDER = "x-account-meta-quota-bytes"
"""The older name of an account's quota in bytes; both are taken and shown."""


def container_changes(changes: dict[str, str | None]) -> None:
    """Have the quotas among a container's metadata be notes. Raises RefusedError (400) where one is no number."""
    for note, header in _CONTAINER.items():
        if header in changes:
            value = changes.pop(header)
            if value and not fits(value):
                raise RefusedError(400, f"Invalid {note.removeprefix(_QUOTA)} quota.")
            changes[note] = value


def container_fields(notes: Mapping[str, str]) -> Fields:
    """What is shown of a container's quotas."""
    return [(header.encode(), notes[note].encode()) for note, header in _CONTAINER.items() if note in notes]


def _notes(policies: Mapping[int, Policy]) -> Iterator[str]:
    for note in (QUOTA_BYTES, QUOTA_COUNT):
        yield note
        for policy in policies.values():
            yield of_policy(note, policy.name)


def account_changes(policies: Mapping[int, Policy], request: Request, changes: dict[str, str | None]) -> None:
    """Put the quotas that a request sets or removes into `changes`. Raises RefusedError: 403 to all but reseller
    admins, 400 for what is no number."""
    asked: dict[str, str | None] = {}
    if _OLDER in changes:
        asked[QUOTA_BYTES] = changes.pop(_OLDER)
    for note in _notes(policies):
        header = note.replace(_QUOTA, _ACCOUNT)
        value = request.header(header.encode())
        if value is not None:
            asked[note] = value or None
        if request.headers.get(header.replace("x-", "x-remove-", 1).encode()):
            asked[note] = None
    if not asked:
        return
    if not request.principal.owns_all:
        raise RefusedError(403)
    for note, value in asked.items():
        if value and not fits(value):
            raise bad_request(f"{note.replace(_QUOTA, _ACCOUNT).title()} must be a number")
        changes[note] = value or None


def account_fields(notes: Mapping[str, str]) -> Fields:
    """What is shown of an account's quotas."""
    found = [
        (note.replace(_QUOTA, _ACCOUNT).encode(), value.encode())
        for note, value in notes.items()
        if note.startswith(_QUOTA)
    ]
    if QUOTA_BYTES in notes:
        found.append((_OLDER.encode(), notes[QUOTA_BYTES].encode()))
    return found
