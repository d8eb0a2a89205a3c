"""Lists as stock cinder has them: filters, order, limit, marker, offset, links and counts."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from gateway.rest.listing import here
from gateway.rest.times import read_us
from gateway.volumes.call import Call
from gateway.volumes.reading import flag, whole
from store.core.errors import InvalidError, NotFoundError

PAGE_MAX: Final = 1000
PAGING: Final = frozenset({"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"})
STRICT_FILTERS: Final = 31
"""From this microversion on a filter that is not known is an error; before, it is overlooked as in stock cinder."""
LIKE: Final = 34
COUNTS: Final = 45
FILTER_CHARACTERS_MAX: Final = 4096

_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt, "gte": operator.ge, "eq": operator.eq, "neq": operator.ne, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list may be filtered by."""

    exact: frozenset[str]
    like: frozenset[str] = frozenset()
    """With `~` behind the name: those that contain the text."""
    dicts: frozenset[str] = frozenset()
    """Those of which all that is asked for is there."""
    times: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    sorts: frozenset[str] = frozenset({"id", "created_at"})


@dataclass(frozen=True, slots=True)
class Listed:
    """A page. `count`: of all pages, None where that was not asked for."""

    rows: list[Row]
    links: list[dict[str, str]]
    count: int | None

    def document(self, plural: str, shown: Iterable[Any], links: str = "") -> dict[str, Any]:
        """`shown`: the rows as clients see them; `links`: what their links are called, where that is another word."""
        document: dict[str, Any] = {plural: list(shown)}
        if self.links:
            document[links or f"{plural}_links"] = self.links
        return document if self.count is None else document | {"count": self.count}


def page(call: Call, rows: Iterable[Row], filters: Filters, known: Callable[[str], bool] = lambda _: False) -> Listed:
    """The rows that the query asks for. Raises InvalidError; NotFoundError for a marker that is not in the list.
    `known`: further names in the query that mean something elsewhere."""
    query = call.query
    limit = min(whole("limit", query.get("limit", str(PAGE_MAX)), 0), PAGE_MAX)
    offset = whole("offset", query.get("offset", "0"), 0)
    tests = [
        _test(call, name, asked, filters)
        for name, asked in query.multi_items()
        if name not in PAGING and not known(name)
    ]
    chosen = [row for row in rows if all(test(row) for test in tests)]
    _order(call, chosen, filters.sorts)
    total = len(chosen)
    chosen = _behind(chosen, query.get("marker"))[offset:]
    links: list[dict[str, str]] = []
    found = chosen[:limit]
    if found and len(found) == limit:
        kept = [(name, value) for name, value in query.multi_items() if name not in ("marker", "offset")]
        following = urlencode([*kept, ("marker", str(found[-1]["id"]))], errors="replace")
        links = [{"rel": "next", "href": f"{here(call)}?{following}"}]
    counts = call.since(COUNTS) and "with_count" in query and flag("with_count", query["with_count"])
    return Listed(found, links, total if counts else None)


async def wants_all(call: Call) -> bool:
    """Whether an administrator asks for what all projects have."""
    asked = call.query.get("all_tenants")
    return asked is not None and await call.is_admin() and flag("all_tenants", asked)


def _test(call: Call, name: str, asked: str, filters: Filters) -> Callable[[Row], bool]:
    if name.endswith("~") and name[:-1] in filters.like and call.since(LIKE):
        return lambda row: asked.casefold() in str(row.get(name[:-1]) or "").casefold()
    if name in filters.dicts:
        wanted = _dictionary(name, asked)
        return lambda row: all(str((row.get(name) or {}).get(key)) == value for key, value in wanted.items())
    if name in filters.times:
        return _compared(name, asked)
    if name in filters.flags:
        wanted_flag = flag(name, asked)
        return lambda row: row.get(name) is wanted_flag
    if name in filters.exact:
        return lambda row: str(row.get(name)) == asked or (row.get(name) is None and asked == "")
    if call.since(STRICT_FILTERS):
        raise InvalidError(f"Invalid filters {name[:64]} are found in query options.")
    return lambda _: True


def _dictionary(name: str, asked: str) -> dict[str, str]:
    wrong = InvalidError(f"Invalid value for filter {name}: an object such as {{'key': 'value'}}.")
    if len(asked) > FILTER_CHARACTERS_MAX:
        raise wrong
    try:
        found = ast.literal_eval(asked)
        # Within: a number may have more digits than Python tells.
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise wrong from error
    raise wrong


def _compared(name: str, asked: str) -> Callable[[Row], bool]:
    """Such as `gt:2027-01-31T12:00:00,lt:2027-02-01T00:00:00`."""
    tests: list[tuple[Callable[[Any, Any], bool], int]] = []
    for one in asked.split(","):
        how, _, when = one.partition(":")
        if how not in _COMPARED:
            raise InvalidError(f"Invalid {name} operator.")
        tests.append((_COMPARED[how], read_us(name, when)))
    return lambda row: (
        row.get(name) is not None and all(compare(read_us(name, row[name]), when) for compare, when in tests)
    )


def _order(call: Call, rows: list[Row], known: frozenset[str]) -> None:
    query = call.query
    if "sort" in query and ("sort_key" in query or "sort_dir" in query):
        raise InvalidError("sort_key and sort_dir cannot be used with sort.")
    if "sort" in query:
        pairs = [one.partition(":")[::2] for one in query["sort"].strip().split(",")]
    else:
        pairs = [(query.get("sort_key", "created_at"), query.get("sort_dir", ""))]
    rows.sort(key=lambda row: str(row["id"]), reverse=True)
    for key, direction in reversed([(key.strip(), direction.strip() or "desc") for key, direction in pairs]):
        if key not in known:
            raise InvalidError(f"Sort key {key[:64]!a} is not known; there are {', '.join(sorted(known))}.")
        if direction not in ("asc", "desc"):
            raise InvalidError("A sort direction is asc or desc.")
        rows.sort(key=_sorting(key), reverse=direction == "desc")


def _sorting(key: str) -> Callable[[Row], tuple[bool, int, str]]:
    """By number where it is one, else as text; null before all."""

    def value(row: Row) -> tuple[bool, int, str]:
        held = row.get(key)
        if isinstance(held, int):
            return True, held, ""
        return held is not None, 0, str(held or "")

    return value


def _behind(rows: Sequence[Row], marker: str | None) -> list[Row]:
    if marker is None:
        return list(rows)
    for at, row in enumerate(rows):
        if row["id"] == marker:
            return list(rows[at + 1 :])
    raise NotFoundError("The marker could not be found.")
