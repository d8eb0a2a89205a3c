"""Accounts: listing containers, metadata, making and removing."""

from __future__ import annotations

from gateway.objects import slices
from gateway.objects.access.caller import User
from gateway.objects.errors import AccessError
from gateway.objects.notes import ACCOUNT_ACCESS
from gateway.swift.containers import account_acl, formats, quotas
from gateway.swift.protocol import etag_quoter, listing, metadata
from gateway.swift.protocol.dates import timestamp
from gateway.swift.protocol.errors import HTML, Fields, RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.core.stamp import Stamp
from store.objects.model import Account, Usage

SECRET = frozenset({"x-account-meta-temp-url-key", "x-account-meta-temp-url-key-2"})
"""What only the account's owner is shown."""


def _check_name(service: Service, request: Request) -> None:
    length = len(request.account.encode())
    if length > service.limits.max_account_name_length:
        raise RefusedError(400, f"Account name length of {length} longer than {service.limits.max_account_name_length}")


def fields(service: Service, request: Request, account: Account, usage: Usage) -> Fields:
    """The headers that describe an account."""
    found: Fields = [
        (b"x-account-container-count", b"%d" % usage.containers),
        (b"x-account-object-count", b"%d" % usage.objects),
        (b"x-account-bytes-used", b"%d" % usage.bytes),
        (b"x-timestamp", timestamp(account.created)),
        (b"x-put-timestamp", timestamp(account.changed)),
        (b"accept-ranges", b"bytes"),
    ]
    for index in sorted({*usage.policies, *usage.policy_containers}):
        policy = service.policies.get(index)
        if policy is not None:
            name = policy.name.lower().encode()
            objects, size = usage.policies.get(index, (0, 0))
            containers = usage.policy_containers.get(index, 0)
            found.append((b"x-account-storage-policy-%s-container-count" % name, b"%d" % containers))
            found.append((b"x-account-storage-policy-%s-object-count" % name, b"%d" % objects))
            found.append((b"x-account-storage-policy-%s-bytes-used" % name, b"%d" % size))
    owner = request.principal.owns(request.account)
    for header, value in account.headers.items():
        if (owner or header not in SECRET) and header[0] != ".":
            found.append((header.encode(), value.encode()))
    if owner and ACCOUNT_ACCESS in account.headers:
        found.append((account_acl.HEADER.encode(), account.headers[ACCOUNT_ACCESS].encode()))
    found += quotas.account_fields(account.headers)
    return found


async def _find(service: Service, request: Request) -> tuple[Account, Usage, bool]:
    """The account; where there is none yet, one that looks as it will once something is written to it."""
    _check_name(service, request)
    await service.layer.hear(request.principal, request.account)
    request.principal.require(request.account, "", "", reading=True)
    try:
        account = await service.store.account(request.account)
    except NotFoundError:
        if not service.config.account_autocreate:
            raise
        now = Stamp(service.clock.wall_us(), 0)
        return Account(request.account, b"", 0, now, now, {}), Usage(), False
    return account, await service.store.account_usage(account), True


async def head(service: Service, request: Request) -> None:
    """HEAD: what the account holds."""
    kind = listing.content_type(request)
    account, usage, _exists = await _find(service, request)
    answer = fields(service, request, account, usage)
    answer.append((b"content-type", f"{kind}; charset=utf-8".encode()))
    await request.respond(204, answer)


async def get(service: Service, request: Request) -> None:
    """GET: a page of containers."""
    query = listing.parse(request, service.limits.account_listing_limit)
    kind = listing.content_type(request)
    account, usage, exists = await _find(service, request)
    entries = await service.store.list_containers(account, query) if exists else []
    body = await slices.join(formats.containers(entries, request.account, kind, service.policies))
    answer = fields(service, request, account, usage)
    answer.append((b"content-type", f"{kind}; charset=utf-8".encode()))
    if "format" not in request.query:
        answer.append((b"vary", b"Accept"))
    await request.respond(200 if body else 204, answer, body)


async def _change(service: Service, request: Request) -> bool:
    changes = metadata.changes(request, "account", service.limits)
    changes |= account_acl.change(request)
    changes |= etag_quoter.change(request.headers, "account")
    quotas.account_changes(service.policies, request, changes)
    if changes:
        try:
            present = (await service.store.account(request.account)).headers
        except NotFoundError:
            present = {}
        metadata.check_total(present, changes, "account", service.limits)
    _account, made = await service.store.put_account(request.account, changes)
    return made


async def put(service: Service, request: Request) -> None:
    """PUT: make the account, or change its metadata. For reseller admins, as DELETE is: an account that is missing
    is made by its owner's first write."""
    _check_name(service, request)
    _reseller(request)
    made = await _change(service, request)
    await request.respond(201 if made else 202, [(b"content-type", HTML)])


async def post(service: Service, request: Request) -> None:
    """POST: change the account's metadata; it is made where there is none."""
    _check_name(service, request)
    await service.layer.hear(request.principal, request.account)
    request.principal.require(request.account, "", "", reading=False)
    if not service.config.account_autocreate:
        await service.store.account(request.account)
    await _change(service, request)
    await request.respond(204, [(b"content-type", HTML)])


async def delete(service: Service, request: Request) -> None:
    """DELETE: remove an empty account. Only a reseller admin may, as in Swift: an owner would lock themselves out."""
    _reseller(request)
    if request.query:
        raise RefusedError(400)
    await service.store.delete_account(request.account)
    await request.respond(204, [(b"content-type", HTML)])


def _reseller(request: Request) -> None:
    if not (request.principal.owns_all and request.principal.owns(request.account)):
        raise AccessError(known=isinstance(request.principal, User))


async def ensure(service: Service, request: Request) -> None:
    """Make the account of somebody who writes to their own for the first time."""
    if service.config.account_autocreate and request.principal.owns(request.account):
        await service.store.put_account(request.account, {})
