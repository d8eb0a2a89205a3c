"""Who asks, and what they may do: the rules of Swift behind Keystone, in one place; the default is no.

A project's operators own its account, its readers read it, a reseller admin owns all. To others a container's access
lists give reading or writing of that container's objects. A token that is unknown is the same as none, so that public
containers stay public.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import quote

from authn.identity import Authenticator, Identity
from gateway.swift import account_acl, acl
from gateway.swift.account_acl import Level
from gateway.swift.config import Config
from gateway.swift.errors import RefusedError
from gateway.swift.request import Request


class Principal(Protocol):
    """Whoever stands behind a request."""

    def owns(self, account: str) -> bool:
        """Whether they own the account: everything in it is theirs, and they see what is secret."""
        ...

    def require(
        self,
        request: Request,
        account: str,
        container: str,
        rule: str,
        *,
        reading: bool,
        listing: bool = False,
        object: str = "",
    ) -> None:
        """Raise RefusedError (401 or 403) unless they may read or write here. `rule` is the stored access list,
        `object` what is read or written where it is one object."""
        ...


def denied(request: Request, config: Config, *, known: bool) -> RefusedError:
    """403 to somebody known, 401 to anybody else."""
    if known:
        return RefusedError(403)
    realm = quote(request.account) if request.account else config.realm
    return RefusedError(401, headers=[(b"www-authenticate", b'Swift realm="%s"' % realm.encode())])


class Anonymous:
    """Nobody in particular: only what an access list opens to referrers."""

    identity: Identity | None = None

    def __init__(self, config: Config) -> None:
        self.config = config
        self._prefixes = tuple(f"{prefix}_" if prefix else "" for prefix in config.reseller_prefixes)

    def owns(self, account: str) -> bool:
        return False

    def require(
        self,
        request: Request,
        account: str,
        container: str,
        rule: str,
        *,
        reading: bool,
        listing: bool = False,
        object: str = "",
    ) -> None:
        if reading and rule and account.startswith(self._prefixes):
            rules = acl.parse(rule)
            if rules.admits_referrer(referrer(request)) and (rules.listings or not listing):
                return
        raise denied(request, self.config, known=False)


class User:
    """Somebody with a token."""

    __slots__ = ("_accounts", "_granted", "_operator", "_owned", "_reader", "_reseller", "_roles", "config", "identity")

    def __init__(self, identity: Identity, config: Config, *, service: bool = False) -> None:
        """`service`: a service's token came along."""
        self.identity = identity
        self.config = config
        self._roles = roles = frozenset(role.lower() for role in identity.roles)
        self._reseller = config.reseller_role in roles
        self._operator = not config.operator_roles.isdisjoint(roles)
        self._reader = not config.reader_roles.isdisjoint(roles)
        project = identity.project_id
        self._accounts = (
            tuple(
                f"{prefix}_{project}" if prefix else project
                for prefix in config.reseller_prefixes
                if service or prefix not in config.service_prefixes
            )
            if project
            else ()
        )
        self._owned = self._accounts if self._operator else ()
        self._granted: dict[str, Level] | None = None

    def owns(self, account: str) -> bool:
        if self._reseller or account in self._owned:
            return True
        return self._granted is not None and self._granted.get(account) is Level.ADMIN

    def learn(self, account: str, stored: str) -> None:
        """Hear what an account's access list gives; until then it gives nothing."""
        self._granted = {**(self._granted or {}), account: account_acl.level(stored, self.identity, self._owned)}

    @property
    def reseller(self) -> bool:
        """Whether every account is theirs."""
        return self._reseller

    def require(
        self,
        request: Request,
        account: str,
        container: str,
        rule: str,
        *,
        reading: bool,
        listing: bool = False,
        object: str = "",
    ) -> None:
        if self.owns(account):
            return
        at_home = account in self._accounts
        if rule:
            rules = acl.parse(rule)
            if rules.admits_user(self.identity, self._owned):
                return
            if reading and rules.admits_referrer(referrer(request)) and (rules.listings or not listing):
                return
            if at_home and rules.admits_role(self._roles):
                return
        if at_home and reading and self._reader:
            return
        granted = Level.NONE if self._granted is None else self._granted.get(account, Level.NONE)
        if granted >= (Level.READ if reading else Level.WRITE) and (reading or container):
            return
        raise denied(request, self.config, known=True)


def referrer(request: Request) -> str:
    """The page that a request says it comes from."""
    return request.headers.get(b"referer", b"").decode("latin-1")


async def principal(request: Request, authenticator: Authenticator, config: Config, anonymous: Anonymous) -> Principal:
    """Whoever the request's token stands for."""
    token = request.headers.get(b"x-auth-token") or request.headers.get(b"x-storage-token")
    if not token:
        return anonymous
    identity = await authenticator.identify(token.decode("latin-1"))
    if identity is None:
        return anonymous
    beside = request.headers.get(b"x-service-token")
    if not beside:
        return User(identity, config)
    other = await authenticator.identify(beside.decode("latin-1"))
    service = other is not None and config.service_role in {role.lower() for role in other.roles}
    return User(identity, config, service=service)
