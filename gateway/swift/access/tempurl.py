"""Temporary URLs: a signature in the query stands in for a token."""

from __future__ import annotations

import base64
import binascii
import calendar
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import ClassVar
from urllib.parse import quote

from gateway.objects.errors import SignatureError
from gateway.objects.layer import ObjectLayer
from gateway.swift.config import Config
from gateway.swift.protocol.dates import http_date
from gateway.swift.protocol.errors import Fields, RefusedError
from gateway.swift.protocol.request import Request
from store.core.errors import NotFoundError

_BY_HEX_LENGTH = {40: "sha1", 64: "sha256", 128: "sha512"}
_DIGESTS = frozenset(_BY_HEX_LENGTH.values())
_READING = ("GET", "HEAD")
_FORBIDDEN = (b"x-object-manifest", b"x-symlink-target", b"x-copy-from")
"""Headers that would have a write reach what the signature does not name."""
_KEPT_PARAMS = ("temp_url_sig", "temp_url_expires", "temp_url_prefix", "temp_url_ip_range", "filename", "inline")


def is_signed(query_string: bytes) -> bool:
    """Whether a request may bear a signature; asked of every request, so it only looks for the letters."""
    return b"temp_url_" in query_string


def parse_signature(value: str) -> tuple[str, bytes] | None:
    """The digest's name and the signature, from `<hex>` or `<digest>:<base64>`; None where it is neither."""
    try:
        if ":" in value:
            name, _, packed = value.partition(":")
            packed = packed.replace("-", "+").replace("_", "/").rstrip("=")
            signature = base64.b64decode((packed + "=" * (-len(packed) % 4)).encode("ascii"), validate=True)
            return (name, signature) if name in _DIGESTS else None
        name = _BY_HEX_LENGTH.get(len(value), "")
        return (name, binascii.unhexlify(value)) if name else None
    except ValueError:
        return None


def parse_expires(value: str) -> int:
    """Seconds since the epoch, from digits or ISO 8601; 0 where it is neither."""
    if value.isascii() and value.isdigit():
        return int(value) if len(value) < 20 else 0
    try:
        return calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))
    except (ValueError, OverflowError):
        return 0


def sign(method: str, expires: int, path: str, key: str, digest: str, ip_range: str = "") -> bytes:
    """The signature that this key gives to this use of this path."""
    lines = [f"ip={ip_range}"] if ip_range else []
    lines += [method, str(expires), path]
    return hmac.new(key.encode(), "\n".join(lines).encode(), digest).digest()


def in_network(address: str, network: str) -> bool:
    """Whether an address lies in a network; False where either cannot be read."""
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False


def _keys(headers: Mapping[str, str], kind: str) -> list[str]:
    names = (f"x-{kind}-meta-temp-url-key", f"x-{kind}-meta-temp-url-key-2")
    return [headers[name] for name in names if headers.get(name)]


@dataclass(frozen=True, slots=True)
class Signed:
    """Whoever holds a signature. They write what it names, by the method that it names, and nothing else; where it is
    for reading they read what it names, and what that stands for (a link's target, a manifest's segments) as far as
    the key that signed reaches: `container`, or all of the account where that is "".

    `name` is the path of the one object that may be written, container and all; with `below` of all that begin so.
    """

    account: str
    container: str
    method: str
    name: str
    below: bool = False

    owns_all: ClassVar[bool] = False

    def owns(self, account: str) -> bool:
        return False

    def learn(self, account: str, stored: str) -> None:
        """Account access lists name users."""

    def require(
        self, account: str, container: str, rule: str, *, reading: bool, listing: bool = False, object: str = ""
    ) -> None:
        reached = account == self.account and container and self.container in ("", container)
        allowed = self.method in _READING if reading else self._writes(f"{container}/{object}", object)
        if not (reached and allowed):
            raise SignatureError

    def allows(self, method: str) -> bool:
        """Whether requests by this method may be made on their behalf."""
        return method == self.method or (method in _READING and self.method in _READING)

    def _writes(self, path: str, object: str) -> bool:
        named = path.startswith(self.name) if self.below else path == self.name
        return bool(object) and self.method not in _READING and named


