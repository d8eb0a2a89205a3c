"""The documents that every client reads before its first call: which versions of an API there are, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from gateway.rest.app import Handler, Routes
from gateway.rest.call import Call
from gateway.rest.microversions import Microversions


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a service's API."""

    id: str
    """As it is shown, such as `v3.14`."""
    path: str
    """Where it is served, behind the service's prefix, such as `/v3`."""
    status: str
    """`CURRENT` for the newest, `SUPPORTED`, `DEPRECATED` or `EXPERIMENTAL`; identity says `stable`."""
    updated: str = ""
    """When it came to be, in ISO 8601; "" where the service's documents do not say it."""
    media_type: str = ""
    """The type that stands for it, such as `application/vnd.openstack.volume+json;version=3`; "" for none."""
    microversions: Microversions | None = None

    def document(self, base: str) -> dict[str, Any]:
        """How clients see it; `base` is the service's URL by the host that was asked, without a slash at its end."""
        shown: dict[str, Any] = {"id": self.id, "status": self.status}
        if self.updated:
            shown["updated"] = self.updated
        shown["links"] = [{"rel": "self", "href": f"{base}{self.path}/"}]
        if self.media_type:
            shown["media-types"] = [{"base": "application/json", "type": self.media_type}]
        if self.microversions is not None:
            shown["min_version"] = str(self.microversions.least)
            shown["version"] = str(self.microversions.most)
        return shown


def version_routes(
    prefix: str, versions: Sequence[Version], *, status: int = 300, one_in_list: bool = False
) -> Routes[Call]:
    """The documents' routes, for `documents` of ServiceApp. `status`: of the list of all, 300 (choose) or 200, as the
    stock service has it; `one_in_list`: a version's own document is a list, too, as in volumes'."""

    async def show_all(call: Call) -> Response:
        base = call.origin + prefix
        return JSONResponse({"versions": [version.document(base) for version in versions]}, status)

    def shows(version: Version) -> Handler[Call]:
        async def show(call: Call) -> Response:
            document = version.document(call.origin + prefix)
            return JSONResponse({"versions": [document]} if one_in_list else {"version": document})

        return show

    routes: Mapping[str, Mapping[str, Handler[Call]]] = {
        "/": {"GET": show_all},
        **{version.path: {"GET": shows(version)} for version in versions},
    }
    return routes
