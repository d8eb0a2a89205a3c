"""`/v3/auth/OS-FEDERATION/saml2` and `/v3/OS-FEDERATION/saml2/metadata`: a token becomes a word for another cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from authn.records import Group
from authn.records.federation import ServiceProvider
from authn.saml.subject import Named, Subject
from authn.tokens import Held
from authn.v3.call import Call
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields
from store.core.errors import NotFoundError

if TYPE_CHECKING:
    from authn.saml.provider import SamlProvider

XML: Final = "text/xml"


async def create_assertion(call: Call) -> Response:
    """A response of SAML for the service provider that the body names, about whose token is in the body."""
    saml, subject, provider = await _asked(call)
    return _told(saml.response(subject, provider.sp_url), provider)


async def create_envelope(call: Call) -> Response:
    """The same in a SOAP envelope, for programs (Enhanced Client or Proxy)."""
    saml, subject, provider = await _asked(call)
    return _told(saml.envelope(subject, provider.sp_url, provider.relay_state_prefix), provider)


async def show_metadata(call: Call) -> Response:
    """What service providers are configured with; everybody may know."""
    return Response(_provider(call).metadata, media_type=XML)


ROUTES: Final[Routes[Call]] = {
    "/v3/auth/OS-FEDERATION/saml2": {"POST": create_assertion},
    "/v3/auth/OS-FEDERATION/saml2/ecp": {"POST": create_envelope},
    "/v3/OS-FEDERATION/saml2/metadata": {"GET": show_metadata},
}


def _provider(call: Call) -> SamlProvider:
    saml = call.service.saml
    if saml is None:
        raise NotFoundError("This cloud is no identity provider of SAML: its operator has not configured one.")
    return saml


async def _asked(call: Call) -> tuple[SamlProvider, Subject, ServiceProvider]:
    """Raises NotFoundError for a token that does not hold, and for a service provider that is not there, ForbiddenError
    for one that is disabled, and for a token that is not for a project or may not be used for this."""
    auth = (await call.body()).object("auth")
    auth.refuse_others(("identity", "scope"))
    identity, scope = auth.object("identity"), auth.object("scope")
    identity.refuse_others(("token", "methods"))
    scope.refuse_others(("service_provider",))
    sealed, provider_id = _id(identity, "token"), _id(scope, "service_provider")
    saml = _provider(call)
    held = await call.carried(sealed)
    if held is None:
        raise NotFoundError("Could not find token.")
    if not call.opens(held):
        raise ForbiddenError("the token's access rules do not open this")
    provider = call.snapshot.service_providers.require(provider_id)
    if not provider.enabled:
        raise ForbiddenError(f"Service Provider {provider_id} is disabled")
    return saml, await _subject(call, held), provider


def _id(asked: Fields, name: str) -> str:
    return asked.object(name).text("id")


async def _subject(call: Call, held: Held) -> Subject:
    if held.project is None:
        raise ForbiddenError("Use a project scoped token when attempting to create a SAML assertion")
    snapshot, user = call.snapshot, held.user

    def named(name: str, domain_id: str) -> Named:
        return Named(name, snapshot.domains.require(domain_id).name)

    groups: list[Group] = [snapshot.groups.require(id_) for id_ in snapshot.groups_of(user.id)]
    if user.directory_id:
        groups += (await call.service.shadows.groups_of(user)).records
    return Subject(
        named(user.name, user.domain_id),
        named(held.project.name, held.project.domain_id),
        tuple(role.name for role in held.roles),
        tuple(sorted(named(group.name, group.domain_id) for group in groups)),
    )


def _told(document: bytes, provider: ServiceProvider) -> Response:
    response = Response(document, media_type=XML)
    # URLs of records may hold what no header carries.
    response.raw_headers.append((b"x-sp-url", provider.sp_url.encode()))
    response.raw_headers.append((b"x-auth-url", provider.auth_url.encode()))
    return response
