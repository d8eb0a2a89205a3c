"""Queries and pages of lists as stock nova has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import whole
from store.core.errors import InvalidError

T = TypeVar("T")

PAGE_MAX: Final = 1000
PAGING: Final = ("limit", "marker")
NEVER: Final = 10_000
"""The microversion of what is never."""
STRICT: Final = 75
"""From this microversion on most lists refuse what they do not know."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What is shown, and where the next page begins, if there is one."""

    rows: list[T]
    follows: str | None

    def document(self, plural: str, shown: Iterable[Any]) -> dict[str, Any]:
        """`shown`: the rows as clients see them."""
        document: dict[str, Any] = {plural: list(shown)}
        if self.follows is not None:
            document[f"{plural}_links"] = [{"rel": "next", "href": self.follows}]
        return document


def know(call: Call, *known: str, strict: int = STRICT, single: bool = False) -> None:
    """Raises InvalidError where the query has a name that is not known, from microversion 2.`strict` on. `single`:
    whether none may be there twice."""
    if not call.since(strict):
        return
    for name in call.query:
        if name not in known:
            raise InvalidError(f"Additional properties are not allowed ({name[:64]!a} was unexpected)")
        if single and len(call.query.getlist(name)) > 1:
            raise InvalidError(f"Invalid input for query parameters {name}: it is there more than once.")


def asked(call: Call, name: str) -> str | None:
    """The first value of a name in the query."""
    values = call.query.getlist(name)
    return values[0] if values else None


def limit_of(call: Call) -> int:
    """How many may be shown. Raises InvalidError."""
    value = asked(call, "limit")
    return PAGE_MAX if value is None else min(whole("limit", value, 0), PAGE_MAX)


def paged(call: Call, rows: Sequence[T], key: Callable[[T], str], path: str, *, marker: str | None = None) -> Page[T]:
    """The page that the query asks for. `key`: what a row is called in a marker; `path`: of the list, without a slash
    at its beginning. Raises InvalidError for a marker that is not there."""
    limit = limit_of(call)
    marker = marker if marker is not None else asked(call, "marker")
    found = list(rows)
    if marker is not None:
        places = [at for at, row in enumerate(found) if key(row) == marker]
        if not places:
            raise InvalidError(f"Marker {marker[:255]} could not be found.")
        found = found[places[0] + 1 :]
    shown = found[:limit]
    if not shown or len(shown) < limit:
        return Page(shown, None)
    kept = sorted((name, value) for name, value in call.query.multi_items() if name != "marker")
    query = urlencode([*kept, ("marker", key(shown[-1]))], errors="replace")
    return Page(shown, f"{call.base}/{path}?{query}")


def cut(call: Call, rows: Sequence[T]) -> list[T]:
    """By `offset` and `limit`, as some old lists do; a limit of 0 is none. Raises InvalidError."""
    offset = whole("offset", asked(call, "offset") or "0", 0)
    limit = limit_of(call) or PAGE_MAX
    return list(rows[offset : offset + limit])
