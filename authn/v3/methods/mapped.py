"""The word of an identity provider, as `POST /v3/auth/tokens` takes it: in a token that was made of it before."""

from __future__ import annotations

from authn.errors import UnauthorizedError
from authn.federated_login import way_in
from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.methods.token import by_token
from gateway.rest.fields import Fields


async def by_assertion(call: Call, asked: Fields) -> Proof:
    """See Method. `id` is a federated token, for another scope. Else the request itself would have to bring what a
    provider says, and only those to `/v3/OS-FEDERATION/.../auth` do."""
    if "id" in asked:
        proof = await by_token(call, asked)
        if proof.federated is None:
            raise UnauthorizedError
        return proof
    way_in(call.snapshot, asked.text("identity_provider"), asked.text("protocol"))
    raise UnauthorizedError("The request brings nothing that the identity provider says.")
