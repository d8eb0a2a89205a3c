"""A request to one of the services that stand on identity: its token becomes a caller, within the token's bounds."""

from __future__ import annotations

from collections.abc import Sequence

from authn.certificate_binding import shown_certificate
from authn.service import IdentityService
from authn.tokens import Held
from gateway.rest.call import Call, Caller, Receive, Scope
from gateway.rest.errors import ForbiddenError
from gateway.rest.inside import INSIDE, Inside
from gateway.rest.policy import Policy

SERVICE_ROLE = "service"
GRACE_S = 48 * 3600
"""How long after its end a user's token is still taken from a service that shows a token of its own: so that work that
takes hours does not end half done."""


class ServiceCall(Call):
    """A request to a service, which is served at `prefix`."""

    def __init__(
        self,
        identity: IdentityService,
        service_types: Sequence[str],
        prefix: str,
        scope: Scope,
        receive: Receive,
        policy: Policy,
    ) -> None:
        """`service_types`: what access rules may call the service: its type, and the older names of that."""
        super().__init__(scope, receive, policy)
        self._identity = identity
        self._service_types = service_types
        self._prefix = prefix
        self._held: Caller | None = self._inside

    async def identify(self, token: str) -> Caller | None:
        """See Call. The token is opened once a request. None also where its access rules do not open the request. Who
        asks from inside has none."""
        if self._held is None:
            acts_for = await self._is_service(self.request.headers.get("x-service-token", ""))
            shown = shown_certificate(self.request.scope)
            held = await self._identity.tokens.read(token, shown, expired_s=GRACE_S if acts_for else 0)
            self._held = held if held is not None and (acts_for or self._opens(held)) else None
        return self._held

    @property
    def _inside(self) -> Inside | None:
        found = self.request.scope.get(INSIDE)
        return found if isinstance(found, Inside) else None

    async def _is_service(self, token: str) -> bool:
        if self._inside is not None:
            return True
        held = await self._identity.tokens.read(token, shown_certificate(self.request.scope)) if token else None
        return held is not None and any(role.name == SERVICE_ROLE for role in held.roles)

    def _opens(self, held: Held) -> bool:
        method, path = self.request.method, self.request.scope["path"]
        if held.allowed is None:
            return True
        paths = (path, path.removeprefix(self._prefix))
        return any(held.allowed.allows(type_, method, one) for type_ in self._service_types for one in paths)

    async def project(self) -> str:
        """The project that the caller acts for. Raises UnauthorizedError, and ForbiddenError where it is none."""
        project = (await self.credentials()).get("project_id")
        if not isinstance(project, str):
            raise ForbiddenError("a token for a project is needed")
        return project
