"""Cross-origin requests: which pages of other sites may use a container from a browser, as the container says.

`X-Container-Meta-Access-Control-Allow-Origin` has origins with blanks between them, or `*`; `-Max-Age` and
`-Expose-Headers` are passed on. This opens nothing: whoever asks still needs the right to what they ask for.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.objects.layer import ObjectLayer
from gateway.swift.config import Config
from gateway.swift.protocol.errors import HTML, Fields, RefusedError
from gateway.swift.protocol.request import Request
from store.core.errors import NotFoundError

_ORIGINS = "x-container-meta-access-control-allow-origin"
_MAX_AGE = "x-container-meta-access-control-max-age"
_EXPOSED = "x-container-meta-access-control-expose-headers"

_ALWAYS_EXPOSED = (
    "cache-control",
    "content-language",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "x-openstack-request-id",
    "x-timestamp",
    "x-trans-id",
)
_METADATA = (b"x-container-meta-", b"x-object-meta-")


def allowed_origin(headers: Mapping[str, str], origin: str, config: Config) -> str | None:
    """What to answer an origin with: `*` or the origin itself; None where it is not let in."""
    if not origin.isascii():  # no browser sends such
        return None
    stated = headers.get(_ORIGINS, "")
    origins = {*stated.split(), *config.cors_origins}
    if origin not in origins and "*" not in origins:
        return None
    return "*" if stated.strip() == "*" else origin


async def _container_headers(layer: ObjectLayer, request: Request) -> Mapping[str, str]:
    try:
        return (await layer.store.container(request.account, request.container)).headers
    except NotFoundError:
        return {}


async def prepare(layer: ObjectLayer, config: Config, request: Request) -> None:
    """Have the answer to a request with an `Origin` say who may see it. Not for preflights."""
    origin = request.headers[b"origin"].decode("latin-1")
    if not origin or not request.container or request.method == "OPTIONS":
        return
    headers = await _container_headers(layer, request)
    allowed = allowed_origin(headers, origin, config)
    if allowed is None:
        if config.strict_cors or not origin.isascii():
            return
        allowed = origin
    stated = {name.lower() for name in headers.get(_EXPOSED, "").split()}
    exposed = {*_ALWAYS_EXPOSED, *stated, *config.cors_exposed}

    def finish(_status: int, fields: Fields) -> Fields:
        shown = exposed | {name.decode("latin-1") for name, _ in fields if name.startswith(_METADATA)}
        fields = [
            *fields,
            (b"access-control-allow-origin", allowed.encode("latin-1")),
            (b"access-control-expose-headers", ", ".join(sorted(shown)).encode("latin-1")),
        ]
        return fields if allowed == "*" else varying(fields, b"Origin")

    request.add_finisher(finish)


def varying(fields: Fields, name: bytes) -> Fields:
    """The fields with one more name in `Vary`."""
    present = [value for header, value in fields if header == b"vary"]
    others = [field for field in fields if field[0] != b"vary"]
    return [*others, (b"vary", b", ".join([*present, name]))]


async def options(layer: ObjectLayer, config: Config, request: Request, methods: list[str]) -> None:
    """OPTIONS: the methods there are; to a page's preflight, whether it may. Raises RefusedError (401) if not."""
    answer: Fields = [(b"allow", ", ".join(methods).encode())]
    origin = request.headers.get(b"origin", b"").decode("latin-1")
    if origin and request.container:
        headers = await _container_headers(layer, request)
        allowed = allowed_origin(headers, origin, config)
        method = request.headers.get(b"access-control-request-method", b"").decode("latin-1")
        if allowed is None or method not in methods:
            raise RefusedError(401, headers=answer)
        answer.append((b"access-control-allow-origin", allowed.encode("latin-1")))
        answer.append((b"access-control-allow-methods", answer[0][1]))
        if allowed != "*":
            answer = varying(answer, b"Origin")
        if _MAX_AGE in headers:
            answer.append((b"access-control-max-age", headers[_MAX_AGE].encode()))
        wanted = request.headers.get(b"access-control-request-headers")
        if wanted:
            answer.append((b"access-control-allow-headers", wanted))
            answer = varying(answer, b"Access-Control-Request-Headers")
    await request.respond(200, [*answer, (b"content-type", HTML)])
