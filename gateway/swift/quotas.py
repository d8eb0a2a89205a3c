"""Quotas: how much an account, one of its policies, or a container may hold; what would go beyond is refused (413).

An account's quotas are set by reseller admins alone, who are not bound by them; a container's by whoever may change the
container, and they bind everybody. A body whose length is not stated is cut off where it passes what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.swift.auth import User
from gateway.swift.errors import Fields, RefusedError, bad_request
from gateway.swift.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.model import Container, Policy, Usage

CONTAINER_BYTES, CONTAINER_COUNT = "x-container-meta-quota-bytes", "x-container-meta-quota-count"
_ACCOUNT = "x-account-quota-"
_OLDER = "x-account-meta-quota-bytes"
"""The older name of an account's quota in bytes; both are taken and shown, the newer is kept."""
_DIGITS_MAX = 19


def exceeded(text: str = "Upload exceeds quota.") -> RefusedError:
    """The refusal."""
    return RefusedError(413, text)


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() else None


def check_container(changes: Mapping[str, str | None]) -> None:
    """Raise RefusedError (400) where a container's quota is no number."""
    for name, what in ((CONTAINER_BYTES, "bytes"), (CONTAINER_COUNT, "count")):
        if changes.get(name) and not _fit(changes[name]):
            raise RefusedError(400, f"Invalid {what} quota.")


def _fit(value: str | None) -> bool:
    return value is not None and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX


def _names(policies: Mapping[int, Policy]) -> Iterator[str]:
    for kind in ("bytes", "count"):
        yield kind
        for policy in policies.values():
            yield f"{kind}-policy-{policy.name.lower()}"


def account_changes(service: Service, request: Request, changes: dict[str, str | None]) -> None:
    """Put the quotas that a request sets or removes into `changes`. Raises RefusedError: 403 to all but reseller
    admins, 400 for what is no number."""
    asked: dict[str, str | None] = {}
    if _OLDER in changes:
        asked[f"{_ACCOUNT}bytes"] = changes.pop(_OLDER)
    for name in _names(service.policies):
        value = request.header(f"{_ACCOUNT}{name}".encode())
        if value is not None:
            asked[f"{_ACCOUNT}{name}"] = value or None
        if request.headers.get(f"x-remove-account-quota-{name}".encode()):
            asked[f"{_ACCOUNT}{name}"] = None
    if not asked:
        return
    if not (isinstance(request.principal, User) and request.principal.reseller):
        raise RefusedError(403)
    for shown, value in asked.items():
        if value and not _fit(value):
            raise bad_request(f"{shown.title()} must be a number")
        changes[shown] = value or None


def shown(headers: Mapping[str, str]) -> Fields:
    """What is shown of an account's quotas besides the headers that they are kept as: the older name."""
    value = headers.get(f"{_ACCOUNT}bytes")
    return [(_OLDER.encode(), value.encode())] if value else []


async def admit(service: Service, request: Request, container: Container, size: int | None) -> int | None:
    """How many bytes may still come into the container, None where nothing bounds them.

    Raises RefusedError (413) where one more object of this size (None: not known yet) is too much.
    """
    limit = None
    if CONTAINER_BYTES in container.headers or CONTAINER_COUNT in container.headers:
        usage = await service.store.container_usage(container)
        wanted = container.headers.get(CONTAINER_BYTES), container.headers.get(CONTAINER_COUNT)
        limit = _left(wanted, usage.objects, usage.bytes, size, "Upload exceeds quota.")
    try:
        account = await service.store.account(container.account)
    except NotFoundError:
        return limit
    if not any(name.startswith(_ACCOUNT) for name in account.headers):
        return limit
    if isinstance(request.principal, User) and request.principal.reseller:
        return limit
    usage = await service.store.account_usage(account)
    return _least(limit, _account_left(service, account.headers, usage, container.policy, size))


def _account_left(
    service: Service, headers: Mapping[str, str], usage: Usage, policy: int, size: int | None
) -> int | None:
    def wanted(suffix: str) -> tuple[str | None, str | None]:
        return headers.get(f"{_ACCOUNT}bytes{suffix}"), headers.get(f"{_ACCOUNT}count{suffix}")

    limit = _left(wanted(""), usage.objects, usage.bytes, size, "Upload exceeds quota.")
    known = service.policies.get(policy)
    if known is None:
        return limit
    objects, held = usage.policies.get(policy, (0, 0))
    within = _left(wanted(f"-policy-{known.name.lower()}"), objects, held, size, "Upload exceeds policy quota.")
    return _least(limit, within)


def _left(quota: tuple[str | None, str | None], objects: int, held: int, size: int | None, refusal: str) -> int | None:
    most, count = _number(quota[0]), _number(quota[1])
    if count is not None and objects + 1 > count:
        raise exceeded(refusal)
    if most is None:
        return None
    if held + (size or 0) > most:
        raise exceeded(refusal)
    return most - held


def _least(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else min(first, second)
