"""`Tokens`: issued, read, given back; and `identify`, which every request of every service asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.fernet import MultiFernet

from authn import keys
from authn.directory import Directory, Step
from authn.errors import UnauthorizedError, UnreadableError
from authn.identity import Identity
from authn.records import PROJECT, USER, Project, Role, User
from authn.snapshot import REVOKED_CODEC, Change, IdentitySnapshot
from authn.token_cache import TokenCache
from authn.token_format import Token, audit_id, seal, unseal
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError
from store.registry import Delete, Put

SWEEP_MAX: Final = 100
"""Ended revocations that one more revocation clears away."""

SKEW_SECONDS: Final = 3600
"""How long past a token's end its revocation is kept, for processes whose clocks are late."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token that holds now: what it says, and whom and what that means."""

    token: Token
    user: User
    project: Project | None
    roles: tuple[Role, ...]

    @property
    def identity(self) -> Identity:
        return Identity(
            user_id=self.user.id,
            user_name=self.user.name,
            project_id=self.project.id if self.project else "",
            project_name=self.project.name if self.project else "",
            roles=frozenset(role.name for role in self.roles),
            expires_at=float(self.token.expires_s),
        )


class Tokens:
    """Nothing is stored for a token but that it was given back."""

    def __init__(
        self, directory: Directory, clock: Clock, random: Random, *, lifetime_s: int = 3600, cached: int = 20_000
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._random = random
        self._lifetime_s = lifetime_s
        self._cache = TokenCache(cached)
        self._sealer: MultiFernet | None = None
        directory.listen(self._on_change)

    def issue(self, user: User, project: Project | None, method: str, parent: Token | None = None) -> tuple[str, Held]:
        """A new token, sealed, for a user who has just proved who they are. With `parent`: it ends no later than that.

        Raises UnauthorizedError where the user has no role in the project.
        """
        now_s = self._now_us() // 1_000_000
        own = audit_id(self._random.bytes(16))
        token = Token(
            user_id=user.id,
            project_id=project.id if project else "",
            methods=frozenset({method}) | (parent.methods if parent else frozenset()),
            issued_s=now_s,
            expires_s=parent.expires_s if parent else now_s + self._lifetime_s,
            user_epoch=user.epoch,
            project_epoch=project.epoch if project else 0,
            audit_ids=(own, parent.audit_ids[-1]) if parent else (own,),
        )
        held = self._resolve(token)
        if held is None:
            raise UnauthorizedError
        return seal(token, self._need_sealer()), held

    async def read(self, sealed: str) -> Held | None:
        """What the token stands for now; None where it stands for nothing."""
        if not self._directory.snapshot.revision(keys.TOKEN_KEYS):
            return None  # nothing was ever sealed
        token = unseal(sealed, self._need_sealer())
        if token is None or not self._live(token):
            return None
        held = self._resolve(token)
        if held is None:
            # It was ours: what it needs may have been written by another process a moment ago. Nobody can make
            # us look who does not have such a token.
            needed = [keys.record(USER, token.user_id), keys.revoked(token.audit_ids[0])]
            if token.project_id:
                needed.append(keys.record(PROJECT, token.project_id))
            await self._directory.refresh(needed, [keys.assignments(token.project_id, token.user_id)])
            held = self._resolve(token) if self._live(token) else None
        return held

    def known(self, token: str) -> Identity | None:
        """See Authenticator."""
        known = self._cache.get(token)
        return known if known is not None and known.expires_at * 1_000_000 > self._now_us() else None

    async def identify(self, token: str) -> Identity | None:
        """See Authenticator."""
        known = self.known(token)
        if known is not None:
            return known
        self._cache.drop(token)
        held = await self.read(token)
        if held is None:
            return None
        identity = held.identity
        self._cache.put(token, held.token, identity)
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

    def _live(self, token: Token) -> bool:
        now_us = self._now_us()
        return token.expires_s * 1_000_000 > now_us and token.audit_ids[0] not in self._directory.snapshot.revoked

    def _resolve(self, token: Token) -> Held | None:
        """Whom and what the token means, where user, project and roles are still such that it could be issued."""
        snapshot = self._directory.snapshot
        user = snapshot.users.get(token.user_id)
        if (
            user is None
            or not user.enabled
            or user.epoch != token.user_epoch
            or not snapshot.domain_enabled(user.domain_id)
        ):
            return None
        if not token.project_id:
            return Held(token, user, None, ())
        project = snapshot.projects.get(token.project_id)
        if project is None or not project.enabled or project.epoch != token.project_epoch:
            return None
        roles = tuple(snapshot.roles_of(user.id, project.id))
        if not roles or not snapshot.domain_enabled(project.domain_id):
            return None
        return Held(token, user, project, roles)

    def _need_sealer(self) -> MultiFernet:
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
