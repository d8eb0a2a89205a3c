"""Users who have not logged in for long are as if disabled: `disable_user_account_days_inactive` of stock Keystone.

What counts is a password, or a provider's word. Only the day is kept, so a user costs a write a day at most, and none
where the rule is off. Users of directories have the directory's rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog
import trio

from authn import keys
from authn.directory import Directory, Step
from authn.password_rules import DAY_S, PasswordRules, has_option
from authn.records import USER, User
from authn.snapshot import IdentitySnapshot
from store.core.clock import Clock
from store.core.errors import ConflictError, RetryableError
from store.registry import Compare, Put

_DAY_US: Final = DAY_S * 1_000_000
_BATCH: Final = 100
"""Records that one transaction writes."""
_AGAIN_S: Final = 60

_log: Final = structlog.get_logger(__name__)


def is_inactive(user: User, rules: PasswordRules, now_us: int) -> bool:
    """Whether the user has not logged in for as many days as the rule has."""
    if rules.disable_user_account_days_inactive is None or user.directory_id or not user.active_day:
        return False
    days = now_us // _DAY_US - user.active_day
    return days >= rules.disable_user_account_days_inactive and not has_option(user, "ignore_user_inactivity")


def with_activity(user: User, rules: PasswordRules, now_us: int) -> User:
    """The record of a user who has just logged in, or was just made or enabled; as it is where the rule is off."""
    if rules.disable_user_account_days_inactive is None or user.directory_id:
        return user
    return replace(user, active_day=now_us // _DAY_US)


async def begin(directory: Directory, rules: PasswordRules, clock: Clock) -> None:
    """Where the rule is on: those of whom it is not known when they were active (of before the rule, or made by the
    command line) count as active today."""
    if rules.disable_user_account_days_inactive is None:
        return

    def step(snapshot: IdentitySnapshot) -> Step | None:
        unknown = (user for user in snapshot.users if not user.active_day and not user.directory_id)
        users = [user for user, _ in zip(unknown, range(_BATCH), strict=False)]
        if not users:
            return None
        stored = {keys.record(USER, user.id): with_activity(user, rules, clock.wall_us()) for user in users}
        compares = [Compare.unchanged(key, snapshot.revision(key)) for key in stored]
        return Step(compares, [Put(key, USER.codec.encode(user)) for key, user in stored.items()])

    while step(directory.snapshot) is not None:
        try:
            await directory.change(step)
        except (ConflictError, RetryableError) as error:
            _log.warning("when users were active cannot be kept for now", error=str(error))
            await trio.sleep(_AGAIN_S)
