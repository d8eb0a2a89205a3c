"""Lists: filters, comparisons, order, pages, chosen fields and links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from gateway.rest.call import Call
from store.core.errors import InvalidError

PAGE_MAX: Final = 10_000

PAGING: Final = frozenset({"limit", "marker", "sort_key", "sort_dir", "fields"})

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

Row = dict[str, Any]
Filter = Callable[[Row, str], bool]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page, and where the next begins, if there is one."""

    rows: list[Row]
    follows: str | None


def page(
    call: Call,
    rows: Iterable[Row],
    filters: Iterable[str] = (),
    special: Mapping[str, Filter] | None = None,
    *,
    ordered: bool = False,
) -> Page:
    """The rows that the query asks for, in the order of their ids or as it says. `ordered`: they come in the order of
    their ids, so that no more of them are looked at than fill a page.

    `filters` are attributes that may be compared; `special` are names with a meaning of their own. A name that is
    neither is an error: a filter that is overlooked would show everything. Raises InvalidError.
    """
    query = call.query
    known = frozenset(filters)
    tests = [_test(name, asked, known, special or {}) for name, asked in query.multi_items() if name not in PAGING]
    passing = (row for row in rows if all(test(row) for test in tests))
    sort_keys, marker = query.getlist("sort_key"), query.get("marker")
    asked = query.get("limit")
    limit = min(whole_number("limit", asked), PAGE_MAX) if asked is not None else PAGE_MAX
    if ordered and not sort_keys:
        behind = (row for row in passing if marker is None or str(row["id"]) > marker)
        chosen = list(islice(behind, limit + 1))
    else:
        chosen = list(passing)
        _order(chosen, sort_keys, query.getlist("sort_dir"))
        chosen = _behind(chosen, marker, by_id=not sort_keys)
    follows = None
    if len(chosen) > limit:
        chosen = chosen[:limit]
        kept = [(name, value) for name, value in query.multi_items() if name not in ("marker", "limit")]
        following = urlencode([*kept, ("limit", limit), ("marker", chosen[-1]["id"])], errors="replace")
        follows = f"{here(call)}?{following}"
    fields = [name for asked in query.getlist("fields") for name in asked.split(",") if name]
    if fields:
        chosen = [{name: row[name] for name in fields if name in row} for row in chosen]
    return Page(chosen, follows)


def here(call: Call) -> str:
    """The URL that was asked, without its query."""
    return call.origin + call.request.url.path


def switched_on(call: Call, name: str) -> bool:
    """Whether a switch is in the query, with any value but a no."""
    value = call.query.get(name)
    return value is not None and value.lower() not in _FALSE


def is_true(asked: str) -> bool:
    """What a flag's value in a query means: everything but a no is a yes."""
    return asked.lower() not in _FALSE


def whole_number(name: str, text: str) -> int:
    """From 1. Raises InvalidError."""
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise InvalidError(f"{name}: a whole number from 1")
    return int(text)


def _test(name: str, asked: str, known: frozenset[str], special: Mapping[str, Filter]) -> Callable[[Row], bool]:
    if name in special:
        return lambda row: special[name](row, asked)
    field, _, comparison = name.partition("__")
    if field not in known or (comparison and comparison not in _COMPARISONS):
        raise InvalidError(f"{name}: no such filter; there are {', '.join(sorted(known | special.keys())) or 'none'}")

    def matches(row: Row) -> bool:
        held = row.get(field)
        if isinstance(held, bool):
            return held is is_true(asked)
        if not comparison:
            return held == asked or (held is None and asked in ("", "null", "None")) or str(held) == asked
        return _COMPARISONS[comparison](str(held or ""), asked)

    return matches


def _order(rows: list[Row], keys: Sequence[str], directions: Sequence[str]) -> None:
    rows.sort(key=lambda row: str(row["id"]))
    pairs = [(key, directions[at] if at < len(directions) else "asc") for at, key in enumerate(keys)]
    for key, direction in reversed(pairs):
        if direction not in ("asc", "desc"):
            raise InvalidError("sort_dir: asc or desc")
        if rows and not any(key in row for row in rows):
            raise InvalidError(f"sort_key: there is no attribute {key}")
        rows.sort(key=lambda row: (row.get(key) is not None, str(row.get(key))), reverse=direction == "desc")


def _behind(rows: list[Row], marker: str | None, *, by_id: bool) -> list[Row]:
    """The rows behind the marker's. In the order of ids that is known even where the row is gone by now."""
    if marker is None:
        return rows
    for at, row in enumerate(rows):
        if row["id"] == marker:
            return rows[at + 1 :]
    if not by_id:
        raise InvalidError(f"marker: {marker} is not in this list any more; begin anew")
    return [row for row in rows if str(row["id"]) > marker]
