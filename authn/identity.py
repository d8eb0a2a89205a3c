"""Who is asking: the one noun that the services need of authn, and the seam through which they ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, the project that the token is scoped to (empty strings: unscoped), and the roles held there.

    `expires_at` is when the token ends, in seconds since the epoch.
    """

    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: frozenset[str]
    expires_at: float


class Authenticator(Protocol):
    """Turns a token into an identity."""

    def known(self, token: str) -> Identity | None:
        """The identity of a token that was seen before, without waiting; None where it must be asked for."""
        ...

    async def identify(self, token: str) -> Identity | None:
        """The identity, or None where the token is unknown, expired or revoked. Cheap for a token seen before."""
        ...
