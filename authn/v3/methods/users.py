"""Whom a method's `user` means."""

from __future__ import annotations

from authn.records import User
from authn.v3.call import Call
from authn.v3.scoping import named_domain
from gateway.rest.fields import Fields


def named_user(call: Call, wanted: Fields) -> tuple[User | None, str]:
    """The user that an id, or a name and a domain, mean, and what they are called there: guesses at somebody who does
    not exist count, too."""
    if "id" in wanted:
        return call.snapshot.users.get(wanted.text("id")), wanted.text("id")
    name, domain = wanted.text("name"), named_domain(call.snapshot, wanted.object("domain"))
    user = call.snapshot.users.named((domain.id, name)) if domain else None
    return user, f"{domain.id if domain else ''}/{name}"
