"""Lists: filters, pages and links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from authn.v3.answers import answer
from authn.v3.call import Call
from store.core.errors import InvalidError

PAGE_MAX: Final = 10_000

_FALSE: Final = frozenset({"0", "false", "no", "off", "n", "f"})

_COMPARISONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda held, asked: asked in held,
    "icontains": lambda held, asked: asked.casefold() in held.casefold(),
    "startswith": str.startswith,
    "istartswith": lambda held, asked: held.casefold().startswith(asked.casefold()),
    "endswith": str.endswith,
    "iendswith": lambda held, asked: held.casefold().endswith(asked.casefold()),
    "iequals": lambda held, asked: held.casefold() == asked.casefold(),
}


def page(call: Call, noun: str, rows: Iterable[dict[str, Any]], filters: Sequence[str] = ()) -> Response:
    """The rows that the query asks for, in the order of their ids."""
    query = call.request.query_params
    chosen = [row for row in rows if _matches(row, query.multi_items(), filters)]
    chosen.sort(key=lambda row: str(row["id"]))
    asked = query.get("limit")
    marker = query.get("marker")
    if marker is not None:
        chosen = [row for row in chosen if row["id"] > marker]
    limit = min(_number(asked), PAGE_MAX) if asked is not None else PAGE_MAX
    follows = None
    if len(chosen) > limit:
        chosen = chosen[:limit]
        kept = [(name, value) for name, value in query.multi_items() if name not in ("marker", "limit")]
        following = urlencode([*kept, ("limit", limit), ("marker", chosen[-1]["id"])], errors="replace")
        follows = f"{_here(call)}?{following}"
    return answer({noun: chosen, "links": {"next": follows, "self": _here(call), "previous": None}})


def whole(call: Call, noun: str, rows: Sequence[dict[str, Any]]) -> Response:
    """All rows, in their order."""
    return answer({noun: list(rows), "links": {"next": None, "self": _here(call), "previous": None}})


def _here(call: Call) -> str:
    return call.origin + call.request.url.path


def _matches(row: dict[str, Any], query: Iterable[tuple[str, str]], filters: Sequence[str]) -> bool:
    for name, asked in query:
        field, _, comparison = name.partition("__")
        if field not in filters:
            continue
        held = row.get(field)
        if isinstance(held, bool):
            if held is (asked.lower() in _FALSE):
                return False
        elif not comparison:
            if held != asked:
                return False
        elif comparison in _COMPARISONS and not _COMPARISONS[comparison](str(held or ""), asked):
            return False
    return True


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise InvalidError("limit: a whole number from 1")
    return int(text)
