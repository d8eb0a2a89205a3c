"""`Tokens`: issued, read, given back; and `identify`, which every request of every service asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.fernet import MultiFernet

from authn import keys
from authn.access_rules import AllowedRequests
from authn.certificate_binding import NO_CERTIFICATE, is_shown
from authn.directory import Directory, Step
from authn.errors import UnauthorizedError, UnreadableError
from authn.identity import Identity
from authn.inactivity import is_inactive
from authn.keys import DOMAIN_TARGET, GROUP_ACTOR, PROJECT_TARGET, SYSTEM_TARGET, USER_ACTOR
from authn.password_rules import PasswordRules
from authn.records import DOMAIN, GROUP, PROJECT, USER, Domain, Project, Role, User
from authn.records.credentials import (
    ACCESS_RULE,
    ACCESS_TOKEN,
    APPLICATION_CREDENTIAL,
    TRUST,
    AccessToken,
    ApplicationCredential,
    Trust,
)
from authn.records.federation import FEDERATION_PROTOCOL, IDENTITY_PROVIDER
from authn.rights import UNSCOPED, Rights, Scope
from authn.snapshot import REVOKED_CODEC, Change, IdentitySnapshot
from authn.token_cache import TokenCache
from authn.token_format import Federated, Token, audit_id, seal, unseal
from authn.trusts import concerned, pedigree
from gateway.rest.policy import Credentials
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError
from store.registry import Delete, Put, Span

SWEEP_MAX: Final = 100
"""Ended revocations that one more revocation clears away."""

SKEW_SECONDS: Final = 3600
"""How long past a token's end its revocation is kept, for processes whose clocks are late."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody has shown of who they are, and what that narrows their token to."""

    user: User
    methods: frozenset[str]
    parent: Token | None = None
    """The token that was shown; the new one ends no later."""
    application_credential: ApplicationCredential | None = None
    trust: Trust | None = None
    access_token: AccessToken | None = None
    federated: Federated | None = None
    expires_s: int = 0
    """When a token of this proof ends at the latest; 0: the usual lifetime."""
    bound_to: bytes = b""
    """See Token."""

    @property
    def shown(self) -> frozenset[str]:
        """All the ways in which the user has authenticated, also for the token that was shown."""
        return self.methods | (self.parent.methods if self.parent else frozenset())

    directory_groups: tuple[str, ...] = ()
    """See Token."""

    @property
    def groups(self) -> tuple[str, ...]:
        """See Token."""
        return (*(self.federated.group_ids if self.federated else ()), *self.directory_groups)


@dataclass(frozen=True, slots=True)
class Held:
    """A token that holds now: what it says, and whom and what that means."""

    token: Token
    user: User
    project: Project | None
    domain: Domain | None
    """What the token is for, where that is a domain."""
    roles: tuple[Role, ...]
    trust: Trust | None = None
    application_credential: ApplicationCredential | None = None
    allowed: AllowedRequests | None = None
    """The requests that it may make; None for all."""

    @property
    def system(self) -> bool:
        """Whether the token is for the system."""
        return self.token.scope.target == SYSTEM_TARGET

    @property
    def identity(self) -> Identity:
        return Identity(
            user_id=self.user.id,
            user_name=self.user.name,
            project_id=self.project.id if self.project else "",
            project_name=self.project.name if self.project else "",
            roles=frozenset(role.name for role in self.roles),
            expires_at=float(self.token.expires_s),
            user_domain_id=self.user.domain_id,
            project_domain_id=self.project.domain_id if self.project else "",
            domain_id=self.domain.id if self.domain else "",
            system=self.system,
            allowed=self.allowed,
        )

    @property
    def credentials(self) -> Credentials:
        """What policy knows of whoever holds it."""
        return self.identity.credentials


