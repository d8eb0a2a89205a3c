"""`/v3/users`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from authn.records import DEFAULT_DOMAIN, User
from authn.v3.answers import answer, nothing
from authn.v3.call import Call
from authn.v3.fields import merged
from authn.v3.listing import page
from store.core.errors import InvalidError

FILTERS: Final = ("name", "enabled", "domain_id")

_KNOWN: Final = frozenset(
    {
        "id",
        "name",
        "domain_id",
        "description",
        "enabled",
        "password",
        "original_password",
        "default_project_id",
        "password_expires_at",
        "links",
        "options",
    }
)


def user_row(call: Call, user: User) -> dict[str, Any]:
    """A user as clients see it: nothing of the password."""
    row = {
        **json.loads(user.extra),
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "description": user.description,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{call.base}/users/{user.id}"},
    }
    if user.default_project_id:
        row["default_project_id"] = user.default_project_id
    return row


async def list_users(call: Call) -> Response:
    """All users, for administrators."""
    await call.allow("list_users")
    return page(call, "users", (user_row(call, user) for user in call.snapshot.users), FILTERS)


async def show_user(call: Call) -> Response:
    """One user, also for themselves."""
    user_id = call.path("user_id")
    await call.allow("get_user", user_id=user_id)
    return answer({"user": user_row(call, call.snapshot.users.require(user_id))})


async def create_user(call: Call) -> Response:
    """A new user; without a password until one is set."""
    await call.allow("create_user")
    asked = (await call.body()).object("user")
    if asked.value("options"):
        raise InvalidError("user.options: none are known here")
    administration = call.service.administration
    user = await administration.create_user(
        User(
            id=administration.new_id(),
            name=asked.text("name"),
            domain_id=asked.text_or("domain_id", DEFAULT_DOMAIN),
            description=asked.text_or("description", ""),
            enabled=asked.flag_or("enabled", True),
            default_project_id=asked.text_or("default_project_id", ""),
            extra=merged("{}", asked.others(_KNOWN)),
        ),
        None if asked.value("password") is None else asked.text("password"),
    )
    return answer({"user": user_row(call, user)}, 201)


async def update_user(call: Call) -> Response:
    """Other attributes for a user; a new password ends the user's tokens."""
    await call.allow("update_user")
    asked = (await call.body()).object("user")
    user_id = call.path("user_id")
    if asked.text_or("domain_id", DEFAULT_DOMAIN) != call.snapshot.users.require(user_id).domain_id:
        raise InvalidError("user.domain_id: a user stays in its domain")
    if asked.value("options"):
        raise InvalidError("user.options: none are known here")

    def edit(before: User) -> User:
        return replace(
            before,
            name=asked.text_or("name", before.name),
            description=asked.text_or("description", "") if "description" in asked else before.description,
            enabled=asked.flag_or("enabled", before.enabled),
            default_project_id=(
                asked.text_or("default_project_id", "") if "default_project_id" in asked else before.default_project_id
            ),
            extra=merged(before.extra, asked.others(_KNOWN)),
        )

    edit(call.snapshot.users.require(user_id))  # what is malformed is refused before a hash is worked out
    password = None if asked.value("password") is None else asked.text("password")
    user = await call.service.administration.update_user(user_id, edit, password=password)
    return answer({"user": user_row(call, user)})


async def delete_user(call: Call) -> Response:
    """The user is gone, and with them the roles that they held."""
    await call.allow("delete_user")
    await call.service.administration.delete_user(call.path("user_id"))
    return nothing()


async def change_password(call: Call) -> Response:
    """A new password for whoever knows the old one; that is the proof, so no token is asked for."""
    asked = (await call.body()).object("user")
    original, password = asked.text("original_password"), asked.text("password")
    user = await call.service.login.by_id(call.path("user_id"), original, address=call.address)
    await call.service.administration.update_user(user.id, password=password)
    return nothing()
