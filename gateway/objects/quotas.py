"""Quotas: how much an account, one of its policies, or a container may hold.

A container's quotas bind everybody, an account's all but those who own every account. A body whose length is not stated
is cut off where it passes what is left.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.objects.access.caller import Caller
from gateway.objects.errors import QuotaError
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import QUOTA_BYTES, QUOTA_COUNT
from store.core.errors import NotFoundError
from store.objects.model import Container, Usage

EXCEEDED = "Upload exceeds quota."
POLICY_EXCEEDED = "Upload exceeds policy quota."
DIGITS_MAX = 19
_BOTH = frozenset({QUOTA_BYTES, QUOTA_COUNT})
_QUOTA = ".quota-"


def of_policy(note: str, policy: str) -> str:
    """The note of a quota that is of one policy of an account."""
    return f"{note}-policy-{policy.lower()}"


def fits(value: str | None) -> bool:
    """Whether this can be kept as a quota."""
    return value is not None and value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX


async def admit(layer: ObjectLayer, caller: Caller, container: Container, size: int | None) -> int | None:
    """How many bytes may still come into the container, None where nothing bounds them.

    Raises QuotaError where one more object of this size (None: not known yet) is too much.
    """
    limit = None
    if not _BOTH.isdisjoint(container.headers):
        usage = await layer.store.container_usage(container)
        limit = _left(container.headers, "", usage.objects, usage.bytes, size, EXCEEDED)
    try:
        account = await layer.store.account(container.account)
    except NotFoundError:
        return limit
    if caller.owns_all or not any(name.startswith(_QUOTA) for name in account.headers):
        return limit
    usage = await layer.store.account_usage(account)
    return _least(limit, _account_left(layer, account.headers, usage, container.policy, size))


def _account_left(
    layer: ObjectLayer, notes: Mapping[str, str], usage: Usage, policy: int, size: int | None
) -> int | None:
    limit = _left(notes, "", usage.objects, usage.bytes, size, EXCEEDED)
    known = layer.policies.get(policy)
    if known is None:
        return limit
    objects, held = usage.policies.get(policy, (0, 0))
    return _least(limit, _left(notes, known.name, objects, held, size, POLICY_EXCEEDED))


def _left(notes: Mapping[str, str], policy: str, objects: int, held: int, size: int | None, refusal: str) -> int | None:
    most, count = (
        _number(notes.get(of_policy(note, policy) if policy else note)) for note in (QUOTA_BYTES, QUOTA_COUNT)
    )
    if count is not None and objects + 1 > count:
        raise QuotaError(refusal)
    if most is None:
        return None
    if held + (size or 0) > most:
        raise QuotaError(refusal)
    return most - held


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() else None


def _least(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else min(first, second)
