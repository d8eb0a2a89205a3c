"""Logins by others' word: programs that bring a provider's token or a certificate, and browsers sent by a dashboard."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from authn.certificate_binding import NO_CERTIFICATE, shown_certificate
from authn.errors import UnauthorizedError
from authn.factors import unmet_rules
from authn.federated_login import way_in
from authn.federation import certificate
from authn.federation.assertion import Assertion
from authn.federation.dashboards import handover
from authn.federation.login import Asserted, bring_token, is_return
from authn.federation.login_state import cookie_name
from authn.federation.openid import RelyingParty
from authn.tokens import Held
from authn.v3.answers import refusal
from authn.v3.authentication import token_answer
from authn.v3.call import Call
from authn.v3.elsewhere import vouched
from authn.v3.scoping import own_scope
from gateway.rest.app import Routes
from store.core.errors import CallerError, RetryableError

_WEBSSO: Final = "/v3/auth/OS-FEDERATION/websso/{protocol_id}"
_WEBSSO_OF_PROVIDER: Final = "/v3/auth/OS-FEDERATION/identity_providers/{provider_id}/protocols/{protocol_id}/websso"


async def authenticate(call: Call) -> Response:
    """A token for whoever brings an access token of the provider, or for the protocol `x509` a client certificate."""
    provider_id, protocol_id = call.path("provider_id"), call.path("protocol_id")
    way_in(call.snapshot, provider_id, protocol_id)
    if protocol_id == certificate.PROTOCOL:
        asserted = Asserted(provider_id, protocol_id, "", _of_certificate(call))
    else:
        party = call.service.parties.at(provider_id, protocol_id)
        asserted = await bring_token(party, call.request.headers.get("authorization"))
    return token_answer(call, *await _issued(call, asserted))


async def websso(call: Call) -> Response:
    """A browser, at the only provider that has the protocol."""
    party = call.service.parties.only(call.path("protocol_id"))
    way_in(call.snapshot, party.provider.identity_provider, party.provider.protocol)
    return await _websso(call, party, _WEBSSO)


async def websso_of_provider(call: Call) -> Response:
    """A browser, at the provider that is named."""
    provider_id, protocol_id = call.path("provider_id"), call.path("protocol_id")
    way_in(call.snapshot, provider_id, protocol_id)
    return await _websso(call, call.service.parties.at(provider_id, protocol_id), _WEBSSO_OF_PROVIDER)


ROUTES: Final[Routes[Call]] = {
    "/v3/OS-FEDERATION/identity_providers/{provider_id}/protocols/{protocol_id}/auth": {
        "GET": authenticate,
        "POST": authenticate,
    },
    _WEBSSO: {"GET": websso, "POST": websso},
    _WEBSSO_OF_PROVIDER: {"GET": websso_of_provider, "POST": websso_of_provider},
}


async def _issued(call: Call, asserted: Asserted) -> tuple[str, Held]:
    proof = await call.service.federated_login.proof(asserted)
    if unmet_rules(proof.user, proof.shown) is not None:
        raise UnauthorizedError("More ways to authenticate are asked for from this user.")
    proof = replace(proof, directory_groups=await vouched(call, proof.user))
    return call.service.tokens.issue(proof, own_scope(call.snapshot, proof))


def _of_certificate(call: Call) -> Assertion:
    """What the certificate of the connection says, which the TLS server has verified."""
    shown = shown_certificate(call.request.scope)
    if shown == NO_CERTIFICATE:
        raise UnauthorizedError("The connection brings no client certificate.")
    der = ssl.PEM_cert_to_DER_cert(shown)
    certificate.require_valid(der, call.service.clock.wall_us() / 1e6)  # a connection may outlive it
    return certificate.assertion_of_certificate(der)


async def _websso(call: Call, party: RelyingParty, path: str) -> Response:
    provider = party.provider
    back = call.service.federation.public_url + path.format(
        provider_id=provider.identity_provider, protocol_id=provider.protocol
    )
    if is_return(call.query):
        return await _come_back(call, party, back)
    away = await call.service.web_login().begin(party, call.query.get("origin", ""), back)
    response = Response(status_code=302, headers={"Location": away.url, "Cache-Control": "no-store"})
    response.set_cookie(
        away.cookie_name,
        away.cookie,
        max_age=away.cookie_seconds,
        path=urlsplit(back).path,
        secure=back.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return response


async def _come_back(call: Call, party: RelyingParty, back: str) -> Response:
    """The page that hands the browser over to its dashboard. Whatever happens, the login's cookie is of no more use."""
    response: Response | None
    try:
        asserted = await call.service.web_login().finish(party, call.query, call.request.cookies)
        sealed, _ = await _issued(call, asserted)
        page = handover(asserted.origin, sealed)
        response = Response(page.body, headers=dict(page.headers))
    except (CallerError, RetryableError) as error:
        response = refusal(error, call)
        if response is None:
            raise
    response.delete_cookie(cookie_name(call.query["state"]), path=urlsplit(back).path, httponly=True, samesite="lax")
    return response
