"""A request that is signed with the key a user let a program have (OAuth 1.0a)."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.oauth1 import signed_by_access_token
from gateway.rest.errors import UnauthorizedError
from gateway.rest.fields import Fields


async def by_oauth1(call: Call, _: Fields) -> Proof:
    """See Method. The proof is in the Authorization header; the project is the key's own."""
    access, _signed = await signed_by_access_token(call)
    user = call.snapshot.users.get(access.authorizing_user_id)
    if user is None:
        raise UnauthorizedError
    return Proof(user, frozenset({"oauth1"}), access_token=access)
