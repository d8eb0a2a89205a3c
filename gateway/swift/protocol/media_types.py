"""The types that listings and reports come in, and which of them a client wants. Pure."""

from __future__ import annotations

from collections.abc import Sequence

PLAIN, JSON, XML, TEXT_XML = "text/plain", "application/json", "application/xml", "text/xml"
TYPES = (PLAIN, JSON, XML, TEXT_XML)


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
