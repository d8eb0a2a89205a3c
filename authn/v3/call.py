"""One request to identity on its way through."""

from __future__ import annotations

from typing import Final

from authn.access_rules import IDENTITY
from authn.certificate_binding import shown_certificate
from authn.records import DEFAULT_DOMAIN
from authn.service import IdentityService
from authn.snapshot import IdentitySnapshot
from authn.tokens import Held
from gateway.rest.call import Call as RestCall
from gateway.rest.call import Receive, Scope
from gateway.rest.errors import UnauthorizedError

SERVICE_GRACE_S: Final = 48 * 3600
"""How long after its end a token is still told to services that ask with `allow_expired`, as in stock keystone."""


class Call(RestCall):
    """A request and the service that it is for."""

    def __init__(self, service: IdentityService, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive, service.policy)
        self.service = service
        self.base = f"{self.origin}/identity/v3"
        self._held: Held | None = None

    @property
    def snapshot(self) -> IdentitySnapshot:
        return self.service.snapshot

    async def identify(self, token: str) -> Held | None:
        """See Call. The token is opened once a request."""
        if self._held is None:
            held = await self.carried(token)
            self._held = held if held is not None and self.opens(held) else None
        return self._held

    async def carried(self, token: str) -> Held | None:
        """What a token stands for that whoever asks carries themselves; see Tokens.read."""
        return await self.service.tokens.read(token, shown_certificate(self.request.scope))

    def opens(self, held: Held) -> bool:
        """Whether the token's access rules open the request: by its path here, or as clients see it. What the token
        means may always be asked."""
        method, path = self.request.method, self.request.scope["path"]
        if held.allowed is None or (method == "GET" and path == "/identity/v3/auth/tokens"):
            return True
        return any(held.allowed.allows(IDENTITY, method, one) for one in (path, path.removeprefix("/identity")))

    @property
    def domain(self) -> str | None:
        """The domain that the caller acts for, who has been identified; None where the token is for something else."""
        return self._held.domain.id if self._held is not None and self._held.domain is not None else None

    def default_domain(self) -> str:
        """The domain that is meant where none is named: the token's, its project's, or the first. For a caller who has
        been identified."""
        held = self._held
        if held is not None and held.domain is not None:
            return held.domain.id
        return held.project.domain_id if held is not None and held.project is not None else DEFAULT_DOMAIN

    async def caller(self) -> Held:
        """Whoever holds the token. Raises UnauthorizedError."""
        held = await self.identify(self.token())
        if held is None:
            raise UnauthorizedError
        return held
