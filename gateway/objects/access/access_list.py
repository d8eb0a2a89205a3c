"""Access lists: what a container's list allows to whom. Pure.

A list is kept as text, its elements with commas between them. An element is `.r:host` (a referrer; `.r:*` everybody,
`.r:.example.com` a domain, `.r:-host` not that one), `.rlistings` (a referrer may list, too), `project:user` with `*`
for either, a project's id, an account (for those who own it), or a role.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from authn.identity import Identity


@dataclass(frozen=True, slots=True)
class AccessList:
    """A stored list taken apart."""

    referrers: tuple[str, ...]
    groups: frozenset[str]

    def admits_referrer(self, referrer: str) -> bool:
        """Whether a request from this page (a URL, or "") is let in; the last element that fits decides."""
        if not self.referrers:
            return False
        try:
            host = urlsplit(referrer).hostname or "unknown"
        except ValueError:
            host = "unknown"
        admitted = False
        for pattern in self.referrers:
            wanted = pattern.removeprefix("-")
            fits = wanted == host or (wanted.startswith(".") and host.endswith(wanted))
            if pattern.startswith("-"):
                admitted = admitted and not fits
            elif fits or wanted == "*":
                admitted = True
        return admitted

    @property
    def listings(self) -> bool:
        """Whether a referrer may list, too."""
        return ".rlistings" in self.groups

    def admits_user(self, identity: Identity, accounts: Sequence[str] = ()) -> bool:
        """Whether the list names this user: `project:user` by id or name, `*`, the whole project by its id, or one of
        the accounts that they own.

        A bare word is never a project's name: anybody who may name a project could take the name of a role.
        """
        groups = self.groups
        if not groups:
            return False
        if identity.project_id and identity.project_id in groups:
            return True
        if not groups.isdisjoint(accounts):
            return True
        users = ("*", identity.user_id, identity.user_name)
        projects = ("*", identity.project_id, identity.project_name)
        return any(f"{project}:{user}" in groups for project in projects for user in users if project and user)

    def admits_role(self, roles: frozenset[str]) -> bool:
        """Whether the list names one of these (lower-case) roles."""
        return any(group.lower() in roles for group in self.groups)


@lru_cache(maxsize=1024)
def parse(stored: str) -> AccessList:
    """A list as it is kept; anything can be read, since dialects keep none that they have not checked."""
    referrers = []
    groups = set()
    for element in stored.split(",") if stored else ():
        if element.startswith(".r:"):
            referrers.append(element[3:])
        else:
            groups.add(unquote(element))
    return AccessList(tuple(referrers), frozenset(groups))
