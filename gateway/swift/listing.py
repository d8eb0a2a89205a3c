"""What a listing request asks for, and how its answer is chosen: limit, markers, format."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.swift.errors import RefusedError
from gateway.swift.request import Request, is_true
from store.objects.model import ListingQuery

PLAIN, JSON, XML, TEXT_XML = "text/plain", "application/json", "application/xml", "text/xml"
TYPES = (PLAIN, JSON, XML, TEXT_XML)

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


def best_match(accept: str, offered: Sequence[str]) -> str | None:
    """The first of the offered types that suits the most wanted range; ValueError where Accept cannot be read."""
    ranges = []
    for part in accept.split(","):
        wanted, *parameters = (piece.strip() for piece in part.split(";"))
        kind, slash, subkind = wanted.partition("/")
        if not (slash and kind and subkind) or "/" in subkind or " " in wanted:
            raise ValueError(part)
        quality = 1.0
        for parameter in parameters:
            name, equals, value = parameter.partition("=")
            if parameter and not equals:
                raise ValueError(part)
            if name.strip() == "q":
                quality = float(value)
        ranges.append((quality, "*" not in (kind, subkind), kind, subkind))
    ranges.sort(key=lambda entry: entry[:2], reverse=True)
    for _quality, _exact, kind, subkind in ranges:
        for candidate in offered:
            its_kind, _, its_subkind = candidate.partition("/")
            if kind in ("*", its_kind) and subkind in ("*", its_subkind):
                return candidate
    return None
