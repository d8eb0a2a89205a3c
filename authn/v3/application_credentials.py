"""`/v3/users/{user_id}/application_credentials`: a part of one's rights in a project, for a program."""

from __future__ import annotations

import base64
import json
from typing import Final

from starlette.responses import Response

from authn.records import Role
from authn.records.credentials import ApplicationCredential
from authn.rights import Rights
from authn.tokens import Held
from authn.v3.access_rules import access_rule_row, asked_rules
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.delegation import refuse_trusts, require_unrestricted
from gateway.rest import times
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields
from gateway.rest.listing import Row, page
from store.core.errors import InvalidError, NotFoundError

SECRET_BYTES: Final = 64

_KNOWN: Final = frozenset(
    {
        "id",
        "name",
        "description",
        "secret",
        "project_id",
        "system",
        "expires_at",
        "unrestricted",
        "roles",
        "access_rules",
    }
)


async def list_credentials(call: Call) -> Response:
    """A user's own."""
    user_id = call.path("user_id")
    await call.allow("identity:list_application_credentials", {"user_id": user_id})
    refuse_trusts(await call.caller())
    mine = (one for one in call.snapshot.application_credentials if one.user_id == user_id)
    return listed(call, "application_credentials", page(call, (_row(call, one) for one in mine), ("name",)))


async def create_credential(call: Call) -> Response:
    """One for the project that the token is for. The answer is the only place where its secret is told."""
    held = await call.caller()
    user_id = call.path("user_id")
    await call.allow("identity:create_application_credential", {"user_id": user_id})
    refuse_trusts(held)
    require_unrestricted(held)
    if held.user.id != user_id or held.project is None:
        raise ForbiddenError("an application credential is its maker's, for the project that the token is for")
    asked = (await call.body()).object("application_credential")
    asked.refuse_others(_KNOWN)
    secret = asked.text_or("secret", "") or _new_secret(call)
    rules = asked_rules(call, asked, user_id)
    own = held.application_credential.access_rule_ids if held.application_credential else ()
    if own and not (rules and {rule.id for rule in rules} <= set(own)):
        raise ForbiddenError("an application credential with access rules makes only such as have some of them")
    made = await call.service.application_credentials.create(
        ApplicationCredential(
            id=call.service.administration.new_id(),
            name=asked.named("name"),
            user_id=user_id,
            project_id=held.project.id,
            secret_hash="",
            role_ids=tuple(role.id for role in _asked_roles(call, asked, held)),
            expires_us=_asked_end(call, asked),
            unrestricted=asked.value("unrestricted") is not None and asked.flag_or("unrestricted", False),
            description=asked.text_or("description", ""),
        ),
        secret,
        rules,
    )
    return answer({"application_credential": {**_row(call, made), "secret": secret}}, 201)


async def show_credential(call: Call) -> Response:
    """One, without its secret."""
    return answer({"application_credential": _row(call, await _allowed(call, "get_application_credential"))})


async def delete_credential(call: Call) -> Response:
    """It and its tokens stand for nothing from now on."""
    record = await _allowed(call, "delete_application_credential")
    require_unrestricted(await call.caller())
    await call.service.application_credentials.delete(record.id)
    return nothing()


_PATH: Final = "/v3/users/{user_id}/application_credentials"
ROUTES: Final[Routes[Call]] = {
    _PATH: {"GET": list_credentials, "POST": create_credential},
    f"{_PATH}/{{id}}": {"GET": show_credential, "DELETE": delete_credential},
}


async def _allowed(call: Call, operation: str) -> ApplicationCredential:
    """The credential that the path names, for whoever may. Whose it is counts, not whose the path says it is."""
    record = call.snapshot.application_credentials.get(call.path("id"))
    await call.allow(f"identity:{operation}", {"user_id": record.user_id if record else call.path("user_id")})
    refuse_trusts(await call.caller())
    return call.snapshot.application_credentials.require(call.path("id"))


def _asked_roles(call: Call, asked: Fields, held: Held) -> list[Role]:
    """The roles that are asked for and those they imply, the token's where none are. Raises InvalidError for one that
    the token has not: nobody lends what they have not, or have not here."""
    wanted = asked.objects("roles") if "roles" in asked else []
    if not wanted:
        return list(held.roles)
    ids = [_role_id(call, one) for one in wanted]
    roles = Rights(call.snapshot).expanded(ids)
    own = {role.id for role in held.roles}
    if not own.issuperset([*ids, *(role.id for role in roles)]):
        raise InvalidError(
            "Invalid application credential: Cannot create an application credential with unassigned role"
        )
    return roles


def _role_id(call: Call, wanted: Fields) -> str:
    wanted.refuse_others(("id", "name"))
    if "id" in wanted:
        return wanted.text("id")
    name = wanted.text("name")
    role = call.snapshot.roles.named(("", name.casefold()))
    if role is None:
        raise NotFoundError(f"Role {name} is not defined")
    return role.id


def _asked_end(call: Call, asked: Fields) -> int:
    """When it ends, in microseconds since the epoch; 0 for never. Raises InvalidError."""
    if asked.value("expires_at") is None:
        return 0
    ends_us = times.read_us("application_credential.expires_at", asked.text("expires_at"))
    if ends_us <= call.service.clock.wall_us():
        raise InvalidError("application_credential.expires_at: this is over")
    return ends_us


def _new_secret(call: Call) -> str:
    return base64.urlsafe_b64encode(call.service.random.bytes(SECRET_BYTES)).decode().rstrip("=")


def _row(call: Call, record: ApplicationCredential) -> Row:
    snapshot = call.snapshot
    row: Row = {
        "id": record.id,
        "name": record.name,
        "description": record.description or None,
        "user_id": record.user_id,
        "project_id": record.project_id,
        "system": None,
        "expires_at": times.shown_us(record.expires_us) if record.expires_us else None,
        "unrestricted": record.unrestricted,
        "roles": [
            {
                "id": role.id,
                "name": role.name,
                "domain_id": role.domain_id or None,
                "description": role.description or None,
                "options": json.loads(role.options),
            }
            for role in (snapshot.roles.get(id_) for id_ in record.role_ids)
            if role is not None
        ],
        "links": {"self": f"{call.base}/users/{record.user_id}/application_credentials/{record.id}"},
    }
    if record.access_rule_ids:
        rules = (snapshot.access_rules.get(id_) for id_ in record.access_rule_ids)
        row["access_rules"] = [access_rule_row(rule) for rule in rules if rule is not None]
    return row
