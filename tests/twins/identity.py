"""An authenticator that knows a fixed set of tokens."""

from __future__ import annotations

from collections.abc import Iterable

from authn.identity import Identity

FAR_FUTURE = 4_000_000_000.0


class MemoryAuthenticator:
    """Tokens in a dictionary."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}

    def add(self, token: str, user: str, project: str, roles: Iterable[str] = ("member",)) -> Identity:
        """Let `token` stand for `user` in `project`; ids are the names with `-id` behind."""
        identity = Identity(
            user_id=f"{user}-id",
            user_name=user,
            project_id=f"{project}-id",
            project_name=project,
            roles=frozenset(roles),
            expires_at=FAR_FUTURE,
        )
        self.identities[token] = identity
        return identity

    def known(self, token: str) -> Identity | None:
        return self.identities.get(token)

    async def identify(self, token: str, certificate: str = "") -> Identity | None:
        return self.identities.get(token)
