"""`/v3/OS-OAUTH1`: programs that users let act for them (OAuth 1.0a), as keystone has it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from starlette.responses import Response

from authn import keys
from authn.keys import PROJECT_TARGET
from authn.oauth1 import Signed, parse
from authn.records.credentials import (
    ACCESS_TOKEN,
    CONSUMER,
    REQUEST_TOKEN,
    AccessToken,
    Consumer,
    RequestToken,
)
from authn.rights import Rights, Scope
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.resource import Resource
from authn.v3.roles import role_row
from gateway.rest import times
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError, UnauthorizedError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row
from store.core.errors import InvalidError, NotFoundError

REQUEST_TOKEN_S: Final = 8 * 3600
ACCESS_TOKEN_S: Final = 24 * 3600
"""Stock keystone's lifetimes."""

_KNOWN: Final = frozenset({"id", "description", "secret", "links"})


class Consumers(Resource[Consumer]):
    """Programs that may ask users to let them act."""

    noun: ClassVar[str] = "consumer"
    plural: ClassVar[str] = "consumers"
    path: ClassVar[str] = "OS-OAUTH1/consumers"

    def table(self, snapshot: IdentitySnapshot) -> Table[Consumer]:
        return snapshot.consumers

    def row(self, call: Call, record: Consumer) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "description": record.description or None,
            "links": {"self": f"{call.base}/{self.path}/{record.id}"},
        }

    async def create(self, call: Call) -> Response:
        """A new one; its secret is told only now."""
        await call.allow("identity:create_consumer")
        asked = (await call.body()).object("consumer")
        secret = secrets.token_hex(16)
        consumer = Consumer(
            call.service.administration.new_id(),
            call.service.vault.seal(secret.encode()),
            asked.text_or("description", ""),
            merged("{}", asked.others(_KNOWN)),
        )
        await call.service.administration.create(CONSUMER, self.table, consumer)
        return answer({"consumer": {**self.row(call, consumer), "secret": secret}}, 201)

    async def changed(self, call: Call, id_: str, asked: Fields) -> Consumer:
        if "secret" in asked:
            raise InvalidError("consumer.secret: it stays")

        def edit(before: Consumer) -> Consumer:
            return replace(
                before,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                extra=merged(before.extra, asked.others(_KNOWN)),
            )

        return await call.service.administration.update(CONSUMER, self.table, id_, edit)

    def along(self, snapshot: IdentitySnapshot, record: Consumer) -> Iterable[bytes]:
        """What it asked for and was given; so its tokens end."""
        for request in snapshot.request_tokens:
            if request.consumer_id == record.id:
                yield keys.record(REQUEST_TOKEN, request.id)
        for access in snapshot.access_tokens:
            if access.consumer_id == record.id:
                yield keys.record(ACCESS_TOKEN, access.id)


# -- a program asks, a user says yes, the program gets its key ---------------------------------------------------------


async def create_request_token(call: Call) -> Response:
    """A program asks for rights in a project; it signs with its own secret."""
    signed = await _signed(call)
    consumer = _consumer(call, signed)
    project_id = call.request.headers.get("requested-project-id", "")
    if not project_id:
        raise InvalidError("Requested-Project-Id: a required header")
    call.service.signatures.check(signed, _opened(call, consumer.sealed_secret))
    call.snapshot.projects.require(project_id)
    secret = secrets.token_hex(16)
    administration = call.service.administration
    request = RequestToken(
        administration.new_id(),
        call.service.vault.seal(secret.encode()),
        consumer.id,
        project_id,
        _now_s(call) + REQUEST_TOKEN_S,
    )
    await administration.create(REQUEST_TOKEN, _requests, request)
    return _form(request.id, secret, request.expires_s)


async def authorize(call: Call) -> Response:
    """A user says yes: the program may act with these roles."""
    await call.allow("identity:authorize_request_token")
    held = await call.caller()
    if held.token.is_lent:
        raise ForbiddenError("who acts by delegation cannot delegate")
    id_ = call.path("id")
    request = _unexpired(call, call.snapshot.request_tokens.require(id_))
    roles = (await call.body()).objects("roles")
    role_ids = tuple(dict.fromkeys(role.text("id") for role in roles))
    scope = Scope(PROJECT_TARGET, request.requested_project_id)
    if not role_ids or not set(role_ids) <= {
        role.id for role in Rights(call.snapshot).roles(held.user.id, scope, held.token.directory_groups)
    }:
        raise UnauthorizedError("authorizing user does not have role required")

    def edit(before: RequestToken) -> RequestToken:
        return replace(before, verifier=secrets.token_hex(8), authorizing_user_id=held.user.id, role_ids=role_ids)

    request = await call.service.administration.update(REQUEST_TOKEN, _requests, id_, edit)
    return answer({"token": {"oauth_verifier": request.verifier}})


async def create_access_token(call: Call) -> Response:
    """The program shows what the user told it; its request is used up."""
    signed = await _signed(call)
    consumer = _consumer(call, signed)
    request = call.snapshot.request_tokens.require(signed.require("oauth_token"))
    verifier = signed.require("oauth_verifier")
    _unexpired(call, request)
    if request.consumer_id != consumer.id:
        raise UnauthorizedError("Provided consumer key does not match stored consumer key.")
    call.service.signatures.check(signed, _opened(call, consumer.sealed_secret), _opened(call, request.sealed_secret))
    if not request.verifier or not secrets.compare_digest(request.verifier, verifier):
        raise UnauthorizedError("Provided verifier does not match stored verifier")
    secret = secrets.token_hex(16)
    administration = call.service.administration
    access = AccessToken(
        administration.new_id(),
        call.service.vault.seal(secret.encode()),
        consumer.id,
        request.authorizing_user_id,
        request.requested_project_id,
        request.role_ids,
        _now_s(call) + ACCESS_TOKEN_S,
    )
    await administration.delete(REQUEST_TOKEN, _requests, request.id)  # of two that come at once, one gets a key
    await administration.create(ACCESS_TOKEN, _accesses, access)
    return _form(access.id, secret, access.expires_s)


