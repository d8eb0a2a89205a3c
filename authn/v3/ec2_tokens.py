"""`/v3/ec2tokens` and `/v3/s3tokens`: a service that took a signed request asks who signed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from authn import ec2
from authn.keys import PROJECT_TARGET
from authn.records.credentials import Credential
from authn.rights import Scope
from authn.signatures import SignedRequest, decode_text, is_signed, is_signed_text
from authn.tokens import Held, Proof
from authn.trusts import pedigree
from authn.v3.authentication import token_document
from authn.v3.call import Call
from authn.v3.elsewhere import vouched
from authn.v3.trusts import groups_lent, used
from gateway.rest import times
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.errors import UnauthorizedError
from gateway.rest.fields import Fields
from store.core.errors import InvalidError, NotFoundError

SIGNED_SECONDS_MAX: Final = 15 * 60
"""How far from now a request may have been signed."""

Verify = Callable[[Fields, str], bool]
"""Whether what was sent is signed with the secret."""


async def create_ec2_token(call: Call) -> Response:
    """A token for whoever signed an EC2 request."""
    sealed, held = await _authenticated(call, "ec2tokens_validate", _is_signed_ec2)
    response = answer({"token": token_document(call, held)})
    response.headers["X-Subject-Token"] = sealed
    return response


async def create_s3_token(call: Call) -> Response:
    """Who signed an S3 request, and what they may do."""
    _, held = await _authenticated(call, "s3tokens_validate", _is_signed_s3)
    return answer({"token": token_document(call, held)})


ROUTES: Final[Routes[Call]] = {
    "/v3/ec2tokens": {"POST": create_ec2_token},
    "/v3/s3tokens": {"POST": create_s3_token},
}


async def _authenticated(call: Call, operation: str, verify: Verify) -> tuple[str, Held]:
    """A token of the credential's owner for its project. Raises NotFoundError, UnauthorizedError."""
    await call.allow(f"identity:{operation}")
    body = await call.body()
    if not body.names():
        raise InvalidError("request must include a request body")
    name = next((one for one in ("credentials", "credential", "ec2Credentials") if body.value(one)), "")
    if not name or body.object(name).value("access") is None:
        raise UnauthorizedError
    sent = body.object(name)
    record = call.snapshot.credentials.get(ec2.id_of(sent.text("access")))
    if record is None or record.type != ec2.EC2:
        raise NotFoundError("EC2 access key not found.")
    held = ec2.read(call.service.vault.open(record.sealed).decode())
    if not held.secret or not verify(sent, held.secret) or not _is_timely(call, sent):
        raise UnauthorizedError
    proof = await _vouched(call, _proof(call, record, held))
    lent = proof.trust or proof.access_token
    scope = Scope(PROJECT_TARGET, record.project_id)
    return call.service.tokens.issue(proof, scope, expires_s=lent.expires_s if lent else 0)


def _proof(call: Call, record: Credential, held: ec2.Ec2Secret) -> Proof:
    """Who a credential stands for. Raises UnauthorizedError where what it was made from is gone, or another's."""
    snapshot = call.snapshot
    user = snapshot.users.get(record.user_id)
    if user is None:
        raise UnauthorizedError
    trust = snapshot.trusts.get(held.trust_id)
    lent = snapshot.application_credentials.get(held.application_credential_id)
    access = snapshot.access_tokens.get(held.access_token_id)
    for id_, found in (
        (held.trust_id, trust),
        (held.application_credential_id, lent),
        (held.access_token_id, access),
    ):
        if id_ and (found is None or found.project_id != record.project_id):
            raise UnauthorizedError
    whose = [
        *([trust.trustor_user_id if trust.impersonation else trust.trustee_user_id] if trust else ()),
        *([lent.user_id] if lent else ()),
        *([access.authorizing_user_id] if access else ()),
    ]
    if any(one != user.id for one in whose):
        raise UnauthorizedError
    return Proof(user, frozenset({"ec2credential"}), trust=trust, application_credential=lent, access_token=access)


async def _vouched(call: Call, proof: Proof) -> Proof:
    """With what directories say now of the owner, and of who lends them roles by a trust, which is used once more."""
    groups, trust = await vouched(call, proof.user), proof.trust
    if trust is not None:
        groups = await groups_lent(call, pedigree(call.snapshot, trust) or [trust])
        trust = await used(call, trust)
    return replace(proof, trust=trust, directory_groups=groups)


def _is_signed_ec2(sent: Fields, secret: str) -> bool:
    request = SignedRequest(
        verb=sent.text_or("verb", ""),
        host=sent.text_or("host", ""),
        path=sent.text_or("path", ""),
        params=_texts(sent, "params"),
        headers=_texts(sent, "headers"),
        body_hash=sent.text_or("body_hash", ""),
    )
    return is_signed(request, secret, sent.text_or("signature", ""))


def _is_signed_s3(sent: Fields, secret: str) -> bool:
    text = decode_text(sent.text_or("token", ""))
    return bool(text) and is_signed_text(text or b"", secret, sent.text_or("signature", ""))


def _is_timely(call: Call, sent: Fields) -> bool:
    """Whether the request was signed about now, where it says when. Looked at is only what its signature covers: one of
    version 4 covers no parameter of a POST, so anybody could write a `Timestamp` to an old one."""
    params = _texts(sent, "params")
    if "SignatureVersion" in params:
        stated = params.get("Timestamp")
    else:
        headers = {header.lower().strip(): value for header, value in _texts(sent, "headers").items()}
        stated = headers.get("x-amz-date") or params.get("X-Amz-Date")
    if not stated:
        return True
    try:
        signed_us = times.read_us("Timestamp", stated)
    except InvalidError:
        return False
    return abs(signed_us - call.service.clock.wall_us()) <= SIGNED_SECONDS_MAX * 1_000_000


def _texts(sent: Fields, name: str) -> Mapping[str, str]:
    """An object's texts; numbers as they are written, as clients may send them."""
    if sent.value(name) is None:
        return {}
    held = sent.object(name)
    return {key: str(held.value(key)) for key in held.names()}
