"""Older names of notes, as data folders written before them have them: what is read is lifted to the names of today,
and what is written takes the old ones away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from gateway.objects.notes import (
    ACCOUNT_ACCESS,
    MANIFEST,
    PREFIX_MANIFEST,
    QUOTA_BYTES,
    QUOTA_COUNT,
    READ_ACCESS,
    VERSIONS_LOCATION,
    WRITE_ACCESS,
)
from store.objects.model import Account, Container, ObjectInfo

_OBJECT = {"x-object-manifest": PREFIX_MANIFEST, "x-static-large-object": MANIFEST}
_CONTAINER = {
    "x-container-read": READ_ACCESS,
    "x-container-write": WRITE_ACCESS,
    "x-container-meta-quota-bytes": QUOTA_BYTES,
    "x-container-meta-quota-count": QUOTA_COUNT,
}
_LOCATIONS = ("x-versions-location", "x-history-location")
_ACCOUNT = {"x-account-access-control": ACCOUNT_ACCESS}
_ACCOUNT_QUOTA, _QUOTA = "x-account-quota-", ".quota-"

OLD_OBJECT = frozenset(_OBJECT)
OLD_CONTAINER = frozenset((*_CONTAINER, *_LOCATIONS))


def lifted_object(info: ObjectInfo) -> ObjectInfo:
    """An object with today's notes."""
    headers = info.head.headers
    if OLD_OBJECT.isdisjoint(headers):
        return info
    return replace(info, head=replace(info.head, headers=_renamed(headers, _OBJECT)))


def lifted_container(container: Container) -> Container:
    """A container with today's notes."""
    headers = container.headers
    if OLD_CONTAINER.isdisjoint(headers):
        return container
    headers = _renamed(headers, _CONTAINER)
    for name in _LOCATIONS:
        if name in headers:  # kept beside the note, as its client stated it
            headers.setdefault(VERSIONS_LOCATION, unquote(headers[name]).partition("/")[0])
    return replace(container, headers=headers)


def lifted_account(account: Account) -> Account:
    """An account with today's notes."""
    headers = account.headers
    if not any(name in _ACCOUNT or name.startswith(_ACCOUNT_QUOTA) for name in headers):
        return account
    return replace(account, headers={_account_name(name): value for name, value in headers.items()})


def container_changes(changes: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Changes of a container's notes, of the older names too."""
    older = {old: None for old, new in _CONTAINER.items() if new in changes}
    return {**older, **changes} if older else changes


def account_changes(changes: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Changes of an account's notes, of the older names too."""
    older: dict[str, str | None] = {old: None for old, new in _ACCOUNT.items() if new in changes}
    older |= {_ACCOUNT_QUOTA + name[len(_QUOTA) :]: None for name in changes if name.startswith(_QUOTA)}
    return {**older, **changes} if older else changes


def _renamed(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(name, name): value for name, value in headers.items()}


def _account_name(name: str) -> str:
    if name.startswith(_ACCOUNT_QUOTA):
        return _QUOTA + name[len(_ACCOUNT_QUOTA) :]
    return _ACCOUNT.get(name, name)
