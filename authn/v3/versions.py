"""The documents that every client reads before its first call."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from authn.v3.call import Call
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.versions import Version

_V3: Final = Version(
    id="v3.14",
    path="/v3",
    status="stable",
    updated="2020-04-07T00:00:00Z",
    media_type="application/vnd.openstack.identity-v3+json",
)


async def show_versions(call: Call) -> Response:
    """All versions, of which there is one: 300, choose."""
    response = answer({"versions": {"values": [_version(call)]}}, 300)
    response.headers["Location"] = f"{call.base}/"
    return response


async def show_version(call: Call) -> Response:
    """Version 3."""
    return answer({"version": _version(call)})


def _version(call: Call) -> dict[str, Any]:
    return _V3.document(call.base.removesuffix(_V3.path))


ROUTES: Final[Routes[Call]] = {"/": {"GET": show_versions}, _V3.path: {"GET": show_version}}
