"""`IdentityService`: identity as one thing, made once a process; the applications and all other services share it."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from authn.administration import Administration
from authn.backends.opening import open_backend
from authn.directory import Directory
from authn.directory_watch import DirectoryWatch
from authn.domain_backends import DomainBackends, Opener
from authn.hashing import HashCost, PasswordHasher
from authn.identity import Identity
from authn.login import Login
from authn.policy import identity_policy
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from authn.tokens import Tokens
from authn.vault import Vault
from gateway.rest.policy import Policy
from store.core.clock import Clock, SystemClock
from store.core.entropy import Random, SystemRandom
from store.registry import Registry


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """An operator's choices."""

    token_seconds: int = 3600
    cached_tokens: int = 20_000
    hash_cost: HashCost = field(default_factory=HashCost)
    policy: Policy = field(default_factory=identity_policy)
    """Who may do what."""


class IdentityService:
    """Start `run` and wait until it has started; then everything here works. It is an Authenticator."""

    def __init__(
        self,
        registry: Registry,
        config: IdentityConfig | None = None,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        opener: Opener = open_backend,
    ) -> None:
        """`opener` makes the back end of a domain whose users are in a directory."""
        config = config or IdentityConfig()
        self.clock = clock or SystemClock()
        self.random = random or SystemRandom()
        self.policy = config.policy
        self.directory = Directory(registry)
        hasher = PasswordHasher(config.hash_cost)
        self.administration = Administration(self.directory, hasher, self.random)
        self.vault = Vault(self.directory)
        self.backends = DomainBackends(self.directory, self.vault, opener)
        self.shadows = Shadows(self.administration, self.backends)
        self.login = Login(self.directory, hasher, self.clock, self.shadows)
        self.tokens = Tokens(
            self.directory, self.clock, self.random, lifetime_s=config.token_seconds, cached=config.cached_tokens
        )
        self._watch = DirectoryWatch(self.administration, self.shadows, self.clock)
        self.tokens.tell(self._watch.saw)

        self.known = self.tokens.known

    @property
    def snapshot(self) -> IdentitySnapshot:
        """What is so now."""
        return self.directory.snapshot

    def unreadable(self) -> int:
        """How many stored records cannot be used here, since a newer program wrote them."""
        return len(self.directory.snapshot.unreadable)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the registry, and those directories whose users have tokens, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.directory.run(task_status=task_status))
            nursery.start_soon(self.backends.run)
            nursery.start_soon(self._watch.run)
            task_status.started()

    async def identify(self, token: str) -> Identity | None:
        """See Authenticator."""
        return await self.tokens.identify(token)
