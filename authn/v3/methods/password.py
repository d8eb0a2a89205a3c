"""A user's name or id, and the password."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.scoping import named_domain
from gateway.rest.fields import Fields


async def by_password(call: Call, asked: Fields) -> Proof:
    """See Method."""
    wanted = asked.object("user")
    password = wanted.text("password")
    login = call.service.login
    if "id" in wanted:
        user = await login.by_id(wanted.text("id"), password, address=call.address)
    else:
        name, domain = wanted.text("name"), named_domain(call.snapshot, wanted.object("domain"))
        user = await login.by_name(name, password, domain.id if domain else "", address=call.address)
    return Proof(user, frozenset({"password"}))
