"""Whoever a request's token stands for. A token that is unknown is the same as none, so that public containers stay
public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from authn.identity import Authenticator, Identity
from gateway.objects.access.caller import AccessRules, Anonymous, Caller, Rights, User, rights_of
from gateway.rest.bearer import bearer_token
from gateway.swift.access.restricted import Restricted
from gateway.swift.config import Config
from gateway.swift.protocol.paths import account_header, path_header
from gateway.swift.protocol.request import Request

_READING = frozenset({"GET", "HEAD"})
_WHATEVER = "-/-"
"""Stands for all names that begin as a prefix says: a rule that opens it ends in `**`."""

SEEN_MAX = 10_000
"""Tokens that are kept with what they give."""


def rules(config: Config) -> AccessRules:
    """Which roles give what, as the operator chose."""
    return AccessRules(
        config.reseller_prefixes,
        config.service_prefixes,
        config.operator_roles,
        config.reader_roles,
        config.reseller_role,
    )


def referrer(request: Request) -> str:
    """The page that a request says it comes from."""
    return request.headers.get(b"referer", b"").decode("latin-1")


def _carried(headers: Mapping[bytes, bytes]) -> str:
    """The token of whoever asks; "" for none."""
    token = headers.get(b"x-auth-token") or headers.get(b"x-storage-token")
    return token.decode("latin-1") if token else bearer_token(headers.get(b"authorization", b"").decode("latin-1"))


def _stood_for(request: Request) -> Iterator[tuple[str, str]]:
    """The objects that what a request writes is to stand for, as its headers say: by account, and container/object."""
    for header, elsewhere in (
        (b"x-copy-from", b"x-copy-from-account"),
        (b"x-symlink-target", b"x-symlink-target-account"),
    ):
        if request.headers.get(header):
            container, name = path_header(request, header, header.decode().title())
            yield account_header(request, elsewhere) or request.account, f"{container}/{name}"
    if request.headers.get(b"x-object-manifest"):
        container, prefix = path_header(request, b"x-object-manifest", "X-Object-Manifest")
        yield request.account, f"{container}/{prefix}{_WHATEVER}"


class Tokens:
    """Who stands behind which token. What roles give is worked out once for an identity."""

    def __init__(self, authenticator: Authenticator, config: Config) -> None:
        self._authenticator = authenticator
        self._config = config
        self._rules = rules(config)
        self._seen: dict[str, tuple[Identity, Rights]] = {}

    async def principal(self, request: Request) -> Caller:
        """Whoever the request's token stands for."""
        headers = request.headers
        stated = _carried(headers)
        if not stated:
            return Anonymous(self._rules, referrer(request))
        authenticator = self._authenticator
        identity = authenticator.known(stated) or await authenticator.identify(stated, request.certificate)
        if identity is None:
            return Anonymous(self._rules, referrer(request))
        if b"x-service-token" in headers:
            # A service that acts for somebody makes requests of its own.
            service = await self._is_service(headers[b"x-service-token"].decode("latin-1"), request.certificate)
            if service or identity.allowed is None:
                return User(rights_of(identity, self._rules, service=service), referrer(request))
        if identity.allowed is not None:
            nobody = Anonymous(self._rules, referrer(request))
            rights = rights_of(identity, self._rules)
            restricted = Restricted(rights, identity.allowed, nobody, referrer(request))
            if request.method not in _READING:
                for account, name in _stood_for(request):
                    restricted.require_read(account, [name])
            return restricted.within(request.method, request.path)
        seen = self._seen.get(stated)
        if seen is None or seen[0] is not identity:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            seen = self._seen[stated] = identity, rights_of(identity, self._rules)
        return User(seen[1], headers[b"referer"].decode("latin-1") if b"referer" in headers else "")

    async def _is_service(self, token: str, certificate: str) -> bool:
        """Whether a token is a service's."""
        other = await self._authenticator.identify(token, certificate) if token else None
        return other is not None and self._config.service_role in {role.lower() for role in other.roles}
