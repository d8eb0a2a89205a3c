"""A token that one has, for another scope."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields
from store.core.errors import NotFoundError


async def by_token(call: Call, asked: Fields) -> Proof:
    """See Method. A token that stands for a part of its user's rights opens nothing else."""
    held = await call.carried(asked.text("id"))
    if held is None:
        raise NotFoundError("Could not find token.")  # as stock keystone answers, and tempest wants it
    token = held.token
    if token.is_lent:
        raise ForbiddenError("a token of a trust, an application credential, OAuth or EC2 cannot be rescoped")
    return Proof(
        held.user,
        frozenset({"token"}),
        parent=token,
        federated=token.federated,
        directory_groups=token.directory_groups,
    )
