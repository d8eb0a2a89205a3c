"""Who is asking: the one noun that the services need of authn, and the seam through which they ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authn.access_rules import AllowedRequests
from authn.certificate_binding import NO_CERTIFICATE
from gateway.rest.policy import Credentials


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, what the token is for (a project, a domain, the system; empty strings: not that), and the roles there.

    `expires_at` is when the token ends, or when it is to be asked about anew, in seconds since the epoch.
    """

    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: frozenset[str]
    expires_at: float
    user_domain_id: str = ""
    project_domain_id: str = ""
    domain_id: str = ""
    system: bool = False
    allowed: AllowedRequests | None = None
    """The requests that the token may make; None for all."""

    @property
    def credentials(self) -> Credentials:
        """What policy knows of the caller, by the names of oslo.policy."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id or None,
            "project_id": self.project_id or None,
            "tenant_id": self.project_id or None,
            "project_domain_id": self.project_domain_id or None,
            "token.project.domain.id": self.project_domain_id or None,
            "domain_id": self.domain_id or None,
            "token.domain.id": self.domain_id or None,
            "system_scope": "all" if self.system else None,
            "roles": self.roles,
        }


class Authenticator(Protocol):
    """Turns a token into an identity."""

    def known(self, token: str) -> Identity | None:
        """The identity of a token that was seen before and that anybody may carry, without waiting; None where it must
        be asked for."""
        ...

    async def identify(self, token: str, certificate: str = NO_CERTIFICATE) -> Identity | None:
        """The identity, or None where the token is unknown, expired, revoked, or bound to another certificate than the
        one that the client has shown (in PEM). Cheap for a token seen before."""
        ...
