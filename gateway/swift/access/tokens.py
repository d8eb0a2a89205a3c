"""Whoever a request's token stands for. A token that is unknown is the same as none, so that public containers stay
public."""

from __future__ import annotations

from authn.identity import Authenticator
from gateway.objects.access.caller import AccessRules, Anonymous, Caller, User, rights_of
from gateway.swift.config import Config
from gateway.swift.protocol.request import Request


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


async def principal(request: Request, authenticator: Authenticator, config: Config, access: AccessRules) -> Caller:
    """Whoever the request's token stands for."""
    token = request.headers.get(b"x-auth-token") or request.headers.get(b"x-storage-token")
    if not token:
        return Anonymous(access, referrer(request))
    identity = authenticator.known(stated := token.decode("latin-1")) or await authenticator.identify(stated)
    if identity is None:
        return Anonymous(access, referrer(request))
    beside = request.headers.get(b"x-service-token")
    if not beside:
        return User(rights_of(identity, access), request.headers.get(b"referer", b"").decode("latin-1"))
    other = await authenticator.identify(beside.decode("latin-1"))
    service = other is not None and config.service_role in {role.lower() for role in other.roles}
    return User(rights_of(identity, access, service=service), referrer(request))
