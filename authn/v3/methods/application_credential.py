"""An application credential: by its id, or its name and whose it is; and its secret."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.methods.users import named_user
from gateway.rest.fields import Fields
from store.core.errors import InvalidError


async def by_application_credential(call: Call, asked: Fields) -> Proof:
    """See Method."""
    table = call.snapshot.application_credentials
    if asked.value("id") is not None:
        name = asked.text("id")
        credential = table.get(name)
    elif asked.value("name") is not None:
        user, called = named_user(call, asked.object("user"))
        user_id = user.id if user else called
        name = f"{user_id}/{asked.text('name')}"
        credential = table.named((user_id, asked.text("name")))
    else:
        raise InvalidError("auth.identity.application_credential: 'id' or 'name' is a required property")
    secret = asked.text_or("secret", "")
    owner, credential = await call.service.login.by_application_credential(
        credential, name, secret, address=call.address
    )
    return Proof(owner, frozenset({"application_credential"}), application_credential=credential)
