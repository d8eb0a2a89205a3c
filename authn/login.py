"""Who is behind a name and a password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from authn import keys
from authn.directory import Directory, Step
from authn.directory_login import DirectoryLogin
from authn.errors import UnauthorizedError
from authn.factors import unmet_rules
from authn.fair_line import Caller
from authn.hashing import PasswordHasher
from authn.inactivity import is_inactive, with_activity
from authn.password_rules import PasswordRules, is_expired, is_locked, with_failure, without_failures
from authn.records import DEFAULT_DOMAIN, USER, User
from authn.records.credentials import ApplicationCredential
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from authn.throttle import LoginSource, Throttle
from store.core.clock import Clock
from store.core.errors import ConflictError
from store.registry import Compare, Delete, Put

_NAME_CHARACTERS = 300
"""Of a name that is remembered; no user's is as long."""

_NOBODY: Final = keys.record(USER, "")
"""The key of a record that there never is."""


class Login:
    """Verifies passwords. Refusals are all alike, and take as long."""

    def __init__(
        self,
        directory: Directory,
        hasher: PasswordHasher,
        clock: Clock,
        shadows: Shadows | None = None,
        *,
        rules: PasswordRules | None = None,
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._clock = clock
        self._rules = rules or PasswordRules()
        self.throttle = Throttle(clock)
        self._elsewhere = DirectoryLogin(shadows, self.throttle, Throttle(clock)) if shadows else None

    def require_admitted(self, name: str, *, address: str, domain_id: str = DEFAULT_DOMAIN) -> None:
        """Raise UnauthorizedError where the name may not be tried from there now: asked before a password is compared
        with anything, or what is remembered of right ones would be a faster way to guess."""
        user = self._directory.snapshot.users.named((domain_id, name))
        unknown = self._elsewhere.counted_as(domain_id, name) if self._elsewhere else f"{domain_id}/{name}"
        self._require_admitted(_source(user.id if user else unknown, address))

    async def by_name(self, name: str, password: str, domain_id: str = DEFAULT_DOMAIN, *, address: str = "") -> User:
        """The user. `address` is where they ask from. Raises UnauthorizedError, BusyError."""
        user = self._directory.snapshot.users.named((domain_id, name))
        if user is None and self._elsewhere and self._elsewhere.serves(domain_id):
            return await self._elsewhere.by_name(domain_id, name, password, address)
        return await self._verify(user, user.id if user else f"{domain_id}/{name}", password, address)

    def is_refused(self, name: str, domain_id: str = DEFAULT_DOMAIN) -> bool:
        """Whether even the right password is refused, or is not enough: after too many wrong ones, when it has expired,
        or where the user's rules ask for more."""
        user = self._directory.snapshot.users.named((domain_id, name))
        if user is None:
            return False
        now_us, rules = self._clock.wall_us(), self._rules
        unmet = unmet_rules(user, {"password"}) is not None or is_expired(user, now_us)
        return unmet or is_locked(user, rules, now_us) or is_inactive(user, rules, now_us)

    async def by_id(self, user_id: str, password: str, *, address: str = "", to_change: bool = False) -> User:
        """The user. `to_change`: the password may have expired, since it is to be changed. Raises UnauthorizedError,
        BusyError."""
        user = self._directory.snapshot.users.get(user_id)
        if user is not None and user.directory_id and self._elsewhere:
            return await self._elsewhere.by_record(user, password, address)
        return await self._verify(user, user_id, password, address, to_change=to_change)

    async def _verify(
        self, user: User | None, name: str, password: str, address: str, *, to_change: bool = False
    ) -> User:
        source = _source(name, address)
        hashed = user.password_hash if user else ""
        same = await self._is_same(source, hashed, password)
        # Much may have happened while the hash was worked out.
        present = self._directory.snapshot.users.get(user.id) if user else None
        if not same or present is None or present.password_hash != hashed:
            await self._failed(source, present)
            raise UnauthorizedError
        # That it is locked or disabled is found no sooner than that the password is wrong, is not told, and counts
        # alike: a right guess must not show, nor that there is such a user.
        now_us = self._clock.wall_us()
        if not self._usable(present) or is_locked(present, self._rules, now_us):
            await self._failed(source, present)
            raise UnauthorizedError
        if is_expired(present, now_us) and not to_change:
            raise UnauthorizedError(f"The password is expired and needs to be changed for user: {present.id}.")
        self.throttle.succeeded(source)
        if present.failures or with_activity(present, self._rules, now_us) != present:
            present = await self._store(
                present, lambda before: with_activity(without_failures(before), self._rules, now_us)
            )
        if self._hasher.is_outdated(hashed):
            present = await self._rehash(present, password)
        return present

    async def _failed(self, source: LoginSource, user: User | None) -> None:
        """It was tried in vain. Where that locks users out, it takes a write also where nothing is counted: or the time
        of the answer would tell who there is."""
        self.throttle.failed(source)
        if self._rules.lockout_failure_attempts is None:
            return
        if user is not None:
            counted = await self._store(user, lambda before: with_failure(before, self._rules, self._clock.wall_us()))
            if counted != user:
                return
        await self._directory.registry.transact((), [Delete(_NOBODY)])

    async def by_application_credential(
        self, credential: ApplicationCredential | None, name: str, secret: str, *, address: str = ""
    ) -> tuple[User, ApplicationCredential]:
        """The user whose credential it is, and the credential. `name` is what it was asked for by, where there is none.
        Raises UnauthorizedError, BusyError."""
        source = _source(f"application credential {credential.id if credential else name}", address)
        same = await self._is_same(source, credential.secret_hash if credential else "", secret)
        snapshot = self._directory.snapshot
        present = snapshot.application_credentials.get(credential.id) if credential else None
        if not same or present is None or present != credential:
            self.throttle.failed(source)
            raise UnauthorizedError
        user = snapshot.users.get(present.user_id)
        if user is None or not self._usable(user):
            raise UnauthorizedError
        self.throttle.succeeded(source)
        return user, present

    def _usable(self, user: User) -> bool:
        inactive = is_inactive(user, self._rules, self._clock.wall_us())
        return user.enabled and not inactive and self._directory.snapshot.domain_enabled(user.domain_id)

    async def _is_same(self, source: LoginSource, hashed: str, secret: str) -> bool:
        caller = Caller(*source, familiar=self.throttle.is_familiar(source))
        self._require_admitted(source)
        async with self._hasher.line.turn(caller):
            self._require_admitted(source)  # others have failed meanwhile
            return await self._hasher.verify(hashed, secret)

    def _require_admitted(self, source: LoginSource) -> None:
        if not self.throttle.admits(source):
            raise UnauthorizedError

    async def _rehash(self, user: User, password: str) -> User:
        """Store the password at today's cost; tokens stay good, since the password is the same."""
        rehashed = await self._hasher.hash(password)
        try:
            return await self._store(user, lambda before: replace(before, password_hash=rehashed))
        except ConflictError:
            return user  # the next login will do it

    async def _store(self, user: User, edit: Callable[[User], User]) -> User:
        """What `edit` makes of the record, stored; as it is where the password is another meanwhile."""
        key = keys.record(USER, user.id)
        made = user

        def step(snapshot: IdentitySnapshot) -> Step | None:
            nonlocal made
            before = snapshot.users.get(user.id)
            if before is None or before.password_hash != user.password_hash:
                return None
            made = edit(before)
            if made == before:
                return None
            return Step([Compare.unchanged(key, snapshot.revision(key))], [Put(key, USER.codec.encode(made))])

        await self._directory.change(step)
        return made


def _source(name: str, address: str) -> LoginSource:
    return LoginSource(address, name[:_NAME_CHARACTERS])
