"""Receipts of what somebody has shown so far, for users whose rules ask for more than one way to authenticate."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from authn import certificate_login
from authn.tokens import Proof
from authn.v3.answers import domain_reference
from authn.v3.call import Call
from gateway.rest import times
from gateway.rest.answers import answer
from gateway.rest.errors import UnauthorizedError

HEADER: Final = "Openstack-Auth-Receipt"


def with_receipt(call: Call, proof: Proof) -> Proof:
    """The proof, and what a receipt says that the same user has shown before. Raises UnauthorizedError for a receipt
    that does not hold."""
    sealed = call.request.headers.get(HEADER)
    if not sealed:
        return proof
    receipt = call.service.receipts.read(sealed, proof.user)
    if receipt is None:
        raise UnauthorizedError
    return replace(proof, methods=proof.methods | receipt.methods)


def receipt_answer(call: Call, proof: Proof, required: list[list[str]]) -> Response:
    """401, with a receipt to come back with, and the rules that what was shown is a part of."""
    user = proof.user
    # That a certificate was shown is told by the connection, each time; a receipt would tell it of any other, too.
    sealed, receipt = call.service.receipts.issue(user, proof.shown - {certificate_login.METHOD})
    response = answer(
        {
            "receipt": {
                "methods": sorted(receipt.methods),
                "user": {
                    "id": user.id,
                    "name": user.name,
                    "domain": domain_reference(call.snapshot, user.domain_id),
                },
                "expires_at": times.shown(receipt.expires_s),
                "issued_at": times.shown(receipt.issued_s),
            },
            "required_auth_methods": required,
        },
        401,
    )
    response.headers[HEADER] = sealed
    return response
