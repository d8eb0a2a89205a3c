"""Somebody whose token opens some requests only (the access rules of an application credential)."""

from __future__ import annotations

from collections.abc import Iterable

from authn.access_rules import OBJECT_STORE, AllowedRequests
from gateway.objects.access.caller import Anonymous, Caller, Rights, User
from gateway.objects.errors import AccessError


class Restricted(User):
    """Somebody whose token opens some requests only; to any other they are nobody."""

    __slots__ = ("_allowed", "_nobody")

    def __init__(self, rights: Rights, allowed: AllowedRequests, nobody: Anonymous, referrer: str) -> None:
        super().__init__(rights, referrer)
        self._allowed, self._nobody = allowed, nobody

    def within(self, method: str, path: str) -> Caller:
        """Who they are to a request; `path` is decoded."""
        return self if self._allowed.allows(OBJECT_STORE, method, path) else self._nobody

    def require_read(self, account: str, names: Iterable[str]) -> None:
        """Raise AccessError unless they may read each of these objects (container/object), which something that they
        write is to stand for: or whoever may write anywhere could have all of the account read to them there."""
        for name in names:
            if not self._allowed.allows(OBJECT_STORE, "GET", f"/v1/{account}/{name}"):
                raise AccessError(known=False)
