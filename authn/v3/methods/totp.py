"""A user's name or id, and the passcode that their device shows now."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.methods.users import named_user
from gateway.rest.fields import Fields


async def by_totp(call: Call, asked: Fields) -> Proof:
    """See Method."""
    wanted = asked.object("user")
    passcode = wanted.text("passcode")
    user, called = named_user(call, wanted)
    user = await call.service.passcodes.verify(user, called, passcode, address=call.address)
    return Proof(user, frozenset({"totp"}))
