"""What an operator wants of passwords: stock Keystone's options of `[security_compliance]`, all off by default.

Pure functions of a user's record and the time; whoever stores the record has them applied. What a password is bound to
is stamped on it when it is set, so that those of before a rule are left alone, as in stock Keystone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from authn.password_pattern import PasswordPattern, parse_pattern
from authn.records import User
from store.core.errors import InvalidError

DAY_S: Final = 86_400
_US: Final = 1_000_000

DAYS_MAX: Final = 36_500
SECONDS_MAX: Final = DAYS_MAX * DAY_S
ATTEMPTS_MAX: Final = 1_000_000
HISTORY_MAX: Final = 64
"""Each costs a hash where a user sets a password, and its place in the record."""
DESCRIPTION_CHARACTERS_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """The options by stock Keystone's names. Make one of a file's table with `parse_password_rules`."""

    password_regex: str | None = None
    password_regex_description: str | None = None
    password_expires_days: int | None = None
    unique_last_password_count: int = 0
    minimum_password_age: int = 0
    """Days that a password which its user has set is to be used."""
    change_password_upon_first_use: bool = False
    lockout_failure_attempts: int | None = None
    lockout_duration: int = 1800
    """Seconds."""
    disable_user_account_days_inactive: int | None = None
    """See `inactivity.py`."""
    pattern: PasswordPattern | None = None
    """What `password_regex` means."""

    def require_fit(self, password: str) -> None:
        """Raises InvalidError, in the operator's words, where it does not match."""
        if self.pattern is not None and not self.pattern.fits(password):
            said = self.password_regex_description or "it has to match a pattern that the operator has not described"
            raise InvalidError(f"The password does not match the requirements: {said}.")


_NUMBERS: Final = {
    "password_expires_days": (1, DAYS_MAX),
    "unique_last_password_count": (0, HISTORY_MAX),
    "minimum_password_age": (0, DAYS_MAX),
    "lockout_failure_attempts": (1, ATTEMPTS_MAX),
    "lockout_duration": (1, SECONDS_MAX),
    "disable_user_account_days_inactive": (1, DAYS_MAX),
}
_OPTIONS: Final = tuple(one.name for one in fields(PasswordRules) if one.name != "pattern")


def parse_password_rules(value: Any) -> PasswordRules:
    """Raises InvalidError that names the option which is wrong or not known."""
    if not isinstance(value, dict):
        raise InvalidError("security_compliance: a table of options, such as password_expires_days = 90")
    for name, held in value.items():
        where = f"security_compliance.{name}"
        if name not in _OPTIONS:
            raise InvalidError(f"{where}: not known here; there are {', '.join(_OPTIONS)}")
        if name in _NUMBERS:
            least, most = _NUMBERS[name]
            if isinstance(held, bool) or not isinstance(held, int) or not least <= held <= most:
                raise InvalidError(f"{where}: a whole number from {least} to {most}")
        elif name == "change_password_upon_first_use":
            if not isinstance(held, bool):
                raise InvalidError(f"{where}: true or false")
        elif not isinstance(held, str) or not 1 <= len(held) <= DESCRIPTION_CHARACTERS_MAX:
            raise InvalidError(f"{where}: a text of 1 to {DESCRIPTION_CHARACTERS_MAX} characters")
    pattern = None
    if "password_regex" in value:
        try:
            pattern = parse_pattern(value["password_regex"])
        except InvalidError as error:
            raise InvalidError(f"security_compliance.password_regex: {error}") from error
    rules = PasswordRules(**value, pattern=pattern)
    if rules.password_expires_days is not None and rules.minimum_password_age >= rules.password_expires_days:
        raise InvalidError("security_compliance.minimum_password_age: has to be less than password_expires_days")
    return rules


def has_option(user: User, name: str) -> bool:
    """Whether one of the options that free a user of a rule is set."""
    return json.loads(user.options).get(name) is True


def with_password(user: User, hashed: str, rules: PasswordRules, now_us: int, *, own: bool) -> User:
    """The record with a new password. `own`: its user has set it, and not an administrator. It unlocks."""
    former = ((user.password_hash,) if user.password_hash else ()) + user.former_hashes
    now_s = now_us // _US
    return replace(
        user,
        password_hash=hashed,
        password_set_s=now_s,
        password_own=own,
        password_expires_s=_expires_s(user, rules, now_s, own=own),
        former_hashes=former[: max(rules.unique_last_password_count - 1, 0)],
        failures=0,
        failed_us=0,
    )


def _expires_s(user: User, rules: PasswordRules, now_s: int, *, own: bool) -> int:
    first_use = rules.change_password_upon_first_use and not own
    if first_use and not has_option(user, "ignore_change_password_upon_first_use"):
        return now_s
    if rules.password_expires_days is None or has_option(user, "ignore_password_expiry"):
        return 0
    return now_s + rules.password_expires_days * DAY_S


def is_expired(user: User, now_us: int) -> bool:
    """Whether the password has to be changed before it lets anybody in."""
    passed = 0 < user.password_expires_s <= now_us // _US
    return passed and not has_option(user, "ignore_password_expiry")


def require_old_enough(user: User, rules: PasswordRules, now_us: int) -> None:
    """Raises InvalidError where the user has set the password too short a time ago to set another."""
    left_s = user.password_set_s + rules.minimum_password_age * DAY_S - now_us // _US
    if user.password_own and left_s > 0:
        raise InvalidError(
            f"A password is used for {rules.minimum_password_age} day(s) before its user may change it: try again in "
            f"{-(-left_s // DAY_S)} day(s), or have an administrator set one."
        )


def remembered(user: User, rules: PasswordRules) -> tuple[str, ...]:
    """The hashes that the user's next password must not be of, today's among them."""
    return (user.password_hash, *user.former_hashes)[: rules.unique_last_password_count]


def counts_failures(user: User, rules: PasswordRules) -> bool:
    """Whether wrong passwords lock the user out."""
    return rules.lockout_failure_attempts is not None and not has_option(user, "ignore_lockout_failure_attempts")


def is_locked(user: User, rules: PasswordRules, now_us: int) -> bool:
    """Whether so many wrong passwords came, the last not long ago, that even the right one is refused."""
    if rules.lockout_failure_attempts is None or not counts_failures(user, rules):
        return False
    recent = now_us < user.failed_us + rules.lockout_duration * _US
    return recent and user.failures >= rules.lockout_failure_attempts


def with_failure(user: User, rules: PasswordRules, now_us: int) -> User:
    """The record after one more wrong password; those of before a lock that has passed are forgotten. While it is
    locked nothing is counted, or guesses would make the lock last."""
    if not counts_failures(user, rules) or is_locked(user, rules, now_us):
        return user
    assert rules.lockout_failure_attempts is not None
    served = user.failures >= rules.lockout_failure_attempts
    return replace(user, failures=1 if served else user.failures + 1, failed_us=now_us)


def without_failures(user: User) -> User:
    """The record unlocked."""
    return replace(user, failures=0, failed_us=0)
