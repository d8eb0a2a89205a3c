"""`IdentityService`: identity as one thing, made once a process; the applications and all other services share it."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from authn.administration import Administration
from authn.application_credentials import ApplicationCredentials
from authn.directory import Directory
from authn.hashing import HashCost, PasswordHasher
from authn.identity import Identity
from authn.login import Login
from authn.oauth1 import SignatureChecks
from authn.policy import identity_policy
from authn.receipts import Receipts
from authn.snapshot import IdentitySnapshot
from authn.tokens import Tokens
from authn.totp import Passcodes
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
    ) -> None:
        config = config or IdentityConfig()
        self.clock = clock or SystemClock()
        self.random = random or SystemRandom()
        self.policy = config.policy
        self.directory = Directory(registry)
        hasher = PasswordHasher(config.hash_cost)
        self.administration = Administration(self.directory, hasher, self.random)
        self.application_credentials = ApplicationCredentials(self.directory, self.administration, hasher)
        self.signatures = SignatureChecks(self.clock)
        self.vault = Vault(self.directory)
        self.login = Login(self.directory, hasher, self.clock)
        self.tokens = Tokens(
            self.directory, self.clock, self.random, lifetime_s=config.token_seconds, cached=config.cached_tokens
        )
        self.receipts = Receipts(self.tokens.sealer, self.clock)
        self.passcodes = Passcodes(self.administration, self.vault, self.clock, self.login.throttle)

        self.known = self.tokens.known

    @property
    def snapshot(self) -> IdentitySnapshot:
        """What is so now."""
        return self.directory.snapshot

    def unreadable(self) -> int:
        """How many stored records cannot be used here, since a newer program wrote them."""
        return len(self.directory.snapshot.unreadable)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the registry until cancelled."""
        await self.directory.run(task_status=task_status)

    async def identify(self, token: str) -> Identity | None:
        """See Authenticator."""
        return await self.tokens.identify(token)
