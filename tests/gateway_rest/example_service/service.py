"""What the service knows, and how a request reaches it."""

from __future__ import annotations

from typing import Final, Protocol

import trio

from gateway.rest.call import Call as RestCall
from gateway.rest.call import Caller, Receive, Scope
from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Policy
from gateway.rest.quotas import Quotas
from gateway.rest.reserving import keep_swept
from store.core.clock import Clock
from store.core.entropy import Random
from store.registry import Registry
from tests.gateway_rest.example_service.policy import OPERATIONS, RULES

QUOTAS: Final = {"stones": 10, "kilograms": 1000}


class Tokens(Protocol):
    """As much of identity's as is needed."""

    async def read(self, token: str) -> Caller | None: ...


class Service:
    """Stones live in the registry at `example/stone/<id>`."""

    def __init__(self, registry: Registry, tokens: Tokens, clock: Clock, random: Random) -> None:
        self.registry = registry
        self.tokens = tokens
        self.clock = clock
        self.random = random
        self.policy = Policy(OPERATIONS, RULES)
        self.quotas = Quotas(registry, "example", QUOTAS, clock, random)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled: what goes on besides requests. There are no tasks here that reservations could be for."""
        await keep_swept(self.quotas, no_task, task_status=task_status)


async def no_task(_: str) -> bool:
    return False


class Call(RestCall):
    """A request to the service."""

    def __init__(self, service: Service, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive, service.policy)
        self.service = service

    async def identify(self, token: str) -> Caller | None:
        return await self.service.tokens.read(token)

    async def project(self) -> str:
        """The project that the caller acts for. Raises UnauthorizedError, and ForbiddenError where it is none."""
        project = (await self.credentials()).get("project_id")
        if not isinstance(project, str):
            raise ForbiddenError("a token for a project is needed")
        return project
