"""What a listing request asks for, and how its answer is chosen: limit, markers, format."""

from __future__ import annotations

from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.media_types import JSON, PLAIN, TYPES, XML, best_match
from gateway.swift.protocol.request import Request
from store.objects.model import ListingQuery

_BY_NAME = {"json": JSON, "xml": XML}


def parse(request: Request, limit_max: int) -> ListingQuery:
    """The page asked for. Raises RefusedError: 412 for a limit over the most, 400 for what is not UTF-8."""
    limit = limit_max
    param = request.param
    given = param("limit")
    if given.isdecimal() and given.isascii():
        limit = int(given) if len(given) < 10 else limit_max + 1
        if limit > limit_max:
            raise RefusedError(412, f"Maximum limit is {limit_max}")
    return ListingQuery(
        limit=limit,
        prefix=param("prefix"),
        marker=param("marker"),
        end_marker=param("end_marker"),
        delimiter=param("delimiter"),
        reverse=is_true(param("reverse")),
    )


def content_type(request: Request) -> str:
    """The type to answer in. Raises RefusedError: 406 where none fits, 400 where Accept cannot be read."""
    named = request.param("format")
    if named:
        return _BY_NAME.get(named.lower(), PLAIN)
    accept = request.headers.get(b"accept")
    if not accept:
        return PLAIN
    try:
        best = best_match(accept.decode("latin-1"), TYPES)
    except ValueError:
        raise RefusedError(400, "Invalid Accept header") from None
    if best is None:
        raise RefusedError(406)
    return best