class Tokens:
    """Nothing is stored for a token but that it was given back."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        random: Random,
        *,
        lifetime_s: int = 3600,
        cached: int = 20_000,
        rules: PasswordRules | None = None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._random = random
        self._lifetime_s = lifetime_s
        self._rules = rules or PasswordRules()
        self._cache = TokenCache(cached)
        self._sealer: MultiFernet | None = None
        self._watchers: list[Callable[[Token, User], None]] = []
        directory.listen(self._on_change)

    def tell(self, watcher: Callable[[Token, User], None]) -> None:
        """Have `watcher` called with each token that is issued here or found to hold, but for those that are remembered
        from before."""
        self._watchers.append(watcher)

    def issue(self, proof: Proof, scope: Scope = UNSCOPED, *, expires_s: int = 0) -> tuple[str, Held]:
        """A new token, sealed, for a user who has just proved who they are. It ends no later than the application
        credential or OAuth key that was shown, and than `expires_s`, where that is not 0.

        Raises UnauthorizedError where the user has no role in the scope.
        """
        now_s = self._now_us() // 1_000_000
        parent = proof.parent
        own = audit_id(self._random.bytes(16))
        lent, access = proof.application_credential, proof.access_token
        ends_s = parent.expires_s if parent else now_s + self._lifetime_s
        for bound_s in (expires_s, lent.expires_s if lent else 0, access.expires_s if access else 0):
            ends_s = min(ends_s, bound_s or ends_s)
        token = Token(
            user_id=proof.user.id,
            scope=scope,
            methods=proof.shown,
            issued_s=now_s,
            expires_s=ends_s,
            user_epoch=proof.user.epoch,
            scope_epoch=_epoch(self._directory.snapshot, scope, proof.user, proof.trust),
            audit_ids=(own, parent.audit_ids[-1]) if parent else (own,),
            application_credential_id=lent.id if lent else "",
            trust_id=proof.trust.id if proof.trust else "",
            access_token_id=proof.access_token.id if proof.access_token else "",
            federated=proof.federated,
            directory_groups=proof.directory_groups,
            bound_to=proof.bound_to or (parent.bound_to if parent else b""),
        )
        held = self._resolve(token)
        if held is None:
            raise UnauthorizedError
        self._tell(held)
        return seal(token, self.sealer()), held

    async def read(self, sealed: str, certificate: str | None = NO_CERTIFICATE, *, expired_s: int = 0) -> Held | None:
        """What the token stands for now; None where it stands for nothing, or is bound to another certificate than the
        one that whoever carries it has shown (in PEM; None: it is only looked at, on behalf of whoever does).
        `expired_s`: how long ago it may have ended."""
        if not self._directory.snapshot.revision(keys.TOKEN_KEYS):
            return None  # nothing was ever sealed
        token = unseal(sealed, self.sealer())
        if token is None or not self._live(token, expired_s):
            return None
        if certificate is not None and not is_shown(token.bound_to, certificate):
            return None
        held = self._resolve(token)
        if held is None:
            # It was ours: what it needs may have been written by another process a moment ago. Nobody can make
            # us look who does not have such a token.
            await self._refresh(token)
            held = self._resolve(token) if self._live(token, expired_s) else None
        if held is not None:
            self._tell(held)
        return held

    def known(self, token: str) -> Identity | None:
        """See Authenticator."""
        known = self._cache.get(token)
        return known if known is not None and known.expires_at * 1_000_000 > self._now_us() else None

    async def identify(self, token: str, certificate: str = NO_CERTIFICATE) -> Identity | None:
        """See Authenticator. A token that is bound is opened each time."""
        known = self.known(token)
        if known is not None:
            return known
        self._cache.drop(token)
        held = await self.read(token, certificate)
        if held is None:
            return None
        identity = held.identity
        snapshot = self._directory.snapshot
        lenders = tuple(concerned(pedigree(snapshot, held.trust) or ())) if held.trust else ()
        for id_ in (held.token.user_id, *lenders):  # some of its roles may end before it does
            ends_s = min(snapshot.stated_groups(id_).values(), default=identity.expires_at)
            identity = replace(identity, expires_at=min(identity.expires_at, float(ends_s)))
        if not held.token.bound_to:
            self._cache.put(token, frozenset((*held.token.concerned, *lenders)), identity)
        return identity

    async def revoke(self, token: Token) -> None:
        """The token stands for nothing from now on."""
        horizon = self._now_us() // 1_000_000 - SKEW_SECONDS

        def step(snapshot: IdentitySnapshot) -> Step | None:
            if token.audit_ids[0] in snapshot.revoked:
                return None
            ended = [key for key, expires_s in snapshot.revoked.items() if expires_s < horizon][:SWEEP_MAX]
            put = Put(keys.revoked(token.audit_ids[0]), REVOKED_CODEC.encode(token.expires_s))
            return Step((), [put, *(Delete(keys.revoked(key)) for key in ended)])

        await self._directory.change(step)

    def _tell(self, held: Held) -> None:
        for watcher in self._watchers:
            watcher(held.token, held.user)

    def _live(self, token: Token, expired_s: int = 0) -> bool:
        now_us = self._now_us() - expired_s * 1_000_000
        return token.expires_s * 1_000_000 > now_us and token.audit_ids[0] not in self._directory.snapshot.revoked

    async def _refresh(self, token: Token) -> None:
        """Look again at all that the token needs."""
        needed = [keys.record(USER, token.user_id), keys.revoked(token.audit_ids[0])]
        for kind, id_ in (
            (PROJECT, token.scope.id if token.scope.target == PROJECT_TARGET else ""),
            (DOMAIN, token.scope.id if token.scope.target == DOMAIN_TARGET else ""),
            (APPLICATION_CREDENTIAL, token.application_credential_id),
            (TRUST, token.trust_id),
            (ACCESS_TOKEN, token.access_token_id),
        ):
            if id_:
                needed.append(keys.record(kind, id_))
        actors = [(USER_ACTOR, token.user_id)]
        if token.federated is not None:
            provider_id, protocol_id = token.federated.provider_id, token.federated.protocol_id
            needed.append(keys.record(IDENTITY_PROVIDER, provider_id))
            needed.append(keys.record(FEDERATION_PROTOCOL, f"{provider_id}/{protocol_id}"))
        needed += [keys.record(GROUP, id_) for id_ in token.groups]
        actors += [(GROUP_ACTOR, id_) for id_ in token.groups]
        spans = [keys.assignments(*token.scope, *actor) for actor in actors] if token.scope != UNSCOPED else []
        await self._directory.refresh(needed, spans)
        await self._directory.refresh(*self._named(token))
        await self._directory.refresh([keys.record(DOMAIN, id_) for id_ in sorted(self._domain_ids(token))])

    def _named(self, token: Token) -> tuple[list[bytes], list[Span]]:
        """What is named in turn by what the token names."""
        snapshot = self._directory.snapshot
        lent, trust = (
            snapshot.application_credentials.get(token.application_credential_id),
            snapshot.trusts.get(token.trust_id),
        )
        needed = [keys.record(ACCESS_RULE, id_) for id_ in lent.access_rule_ids] if lent else []
        chain = (pedigree(snapshot, trust) if trust else None) or []
        for one in chain:
            needed += [keys.record(USER, one.trustor_user_id), keys.record(USER, one.trustee_user_id)]
        lenders = [one.trustor_user_id for one in chain[-1:] if token.scope != UNSCOPED]
        return needed, [keys.assignments(*token.scope, USER_ACTOR, id_) for id_ in lenders]

    def _domain_ids(self, token: Token) -> set[str]:
        """Of the domains that have to be enabled."""
        snapshot = self._directory.snapshot
        trust = snapshot.trusts.get(token.trust_id)
        parties = concerned(pedigree(snapshot, trust) or ()) if trust else ()
        users = (snapshot.users.get(id_) for id_ in (token.user_id, *parties))
        project = snapshot.projects.get(token.scope.id)
        return {one.domain_id for one in (*users, project) if one is not None}

    def _resolve(self, token: Token) -> Held | None:
        """Whom and what the token means, where all that it names is still such that it could be issued."""
        snapshot = self._directory.snapshot
        user = self._usable_user(token.user_id)
        if user is None or user.epoch != token.user_epoch:
            return None
        if _epoch(snapshot, token.scope, user, snapshot.trusts.get(token.trust_id)) != token.scope_epoch:
            return None
        if token.federated is not None and not _vouched_for(snapshot, token.federated):
            return None
        if token.scope == UNSCOPED:
            trust = snapshot.trusts.get(token.trust_id)
            if token.trust_id and not self._trust_holds(trust):
                return None
            return Held(token, user, None, None, (), trust)
        target, id_ = token.scope
        project = snapshot.projects.get(id_) if target == PROJECT_TARGET else None
        domain = snapshot.domains.get(id_) if target == DOMAIN_TARGET else None
        if project is not None and not (project.enabled and snapshot.domain_enabled(project.domain_id)):
            return None
        if domain is not None and not domain.enabled:
            return None
        if project is None and domain is None and target != SYSTEM_TARGET:
            return None
        roles = self._roles(token)
        if not roles:
            return None
        return Held(
            token,
            user,
            project,
            domain,
            tuple(roles),
            snapshot.trusts.get(token.trust_id),
            snapshot.application_credentials.get(token.application_credential_id),
            _allowed(snapshot, token),
        )

    def _roles(self, token: Token) -> list[Role]:
        """The roles that the token has now; none where what it was made from is gone."""
        snapshot, rights = self._directory.snapshot, Rights(self._directory.snapshot)
        if token.trust_id:
            trust = snapshot.trusts.get(token.trust_id)
            chain = self._trust_holds(trust)
            if trust is None or not chain:
                return []
            return _both(
                rights, trust.role_ids, rights.roles(chain[-1].trustor_user_id, token.scope, token.directory_groups)
            )
        held = rights.roles(token.user_id, token.scope, token.groups)
        if token.application_credential_id:
            credential = snapshot.application_credentials.get(token.application_credential_id)
            if credential is None or not self._lends(credential, token.scope):
                return []
            if any(snapshot.access_rules.get(id_) is None for id_ in credential.access_rule_ids):
                return []
            held = _both(rights, credential.role_ids, held)
        if token.access_token_id:
            access = snapshot.access_tokens.get(token.access_token_id)
            if access is None or not self._lends(access, token.scope):
                return []
            held = _both(rights, access.role_ids, held)
        return held

    def _trust_holds(self, trust: Trust | None) -> list[Trust]:
        """The trust and those that it was made from, where all of them hold; nothing where one does not."""
        snapshot = self._directory.snapshot
        chain = pedigree(snapshot, trust) if trust is not None else None
        for one in chain or ():
            users = self._usable_user(one.trustor_user_id), self._usable_user(one.trustee_user_id)
            if not self._counts(one.expires_s) or not all(users):
                return []
        return chain or []

    def _usable_user(self, user_id: str) -> User | None:
        snapshot = self._directory.snapshot
        user = snapshot.users.get(user_id)
        if user is None or not user.enabled or is_inactive(user, self._rules, self._now_us()):
            return None
        return user if snapshot.domain_enabled(user.domain_id) else None

    def _lends(self, lent: ApplicationCredential | AccessToken, scope: Scope) -> bool:
        """Whether it still does, and there."""
        return self._counts(lent.expires_s) and scope == Scope(PROJECT_TARGET, lent.project_id)

    def _counts(self, expires_s: int) -> bool:
        return not expires_s or expires_s * 1_000_000 > self._now_us()

    def sealer(self) -> MultiFernet:
        """Seals and opens with the present keys. Raises UnreadableError, ConflictError."""
        if self._sealer is None:
            snapshot = self._directory.snapshot
            held = snapshot.token_keys
            if held is None and keys.TOKEN_KEYS in snapshot.unreadable:
                raise UnreadableError(f"The token keys cannot be used here: {snapshot.unreadable[keys.TOKEN_KEYS]}")
            if held is None:
                raise ConflictError("there are no token keys: bootstrap identity first")
            self._sealer = held.sealer()
        return self._sealer

    def _on_change(self, change: Change) -> None:
        if change.concerns is None:
            self._sealer = None
        self._cache.on_change(change)

    def _now_us(self) -> int:
        return self._clock.wall_us()


def _vouched_for(snapshot: IdentitySnapshot, federated: Federated) -> bool:
    """Whether the word that the token was given out for still counts."""
    provider = snapshot.identity_providers.get(federated.provider_id)
    protocol = snapshot.protocols.get(f"{federated.provider_id}/{federated.protocol_id}")
    if provider is None or protocol is None:
        return False
    return provider.enabled and provider.epoch == federated.provider_epoch


def _epoch(snapshot: IdentitySnapshot, scope: Scope, user: User, trust: Trust | None) -> int:
    """How often what such tokens need was ended, the user apart: their scope, its domain and the user's, and who lends
    by the trust. It is a sum of numbers that only grow, so none is overlooked. -1 where there is no such scope."""
    domain_ids, epoch = [user.domain_id], 0
    if scope.target == PROJECT_TARGET:
        project = snapshot.projects.get(scope.id)
        if project is None:
            return -1
        domain_ids.append(project.domain_id)
        epoch += project.epoch
    elif scope.target == DOMAIN_TARGET:
        if snapshot.domains.get(scope.id) is None:
            return -1
        domain_ids.append(scope.id)
    for one in (pedigree(snapshot, trust) or ()) if trust else ():
        for id_ in (one.trustor_user_id, one.trustee_user_id):
            party = snapshot.users.get(id_)
            if party is not None:
                domain_ids.append(party.domain_id)
                epoch += party.epoch
    domains = (snapshot.domains.get(id_) for id_ in domain_ids)
    return epoch + sum(domain.epoch for domain in domains if domain is not None)


def _allowed(snapshot: IdentitySnapshot, token: Token) -> AllowedRequests | None:
    credential = snapshot.application_credentials.get(token.application_credential_id)
    if credential is None or not credential.access_rule_ids:
        return None
    rules = (snapshot.access_rules.get(id_) for id_ in credential.access_rule_ids)
    return AllowedRequests(tuple(rule for rule in rules if rule is not None))


def _both(rights: Rights, role_ids: Iterable[str], held: list[Role]) -> list[Role]:
    given = {role.id for role in rights.expanded(role_ids)}
    return [role for role in held if role.id in given]
