"""A user's own change of password, which more rules are for than for an administrator's."""

from __future__ import annotations

from authn.administration import Administration
from authn.errors import UnauthorizedError
from authn.hashing import PasswordHasher, known_caller
from authn.password_rules import PasswordRules, has_option, remembered, require_old_enough
from authn.records import User
from store.core.clock import Clock
from store.core.errors import InvalidError


class OwnPassword:
    """Changes it for whoever has shown the old one."""

    def __init__(
        self, administration: Administration, hasher: PasswordHasher, clock: Clock, rules: PasswordRules
    ) -> None:
        self._administration = administration
        self._hasher = hasher
        self._clock = clock
        self._rules = rules

    async def change(self, user: User, password: str) -> None:
        """`user` is the record that the old one was right for. Raises InvalidError for what is against the rules,
        UnauthorizedError where the old password was changed meanwhile, BusyError."""
        if has_option(user, "lock_password"):
            raise InvalidError("The operator does not let this user change the password: ask an administrator.")
        require_old_enough(user, self._rules, self._clock.wall_us())
        for hashed in remembered(user, self._rules):
            async with self._hasher.line.turn(known_caller(user.id)):
                same = await self._hasher.verify(hashed, password)
            if same:
                raise InvalidError(
                    f"The new password is one of the user's last {self._rules.unique_last_password_count}."
                )

        def edit(before: User) -> User:
            if before.password_hash != user.password_hash:
                raise UnauthorizedError
            return before

        await self._administration.update_user(user.id, edit, password=password, own=True)
