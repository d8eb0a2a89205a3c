"""Lists as stock Neutron has them: any attribute is a filter, several values are an or; order, pages and fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.v2.frame.readers import WrongValueError, flag

Row = dict[str, Any]
Test = Callable[[Row], bool]

PAGING: Final = frozenset({"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"})
TAGS: Final[Mapping[str, Callable[[set[str], set[str]], bool]]] = {
    "tags": lambda held, asked: asked <= held,
    "tags-any": lambda held, asked: bool(asked & held),
    "not-tags": lambda held, asked: not asked <= held,
    "not-tags-any": lambda held, asked: not asked & held,
}
PAGE_MAX: Final = 10_000


def tests_of(query: QueryParams, known: Iterable[str]) -> list[Test]:
    """What rows have to pass. Raises BadRequestError for a filter that is not known: one that is overlooked would show
    everything."""
    allowed = set(known)
    found: list[Test] = []
    strange = [name for name in query if name not in PAGING and name not in TAGS and name not in allowed]
    if strange:
        names = ", ".join(map(repr, sorted(strange)))
        raise BadRequestError("HTTPBadRequest", f"[{names}] is invalid attribute for filtering")
    for name in dict.fromkeys(query.keys()):
        if name in PAGING:
            continue
        values = query.getlist(name)
        if name in TAGS:
            found.append(_tags_test(name, {one for value in values for one in value.split(",")}))
        elif name == "fixed_ips":
            found.append(_fixed_ips_test(values))
        else:
            found.append(_test(name, values))
    return found


def _tags_test(name: str, asked: set[str]) -> Test:
    return lambda row: TAGS[name](set(row.get("tags", ())), asked)


def _fixed_ips_test(values: Sequence[str]) -> Test:
    wanted: dict[str, list[str]] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals or key not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise BadRequestError("HTTPBadRequest", f"Invalid input for fixed_ips. Reason: '{value}' is no filter.")
        wanted.setdefault(key, []).append(rest)

    def passes(row: Row) -> bool:
        held = row["fixed_ips"]
        return all(
            any(value in one["ip_address"] for one in held for value in asked)
            if key == "ip_address_substr"
            else any(one[key] in asked for one in held)
            for key, asked in wanted.items()
        )

    return passes


def _test(name: str, values: Sequence[str]) -> Test:
    def passes(row: Row) -> bool:
        held = row.get(name)
        if isinstance(held, bool):
            return any(_is(held, value) for value in values)
        if isinstance(held, list):
            return any(value in map(str, held) for value in values)
        return any(value in ("", "null", "None") if held in (None, "") else str(held) == value for value in values)

    return passes


def _is(held: bool, value: str) -> bool:
    try:
        return flag(value) is held
    except WrongValueError:
        return False


def page_of(query: QueryParams, rows: list[Row], url: str, plural: str) -> tuple[list[Row], list[dict[str, str]]]:
    """The rows of one page, in order, and the links to those around it. Raises BadRequestError."""
    limit, marker, back = _limit(query), query.get("marker"), query.get("page_reverse", "").lower() == "true"
    _order(rows, query.getlist("sort_key"), query.getlist("sort_dir"))
    if back:
        rows.reverse()
    if marker is not None:
        at = next((at for at, row in enumerate(rows) if row.get("id") == marker), None)
        if at is None:
            raise BadRequestError("HTTPBadRequest", f"Marker {marker} could not be found in the list of {plural}.")
        rows = rows[at + 1 :]
    more = limit is not None and len(rows) > limit
    if limit is not None:
        rows = rows[:limit]
    if back:
        rows = rows[::-1]
    links: list[dict[str, str]] = []
    if limit is not None and rows:
        if more or back:
            links.append({"rel": "next", "href": _link(query, url, rows[-1]["id"], back=False)})
        if marker is not None or back:
            links.append({"rel": "previous", "href": _link(query, url, rows[0]["id"], back=True)})
    return rows, links


def _limit(query: QueryParams) -> int | None:
    said = query.get("limit")
    if said is None:
        return None
    if not said.isascii() or not said.isdecimal() or len(said) > 9:
        raise BadRequestError("HTTPBadRequest", f"Limit must be an integer 0 or greater and not '{said}'")
    return min(int(said), PAGE_MAX) or None


def _order(rows: list[Row], keys: Sequence[str], directions: Sequence[str]) -> None:
    if directions and len(keys) != len(directions):
        raise BadRequestError("HTTPBadRequest", "The number of sort_keys and sort_dirs must be same")
    rows.sort(key=lambda row: str(row.get("id", "")))
    for at in reversed(range(len(keys))):
        key, direction = keys[at], directions[at] if directions else "asc"
        if direction not in ("asc", "desc"):
            raise BadRequestError("HTTPBadRequest", f"The sort_dir {direction} is invalid; it is asc or desc")
        if rows and (key not in rows[0] or isinstance(rows[0][key], list | dict)):
            raise BadRequestError("HTTPBadRequest", f"['{key}'] is invalid attribute for sort_keys")
        rows.sort(key=lambda row: (row[key] is not None, _comparable(row[key])), reverse=direction == "desc")


def _comparable(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int) else (1, str(value))


def _link(query: QueryParams, url: str, marker: str, *, back: bool) -> str:
    kept = [(name, value) for name, value in query.multi_items() if name not in ("marker", "page_reverse")]
    return f"{url}?{urlencode([*kept, ('marker', marker), *([('page_reverse', 'True')] if back else [])])}"
