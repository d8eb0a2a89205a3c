"""Amazon's request signatures, as EC2 and S3 clients make them. Pure.

Sources: "Signature Version 2" and "Signature Version 4 signing process" of the AWS General Reference. For EC2 the parts
of the request come here and are put together again; for S3 whoever took the request has done that, and sends the
string that was signed. Versions 0 and 1 are refused: two different requests can have the same signature there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

V4: Final = "AWS4-HMAC-SHA256"

S3_SERVICES: Final = ("s3", "iam", "sts")
"""What a signed string of version 4 may be for, where S3's are checked."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a client signed. `path` is as it was sent; `params` are the query's, or a form's, without the signature;
    `body_hash` is SHA-256 in hex."""

    verb: str
    host: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body_hash: str


def is_signed(request: SignedRequest, secret: str, signature: str) -> bool:
    """Whether the signature is the one that the secret makes of the request. False, too, for what is no request."""
    if request.params.get("SignatureVersion") == "2":
        # Some clients leave the port out of what they sign.
        hosts = (request.host, _hostname(request.host))
        return any(_same(_version_2(request, host, secret), signature) for host in hosts)
    if "SignatureVersion" in request.params:
        return False
    made = _version_4(request, secret)
    return made is not None and _same(made, signature)


def is_signed_text(text: bytes, secret: str, signature: str) -> bool:
    """Whether the signature is the one that the secret makes of an S3 request's string to sign."""
    if not text.startswith(b"AWS4"):
        made = base64.b64encode(hmac.digest(_utf8(secret), text, "sha1")).decode()
        return _same(made, signature)
    lines = text.split(b"\n")
    if len(lines) != 4 or lines[0] != V4.encode():
        return False
    scope = lines[2].decode("latin-1").split("/")
    if len(scope) != 4 or scope[2] not in S3_SERVICES or scope[3] != "aws4_request":
        return False
    return _same(_signature_4(secret, scope, text), signature)


def decode_text(token: str) -> bytes | None:
    """The string to sign that an S3 client's `token` holds; None where it is none."""
    try:
        return base64.urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        return None


def _version_2(request: SignedRequest, host: str, secret: str) -> str:
    params = {**request.params, "SignatureMethod": "HmacSHA256"}
    text = "\n".join((request.verb, host, request.path, _query(params)))
    return base64.b64encode(hmac.digest(_utf8(secret), _utf8(text), "sha256")).decode()


def _version_4(request: SignedRequest, secret: str) -> str | None:
    """The signature; None where the request does not say what it needs, or is of another day than its key."""
    headers = {name.lower().strip(): " ".join(value.split()) for name, value in request.headers.items()}
    stated = headers.get("authorization", "")
    if stated.startswith(V4):
        _, _, stated = stated.partition(" ")
        said = dict(part.strip().partition("=")[::2] for part in stated.split(","))
    elif request.params.get("X-Amz-Algorithm") == V4:
        said = {name.removeprefix("X-Amz-"): value for name, value in request.params.items()}
    else:
        return None
    signed = said.get("SignedHeaders", "")
    scope = said.get("Credential", "").split("/")[1:]
    date = headers.get("x-amz-date") or request.params.get("X-Amz-Date", "")
    if len(scope) != 4 or not scope[0] or not date.startswith(scope[0]):
        return None
    canonical = "\n".join(
        (
            request.verb.upper(),
            request.path,
            "" if request.verb.upper() == "POST" else _query(request.params),
            *(f"{name}:{headers[name]}" for name in signed.split(";") if name in headers),
            "",
            signed,
            request.body_hash,
        )
    )
    text = "\n".join((V4, date, "/".join(scope), hashlib.sha256(_utf8(canonical)).hexdigest()))
    return _signature_4(secret, scope, _utf8(text))


def _signature_4(secret: str, scope: list[str], text: bytes) -> str:
    key = b"AWS4" + _utf8(secret)
    for part in scope:
        key = hmac.digest(key, _utf8(part), "sha256")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _query(params: Mapping[str, str]) -> str:
    return "&".join(f"{quote(_utf8(name), safe='')}={quote(_utf8(params[name]), safe='')}" for name in sorted(params))


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host


def _same(made: str, signature: str) -> bool:
    return hmac.compare_digest(_utf8(made), _utf8(signature))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
