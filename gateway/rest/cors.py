"""Which web pages may use a service from a browser (CORS, the Fetch standard). None, unless an operator says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from store.core.errors import InvalidError

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ASKED: Final = ("X-Auth-Token", "X-Subject-Token", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version")
_TOLD: Final = ("X-Subject-Token", "X-OpenStack-Request-Id", "OpenStack-API-Version", "Location", "Retry-After")
"""Headers of answers that a page may read besides those that it always may."""

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """`app` for pages of these `origins`, too, such as `https://console.example`; `*` is all. Pages never have a
    browser's cookies or passwords sent along: tokens are in a header. Raises InvalidError for what is no origin."""
    require_origins(origins)
    if not origins:
        return app
    return CORSMiddleware(app, origins, allow_methods=_METHODS, allow_headers=_ASKED, expose_headers=_TOLD)


def require_origins(origins: Sequence[str]) -> None:
    """Raises InvalidError for what is no origin."""
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise InvalidError(f"{origin}: an origin is such as https://console.example:8443, in lower case, or *")
