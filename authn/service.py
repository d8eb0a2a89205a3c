"""`IdentityService`: identity as one thing, made once a process; the applications and all other services share it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import trio

from authn import inactivity
from authn.administration import Administration
from authn.application_credentials import ApplicationCredentials
from authn.backends.opening import open_backend
from authn.certificate_binding import NO_CERTIFICATE
from authn.directory import Directory
from authn.directory_watch import DirectoryWatch
from authn.domain_backends import DomainBackends, Opener
from authn.federated_login import FederatedLogin
from authn.federation.config import FederationConfig
from authn.federation.identity_providers import RelyingParties
from authn.federation.login import WebLogin
from authn.federation.login_state import StateSeal
from authn.federation.openid import RelyingParty
from authn.federation.provider_http import provider_connections
from authn.hashing import HashCost, PasswordHasher
from authn.identity import Identity
from authn.limit_models import FLAT, LimitModel
from authn.login import Login
from authn.oauth1 import SignatureChecks
from authn.own_password import OwnPassword
from authn.password_rules import PasswordRules
from authn.policy import identity_policy
from authn.receipts import Receipts
from authn.saml.config import SamlConfig
from authn.saml.opening import open_saml
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from authn.tokens import Tokens
from authn.totp import Passcodes
from authn.vault import Vault
from gateway.rest.policy import Policy
from store.core.clock import Clock, SystemClock
from store.core.entropy import Random, SystemRandom
from store.registry import Registry

_LOGIN_STATE: Final = b"drystone: state of a login at an OpenID provider"


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """An operator's choices."""

    token_seconds: int = 3600
    cached_tokens: int = 20_000
    hash_cost: HashCost = field(default_factory=HashCost)
    policy: Policy = field(default_factory=identity_policy)
    """Who may do what."""
    federation: FederationConfig = field(default_factory=FederationConfig)
    """Whose word counts for who somebody is."""
    password_rules: PasswordRules = field(default_factory=PasswordRules)
    """Of the users that are kept here; those of directories have the directory's."""
    limit_model: LimitModel = FLAT
    """How limits of domains and projects work together."""
    saml: SamlConfig | None = None
    """How this cloud vouches for its users to others."""
    cors_origins: tuple[str, ...] = ()
    """Web pages of other hosts that may use the API from a browser; `*` is all."""


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
        self.cors_origins = config.cors_origins
        self.federation = config.federation
        self.limit_model = config.limit_model
        self.saml = open_saml(config.saml, self.clock, self.random)
        """We, towards those whom we vouch to; None where the operator does not want it."""
        self.password_rules = rules = config.password_rules
        self.parties = RelyingParties()
        """We, towards those who vouch for users; there while it runs."""
        self.directory = Directory(registry, clock=self.clock)
        hasher = PasswordHasher(config.hash_cost)
        self.administration = Administration(self.directory, hasher, self.random, clock=self.clock, rules=rules)
        self.application_credentials = ApplicationCredentials(self.directory, self.administration, hasher)
        self.signatures = SignatureChecks(self.clock)
        self.vault = Vault(self.directory)
        self.backends = DomainBackends(self.directory, self.vault, opener)
        self.shadows = Shadows(self.administration, self.backends)
        self.federated_login = FederatedLogin(self.directory, self.administration, self.shadows, self.clock, rules)
        self.login = Login(self.directory, hasher, self.clock, self.shadows, rules=rules)
        self.own_password = OwnPassword(self.administration, hasher, self.clock, rules)
        self.tokens = Tokens(
            self.directory,
            self.clock,
            self.random,
            lifetime_s=config.token_seconds,
            cached=config.cached_tokens,
            rules=rules,
        )
        self.receipts = Receipts(self.tokens.sealer, self.clock)
        self.passcodes = Passcodes(self.administration, self.vault, self.clock, self.login.throttle)
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
        async with AsyncExitStack() as stack:
            if self.federation.providers:
                http = await stack.enter_async_context(provider_connections())
                providers = self.federation.providers
                self.parties = RelyingParties(RelyingParty(provider, http, self.clock) for provider in providers)
            nursery = await stack.enter_async_context(trio.open_nursery())
            await nursery.start(lambda task_status: self.directory.run(task_status=task_status))
            nursery.start_soon(inactivity.begin, self.directory, self.password_rules, self.clock)
            nursery.start_soon(self.backends.run)
            nursery.start_soon(self._watch.run)
            task_status.started()

    def web_login(self) -> WebLogin:
        """Logins of browsers; what one process begins another may finish."""
        return WebLogin(self.federation.dashboards, StateSeal(self.vault.derive(_LOGIN_STATE)), self.clock)

    async def identify(self, token: str, certificate: str = NO_CERTIFICATE) -> Identity | None:
        """See Authenticator."""
        return await self.tokens.identify(token, certificate)
