"""`/v3/OS-OAUTH2/token`: a token for a program by OAuth 2.0's client credentials (RFC 6749, section 4.4).

The client is an application credential: its id and secret by HTTP Basic, or in the form as the RFC allows. Or it is a
user, whose id the form has, and whose certificate the connection shows (RFC 8705): the token is for the user's default
project then, bound to the certificate, and ends no later than it.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from typing import Final
from urllib.parse import parse_qs, unquote_plus

from starlette.responses import Response

from authn.certificate_binding import NO_CERTIFICATE, shown_certificate, thumbprint
from authn.certificate_login import METHOD, certified_user
from authn.factors import unmet_rules
from authn.federation.certificate import ends_s
from authn.keys import PROJECT_TARGET
from authn.rights import Scope
from authn.tokens import Held, Proof
from authn.v3.call import Call
from authn.v3.elsewhere import vouched
from authn.v3.scoping import asked_scope
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.errors import UnauthorizedError
from gateway.rest.fields import Fields

FIELDS_MAX: Final = 20


async def create_token(call: Call) -> Response:
    """The form in, `access_token` out; errors in OAuth's own form (section 5.2)."""
    form = _form(await call.raw_body())
    if form is None or "grant_type" not in form:
        return _refused(400, "invalid_request", "The parameter grant_type is required.")
    if form["grant_type"] != "client_credentials":
        return _refused(400, "unsupported_grant_type", "The only grant_type is client_credentials.")
    client_id, secret = _basic(call) or (form.get("client_id", ""), form.get("client_secret", ""))
    certificate = shown_certificate(call.request.scope)
    try:
        if certificate != NO_CERTIFICATE and not secret:
            sealed, held = await _bound(call, client_id, certificate)
        else:
            proof = await _proof(call, client_id, secret)
            sealed, held = call.service.tokens.issue(proof, asked_scope(call.snapshot, Fields({}), proof))
    except UnauthorizedError:
        refused = _refused(401, "invalid_client", "Client authentication failed.")
        refused.headers["WWW-Authenticate"] = f'Keystone uri="{call.base}/OS-OAUTH2/token"'
        return refused
    lives_s = held.token.expires_s - call.service.clock.wall_us() // 1_000_000
    response = answer({"access_token": sealed, "token_type": "Bearer", "expires_in": lives_s})
    response.headers["Cache-Control"] = "no-store"
    return response


ROUTES: Final[Routes[Call]] = {"/v3/OS-OAUTH2/token": {"POST": create_token}}


async def _proof(call: Call, client_id: str, secret: str) -> Proof:
    """Raises UnauthorizedError."""
    if not client_id or not secret:
        raise UnauthorizedError
    owner, credential = await call.service.login.by_application_credential(
        call.snapshot.application_credentials.get(client_id), client_id, secret, address=call.address
    )
    groups = await vouched(call, owner)
    methods = frozenset({"application_credential"})
    if unmet_rules(owner, methods) is not None:
        raise UnauthorizedError  # this way there is nothing more to show
    return Proof(owner, methods, application_credential=credential, directory_groups=groups)


async def _bound(call: Call, user_id: str, certificate: str) -> tuple[str, Held]:
    """Raises UnauthorizedError."""
    user = certified_user(call.snapshot, user_id, certificate, call.service.clock.wall_us() / 1e6)
    groups = await vouched(call, user)
    methods = frozenset({METHOD})
    if not user.default_project_id or unmet_rules(user, methods) is not None:
        raise UnauthorizedError
    proof = Proof(user, methods, directory_groups=groups, bound_to=thumbprint(certificate))
    scope = Scope(PROJECT_TARGET, user.default_project_id)
    return call.service.tokens.issue(proof, scope, expires_s=ends_s(ssl.PEM_cert_to_DER_cert(certificate)))


def _form(body: bytes) -> dict[str, str] | None:
    """The fields of a form; None where it is none, or a field is there twice, which the RFC forbids."""
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=bool(body), max_num_fields=FIELDS_MAX)
    except (ValueError, UnicodeDecodeError):
        return None
    if any(len(values) > 1 for values in fields.values()):
        return None
    return {name: values[0] for name, values in fields.items()}


def _basic(call: Call) -> tuple[str, str] | None:
    """Who the client says it is by HTTP Basic, each part form-encoded (section 2.3.1); None where it does not."""
    scheme, _, encoded = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(status: int, error: str, description: str) -> Response:
    return answer({"error": error, "error_description": description}, status)