# -- what a user has said yes to ---------------------------------------------------------------------------------------


async def list_access_tokens(call: Call) -> Response:
    """The programs that act for a user."""
    await call.allow("identity:list_access_tokens")
    await _refuse_delegated(call)
    found = (one for one in call.snapshot.access_tokens if one.authorizing_user_id == call.path("user_id"))
    return listed(call, "access_tokens", [_row(call, one) for one in sorted(found, key=lambda one: one.id)])


async def show_access_token(call: Call) -> Response:
    """One of them."""
    return answer({"access_token": _row(call, await _access(call, "get_access_token"))})


async def delete_access_token(call: Call) -> Response:
    """The program acts no more; its tokens end."""
    access = await _access(call, "delete_access_token")
    await call.service.administration.delete(ACCESS_TOKEN, _accesses, access.id)
    return nothing()


async def list_access_token_roles(call: Call) -> Response:
    """What it may act as."""
    access = await _access(call, "list_access_token_roles")
    roles = (call.snapshot.roles.get(id_) for id_ in access.role_ids)
    return listed(call, "roles", [role_row(call, role) for role in roles if role is not None])


async def show_access_token_role(call: Call) -> Response:
    """One of these roles."""
    access = await _access(call, "get_access_token_role")
    if call.path("role_id") not in access.role_ids:
        raise NotFoundError(f"Could not find role: {call.path('role_id')}.")
    return answer({"role": role_row(call, call.snapshot.roles.require(call.path("role_id")))})


def routes() -> Routes[Call]:
    """All of it."""
    stem = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
    return {
        **Consumers().routes(),
        "/v3/OS-OAUTH1/request_token": {"POST": create_request_token},
        "/v3/OS-OAUTH1/authorize/{id}": {"PUT": authorize},
        "/v3/OS-OAUTH1/access_token": {"POST": create_access_token},
        stem: {"GET": list_access_tokens},
        f"{stem}/{{id}}": {"GET": show_access_token, "DELETE": delete_access_token},
        f"{stem}/{{id}}/roles": {"GET": list_access_token_roles},
        f"{stem}/{{id}}/roles/{{role_id}}": {"GET": show_access_token_role},
    }


async def signed_by_access_token(call: Call) -> tuple[AccessToken, Signed]:
    """The key that a request is signed with. Raises UnauthorizedError where it does not hold."""
    signed = await _signed(call)
    access = call.snapshot.access_tokens.get(signed.require("oauth_token"))
    consumer = call.snapshot.consumers.get(signed.require("oauth_consumer_key"))
    if access is None or consumer is None or access.consumer_id != consumer.id:
        raise UnauthorizedError
    if access.expires_s and access.expires_s <= _now_s(call):
        raise UnauthorizedError("Access token is expired")
    call.service.signatures.check(signed, _opened(call, consumer.sealed_secret), _opened(call, access.sealed_secret))
    return access, signed


def _requests(snapshot: IdentitySnapshot) -> Table[RequestToken]:
    return snapshot.request_tokens


def _accesses(snapshot: IdentitySnapshot) -> Table[AccessToken]:
    return snapshot.access_tokens


async def _signed(call: Call) -> Signed:
    request = call.request
    query = f"?{request.url.query}" if request.url.query else ""
    return parse(request.method, f"{call.origin}{request.url.path}{query}", request.headers)


def _consumer(call: Call, signed: Signed) -> Consumer:
    return call.snapshot.consumers.require(signed.require("oauth_consumer_key"))


def _opened(call: Call, sealed: bytes) -> str:
    return call.service.vault.open(sealed).decode()


def _now_s(call: Call) -> int:
    return call.service.clock.wall_us() // 1_000_000


def _unexpired(call: Call, request: RequestToken) -> RequestToken:
    if request.expires_s <= _now_s(call):
        raise UnauthorizedError("Request token is expired")
    return request


def _form(id_: str, secret: str, expires_s: int) -> Response:
    fields = {"oauth_token": id_, "oauth_token_secret": secret, "oauth_expires_at": times.shown(expires_s)}
    return Response(urlencode(fields, safe=":"), 201, media_type="application/x-www-form-urlencoded")


async def _refuse_delegated(call: Call) -> None:
    if (await call.caller()).token.access_token_id:
        raise ForbiddenError("a program that acts for a user does not see what others may")


async def _access(call: Call, operation: str) -> AccessToken:
    await call.allow(f"identity:{operation}")
    await _refuse_delegated(call)
    access = call.snapshot.access_tokens.require(call.path("id"))
    if access.authorizing_user_id != call.path("user_id"):
        raise NotFoundError(f"Could not find access token: {access.id}.")
    return access


def _row(call: Call, access: AccessToken) -> dict[str, Any]:
    own = f"{call.base}/users/{access.authorizing_user_id}/OS-OAUTH1/access_tokens/{access.id}"
    return {
        "id": access.id,
        "consumer_id": access.consumer_id,
        "authorizing_user_id": access.authorizing_user_id,
        "project_id": access.project_id,
        "expires_at": times.shown(access.expires_s) if access.expires_s else None,
        "links": {"self": own, "roles": f"{own}/roles"},
    }
