"""Account access lists as `X-Account-Access-Control` has them: cleaning what a client sends."""

from __future__ import annotations

import json

from gateway.objects.access.account_access import KEYS
from gateway.objects.notes import ACCOUNT_ACCESS
from gateway.swift.containers.acl import AclError
from gateway.swift.protocol.errors import PLAIN, RefusedError
from gateway.swift.protocol.request import Request

HEADER = "x-account-access-control"


def clean(value: str) -> str | None:
    """The list in its one stored spelling, None where it gives nothing to anybody. Raises AclError."""
    if not value:
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AclError(f"Syntax error in input ({value!r})")
    for key, members in found.items():
        if key not in KEYS:
            raise AclError(f"Key {json.dumps(key)} not recognized")
        if not isinstance(members, list):
            raise AclError(f"Value for key {json.dumps(key)} must be a list")
        if not all(isinstance(member, str) for member in members):
            raise AclError(f"Elements of {json.dumps(key)} list must be strings")
    if not any(found.values()):
        return None
    return json.dumps(found, separators=(",", ":"), sort_keys=True)


def change(request: Request) -> dict[str, str | None]:
    """The list that a request sends, ready to be kept. Raises RefusedError (400)."""
    value = request.header(HEADER.encode())
    if value is None:
        return {}
    try:
        return {ACCOUNT_ACCESS: clean(value)}
    except AclError as error:
        text = f"X-Account-Access-Control invalid: {error}\n\nInput: {value}\n"
        raise RefusedError(400, text, kind=PLAIN) from error
