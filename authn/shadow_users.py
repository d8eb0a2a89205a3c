"""Users whom identity providers vouch for, as records here: found again at each login, made at the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from authn import keys
from authn.administration import Administration
from authn.directory import Directory
from authn.errors import UnauthorizedError
from authn.federation.mapped import DomainReference, MappedUser
from authn.inactivity import is_inactive, with_activity
from authn.password_rules import PasswordRules
from authn.records import USER, Domain, User
from authn.records.federation import IdentityProvider
from authn.snapshot import IdentitySnapshot
from gateway.rest.fields import merged
from store.core.clock import Clock
from store.core.errors import ConflictError, InvalidError, NotFoundError

_ATTEMPTS: Final = 8
_ID_CHARACTERS_MAX: Final = 1024
"""Of an id there, written as in a URL."""


class ShadowUsers:
    """Of two logins at the same time, in any two processes, both get the same user."""

    def __init__(
        self, directory: Directory, administration: Administration, clock: Clock, rules: PasswordRules
    ) -> None:
        self._directory = directory
        self._administration = administration
        self._clock = clock
        self._rules = rules

    async def ephemeral(
        self,
        provider: IdentityProvider,
        protocol_id: str,
        mapped: MappedUser,
        domain: Domain,
        group_ids: Sequence[str] = (),
    ) -> User:
        """The user, by the name and with the address that the mapping says now, and in those groups for as long as the
        provider's word holds; a new one is made in the domain. Where they are other groups than at the login before,
        the user's tokens end, as in stock keystone. Raises UnauthorizedError where no user can have such a name."""
        held = provider.id, protocol_id, mapped.unique_id
        if len(mapped.unique_id) > _ID_CHARACTERS_MAX:
            raise UnauthorizedError(f"The user's id has more than {_ID_CHARACTERS_MAX} characters.")
        try:
            return await self._found_or_made(held, mapped, domain, lambda user: self._placed(user, provider, group_ids))
        except InvalidError as error:
            raise UnauthorizedError(f"The mapping makes no user of this: {error}") from error

    def local(self, mapped: MappedUser) -> User:
        """One who was here before, by id or by name and domain. Raises UnauthorizedError."""
        snapshot = self._directory.snapshot
        if mapped.id:
            user = snapshot.users.get(mapped.id)
        else:
            domain = referred_domain(snapshot, mapped.domain) if mapped.domain else None
            user = snapshot.users.named((domain.id, mapped.name)) if domain else None
        if user is None or not user.enabled or not snapshot.domain_enabled(user.domain_id):
            raise UnauthorizedError
        return user

    def _usable(self, user: User) -> bool:
        return user.enabled and not is_inactive(user, self._rules, self._clock.wall_us())

    def _placed(self, user: User, provider: IdentityProvider, group_ids: Sequence[str]) -> User:
        """The record with what the provider says of groups now, in place of what it said before."""
        now_s = self._clock.wall_us() // 1_000_000
        others = tuple(said for said in user.stated_groups if said[0] != provider.id)
        said = tuple((provider.id, provider.epoch, id_, now_s) for id_ in group_ids if provider.authorization_ttl)
        after = replace(user, stated_groups=others + said)
        same = {one[2] for one in user.stated_groups} == {one[2] for one in after.stated_groups}
        return after if same else replace(after, epoch=user.epoch + 1)

    async def _found_or_made(
        self, held: tuple[str, str, str], mapped: MappedUser, domain: Domain, placed: Callable[[User], User]
    ) -> User:
        key = keys.federated(held)
        email = {"email": mapped.email} if mapped.email else {}

        def edit(before: User) -> User:
            # Who has been given a password is called by the name that goes with it.
            name = before.name if before.password_hash else mapped.display_name
            after = replace(before, name=name, extra=merged(before.extra, email) if email else before.extra)
            return placed(with_activity(after, self._rules, self._clock.wall_us()))

        for _ in range(_ATTEMPTS):
            known = self._directory.snapshot.federated.get(key)
            try:
                if known is not None:
                    if self._directory.snapshot.users.get(known) is None:  # made elsewhere a moment ago
                        await self._directory.refresh([keys.record(USER, known)])
                    user = self._directory.snapshot.users.require(known)
                    if not self._usable(user):  # else the login would make them active
                        raise UnauthorizedError
                    return await self._administration.update_user(known, edit)
                id_, extra = self._administration.new_id(), merged("{}", email)
                new = User(id_, mapped.display_name, domain.id, extra=extra, federated=(held,))
                return await self._administration.create_user(placed(new), None)
            except (ConflictError, NotFoundError):  # made, or deleted, elsewhere a moment ago
                await self._directory.refresh([key])
        raise ConflictError("Others keep changing the same; try again.")


def referred_domain(snapshot: IdentitySnapshot, reference: DomainReference) -> Domain | None:
    """The domain that a mapping means."""
    return snapshot.domains.get(reference.id) if reference.id else snapshot.domains.named(("", reference.name))
