"""Rotation of the credential keys: of all secrets that have to be read again, none is left under an old key.

A secret is sealed with the primary key and opened with any that is kept. So a rotation seals everything with the
present primary first, which lets all older keys go; then the staged key, which every process has known since the
rotation before, becomes primary, and everything is sealed with that. The primary of before stays until the next
rotation: a process that has not heard of the new one yet may seal with it for a moment. Whatever moment it dies in,
every secret can be opened, and the next rotation does the rest.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from cryptography.fernet import Fernet, InvalidToken

from authn import keys, token_keys
from authn.directory import Directory, Step
from authn.records import Kind, R
from authn.records.credentials import (
    ACCESS_TOKEN,
    CONSUMER,
    CREDENTIAL,
    REQUEST_TOKEN,
    AccessToken,
    Consumer,
    RequestToken,
)
from authn.records.settings import DOMAIN_CONFIG
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.token_keys import STAGED, TokenKeys
from store.core.entropy import Random
from store.core.errors import ConflictError
from store.registry import Compare, Put

_BATCH: Final = 10
"""Records that one transaction writes: they may be of 64 KiB."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    secrets: int
    """That were sealed anew."""
    lost: int
    """That no key opens, from before; they are left as they are."""


async def rotate(directory: Directory, random: Random) -> Rotated:
    """Rotates once. `directory` has been loaded. Raises ConflictError where there are no keys yet, where another
    rotates at the same time, and where a newer program has written secrets that cannot be read here."""
    _require_readable(directory.snapshot)
    before = _present(directory.snapshot)
    await _seal_anew(directory)
    newest = max(before.by_number)
    after = TokenKeys(
        {STAGED: random.bytes(32), newest: before.by_number[newest], newest + 1: before.by_number[STAGED]}
    )

    def step(snapshot: IdentitySnapshot) -> Step:
        if _present(snapshot) != before:
            raise ConflictError("another rotated the credential keys at the same time")
        unchanged = Compare.unchanged(keys.CREDENTIAL_KEYS, snapshot.revision(keys.CREDENTIAL_KEYS))
        return Step([unchanged], [Put(keys.CREDENTIAL_KEYS, token_keys.CODEC.encode(after))])

    await directory.change(step)
    return await _seal_anew(directory)


@dataclass(frozen=True, slots=True)
class _Secret(Generic[R]):
    """Where a kind of record has a secret."""

    kind: Kind[R]
    table: Callable[[IdentitySnapshot], Table[R]]
    of: Callable[[R], bytes]
    with_it: Callable[[R, bytes], R]
    """The record with another."""


OAuth = TypeVar("OAuth", Consumer, RequestToken, AccessToken)


def _secret_of(record: OAuth) -> bytes:
    return record.sealed_secret


def _with_secret(record: OAuth, sealed: bytes) -> OAuth:
    return replace(record, sealed_secret=sealed)


_SECRETS: Final[tuple[_Secret[Any], ...]] = (
    _Secret(
        CREDENTIAL,
        lambda snapshot: snapshot.credentials,
        lambda record: record.sealed,
        lambda record, sealed: replace(record, sealed=sealed),
    ),
    _Secret(CONSUMER, lambda snapshot: snapshot.consumers, _secret_of, _with_secret),
    _Secret(REQUEST_TOKEN, lambda snapshot: snapshot.request_tokens, _secret_of, _with_secret),
    _Secret(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, _secret_of, _with_secret),
    _Secret(
        DOMAIN_CONFIG,
        lambda snapshot: snapshot.domain_configs,
        lambda record: record.sealed_options,
        lambda record, sealed: replace(record, sealed_options=sealed),
    ),
)


async def _seal_anew(directory: Directory) -> Rotated:
    """Everything that is not sealed with the primary key."""
    done, lost = 0, set[tuple[str, str]]()
    for secret in _SECRETS:
        while True:
            sealed = await _seal_some(directory, secret, lost)
            if not sealed:
                break
            done += sealed
    return Rotated(done, len(lost))


async def _seal_some(directory: Directory, secret: _Secret[Any], lost: set[tuple[str, str]]) -> int:
    """How many were sealed anew, `_BATCH` at most; those that cannot be opened are added to `lost`."""
    done = 0

    def step(snapshot: IdentitySnapshot) -> Step | None:
        nonlocal done
        puts: dict[bytes, bytes] = {}
        for record, opened in _outdated(snapshot, secret, lost):
            anew = secret.with_it(record, _primary(snapshot).encrypt(opened))
            puts[keys.record(secret.kind, record.id)] = secret.kind.codec.encode(anew)
            if len(puts) == _BATCH:
                break
        done = len(puts)
        compares = [Compare.unchanged(key, snapshot.revision(key)) for key in puts]
        return Step(compares, [Put(key, value) for key, value in puts.items()]) if puts else None

    await directory.change(step)
    return done


def _outdated(
    snapshot: IdentitySnapshot, secret: _Secret[Any], lost: set[tuple[str, str]]
) -> Iterator[tuple[Any, bytes]]:
    """Records whose secret is under an older key, and the secret."""
    primary, every = _primary(snapshot), _present(snapshot).sealer()
    for record in secret.table(snapshot):
        sealed = secret.of(record)
        if not sealed or _opens(primary, sealed):
            continue
        try:
            yield record, every.decrypt(sealed)
        except InvalidToken:
            lost.add((secret.kind.name, record.id))


def _opens(key: Fernet, sealed: bytes) -> bool:
    try:
        key.decrypt(sealed)
    except InvalidToken:
        return False
    return True


def _primary(snapshot: IdentitySnapshot) -> Fernet:
    by_number = _present(snapshot).by_number
    return Fernet(base64.urlsafe_b64encode(by_number[max(by_number)]))


def _present(snapshot: IdentitySnapshot) -> TokenKeys:
    if snapshot.credential_keys is None:
        raise ConflictError("there are no credential keys yet: start the server once")
    return snapshot.credential_keys


def _require_readable(snapshot: IdentitySnapshot) -> None:
    """What cannot be read cannot be sealed anew, and would be lost with its key."""
    prefixes = tuple(keys.record(secret.kind, "") for secret in _SECRETS)
    for key, why in snapshot.unreadable.items():
        if key.startswith((*prefixes, keys.CREDENTIAL_KEYS)):
            raise ConflictError(f"{key.decode()} cannot be read here ({why}): rotate with the program that wrote it")
