"""Images: list, show and delete."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import Page, asked
from compute_plugin.v2.frame.reading import whole as whole_number
from compute_plugin.v2.proxies.askers import Askers, ask, called, proxied
from compute_plugin.v2.proxies.image_view import Row, brief, whole
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.inside import Asker

PATH: Final = "images"
MISSING: Final = "Image not found."
FILTERS: Final = {
    "name": "name",
    "status": "status",
    "server": "instance_uuid",
    "type": "image_type",
    "minRam": "min_ram",
    "minDisk": "min_disk",
}
"""As the image service calls them."""
PROPERTY: Final = "property-"


def images(them: Askers) -> Asker:
    return them.images


async def find_image(call: Call, id_: str) -> Row:
    """Raises NotFoundError."""
    with called(MISSING):
        found: Row = await ask(call, images, "GET", f"/images/{id_}")
    return found


async def list_images(call: Call) -> Response:
    page = await _listed(call, PATH)
    return answer(page.document("images", [brief(call, one) for one in page.rows]))


async def list_details(call: Call) -> Response:
    page = await _listed(call, f"{PATH}/detail")
    return answer(page.document("images", [whole(call, one) for one in page.rows]))


async def show_image(call: Call) -> Response:
    return answer({"image": whole(call, await find_image(call, call.path("image_id")))})


async def delete_image(call: Call) -> Response:
    with called(MISSING):
        await ask(call, images, "DELETE", f"/images/{call.path('image_id')}")
    return nothing()


async def _listed(call: Call, path: str) -> Page[Row]:
    """A page as the image service has it."""
    limit = asked(call, "limit")
    most = whole_number("limit", limit, 1) if limit is not None else None
    query = _query(call)
    rows: list[Row] = []
    while True:
        wanted = {"limit": str(most - len(rows))} if most is not None else {}
        said: dict[str, Any] = await ask(call, images, "GET", "/images", query=query | wanted)
        rows += said["images"]
        if "next" not in said or (most is not None and len(rows) >= most):
            break
        query = query | {"marker": parse_qs(urlsplit(said["next"]).query)["marker"][0]}
    if most is None or len(rows) < most:
        return Page(rows, None)
    kept = sorted((name, value) for name, value in call.query.multi_items() if name != "marker")
    return Page(rows, f"{call.base}/{path}?{urlencode([*kept, ('marker', rows[-1]['id'])], errors='replace')}")


def _query(call: Call) -> dict[str, str]:
    """Of the image service, for what the query asks."""
    found: dict[str, str] = {}
    for name, value in call.query.multi_items():
        if name in FILTERS:
            found[FILTERS[name]] = value
        elif name.startswith(PROPERTY):
            found[name.removeprefix(PROPERTY)] = value
        elif name == "changes-since":
            found["updated_at"] = f"gte:{value}"
        elif name == "marker":
            found["marker"] = value
    if "status" in found:
        found["status"] = found["status"].lower()
    if "instance_uuid" in found:
        found["instance_uuid"] = found["instance_uuid"].rpartition("/")[2]
    return found


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": proxied("", list_images)},
    f"/{PATH}/detail": {"GET": proxied("", list_details)},
    f"/{PATH}/{{image_id}}": {"GET": proxied("", show_image), "DELETE": proxied("", delete_image)},
}
