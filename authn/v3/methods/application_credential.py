"""An application credential: by its id, or its name and whose it is; and its secret."""

from __future__ import annotations

from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.scoping import named_domain
from gateway.rest.fields import Fields
from store.core.errors import InvalidError


async def by_application_credential(call: Call, asked: Fields) -> Proof:
    """See Method."""
    table = call.snapshot.application_credentials
    if asked.value("id") is not None:
        name = asked.text("id")
        credential = table.get(name)
    elif asked.value("name") is not None:
        user_id = _user_id(call, asked.object("user"))
        name = f"{user_id}/{asked.text('name')}"
        credential = table.named((user_id, asked.text("name")))
    else:
        raise InvalidError("auth.identity.application_credential: 'id' or 'name' is a required property")
    secret = asked.text_or("secret", "")
    user, credential = await call.service.login.by_application_credential(
        credential, name, secret, address=call.address
    )
    return Proof(user, frozenset({"application_credential"}), application_credential=credential)


def _user_id(call: Call, wanted: Fields) -> str:
    """Whom `{"id": ...}`, or a name and a domain, mean; where there is nobody, what they were called."""
    if "id" in wanted:
        return wanted.text("id")
    name, domain = wanted.text("name"), named_domain(call.snapshot, wanted.object("domain"))
    user = call.snapshot.users.named((domain.id, name)) if domain else None
    return user.id if user else name
