"""`/v3/users/{id}/password`, and when passwords expire as clients see and ask for it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from authn.records import User
from authn.v3.call import Call
from authn.v3.elsewhere import refuse_directory
from gateway.rest import times
from gateway.rest.answers import nothing
from gateway.rest.listing import Row
from store.core.errors import InvalidError

_OPERATORS: Final[dict[str, Callable[[int, int], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


async def change_password(call: Call) -> Response:
    """A new password for whoever knows the old one; that is the proof, so no token is asked for."""
    asked = (await call.body()).object("user")
    original, password = asked.text("original_password"), asked.text("password")
    user = await call.service.login.by_id(call.path("id"), original, address=call.address, to_change=True)
    refuse_directory(user)
    await call.service.own_password.change(user, password)
    return nothing()


def expiry_shown(user: User) -> str | None:
    """When the password expires; null where it never does."""
    return times.shown_us(user.password_expires_s * 1_000_000) if user.password_expires_s else None


def expires(row: Row, asked: str) -> bool:
    """Whether a user's password expires when it is asked for: `lt:2027-01-31T12:00:00Z`, or a time alone."""
    name, colon, text = asked.partition(":")
    if name not in _OPERATORS:
        if name.isalpha() and colon:
            raise InvalidError(f"password_expires_at: one of {', '.join(_OPERATORS)} before the time")
        name, text = "eq", asked
    wanted = times.read("password_expires_at", text)
    held = row["password_expires_at"]
    return held is not None and _OPERATORS[name](times.read("password_expires_at", held), wanted)
