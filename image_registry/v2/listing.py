"""Lists of images: whom they are shown to, filters, order and pages, as stock Glance has them. A parameter that is no
attribute is taken for a property of the images."""

from __future__ import annotations

import csv
import io
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from gateway.rest.times import read_us
from image_registry.records import Image, MemberStatus, Visibility
from image_registry.v2.call import Call
from image_registry.v2.view import image_view
from store.core.errors import InvalidError

LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 1000
SORT_KEYS: Final = (
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
)
_LISTS: Final = ("name", "id", "status", "container_format", "disk_format")
_TIMES: Final = ("created_at", "updated_at")
_NUMBERS: Final = ("size", "min_ram", "min_disk", "virtual_size")
_FLAGS: Final = ("protected", "os_hidden")
_PAGING: Final = frozenset(("limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "tag", "visibility"))
_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

NUMBER: Final = re.compile("-?[0-9]{1,18}")

Row = dict[str, Any]
Test = Callable[[Row, Image], bool]


async def image_list(call: Call) -> dict[str, Any]:
    """The page that a request asks for. Raises InvalidError."""
    service = call.service
    shown_to = await _shown(call)
    tests, order, limit = _tests(call), _order(call), _limit(call)
    images = [image for image in await service.images.all() if shown_to(image)]
    receiving = any(image.receiving is not None for image in images)
    living = await service.process.living() if receiving else frozenset()
    allowed = await call.property_rights()
    rows = [(image_view(image, service.uploads.told_status(image, living), allowed), image) for image in images]
    chosen = [(row, image) for row, image in rows if all(test(row, image) for test in tests)]
    _sort(chosen, order)
    marker = call.query.get("marker")
    if marker is not None:
        ids = [image.id for _, image in chosen]
        if marker not in ids:
            raise InvalidError(f"No image found with ID {marker}")
        chosen = chosen[ids.index(marker) + 1 :]
    page = [row for row, _ in chosen[:limit]]
    asked = [(name, value) for name, value in call.query.multi_items() if name != "marker"]
    query = urlencode(asked, errors="replace")
    body: dict[str, Any] = {
        "images": page,
        "first": f"/v2/images?{query}" if query else "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if page and len(chosen) > limit:
        body["next"] = f"/v2/images?{urlencode([*asked, ('marker', page[-1]['id'])], errors='replace')}"
    return body


async def _shown(call: Call) -> Callable[[Image], bool]:
    """Whom the list is for: images of their own and public ones, those that are shared with them and that they accepted
    (unless they ask for others), and those of communities if they ask."""
    query, project = call.query, (await call.credentials()).get("project_id")
    visibility = query.get("visibility")
    if visibility and visibility not in (*Visibility, "all"):
        raise InvalidError(f"Invalid visibility value: {visibility}")
    said = query.get("member_status", MemberStatus.ACCEPTED)
    if said not in (*MemberStatus, "all"):
        raise InvalidError(f"Invalid status: {said}")
    everything = await call.is_admin()

    def shared_with_caller(image: Image) -> bool:
        return any(one.project_id == project and said in ("all", one.status) for one in image.members)

    def shown(image: Image) -> bool:
        own = image.owner == project
        if visibility and visibility != "all" and image.visibility != visibility:
            return False
        if not visibility and image.visibility is Visibility.COMMUNITY and not own:
            return False
        if everything or own or image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY):
            return True
        return image.visibility is Visibility.SHARED and shared_with_caller(image)

    return shown


def _tests(call: Call) -> list[Test]:
    query = call.query
    if "changes-since" in query:
        raise InvalidError('The "changes-since" filter is no longer available on v2.')
    tests = [_test(name, value) for name, value in query.multi_items() if name not in _PAGING]
    tags = [tag.strip() for tag in query.getlist("tag")]
    if tags:
        tests.append(lambda _, image: all(tag in image.tags for tag in tags))
    if "os_hidden" not in query:
        tests.append(lambda _, image: not image.hidden)
    return tests


def _test(name: str, asked: str) -> Test:
    if name in _FLAGS:
        if asked.lower() not in ("true", "false"):
            raise InvalidError(f"Invalid value '{asked}' for '{name}' filter. Valid values are 'true' or 'false'.")
        wanted = asked.lower() == "true"
        return lambda row, _: row[name] is wanted
    stem, _, bound = name.rpartition("_")
    if bound in ("min", "max") and stem in _NUMBERS:
        if not NUMBER.fullmatch(asked):
            raise InvalidError("Unable to filter on a range with a non-numeric value.")
        holds, number = (operator.ge if bound == "min" else operator.le), int(asked)
        return lambda row, _: row[stem] is not None and holds(row[stem], number)
    if name in _TIMES:
        return _time_test(name, asked)
    if name in _LISTS:
        said, colon, value = asked.partition(":")
        if colon and said == "in":
            choices = _choices(value)
            return lambda row, _: row[name] in choices
        if colon and said == "eq":
            return lambda row, _: row[name] == value
        if colon and said in ("neq", "gt", "gte", "lt", "lte"):
            raise InvalidError(f"Unable to filter by unknown operator '{said}'.")
        return lambda row, _: row[name] == asked
    if name in _NUMBERS:
        return lambda row, _: str(row[name]) == asked
    return lambda row, _: name in row and row[name] == asked


def _time_test(name: str, asked: str) -> Test:
    said, colon, value = asked.partition(":")
    if not colon or said not in _COMPARISONS:
        said, value = "eq", asked
    compare = _COMPARISONS[said]
    wanted = read_us(name, value) // 1_000_000
    field = "created_us" if name == "created_at" else "updated_us"
    return lambda _, image: compare(getattr(image, field) // 1_000_000, wanted)


def _choices(value: str) -> frozenset[str]:
    """A list with commas, in which what has a comma stands in quotes."""
    try:
        rows = list(csv.reader(io.StringIO(value), strict=True))
    except csv.Error as error:
        raise InvalidError(f"Invalid filter value {value}. The quote is not closed.") from error
    return frozenset(one for row in rows for one in row)


def _limit(call: Call) -> int:
    asked = call.query.get("limit")
    if asked is None:
        return LIMIT_DEFAULT
    if not NUMBER.fullmatch(asked):
        raise InvalidError("limit param must be an integer")
    if int(asked) < 0:
        raise InvalidError("limit param must be positive")
    return min(int(asked), LIMIT_MAX)


def _order(call: Call) -> list[tuple[str, bool]]:
    """Keys, and whether the greatest comes first; of either way to say it."""
    query = call.query
    keys, directions = query.getlist("sort_key"), query.getlist("sort_dir")
    if "sort" in query:
        if keys or directions:
            raise InvalidError("Old and new sorting syntax cannot be combined")
        pairs = [one.partition(":") for one in query["sort"].strip().split(",")]
        keys, directions = [key.strip() for key, _, _ in pairs], [said.strip() or "desc" for _, _, said in pairs]
    elif len(directions) > 1 and len(directions) != len(keys):
        raise InvalidError("Number of sort dirs does not match the number of sort keys")
    keys = [key.strip() for key in keys] or ["created_at"]
    directions = [said.strip() for said in directions] or ["desc"]
    for key in keys:
        if key not in SORT_KEYS:
            raise InvalidError(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    for said in directions:
        if said not in ("asc", "desc"):
            raise InvalidError(f"Invalid sort direction: {said}")
    if len(directions) == 1:
        directions = directions * len(keys)
    # As in stock Glance, what is alike otherwise goes by age and by id.
    for key in ("created_at", "id"):
        if key not in keys:
            keys, directions = [*keys, key], [*directions, directions[0]]
    return [(key, said == "desc") for key, said in zip(keys, directions, strict=True)]


def _sort(rows: list[tuple[Row, Image]], order: Sequence[tuple[str, bool]]) -> None:
    for key, descending in reversed(order):
        if key == "created_at":
            rows.sort(key=lambda one: one[1].created_us, reverse=descending)
        elif key == "updated_at":
            rows.sort(key=lambda one: one[1].updated_us, reverse=descending)
        elif key == "size":
            rows.sort(key=lambda one: one[0]["size"] or 0, reverse=descending)
        else:
            rows.sort(key=lambda one: str(one[0][key] or ""), reverse=descending)
