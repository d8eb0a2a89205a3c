"""OAuth 1.0a (RFC 5849): whether a request is signed by who it says, once and now.

The signature itself is oauthlib's to check; what is looked at here is what the signature covers and when it was made.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import signature
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from gateway.rest.errors import UnauthorizedError
from store.core.clock import Clock
from store.core.errors import InvalidError

WINDOW_S: Final = 600
"""How far a signature's time may be from ours; so long its nonce is remembered."""

NONCES_MAX: Final = 100_000

_VERIFY: Final[Mapping[str, Callable[..., bool]]] = {
    "HMAC-SHA1": signature.verify_hmac_sha1,
    "HMAC-SHA256": signature.verify_hmac_sha256,
    "HMAC-SHA512": signature.verify_hmac_sha512,
}


@dataclass(frozen=True, slots=True)
class Signed:
    """What the Authorization header of a request says, not yet believed."""

    method: str
    uri: str
    parameters: Mapping[str, str]
    covered: tuple[tuple[str, str], ...]
    """All that the signature is over, but the signature."""

    def require(self, name: str) -> str:
        """Raises InvalidError."""
        found = self.parameters.get(name, "")
        if not found:
            raise InvalidError(f"{name}: a required parameter of the Authorization header")
        return found


def parse(method: str, uri: str, headers: Mapping[str, str], body: str = "") -> Signed:
    """Read a request. Raises InvalidError where it has no header of OAuth."""
    try:
        found: dict[str, str] = dict(parse_authorization_header(headers.get("authorization", "")))
        _, _, query = uri.partition("?")
        covered = signature.collect_parameters(
            uri_query=query, body=body, headers={"Authorization": headers.get("authorization", "")}
        )
    except (ValueError, TypeError) as error:
        raise InvalidError("Authorization: a header of OAuth 1.0") from error
    unescaped = {name: value for name, value in covered if name.startswith("oauth_")}
    if "oauth_signature" in found:
        unescaped["oauth_signature"] = _unescaped(found["oauth_signature"])
    return Signed(method, uri, unescaped, tuple(covered))


class SignatureChecks:
    """Whether signatures hold. Nonces are remembered in this process only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nonces: OrderedDict[tuple[str, str, str, str], int] = OrderedDict()

    def check(self, signed: Signed, consumer_secret: str, token_secret: str = "") -> None:
        """Raises UnauthorizedError where it does not hold, is too old, or was seen before."""
        verify = _VERIFY.get(signed.require("oauth_signature_method"))
        if verify is None:
            raise UnauthorizedError(f"Signatures are made with {', '.join(_VERIFY)}.")
        request = Request(signed.uri, signed.method)
        request.params = list(signed.covered)
        request.signature = signed.require("oauth_signature")
        if not verify(request, consumer_secret, token_secret):
            raise UnauthorizedError("Invalid signature")
        self._once(signed)

    def _once(self, signed: Signed) -> None:
        stamp, now_s = signed.require("oauth_timestamp"), self._clock.wall_us() // 1_000_000
        if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12 or abs(int(stamp) - now_s) > WINDOW_S:
            raise UnauthorizedError("oauth_timestamp: not a time about now")
        while self._nonces and next(iter(self._nonces.values())) < now_s - WINDOW_S:
            self._nonces.popitem(last=False)
        parameters: Mapping[str, Any] = signed.parameters
        once = (
            signed.require("oauth_consumer_key"),
            parameters.get("oauth_token", ""),
            stamp,
            signed.require("oauth_nonce"),
        )
        if once in self._nonces or len(self._nonces) >= NONCES_MAX:
            raise UnauthorizedError("oauth_nonce: seen before")
        # Kept until its time is out of the window, which may be up to a window ahead of now.
        self._nonces[once] = now_s + WINDOW_S


def _unescaped(text: str) -> str:
    return unquote(text)