async def principal(layer: ObjectLayer, config: Config, request: Request) -> Signed | None:
    """The holder of the request's signature, None where there is none. Raises SignatureError where it is bad."""
    if request.method == "OPTIONS":
        return None
    if "temp_url_sig" not in request.query and "temp_url_expires" not in request.query:
        return None
    signed = parse_signature(request.param("temp_url_sig"))
    expires = parse_expires(request.param("temp_url_expires"))
    if signed is None or signed[0] not in config.tempurl_digests or expires < layer.clock.wall_us() / 1e6:
        raise SignatureError
    name = request.object
    root = not name and request.container and request.method in _READING and "temp_url_prefix" in request.query
    if request.method not in config.tempurl_methods or not request.path.startswith("/v1/"):
        raise SignatureError
    if not name.strip("/") and not root:  # a whole container is there only as a web site
        raise SignatureError
    ip_range = request.param("temp_url_ip_range")
    if ip_range and not in_network(request.client, ip_range):
        raise SignatureError
    path = f"/v1/{request.account}/{request.container}/{name}"
    if "temp_url_prefix" in request.query:
        prefix = request.param("temp_url_prefix")
        if not name.startswith(prefix):
            raise SignatureError
        path = f"prefix:/v1/{request.account}/{request.container}/{prefix}"
    methods = ("HEAD", "GET", "POST", "PUT") if request.method == "HEAD" else (request.method,)
    holder = await _holder(layer, request, methods, expires, path, signed, ip_range)
    _restrict(request, expires)
    return holder


async def _holder(
    layer: ObjectLayer,
    request: Request,
    methods: Iterable[str],
    expires: int,
    path: str,
    signed: tuple[str, bytes],
    ip_range: str,
) -> Signed:
    """Which key made the signature. All are tried, so that the time taken does not say which."""
    digest, signature = signed
    account, container = await all_keys(layer, request)
    found: Signed | None = None
    for keys, scope in ((container, request.container), (account, "")):
        for key in keys:
            for method in methods:
                if hmac.compare_digest(sign(method, expires, path, key, digest, ip_range), signature):
                    found = Signed(request.account, scope, request.method, f"{request.container}/{request.object}")
    if found is None:
        raise SignatureError
    return found


async def all_keys(layer: ObjectLayer, request: Request) -> tuple[list[str], list[str]]:
    """The keys of the request's account and of its container."""
    account: list[str] = []
    container: list[str] = []
    try:
        account = _keys((await layer.store.account(request.account)).headers, "account")
        container = _keys((await layer.store.container(request.account, request.container)).headers, "container")
    except NotFoundError:
        pass
    return account, container


def _restrict(request: Request, expires: int) -> None:
    """Take from the request what a signature does not cover, and see to what its answer may show."""
    if request.method not in _READING:
        for header in _FORBIDDEN:
            if header in request.headers:
                shown = header.decode().title()
                raise RefusedError(400, f"The header {shown!r} is not allowed in this tempurl")
    request.headers.pop(b"x-open-expired", None)
    request.keep_params(_KEPT_PARAMS)
    filename = request.param("filename")
    inline = "inline" in request.query
    reading = request.method in _READING
    name = request.path.rstrip("/").rpartition("/")[2]

    def finish(status: int, fields: Fields) -> Fields:
        shown = [
            field
            for field in fields
            if not field[0].startswith(b"x-object-meta-") or field[0].startswith(b"x-object-meta-public-")
        ]
        if not (reading and 200 <= status < 300):
            return shown
        present = next((value for header, value in shown if header == b"content-disposition"), None)
        shown = [field for field in shown if field[0] not in (b"content-disposition", b"expires")]
        shown.append((b"content-disposition", disposition(name, filename, present, inline=inline)))
        shown.append((b"expires", http_date(min(expires, 253_402_300_799))))
        return shown

    request.add_finisher(finish)


def continued(request: Request) -> tuple[str, str]:
    """For links to what the same signature covers: the query to put behind them, ready for HTML, and the prefix."""
    if not isinstance(request.principal, Signed) or "temp_url_prefix" not in request.query:
        return "", ""
    names = ("temp_url_prefix", "temp_url_expires", "temp_url_sig", "temp_url_ip_range")
    parts = [f"{name}={quote(request.param(name))}" for name in names if name in request.query]
    if "inline" in request.query:
        parts.append("inline")
    return "?" + "&amp;".join(parts), request.param("temp_url_prefix")


def disposition(name: str, filename: str, present: bytes | None, *, inline: bool) -> bytes:
    """`Content-Disposition`: as the URL asks, else as the object has it, else a download under the object's name."""
    if inline and not filename:
        return b"inline"
    if not filename and present is not None:
        return present
    shown = filename or name
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename=\"{quote(shown, safe=' /')}\"; filename*=UTF-8''{quote(shown)}".encode()
