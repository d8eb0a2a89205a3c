"""Who asks, and what they may do: in one place; the default is no.

A project's operators own its account, its readers read it, and those with the reseller's role own all. To others a
container's access lists give reading or writing of that container's objects, and an account's list all of it.

An account whose name begins with a dot is the system's own (`.volumes`): nobody reaches it from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authn.identity import Identity
from gateway.objects.access import access_list, account_access
from gateway.objects.access.account_access import Level
from gateway.objects.errors import AccessError


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Which roles give what.

    `prefixes`: an account is one of these, an underscore and a project's id; those of `service_prefixes` are reached
    only with a service's token beside the user's. `operator_roles` own their project's account, `reader_roles` read
    it, `reseller_role` owns every account.
    """

    prefixes: tuple[str, ...]
    service_prefixes: frozenset[str]
    operator_roles: frozenset[str]
    reader_roles: frozenset[str]
    reseller_role: str


class Caller(Protocol):
    """Whoever stands behind a request."""

    @property
    def owns_all(self) -> bool:
        """Whether every account is theirs, and no quota binds them."""
        ...

    def owns(self, account: str) -> bool:
        """Whether they own the account: everything in it is theirs, and they see what is secret."""
        ...

    def learn(self, account: str, stored: str) -> None:
        """Hear whom an account's access list opens it to; until then it is open to nobody."""
        ...

    def require(
        self, account: str, container: str, rule: str, *, reading: bool, listing: bool = False, object: str = ""
    ) -> None:
        """Raise AccessError unless they may read or write here. `rule` is the container's access list for that,
        `object` what is read or written where it is one object."""
        ...


class Anonymous:
    """Nobody in particular: only what an access list opens to referrers."""

    __slots__ = ("_prefixes", "_referrer")

    owns_all = False

    def __init__(self, rules: AccessRules, referrer: str = "") -> None:
        """`referrer` is the page that the request says it comes from."""
        self._prefixes = rules.prefixes
        self._referrer = referrer

    def owns(self, account: str) -> bool:
        return False

    def learn(self, account: str, stored: str) -> None:
        """Account access lists name users."""

    def require(
        self, account: str, container: str, rule: str, *, reading: bool, listing: bool = False, object: str = ""
    ) -> None:
        if reading and rule and account.startswith(tuple(f"{name}_" if name else "" for name in self._prefixes)):
            rules = access_list.parse(rule)
            if rules.admits_referrer(self._referrer) and (rules.listings or not listing):
                return
        raise AccessError(known=False)


@dataclass(frozen=True, slots=True)
class Rights:
    """What an identity has by its roles, before any access list. `accounts` are its project's, `owned` those of them
    that it owns."""

    identity: Identity
    roles: frozenset[str]
    owns_all: bool
    reads: bool
    accounts: tuple[str, ...]
    owned: tuple[str, ...]


def rights_of(identity: Identity, rules: AccessRules, *, service: bool = False) -> Rights:
    """The rights of an identity; `service`: a service's token came along."""
    roles = frozenset(role.lower() for role in identity.roles)
    accounts = _accounts(identity.project_id, rules, service=service)
    owned = () if rules.operator_roles.isdisjoint(roles) else accounts
    reads = not rules.reader_roles.isdisjoint(roles)
    return Rights(identity, roles, rules.reseller_role in roles, reads, accounts, owned)


class User:
    """Somebody with an identity."""

    __slots__ = ("_granted", "_owned", "_referrer", "_rights", "owns_all")

    def __init__(self, rights: Rights, referrer: str = "") -> None:
        """`referrer` as Anonymous has it."""
        self._rights = rights
        self._owned = rights.owned
        self._referrer = referrer
        self.owns_all = rights.owns_all
        self._granted: dict[str, Level] | None = None

    def owns(self, account: str) -> bool:
        if account in self._owned:
            return True
        if self.owns_all:
            return not is_internal(account)
        return self._granted is not None and self._granted.get(account) is Level.ADMIN

    def learn(self, account: str, stored: str) -> None:
        self._granted = {
            **(self._granted or {}),
            account: account_access.level(stored, self._rights.identity, self._owned),
        }

    def require(
        self, account: str, container: str, rule: str, *, reading: bool, listing: bool = False, object: str = ""
    ) -> None:
        if self.owns(account):
            return
        at_home = account in self._rights.accounts
        if rule:
            rules = access_list.parse(rule)
            if rules.admits_user(self._rights.identity, self._owned):
                return
            if reading and rules.admits_referrer(self._referrer) and (rules.listings or not listing):
                return
            if at_home and rules.admits_role(self._rights.roles):
                return
        if at_home and reading and self._rights.reads:
            return
        granted = Level.NONE if self._granted is None else self._granted.get(account, Level.NONE)
        if granted >= (Level.READ if reading else Level.WRITE) and (reading or container):
            return
        raise AccessError(known=True)


def is_internal(account: str) -> bool:
    """Whether an account is the system's own."""
    return account.startswith(".")


def _accounts(project: str, rules: AccessRules, *, service: bool) -> tuple[str, ...]:
    """The accounts that are a project's."""
    if not project:
        return ()
    return tuple(
        f"{prefix}_{project}" if prefix else project
        for prefix in rules.prefixes
        if service or prefix not in rules.service_prefixes
    )
